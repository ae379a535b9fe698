"""Challenge: the fewest weights that still do the task, and who has got by with how few."""

import streamlit as st

from sparsecore.dashboard.challenge.entry import board, entry_form, metric_text
from sparsecore.dashboard.controls import say
from sparsecore.dashboard.lab.transport import language_switch
from sparsecore.dashboard.saved_figures import draw
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.visitor import tell_refusal
from sparsecore.figures.leaderboard import leaderboard_figure
from sparsecore.teaching.challenge import challenges
from sparsecore.teaching.leaderboard import leaderboard

ICON = ":material/trophy:"
ORDER = 60

with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
    st.subheader(say("challenge.title"), anchor=False)
    language_switch()

task = st.segmented_control(
    say("parameter.task"),
    list(challenges()),
    format_func=lambda name: say(f"task.{name}"),
    required=True,
    default=next(iter(challenges())),
    key="challenge",
    bind="query-params",
)
challenge = challenges()[task]
st.markdown(say(f"challenge.about.{task}", limit=metric_text(challenge, challenge.limit)))
st.caption(say("challenge.judge"))

entering, standing = st.columns([2, 3], gap="large")
with entering:
    st.markdown(f"**{say('challenge.enter.title')}**")
    entry_form(challenge)
    tell_refusal()
    address = f"/?task={task}&method=global&density=0.4&keep_alive=1&lang={st.session_state['lang']}"
    st.markdown(f"[{say('challenge.try')}]({address})")
with standing:
    st.markdown(f"**{say('challenge.board')}**")
    found = leaderboard(the_store(), task)  # after the form: who has just entered is on it
    if found:
        board(challenge, found)
    else:
        st.info(say("challenge.empty"))
if found:
    draw(leaderboard_figure(found, challenge, say=say), f"challenge_{task}", f"challenge-{task}")
