"""Why a cell differs: each rule is reached by facts that call for it, and by no others."""

import inspect
import re
from pathlib import Path

import pytest

from sparsecore.paper import reasons as rules
from sparsecore.paper.comparison import compare
from sparsecore.paper.reasons import reasons
from sparsecore.paper.settings import SETTINGS, settings_of
from sparsecore.words import LANGUAGES, speaker, words


def told(found, column: str, density: float) -> dict[str, str]:
    """The reasons of a cell: keys and English sentences; both languages must have words for each."""
    whole = compare(found)
    given = reasons(whole.rows[density][column], whole)
    for language in LANGUAGES:
        assert all(reason.sentence(speaker(language)).strip() for reason in given)
    return {reason.key: reason.sentence(speaker("en")) for reason in given}


def test_nothing_has_been_run(made):
    assert told(made(), "global", 0.5).keys() == {"missing"}


def test_some_runs_are_still_open(made, trial):
    found = made(trial("global", 0.5, 0, 0.07, 0.08), trial("global", 0.5, 1, None, None, status="queued"))
    assert told(found, "global", 0.5)["unfinished"].startswith("1 of 2 runs have ended")


def test_a_run_diverged(made, trial):
    lost = trial("global", 0.5, 1, None, None, status="failed", reason="diverged", step=12)
    found = made(trial("global", 0.5, 0, 0.07, 0.08), lost)
    assert "1 of 2 runs failed (step 12)" in told(found, "global", 0.5)["failed"]


def test_an_empty_layer_is_named_with_its_steps(made, dead):
    sentence = told(made(*dead("global", 0.05)), "global", 0.05)["empty"]
    assert sentence == (
        "Collapsed in 3 of 3 runs: layer fc3 has had no weight since step 1–81, "
        "so the output ignores the input."
    )


def test_a_constant_output_without_an_empty_layer_is_another_collapse(made, dead):
    assert "constant" in told(made(*dead("global", 0.05, layer=None)), "global", 0.05)


def test_past_an_empty_block_the_residual_stream_goes_on(made, dead):
    found = made(*dead("global", 0.05, 0.4, layer="blocks.0"), table="3-4")
    assert "residual" in told(found, "global", 0.05)["empty_block"]


def test_floors_keep_alive_what_collapses_without_them(made, pair, dead):
    found = made(*dead("global", 0.05), *pair("keep_alive", 0.05, 0.07, 0.08))
    assert "alive" in told(found, "keep_alive", 0.05)
    alone = made(*pair("global", 0.05, 0.07, 0.08), *pair("keep_alive", 0.05, 0.07, 0.08))
    assert "alive" not in told(alone, "keep_alive", 0.05)


def test_floors_that_ask_for_more_than_the_budget_are_told(made, dead):
    found = made(*dead("keep_alive", 0.005, budget=302))
    assert "floors_give_way" not in told(found, "keep_alive", 0.005)
    found = made(*dead("keep_alive", 0.005, budget=299))
    assert (
        "ask for 300 weights, more than the budget of 299"
        in told(found, "keep_alive", 0.005)["floors_give_way"]
    )


def test_below_the_papers_densities_a_method_holds_or_is_broken(made, pair):
    dense = pair("dense", 1.0, 0.07, 0.07)
    assert "holds" in told(made(*dense, *pair("layerwise", 0.02, 0.07, 0.075)), "layerwise", 0.02)
    broken = told(made(*dense, *pair("layerwise", 0.01, 0.2, 0.2)), "layerwise", 0.01)
    assert "0.0701" in broken["broken"]


def test_within_the_interval_and_equal_to_the_last_digit(made, trial):
    wide = [trial("global", 0.9, seed, 0.07, 0.11 + 0.02 * seed) for seed in (0, 1, 2)]
    assert "within" in told(made(*wide), "global", 0.9)
    assert "rounding" in told(made(trial("global", 0.9, 0, 0.07, 0.13292)), "global", 0.9)


def test_another_size_explains_a_difference(made, pair):
    assert "size demo" in told(made(*pair("global", 0.4, 0.1, 0.1), size="demo"), "global", 0.4)["size"]
    assert "size" not in told(made(*pair("global", 0.4, 0.07, 0.1)), "global", 0.4)


@pytest.mark.parametrize(("parameters", "key"), [({}, "generated"), ({"data": "0" * 16}, "other_texts")])
def test_other_texts_than_the_thesiss(made, parameters, key, pair):
    found = made(*pair("global", 0.5, 0.9, 0.8), table="3-4", **parameters)
    assert key in told(found, "global", 0.5)


def test_one_value_printed_for_several_densities_is_a_collapse_that_is_not_called_one(made, pair):
    found = made(*pair("global", 0.05, 0.99, 0.99), table="3-2")
    assert "49.00 for 2 values" in told(found, "global", 0.05)["printed_constant"]
    fine = made(*pair("global", 0.5, 0.9, 0.9), table="3-2")
    assert "printed_constant" not in told(fine, "global", 0.5)  # 100.00 stands several times too


def test_a_printed_error_above_that_of_a_constant_is_of_other_test_points(made, pair):
    sentence = told(made(*pair("layerwise", 0.1, 0.07, 0.07)), "layerwise", 0.1)["worse_than_constant"]
    assert "0.6664" in sentence
    assert "(0.3597)" in sentence


def test_alike_on_the_training_points_and_apart_on_the_test_points(made, pair):
    sentence = told(made(*pair("layerwise", 0.9, 0.0701, 0.075)), "layerwise", 0.9)["test_points"]
    assert "0.0701; thesis: 0.0706" in sentence


def test_better_on_the_training_points_too(made, pair):
    sinc = told(made(*pair("layerwise", 0.05, 0.07, 0.075)), "layerwise", 0.05)
    assert "0.0700; thesis: 0.1067" in sinc["fits_better"]
    assert "test_points" not in sinc
    spirals = made(*pair("layerwise", 0.1, 0.999, 0.995), table="3-2")
    assert "99.90; thesis: 63.89" in told(spirals, "layerwise", 0.1)["fits_better"]


def test_the_printed_noise_of_the_spirals_forbids_the_printed_accuracies(made, pair):
    found = made(*pair("global", 0.5, 0.999, 0.995), table="3-2")
    assert (
        "allows 88.4 % at most; ours has a standard deviation of 0.1"
        in told(found, "global", 0.5)["angle_noise"]
    )
    below = made(*pair("global", 0.05, 0.999, 0.995), table="3-2")
    assert "angle_noise" not in told(below, "global", 0.05)


def test_the_limit_of_steps_explains_only_what_is_worse(made, pair):
    cut = {"reason": "max_steps", "step": 16_000}
    worse = told(made(*pair("layerwise", 0.8, 0.3, 0.3, **cut)), "layerwise", 0.8)
    assert "3 of 3 runs were still moving" in worse["step_limit"]
    assert "16,000" in worse["step_limit"]
    assert "step_limit" not in told(made(*pair("layerwise", 0.1, 0.07, 0.07, **cut)), "layerwise", 0.1)


def test_one_run_says_nothing_about_chance(made, trial):
    assert "one_run" in told(made(trial("global", 0.4, 0, 0.07, 0.08)), "global", 0.4)


def test_a_difference_without_a_known_cause_says_so(made, pair):
    assert "open" in told(made(*pair("layerwise", 0.8, 0.3, 0.3)), "layerwise", 0.8)


def test_every_reason_that_has_words_is_reached_above_and_every_rule_has_words():
    keys = {key.removeprefix("paper.reason.") for key in words("en") if key.startswith("paper.reason.")}
    here = Path(__file__).read_text(encoding="utf-8")
    assert [key for key in keys if f'"{key}"' not in here] == []
    given = set(re.findall(r'"(\w+)" if |else "(\w+)"|Reason\(\s*"(\w+)"', inspect.getsource(rules)))
    assert {key for found in given for key in found if key} >= keys - {"empty", "empty_block"}


@pytest.mark.parametrize("table", list(SETTINGS))
def test_every_setting_has_its_words_and_the_values_of_the_runs(made, table: str, trial):
    found = settings_of(made(trial("dense", 1.0, 3, 0.07, 0.07), table=table))
    assert len(found) == len(SETTINGS[table])
    for language in LANGUAGES:
        say = speaker(language)
        assert all(setting.thesis(say) and setting.chosen(say) for setting in found)
        assert all("{" not in setting.chosen(say) for setting in found)


def test_a_changed_parameter_is_told_as_it_was(made, trial):
    found = made(trial("dense", 1.0, 3, 0.07, 0.07), max_steps=77, noise=0.25)
    told_ = " ".join(setting.chosen(speaker("en")) for setting in settings_of(found))
    assert "At most 77 steps" in told_
    assert "variance 0.25" in told_
