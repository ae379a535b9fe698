"""Compare: two runs of one task side by side, at the same step and on the same axes."""

import streamlit as st

from sparsecore.dashboard import compare
from sparsecore.dashboard.controls import say
from sparsecore.dashboard.visitor import tell_refusal
from sparsecore.dashboard.widgets import page_header

ICON = ":material/compare:"
ORDER = 80

page_header(say("compare.title"))
tell_refusal()

first, second = compare.chosen()
missing = first is None and compare.names_runs()
if first is not None or missing:
    compare.choose(first, second)
if missing:
    st.info(say("compare.choose"))
elif first is None or second is None:
    compare.offer(first)
elif first.config.task != second.config.task:
    tasks = {name: say(f"task.{run.config.task}") for name, run in (("a", first), ("b", second))}
    st.warning(say("compare.refused.tasks", **tasks))
else:
    compare.compare_view(first, second)
