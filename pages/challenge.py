"""Challenge: the fewest weights that still do the task, and who has got by with how few."""

import streamlit as st

from sparsecore.dashboard.challenge import board, entry_form, metric_text
from sparsecore.dashboard.controls import say
from sparsecore.dashboard.saved_figures import draw
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.visitor import tell_refusal
from sparsecore.dashboard.widgets import page_header
from sparsecore.figures.teaching import leaderboard_figure
from sparsecore.teaching.challenge import challenges
from sparsecore.teaching.leaderboard import leaderboard

ICON = ":material/trophy:"
ORDER = 60

page_header(say("challenge.title"))

task = st.segmented_control(
    say("parameter.task"),
    list(challenges()),
    format_func=lambda name: say(f"task.{name}"),
    required=True,
    default=next(iter(challenges())),
    key="challenge",
    bind="query-params",
)
card = challenges()[task]
st.markdown(say(f"challenge.about.{task}", limit=metric_text(card, card.challenge.limit)))
st.caption(say("challenge.judge"))

entering, standing = st.columns([2, 3], gap="large")
with entering:
    st.markdown(f"**{say('challenge.enter.title')}**")
    entry_form(card)
    tell_refusal()
    address = f"./?task={task}&method=global&density=0.4&keep_alive=1&lang={st.session_state['lang']}"
    st.markdown(f"[{say('challenge.try')}]({address})")
with standing:
    st.markdown(f"**{say('challenge.board')}**")
    found = leaderboard(the_store(), task)  # after the form: who has just entered is on it
    if found:
        board(card, found)
    else:
        st.info(say("challenge.empty"))
if found:
    draw(leaderboard_figure(found, card, say=say), f"challenge_{task}", f"challenge-{task}")
