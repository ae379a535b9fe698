"""Each rule applies to the cells it describes and to no others."""

import inspect
import re
from pathlib import Path

import pytest

from sparsecore.paper import reasons as rules
from sparsecore.paper.comparison import compare
from sparsecore.paper.reasons import ASSUMPTIONS, assumptions_of, reasons
from sparsecore.words import LANGUAGES, speaker, words


def reasons_for(found, column: str, density: float) -> dict[str, str]:
    """Return the English sentences of a cell's reasons by key; check that both languages have them."""
    whole = compare(found)
    given = reasons(whole.rows[density][column], whole)
    for language in LANGUAGES:
        assert all(reason.sentence(speaker(language)).strip() for reason in given)
    return {reason.key: reason.sentence(speaker("en")) for reason in given}


def test_no_runs(reproduction):
    assert reasons_for(reproduction(), "global", 0.5).keys() == {"missing"}


def test_unfinished_runs(reproduction, trial):
    found = reproduction(
        trial("global", 0.5, 0, 0.07, 0.08), trial("global", 0.5, 1, None, None, status="queued")
    )
    assert reasons_for(found, "global", 0.5)["unfinished"].startswith("1 of 2 runs have ended")


def test_a_run_diverged(reproduction, trial):
    lost = trial("global", 0.5, 1, None, None, status="failed", reason="diverged", step=12)
    found = reproduction(trial("global", 0.5, 0, 0.07, 0.08), lost)
    assert "1 of 2 runs failed (step 12)" in reasons_for(found, "global", 0.5)["failed"]


def test_a_collapse_names_the_empty_layer_and_its_steps(reproduction, collapsed):
    sentence = reasons_for(reproduction(*collapsed("global", 0.05)), "global", 0.05)["empty"]
    assert sentence == (
        "Collapsed in 3 of 3 runs: layer fc3 has no weights from step 1–81, so the output ignores the input."
    )


def test_a_collapse_to_a_constant_output_without_an_empty_layer(reproduction, collapsed):
    assert "constant" in reasons_for(reproduction(*collapsed("global", 0.05, layer=None)), "global", 0.05)


def test_an_empty_transformer_block_leaves_the_residual_stream(reproduction, collapsed):
    found = reproduction(*collapsed("global", 0.05, 0.4, layer="blocks.0"), table="3-4")
    assert "residual" in reasons_for(found, "global", 0.05)["empty_block"]


def test_minimum_counts_prevent_a_collapse(reproduction, similar, collapsed):
    found = reproduction(*collapsed("global", 0.05), *similar("keep_alive", 0.05, 0.07, 0.08))
    assert "alive" in reasons_for(found, "keep_alive", 0.05)
    alone = reproduction(*similar("global", 0.05, 0.07, 0.08), *similar("keep_alive", 0.05, 0.07, 0.08))
    assert "alive" not in reasons_for(alone, "keep_alive", 0.05)


def test_minimum_counts_above_the_budget_are_reported(reproduction, collapsed):
    found = reproduction(*collapsed("keep_alive", 0.005, budget=302))
    assert "floors_give_way" not in reasons_for(found, "keep_alive", 0.005)
    found = reproduction(*collapsed("keep_alive", 0.005, budget=299))
    assert (
        "adds up to 300 weights, more than the budget of 299"
        in reasons_for(found, "keep_alive", 0.005)["floors_give_way"]
    )


def test_below_the_printed_densities_a_method_holds_or_breaks(reproduction, similar):
    dense = similar("dense", 1.0, 0.07, 0.07)
    assert "holds" in reasons_for(
        reproduction(*dense, *similar("layerwise", 0.02, 0.07, 0.075)), "layerwise", 0.02
    )
    broken = reasons_for(reproduction(*dense, *similar("layerwise", 0.01, 0.2, 0.2)), "layerwise", 0.01)
    assert "0.0701" in broken["broken"]


def test_within_the_interval_and_equal_to_the_last_digit(reproduction, trial):
    wide = [trial("global", 0.9, seed, 0.07, 0.11 + 0.02 * seed) for seed in (0, 1, 2)]
    assert "within" in reasons_for(reproduction(*wide), "global", 0.9)
    assert "rounding" in reasons_for(reproduction(trial("global", 0.9, 0, 0.07, 0.13292)), "global", 0.9)


def test_another_size_explains_a_difference(reproduction, similar):
    assert (
        "size demo"
        in reasons_for(reproduction(*similar("global", 0.4, 0.1, 0.1), size="demo"), "global", 0.4)["size"]
    )
    assert "size" not in reasons_for(reproduction(*similar("global", 0.4, 0.07, 0.1)), "global", 0.4)


@pytest.mark.parametrize(("parameters", "key"), [({}, "generated"), ({"data": "0" * 16}, "other_texts")])
def test_texts_other_than_the_thesiss_explain_a_difference(reproduction, parameters, key, similar):
    found = reproduction(*similar("global", 0.5, 0.9, 0.8), table="3-4", **parameters)
    assert key in reasons_for(found, "global", 0.5)


def test_a_value_printed_for_several_densities_is_an_unreported_collapse(reproduction, similar):
    found = reproduction(*similar("global", 0.05, 0.99, 0.99), table="3-2")
    assert "49.00 for 2 values" in reasons_for(found, "global", 0.05)["printed_constant"]
    fine = reproduction(*similar("global", 0.5, 0.9, 0.9), table="3-2")
    assert "printed_constant" not in reasons_for(fine, "global", 0.5)  # 100.00 is printed several times too


def test_a_printed_rmse_above_a_constants_means_other_test_points(reproduction, similar):
    sentence = reasons_for(reproduction(*similar("layerwise", 0.1, 0.07, 0.07)), "layerwise", 0.1)[
        "worse_than_constant"
    ]
    assert "0.6664" in sentence
    assert "(0.3597)" in sentence


def test_similar_training_but_different_test_metric(reproduction, similar):
    sentence = reasons_for(reproduction(*similar("layerwise", 0.9, 0.0701, 0.075)), "layerwise", 0.9)[
        "test_points"
    ]
    assert "0.0701; thesis: 0.0706" in sentence


def test_better_on_the_training_points_too(reproduction, similar):
    sinc = reasons_for(reproduction(*similar("layerwise", 0.05, 0.07, 0.075)), "layerwise", 0.05)
    assert "0.0700; thesis: 0.1067" in sinc["fits_better"]
    assert "test_points" not in sinc
    spirals = reproduction(*similar("layerwise", 0.1, 0.999, 0.995), table="3-2")
    assert "99.90; thesis: 63.89" in reasons_for(spirals, "layerwise", 0.1)["fits_better"]


def test_the_printed_noise_of_the_spirals_contradicts_the_printed_accuracy(reproduction, similar):
    found = reproduction(*similar("global", 0.5, 0.999, 0.995), table="3-2")
    assert (
        "allows at most 88.4 %; ours has a standard deviation of 0.1"
        in reasons_for(found, "global", 0.5)["angle_noise"]
    )
    below = reproduction(*similar("global", 0.05, 0.999, 0.995), table="3-2")
    assert "angle_noise" not in reasons_for(below, "global", 0.05)


def test_the_step_limit_explains_only_worse_results(reproduction, similar):
    cut = {"reason": "max_steps", "step": 16_000}
    worse = reasons_for(reproduction(*similar("layerwise", 0.8, 0.3, 0.3, **cut)), "layerwise", 0.8)
    assert "3 of 3 runs were still moving" in worse["step_limit"]
    assert "16,000" in worse["step_limit"]
    assert "step_limit" not in reasons_for(
        reproduction(*similar("layerwise", 0.1, 0.07, 0.07, **cut)), "layerwise", 0.1
    )


def test_a_single_run_has_no_interval_to_judge_by(reproduction, trial):
    assert "one_run" in reasons_for(reproduction(trial("global", 0.4, 0, 0.07, 0.08)), "global", 0.4)


def test_a_difference_without_a_known_cause_says_so(reproduction, similar):
    assert "open" in reasons_for(reproduction(*similar("layerwise", 0.8, 0.3, 0.3)), "layerwise", 0.8)


def test_every_reason_is_tested_above_and_has_a_sentence():
    keys = {key.removeprefix("paper.reason.") for key in words("en") if key.startswith("paper.reason.")}
    here = Path(__file__).read_text(encoding="utf-8")
    assert [key for key in keys if f'"{key}"' not in here] == []
    given = set(re.findall(r'"(\w+)" if |else "(\w+)"|Reason\(\s*"(\w+)"', inspect.getsource(rules)))
    assert {key for found in given for key in found if key} >= keys - {"empty", "empty_block"}


@pytest.mark.parametrize("table", list(ASSUMPTIONS))
def test_every_assumption_has_its_sentences_and_values(reproduction, table: str, trial):
    found = assumptions_of(reproduction(trial("dense", 1.0, 3, 0.07, 0.07), table=table))
    assert len(found) == len(ASSUMPTIONS[table])
    for language in LANGUAGES:
        say = speaker(language)
        assert all(setting.thesis(say) and setting.chosen(say) for setting in found)
        assert all("{" not in setting.chosen(say) for setting in found)


def test_assumptions_show_changed_parameters(reproduction, trial):
    found = reproduction(trial("dense", 1.0, 3, 0.07, 0.07), max_steps=77, noise=0.25)
    sentences = " ".join(setting.chosen(speaker("en")) for setting in assumptions_of(found))
    assert "At most 77 steps" in sentences
    assert "variance 0.25" in sentences
