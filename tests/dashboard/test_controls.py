"""The widgets of a page: somebody else's text in them is no markup, and a press while the page runs stays."""

import pytest

from sparsecore.dashboard import controls
from sparsecore.dashboard.controls import plain
from sparsecore.engine.config import ConfigError
from sparsecore.runs.store.store import Store
from tests.dashboard.opening import opened


def test_every_mark_of_markdown_stands_for_itself():
    assert plain("![x](http://a.b) <b>_1_</b> :red[y]") == (
        r"\!\[x\]\(http\:\/\/a\.b\) \<b\>\_1\_\<\/b\> \:red\[y\]"
    )


def test_chinese_marks_need_no_escape():
    assert plain("漏洞，高危。") == "漏洞，高危。"


@pytest.mark.parametrize(
    ("lang", "field", "allowed"),
    [
        ("en", "task", "vulnerabilities (texts)"),
        ("en", "size", "one of demo, paper"),
        ("zh", "size", "demo (演示), paper (论文)"),
        ("en", "mode", "iht (IHT), latent"),
    ],
)
def test_a_choice_is_named_as_in_a_link_and_as_on_the_screen(
    monkeypatch: pytest.MonkeyPatch, lang: str, field: str, allowed: str
):
    chosen = {"lang": lang, "task": "sinc", "method": "global"}
    monkeypatch.setattr(controls.st, "session_state", chosen)
    assert allowed in controls.sentence(ConfigError(field, "texts", ""))


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


def trainable(app) -> bool:
    return not any(app.button(key=f"do_{action}").disabled for action in ("train", "reset", "new_seed"))


def test_values_of_a_link_that_do_not_fit_are_told_above_train_until_the_form_is_accepted(served: Store):
    app = opened("lab.py", learning_rate="-1", seed="1" + 20 * "0", density="0.2")
    told = app.error[-1].value  # after those at the fields
    assert "Learning rate must be" in told
    assert "Seed must be" in told
    assert not trainable(app)
    app.button(key="accept_link").click().run()
    assert not app.error
    assert trainable(app)


@pytest.mark.parametrize(("key", "value"), [("max_steps", -5), ("seed", -1)])
def test_a_value_in_the_closed_menu_that_does_not_fit_is_told_above_train(
    served: Store, key: str, value: int
):
    app = opened("lab.py")
    app.number_input(key=key).set_value(value).run()
    assert plain(f"got {value}") in app.error[-1].value
    assert not trainable(app)
    app.number_input(key=key).set_value(7).run()
    assert not app.error
    assert trainable(app)
