"""What a run's config takes, what it refuses and in which words, and the table of its parameters."""

import contextlib
import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.engine.cards import tasks
from sparsecore.engine.config import PAPER_DENSITIES, PARAMETERS, ConfigError, RunConfig
from sparsecore.engine.parameters import densities_of_layers

KEPT = "0123456789abcdef"
BEFORE_CARDS = Path(__file__).parents[1] / "data" / "configs_before_cards.json"


def test_the_paper_size_takes_the_thesis_values_where_they_are_left_out():
    config = RunConfig(task="sinc", size="paper")
    assert (config.learning_rate, config.noise, config.theta, config.max_steps) == (1e-3, 0.005, 1e-3, 16_000)


def test_the_demo_size_takes_values_of_its_own():
    config = RunConfig(task="vulnerabilities")
    assert (config.learning_rate, config.noise, config.theta, config.max_steps) == (3e-3, 0.0, 1e-5, 2_000)


def test_a_value_of_none_is_a_value_left_out():
    assert RunConfig.parse(dict.fromkeys(PARAMETERS)) == RunConfig()


def test_a_given_value_beats_the_default_of_the_task():
    assert RunConfig(task="spirals", noise=1.0, theta=0.0).noise == 1.0
    assert RunConfig(task="spirals", noise=1.0, theta=0.0).theta == 0.0


@pytest.mark.parametrize("density", [0, -0.1, 1.5, 1.0000001, math.nan, math.inf])
def test_a_density_outside_0_to_1_is_refused(density: float):
    with pytest.raises(ConfigError, match=r"^density must be greater than 0 and at most 1; got "):
        RunConfig.parse({"density": density})


@pytest.mark.parametrize("density", [5e-324, 0.01, 1.0, 1])
def test_a_density_inside_is_taken(density: float):
    assert RunConfig.parse({"density": density}).density == density


@pytest.mark.parametrize(
    ("given_value", "sentence"),
    [
        ({"size": -1}, "size must be one of demo, laptop, paper; got -1."),
        ({"task": "mnist"}, "task must be one of sinc, spirals, vulnerabilities; got 'mnist'."),
        ({"method": "magic"}, "method must be one of dense, global, layerwise; got 'magic'."),
        ({"noise": 3, "task": "sinc"}, "noise must be from 0 to 1 for sinc; got 3.0."),
        ({"noise": -1}, "noise must be at least 0; got -1."),
        ({"learning_rate": 0}, "learning_rate must be greater than 0 and at most 10; got 0."),
        ({"device": "gpu"}, "device must be auto, cpu, mps, cuda or cuda:N; got 'gpu'."),
        ({"size": "laptop"}, "size must be one of demo, paper for sinc; got 'laptop'."),
        (
            {"task": "vulnerabilities", "split": "time"},
            "split must be random for the generated texts, which have no dates; got 'time'.",
        ),
        ({"dropout": 0.95}, "dropout must be at least 0 and at most 0.9; got 0.95."),
        ({"label_smoothing": 0.6}, "label_smoothing must be at least 0 and at most 0.5; got 0.6."),
        ({"class_weights": 1.5}, "class_weights must be at least 0 and at most 1; got 1.5."),
        ({"data": KEPT}, f"data must be omitted: sinc uses no texts; got '{KEPT}'."),
        ({"max_steps": 0}, "max_steps must be a whole number, at least 1 and at most 10,000,000; got 0."),
        ({"seed": -3}, "seed must be a whole number, at least 0 and at most 2,147,483,647; got -3."),
    ],
)
def test_a_refusal_names_the_parameter_the_value_and_what_is_allowed(given_value: dict, sentence: str):
    with pytest.raises(ConfigError) as refused:
        RunConfig.parse(given_value)
    assert str(refused.value) == sentence


def test_an_unknown_parameter_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"^rho must be one of task, size, method, density"):
        RunConfig.parse({"rho": 0.4})


def test_a_file_goes_with_texts_and_without_label_noise():
    assert RunConfig.parse({"task": "vulnerabilities", "data": KEPT}).data == KEPT
    with pytest.raises(ConfigError, match="0 with texts of your own"):
        RunConfig.parse({"task": "vulnerabilities", "data": KEPT, "noise": 0.1})


@pytest.mark.parametrize("data", ["../../etc/passwd", "0123", KEPT.upper(), KEPT + "\n"])
def test_data_is_the_name_of_a_kept_set_and_never_a_path(data: str):
    with pytest.raises(ConfigError, match="16 hexadecimal digits"):
        RunConfig.parse({"task": "vulnerabilities", "data": data})


def test_a_config_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        RunConfig().density = 0.1


def test_the_digest_changes_with_every_parameter():
    base = {"task": "vulnerabilities", "noise": 0.0, "learning_rate": 1e-3, "theta": 0.0, "max_steps": 9}
    other = {
        "task": "sinc",
        "size": "paper",
        "method": "dense",
        "density": 0.3,
        "seed": 1,
        "learning_rate": 2e-3,
        "noise": 0.1,
        "theta": 1.0,
        "max_steps": 10,
        "device": "cpu",
        "schedule": "cubic",
        "schedule_start": 0.5,
        "schedule_steps": 7,
        "mode": "latent",
        "keep_alive": 1,
        "keep_alive_layer": 2,
        "freeze_at": 5,
        "freeze_settled": 3,
        "certificate": "off",
        "data": KEPT,
        "split": "time",
        "watch": "test",
        "class_weights": 1.0,
        "word_dropout": 0.2,
        "label_smoothing": 0.0,
        "dropout": 0.3,
        "precision": "float32",
        "layer_densities": "blocks.0=0.5",
    }
    assert other.keys() == PARAMETERS.keys()
    digests = {
        RunConfig.parse(base | {name: value} | ({"data": KEPT[::-1]} if name == "split" else {})).digest()
        for name, value in other.items()
    }
    assert len(digests | {RunConfig.parse(base).digest()}) == len(PARAMETERS) + 1


@pytest.mark.parametrize(
    "row", json.loads(BEFORE_CARDS.read_text(encoding="utf-8")), ids=lambda row: row["digest"]
)
def test_digests_and_stored_configs_are_what_they_were_before_there_were_cards(row: dict):
    config = RunConfig.parse(row["given"])
    assert config.digest() == row["digest"]
    assert config.model_dump(mode="json") == row["stored"]
    assert RunConfig.parse(row["stored"]) == config


def test_a_task_without_noise_takes_none():
    assert "noise" in tasks()["sinc"].parameters
    with pytest.raises(ConfigError, match=r"^noise must be from 0 to 0.9 for vulnerabilities"):
        RunConfig.parse({"task": "vulnerabilities", "noise": 0.95})


def test_what_may_change_while_training():
    floors = {"keep_alive", "keep_alive_layer"}
    live = {"density", "learning_rate", "method", "freeze_at"} | floors
    assert {name for name, row in PARAMETERS.items() if row.live} == live


def test_a_schedule_takes_a_quarter_of_the_steps_unless_told_otherwise():
    assert RunConfig(max_steps=100).schedule_steps == 25
    assert RunConfig(max_steps=2).schedule_steps == 1
    assert RunConfig(max_steps=100, schedule_steps=60).schedule_steps == 60


def test_a_certificate_is_live_where_a_step_sees_all_data():
    assert RunConfig(task="sinc").certificate == RunConfig(task="spirals", size="paper").certificate == "live"
    assert RunConfig(task="vulnerabilities").certificate == "end"
    assert RunConfig(task="vulnerabilities", size="paper").certificate == "off"


def test_the_table_has_the_bounds_of_the_model():
    row = PARAMETERS["density"]
    assert (row.kind, row.minimum, row.maximum, row.exclusive_minimum) == (float, 0, 1, True)
    assert PARAMETERS["size"].choices == ("demo", "laptop", "paper")
    assert PARAMETERS["max_steps"].flag == "--max-steps"
    assert PARAMETERS["data"].kind is str


def test_the_texts_of_a_link_are_read_by_the_table():
    assert PARAMETERS["seed"].read("7") == 7
    assert PARAMETERS["density"].read("0.05") == 0.05
    with pytest.raises(ConfigError, match=r"^seed must be a whole number"):
        PARAMETERS["seed"].read("seven")


@pytest.mark.parametrize("task", tasks())
@pytest.mark.parametrize("size", ["demo", "paper"])
def test_every_paper_density_is_allowed_for_every_task(task: str, size: str):
    for density in PAPER_DENSITIES:
        assert RunConfig.parse({"task": task, "size": size, "density": density}).density == density


@given(
    task=st.sampled_from(["sinc", "spirals", "vulnerabilities"]),
    size=st.sampled_from(["demo", "paper"]),
    method=st.sampled_from(["dense", "global", "layerwise"]),
    density=st.floats(0, 1, exclude_min=True),
    seed=st.integers(0, 2**31 - 1),
    noise=st.floats(0, 0.9),
)
def test_a_config_survives_being_written_as_json(**values: object):
    config = RunConfig.parse(values)
    again = RunConfig.model_validate_json(config.model_dump_json())
    assert again == config
    assert again.digest() == config.digest()


@given(st.dictionaries(st.sampled_from(list(PARAMETERS)), st.one_of(st.text(), st.floats(), st.integers())))
def test_any_junk_is_a_config_or_one_sentence(junk: dict):
    with contextlib.suppress(ConfigError):
        RunConfig.parse(junk)


def test_the_laptop_size_leaves_its_steps_to_the_plan():
    config = RunConfig(task="vulnerabilities", size="laptop")
    assert (config.max_steps, config.schedule_steps, config.theta) == (None, None, 0.0)
    assert RunConfig.model_validate_json(config.model_dump_json()) == config
    planned = config.planned(3_000)
    assert (planned.max_steps, planned.schedule_steps) == (3_000, 750)


def test_given_steps_beat_the_plan():
    config = RunConfig(task="vulnerabilities", size="laptop", max_steps=100)
    assert config.planned(3_000) == config
    assert config.schedule_steps == 25
    assert RunConfig(task="vulnerabilities", size="laptop", schedule_steps=7).planned(100).schedule_steps == 7


def test_what_is_for_texts_alone_is_ignored_elsewhere():
    config = RunConfig(task="sinc", split="time", watch="test", dropout=0.5)
    assert (config.split, config.watch, config.dropout) == ("time", "test", 0.5)


# -- densities of layers ----------------------------------------------------------------------------------


def test_layers_may_have_densities_of_their_own():
    config = RunConfig.parse({"layer_densities": "fc1=0.5, blocks.*=1e-2"})
    assert densities_of_layers(config.layer_densities) == {"fc1": 0.5, "blocks.*": 0.01}
    assert RunConfig(layer_densities=None).digest() == RunConfig().digest() != config.digest()


@pytest.mark.parametrize(
    "text", ["", "fc1", "fc1=", "=0.5", "fc1=0", "fc1=1.5", "fc1=nan", "fc1=0.5,,", "fc1=x"]
)
def test_text_that_gives_no_layer_a_density_is_refused(text: str):
    with pytest.raises(ConfigError, match="layer_densities must be layers and their densities"):
        RunConfig.parse({"layer_densities": text})


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"method": "global"}, "one budget for all layers"),
        ({"schedule": "cubic"}, "it changes one density"),
    ],
)
def test_densities_of_layers_need_a_budget_a_layer_and_no_schedule(more: dict[str, str], reason: str):
    with pytest.raises(ConfigError, match=reason):
        RunConfig.parse({"layer_densities": "fc1=0.5"} | more)


@pytest.mark.parametrize("name", ["task", "size"])
@pytest.mark.parametrize("value", [[], {}, 3])
def test_a_task_or_size_that_is_no_text_is_refused_by_name(name: str, value: object):
    with pytest.raises(ConfigError, match=f"^{name} must be one of"):
        RunConfig.parse({name: value})
