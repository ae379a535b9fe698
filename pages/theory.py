"""Theory: a playground of least squares under ‖w‖₀ ≤ s, then the conditions of an optimum."""

import streamlit as st

from sparsecore.dashboard.controls import say
from sparsecore.dashboard.lessons.playground import playground
from sparsecore.dashboard.widgets import page_header
from sparsecore.teaching.lessons import statements

ICON = ":material/function:"
ORDER = 40

page_header(say("theory.title"))

with st.container(border=True, key="theory_playground"):
    st.markdown(f"**{say('theory.playground')}**")
    playground()

st.markdown(f"#### {say('theory.conditions')}")
language = st.session_state["lang"]
for first in range(0, len(statements()), 2):
    for column, statement in zip(st.columns(2, gap="medium"), statements()[first : first + 2], strict=False):
        with column, st.container(border=True, height="stretch", key=f"theory_{statement.id}"):
            st.markdown(f"**{statement.title.get(language)}**")
            st.markdown(statement.says.get(language))
            st.caption(f"**{say('theory.why')}** {statement.why.get(language)}")
            if statement.misprint is not None:
                st.warning(
                    f"**{say('theory.misprint')}.** {statement.misprint.get(language)}",
                    icon=":material/edit_note:",
                )
st.caption(say("theory.source"))
