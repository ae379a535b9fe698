"""Enter the challenge: choose a finished run and a name, and see the judge's result."""

import streamlit as st

from sparsecore.dashboard.controls import plain, say
from sparsecore.dashboard.session import the_store
from sparsecore.dashboard.visitor import attempt, visitor
from sparsecore.dashboard.widgets import label
from sparsecore.engine.cards import TaskCard
from sparsecore.runs.store.people import Person
from sparsecore.runs.store.run import Run
from sparsecore.teaching.challenge import Judgement, NotJudged
from sparsecore.teaching.leaderboard import MAX_NAME_LENGTH, Entry, enter, withdraw

LOOKED_THROUGH = 500  # of the newest runs of a store, for those of the visitor
JUDGED = "challenge_judged"  # in the session: the last judgement, of which run; or why there is none
NAME = "challenge_name"  # in the session: what the visitor called himself last


def metric_text(card: TaskCard, value: float) -> str:
    """Format a metric for the screen.

    >>> from sparsecore.teaching.challenge import challenges
    >>> metric_text(challenges()["spirals"], 0.99125), metric_text(challenges()["sinc"], 0.0799)
    ('99.1 %', '0.0799')
    """
    return f"{100 * value:.1f} %" if card.metric.percent else f"{value:.4f}"


def candidates(task: str, person: Person) -> list[Run]:
    """The visitor's finished runs on a task, newest first."""
    found = the_store().list(states=["ended"], limit=LOOKED_THROUGH)
    return [run for run in found if run.config.task == task and person.may(run.owner, run.origin)]


def entry_form(card: TaskCard) -> None:
    """Let the user choose a run and a name, and judge it at once."""
    own = candidates(card.name, visitor())
    if not own:
        st.info(say("challenge.none_of_yours"))
        return
    names = {run.id: label(run) for run in own}
    with st.form("challenge", border=False):
        chosen = st.selectbox(say("challenge.run"), list(names), format_func=names.get, key="challenge_run")
        name = st.text_input(
            say("challenge.name"),
            st.session_state.get(NAME, ""),
            max_chars=MAX_NAME_LENGTH,
            help=say("challenge.name.help"),
        )
        pressed = st.form_submit_button(say("challenge.enter"), icon=":material/trophy:", type="primary")
    if pressed and chosen is not None:
        st.session_state[NAME] = name
        try:
            st.session_state[JUDGED] = chosen, attempt(enter, the_store(), chosen, name, by=visitor())
        except NotJudged as error:
            st.session_state[JUDGED] = chosen, error
    explain(card)


def explain(card: TaskCard) -> None:
    """Show the judge's result for the last entered run."""
    run_id, found = st.session_state.get(JUDGED, (None, None))
    if isinstance(found, NotJudged):
        st.error(say("challenge.not_judged", reason=plain(found)))
    elif isinstance(found, Judgement) and the_store().get(run_id).config.task == card.name:
        limit, value = metric_text(card, card.challenge.limit), metric_text(card, found.value)
        key = "challenge.passed" if found.passes else "challenge.failed"
        tell = st.success if found.passes else st.warning
        tell(say(key, run=run_id, weights=f"{found.nonzeros:,}", value=value, limit=limit))


def board(card: TaskCard, found: list[Entry]) -> None:
    """Show the leaderboard as a table; names are escaped."""
    person = visitor()
    rows = [
        {
            "rank": entry.rank,
            "name": entry.name,
            "weights": entry.nonzeros,
            "value": metric_text(card, entry.value),
            "method": say(f"method.{entry.run.config.method}"),
            "density": entry.run.config.density,
            "yours": entry.owner is not None and entry.owner == person.owner,
            "open": f"./?run={entry.run.id}&lang={st.session_state['lang']}",
        }
        for entry in found
    ]
    named = ("rank", "name", "weights", "method", "yours")
    st.dataframe(
        rows,
        hide_index=True,
        height="content" if len(rows) < 14 else 520,
        column_config={
            **{name: say(f"challenge.column.{name}") for name in named},
            "value": say(f"live.metric.{card.metric.name}"),
            "density": st.column_config.NumberColumn("ρ", format="%g"),
            "open": st.column_config.LinkColumn(say("runs.open"), display_text=say("runs.open")),
        },
    )
    _withdrawal([entry for entry in found if person.may(entry.owner)])


def _withdrawal(mine: list[Entry]) -> None:
    """Withdraw an entry: users their own, the teacher any."""
    if not mine:
        return
    names = {entry.run.id: f"{entry.rank} · {entry.name}" for entry in mine}
    with st.popover(say("challenge.withdraw"), icon=":material/remove_circle:"):
        chosen = st.selectbox(
            say("challenge.withdraw.which"), list(names), format_func=names.get, key="withdraw_run"
        )
        if st.button(say("challenge.withdraw.do"), key="withdraw"):
            attempt(withdraw, the_store(), chosen, by=visitor())
            st.session_state.pop(JUDGED, None)
            st.rerun()
