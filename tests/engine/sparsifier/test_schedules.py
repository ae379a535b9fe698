"""Density schedules are pure functions of the step."""

import copy
import math
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsecore.engine.sparsifier.schedules import (
    SCHEDULES,
    Constant,
    Cosine,
    Cubic,
    Cyclic,
    Linear,
    Schedule,
    make,
)

RAMPS = [Linear, Cubic, Cosine]

densities = st.floats(0, 1, exclude_min=True)
steps = st.integers(-(10**9), 10**9)
lengths = st.integers(1, 10**7)
begins = st.integers(0, 10**7)
ramps = st.builds(
    lambda kind, *fields: kind(*fields), st.sampled_from(RAMPS), densities, densities, lengths, begins
)
swings = st.builds(
    Cyclic,
    densities,
    densities,
    period=st.integers(2, 10**6),
    cycles=st.none() | st.integers(1, 50),
    begin=begins,
)
schedules = st.one_of(st.builds(Constant, densities), ramps, swings)


# -- by hand ----------------------------------------------------------------------------------------------


def test_a_constant_is_the_same_at_every_step():
    assert [Constant(0.3)(step) for step in (-1, 0, 7, 10**9)] == [0.3] * 4


def test_linear_goes_the_same_way_every_step():
    assert [Linear(1.0, 0.5, steps=4)(step) for step in range(5)] == [1.0, 0.875, 0.75, 0.625, 0.5]


def test_cubic_is_zhu_and_guptas_curve_in_densities():
    sparsities = [0.75 + (0.0 - 0.75) * (1 - step / 8) ** 3 for step in range(9)]  # their equation 1
    schedule = Cubic(1.0, 0.25, steps=8)
    assert [schedule(step) for step in range(9)] == pytest.approx([1 - sparsity for sparsity in sparsities])
    assert schedule(4) == 0.25 + 0.75 / 8  # half of the steps: an eighth of the way is left


def test_cosine_is_slow_at_both_ends():
    schedule = Cosine(1.0, 0.2, steps=6)
    expected = [1.0, 0.6 + 0.4 * math.sqrt(3) / 2, 0.8, 0.6, 0.4, 0.6 - 0.4 * math.sqrt(3) / 2, 0.2]
    assert [schedule(step) for step in range(7)] == pytest.approx(expected)


def test_cyclic_swings_and_its_last_descent_stays():
    schedule = Cyclic(1.0, 0.2, period=4, cycles=2)
    assert [schedule(step) for step in range(9)] == pytest.approx([1, 0.6, 0.2, 0.6, 1, 0.6, 0.2, 0.2, 0.2])


def test_cyclic_without_cycles_swings_for_ever():
    schedule = Cyclic(0.5, 0.1, period=10)
    assert schedule(10**9) == 0.5
    assert schedule(10**9 + 5) == 0.1


def test_cyclic_with_an_odd_period_ends_at_the_next_whole_step():
    schedule = Cyclic(1.0, 0.2, period=3, cycles=1)  # reaches its end at step 1.5
    assert schedule(1) == pytest.approx(0.4)  # a third of the swing: cos(2π/3) = −½
    assert schedule(2) == 0.2


def test_a_swing_returns_to_a_start_that_is_lost_beside_its_end():
    assert 1.0 + (1e-20 - 1.0) == 0.0  # what rounding makes of end + (start − end)
    assert Cyclic(1e-20, 1.0, period=2)(2) == 1e-20
    assert Cosine(1e-20, 1.0, steps=10**9)(1) == 1e-20


@pytest.mark.parametrize("kind", RAMPS)
def test_a_ramp_waits_for_its_beginning(kind: type):
    schedule = kind(0.9, 0.1, steps=10, begin=100)
    assert schedule(0) == schedule(100) == 0.9
    assert 0.1 < schedule(105) < 0.9
    assert [schedule(step) for step in (110, 111, 10**9)] == [0.1] * 3


@pytest.mark.parametrize("kind", RAMPS)
def test_a_ramp_may_go_up(kind: type):
    schedule = kind(0.1, 0.9, steps=10)
    assert schedule(0) == 0.1
    assert schedule(5) > 0.1
    assert schedule(10) == 0.9


def test_one_step_is_enough_for_a_ramp():
    assert [Linear(1.0, 0.1, steps=1)(step) for step in (0, 1)] == [1.0, 0.1]


# -- by name ----------------------------------------------------------------------------------------------


def test_every_name_makes_its_schedule():
    made = {name: make(name, 1.0, 0.1, steps=100) for name in SCHEDULES}
    assert made == {
        "constant": Constant(0.1),
        "cubic": Cubic(1.0, 0.1, 100),
        "linear": Linear(1.0, 0.1, 100),
        "cosine": Cosine(1.0, 0.1, 100),
        "cyclic": Cyclic(1.0, 0.1, period=40, cycles=3),
    }


def test_an_unknown_name_is_refused_with_the_names_there_are():
    with pytest.raises(ValueError, match="one of constant, cubic, linear, cosine, cyclic; got 'step'"):
        make("step", 1.0, 0.1, steps=10)


@given(st.sampled_from(SCHEDULES), densities, densities, st.integers(1, 10**6), st.integers(0, 10**6))
def test_a_named_schedule_has_ended_at_its_last_step(
    name: str, start: float, end: float, length: int, after: int
):
    assert make(name, start, end, length)(length + after) == end


@given(densities, densities, st.integers(5, 10**6))
def test_a_named_cyclic_schedule_ends_at_most_two_steps_early(start: float, end: float, length: int):
    schedule = make("cyclic", start, end, length)
    assert 2 * (length - 3) < (2 * schedule.cycles - 1) * schedule.period <= 2 * length


@pytest.mark.parametrize("name", ["cubic", "linear", "cosine", "cyclic"])
@pytest.mark.parametrize("length", [0, -5, 1.5])
def test_a_named_schedule_needs_at_least_one_step(name: str, length: float):
    with pytest.raises(ValueError, match="steps must be a whole number of at least 1"):
        make(name, 1.0, 0.1, length)


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [0, -0.1, 1.01, math.nan, math.inf, "0.5", None, True])
def test_a_density_outside_0_to_1_is_refused_by_name(density: object):
    with pytest.raises(ValueError, match=r"^density must be greater than 0 and at most 1; got"):
        Constant(density)
    for kind in RAMPS:
        with pytest.raises(ValueError, match=r"^start must be greater than 0 and at most 1; got"):
            kind(density, 0.1, steps=10)
    with pytest.raises(ValueError, match=r"^end must be greater than 0 and at most 1; got"):
        Cyclic(0.1, density, period=10)


@pytest.mark.parametrize(
    ("field", "value", "least"),
    [("steps", 0, 1), ("steps", 2.0, 1), ("steps", True, 1), ("steps", None, 1), ("begin", -1, 0)],
)
def test_a_ramp_refuses_a_broken_number_of_steps(field: str, value: object, least: int):
    with pytest.raises(ValueError, match=f"^{field} must be a whole number of at least {least}; got"):
        Linear(**{"start": 1.0, "end": 0.1, "steps": 10} | {field: value})


@pytest.mark.parametrize(
    ("field", "value", "least"), [("period", 1, 2), ("cycles", 0, 1), ("begin", None, 0)]
)
def test_cyclic_refuses_a_broken_number(field: str, value: object, least: int):
    with pytest.raises(ValueError, match=f"^{field} must be a whole number of at least {least}; got"):
        Cyclic(**{"start": 1.0, "end": 0.1, "period": 10} | {field: value})


# -- properties -------------------------------------------------------------------------------------------


@given(schedules, steps)
def test_a_density_is_always_a_float_in_0_to_1(schedule: Schedule, step: int):
    density = schedule(step)
    assert type(density) is float
    assert 0 < density <= 1


@given(ramps | swings, steps)
def test_a_density_stays_between_the_two_ends(schedule: Linear | Cyclic, step: int):
    low, high = sorted((schedule.start, schedule.end))
    assert low <= schedule(step) <= high


@given(ramps, steps, steps)
def test_a_ramp_is_monotone(schedule: Linear, first: int, second: int):
    before, after = schedule(min(first, second)), schedule(max(first, second))
    assert before >= after if schedule.start >= schedule.end else before <= after


@given(ramps, st.integers(0, 10**9))
def test_a_ramps_ends_are_exact(schedule: Linear, away: int):
    assert schedule(schedule.begin - away) == schedule.start
    assert schedule(schedule.begin + schedule.steps + away) == schedule.end


@given(swings, st.integers(0, 10**9))
def test_a_swings_ends_are_exact(schedule: Cyclic, away: int):
    assert schedule(schedule.begin - away) == schedule.start
    if schedule.cycles is not None:
        settled = schedule.begin + math.ceil((schedule.cycles - 0.5) * schedule.period)
        assert schedule(settled + away) == schedule.end


@given(swings.filter(lambda schedule: schedule.cycles is None), st.integers(0, 10**7))
def test_a_swing_repeats_itself_to_the_bit(schedule: Cyclic, elapsed: int):
    step = schedule.begin + elapsed
    assert schedule(step) == schedule(step + schedule.period)


@given(schedules, st.lists(steps, min_size=1, max_size=5))
def test_the_density_depends_on_the_step_alone(schedule: Schedule, asked: list[int]):
    forward = [schedule(step) for step in asked]
    assert [schedule(step) for step in reversed(asked)] == forward[::-1]
    assert [copy.deepcopy(schedule)(step) for step in asked] == forward


@given(schedules)
def test_a_schedule_can_be_pickled_hashed_and_compared(schedule: Schedule):
    again = pickle.loads(pickle.dumps(schedule))  # noqa: S301 (our own bytes)
    assert again == schedule
    assert hash(again) == hash(schedule)


def test_a_schedule_cannot_be_changed():
    schedule = Linear(1.0, 0.1, steps=10)
    with pytest.raises(AttributeError):
        schedule.end = 0.5


def test_schedules_do_not_import_torch():
    code = (
        "import sys; from sparsecore.engine.sparsifier import budgets, schedules;"
        " sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
