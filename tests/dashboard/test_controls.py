"""The widgets of a page: somebody else's text in them is no markup, and a press while the page runs stays."""

import pytest

from sparsecore.dashboard.controls import plain
from sparsecore.runs.store.store import Store
from tests.dashboard.opening import opened


def test_every_mark_of_markdown_stands_for_itself():
    assert plain("![x](http://a.b) <b>_1_</b> :red[y]") == (
        r"\!\[x\]\(http\:\/\/a\.b\) \<b\>\_1\_\<\/b\> \:red\[y\]"
    )


def test_chinese_marks_need_no_escape():
    assert plain("漏洞，高危。") == "漏洞，高危。"


@pytest.mark.parametrize(
    ("page", "keys"),
    [
        ("lab.py", {"task", "method", "size", "density", "language_choice"}),
        ("sweep.py", {"task", "size", "sweep_methods", "sweep_densities", "sweep_seeds", "language_choice"}),
    ],
)
def test_a_widget_is_not_set_to_what_it_holds_which_would_undo_a_press_meanwhile(
    served: Store, page: str, keys: set[str]
):
    app = opened(page)
    assert set_anew(app, keys) == keys  # at first it is told what to show
    app.session_state["held"] = app.session_state["holding"]  # as _navigation.py notes
    app.run()
    assert set_anew(app, keys) == set()
    app.session_state["held"] = frozenset()  # as on another page, where the browser has not seen them
    app.run()
    assert set_anew(app, keys) == keys - {"task", "method", "size", "density"}


def set_anew(app, keys: set[str]) -> set[str]:
    """Of these widgets those whose value the browser is told to take."""
    found = [*app.get("button_group"), *app.select_slider, *app.text_input]
    shown = {widget.key: widget.proto.set_value for widget in found if widget.key in keys}
    assert shown.keys() == keys
    return {key for key, anew in shown.items() if anew}
