"""A press is not lost where something else begins the page anew before it is done."""

from streamlit.testing.v1 import AppTest


def page() -> None:
    import streamlit as st

    from sparsecore.dashboard.presses import do_pressed, forget_presses, press

    broken_off, left = (st.session_state.pop(name, False) for name in ("broken_off", "left"))
    if left:
        forget_presses()
    if broken_off:
        st.rerun()  # as when the live view tells something just now
    do_pressed()
    st.button("Go", key="go", **press(st.session_state.setdefault("done", []).append, "gone"))
    if st.button("Go at once", key="at_once"):
        st.session_state["done"].append("gone at once")


def opened() -> AppTest:
    return AppTest.from_function(page).run()


def test_a_press_is_done_by_the_run_after_one_that_was_broken_off():
    app = opened()
    app.session_state["broken_off"] = True
    app.button("go").click().run()
    assert app.session_state["done"] == ["gone"]
    app.run()
    assert app.session_state["done"] == ["gone"]  # once


def test_streamlit_itself_loses_such_a_press():
    app = opened()
    app.session_state["broken_off"] = True
    app.button("at_once").click().run()
    assert app.session_state["done"] == []


def test_a_press_is_not_kept_for_when_the_page_is_shown_again():
    app = opened()
    app.session_state["left"] = app.session_state["broken_off"] = True
    app.button("go").click().run()
    assert app.session_state["done"] == []
