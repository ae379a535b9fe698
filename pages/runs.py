"""Runs: everything that was trained on this server or brought to it, newest first; a run as a file."""

import streamlit as st

from sparsecore.dashboard import run_archives
from sparsecore.dashboard.controls import say
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.transport import language_switch
from sparsecore.dashboard.visitor import visitor, whose

SHOWN = 200
NAMED = ("run", "task", "size", "method", "seed", "state", "metric", "origin", "whose")

with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.subheader(say("runs.title"), anchor=False)
    language_switch()

listing = st.container()
saving, bringing = st.columns(2, gap="medium")
with bringing:
    run_archives.bring()  # before the list is read: what has come is in it
found = the_store().list(limit=SHOWN)
rows, person = [], visitor()
for run in found:
    test = (run.result or {}).get("metrics", {}).get("test", {})
    name, value = next(iter(test.items()), ("", None))
    rows.append(
        {
            "open": f"/?run={run.id}&lang={st.session_state['lang']}",
            "run": run.id,
            "task": say(f"task.{run.config.task}"),
            "size": say(f"size.{run.config.size}"),
            "method": say(f"method.{run.config.method}"),
            "density": run.config.density,
            "seed": run.config.seed,
            "state": say(f"state.{run.reason or run.state}"),
            "step": run.step,
            "metric": "" if value is None else f"{name} {value:.4f}",
            "origin": say(f"origin.{run.origin}"),
            "whose": say(f"owner.{whose(run, person)}"),
        }
    )
if rows:
    listing.dataframe(
        rows,
        hide_index=True,
        height="content" if len(rows) < 18 else 640,
        column_config={
            "open": st.column_config.LinkColumn(say("runs.open"), display_text=say("runs.open")),
            "density": st.column_config.NumberColumn("ρ", format="%g"),
            "step": st.column_config.NumberColumn(say("runs.step"), format="localized"),
            **{name: say(f"runs.{name}") for name in NAMED},
        },
    )
else:
    listing.info(say("runs.empty"))
if rows:
    with saving:
        run_archives.save(found)
