"""What a person types as densities and seeds, and the spec that comes of the choices."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.dashboard.sweep import form
from sparsecore.dashboard.sweep.form import (
    Misread,
    duration,
    read_densities,
    read_seeds,
    usual_densities,
)
from sparsecore.engine.config import RunConfig
from sparsecore.words import words


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(form, "say", lambda key, **values: words("en")[key].format(**values))


@given(st.lists(st.floats(1e-4, 1), min_size=1))
def test_what_is_written_is_read_largest_first_and_once(densities):
    assert read_densities("，".join(map(str, densities))) == tuple(sorted(set(densities), reverse=True))


@pytest.mark.parametrize("text", ["0", "1.1", "-0.1", "nan", "inf", "half", "0.1.2"])
def test_what_is_no_density_is_named(text):
    with pytest.raises(Misread) as refused:
        read_densities(f"1, {text}")
    assert (refused.value.key, refused.value.value) == ("sweep.problem.densities", text)


def test_a_range_of_seeds_has_both_ends():
    assert read_seeds("0-2, 7；1") == (0, 1, 2, 7)


@pytest.mark.parametrize("text", ["-1", "1.5", "a", "3-1", "2147483648"])
def test_what_is_no_seed_is_named(text):
    with pytest.raises(Misread) as refused:
        read_seeds(text)
    assert (refused.value.key, refused.value.value) == ("sweep.problem.seeds", text)


def test_a_range_that_is_too_long_is_told_as_such():
    with pytest.raises(Misread) as refused:
        read_seeds("0-99999")
    assert refused.value.key == "sweep.problem.seeds.many"
    assert len(read_seeds("1-10000")) == 10_000


def test_nothing_written_is_no_seed_and_no_density():
    assert read_seeds(" , ") == read_densities("") == ()


def test_the_usual_densities_are_the_thesiss():
    assert usual_densities("sinc") == "1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05"
    assert usual_densities("vulnerabilities").endswith("0.02, 0.01")


def test_a_spec_holds_the_size_and_only_what_is_not_as_usual():
    changed = form._changed(RunConfig(size="paper", max_steps=500, keep_alive=2))
    assert changed == {"size": "paper", "max_steps": 500, "keep_alive": 2}
    assert form._changed(RunConfig(schedule="linear", schedule_steps=7)) == {
        "size": "demo",
        "schedule": "linear",
        "schedule_steps": 7,
    }


def test_the_same_settings_have_the_same_digest_as_on_the_command_line():
    config = RunConfig(max_steps=500, method="global", density=0.2, seed=4)
    again = RunConfig(**form._changed(config), method="global", density=0.2, seed=4)
    assert again.digest() == config.digest()


def test_times_are_for_people():
    told = [duration(seconds) for seconds in (0.2, 59.6, 99, 3_000, 90_000)]
    assert told == ["1 s", "60 s", "99 s", "50 min", "25.0 h"]
