"""Compare: two runs of one task side by side, at the same step and on the same axes."""

import streamlit as st

from sparsecore.dashboard.compare import choice
from sparsecore.dashboard.compare.view import compare_view
from sparsecore.dashboard.controls import say
from sparsecore.dashboard.lab.transport import language_switch
from sparsecore.dashboard.visitor import tell_refusal

ICON = ":material/compare:"
ORDER = 80

with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.subheader(say("compare.title"), anchor=False)
    language_switch()
tell_refusal()

first, second = choice.chosen()
if first is not None:
    choice.choose(first, second)
if first is None or second is None:
    choice.offer(first)
elif first.config.task != second.config.task:
    tasks = {name: say(f"task.{run.config.task}") for name, run in (("a", first), ("b", second))}
    st.warning(say("compare.refused.tasks", **tasks))
else:
    compare_view(first, second)
