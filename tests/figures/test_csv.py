"""The data of a figure as CSV: one row per point, full precision, headers with units, no formulas."""

import csv
import io

import numpy as np
import plotly.graph_objects as go
import pytest

from sparsecore.dashboard.lessons import computed
from sparsecore.dashboard.lessons.figures import FIFTY, FIVE_OF_FIFTY, TWO_ENDS
from sparsecore.engine.training.frame_layout import matrix_entry
from sparsecore.figures import csv as tables
from sparsecore.figures import teaching
from sparsecore.figures.csv import figure_csv
from sparsecore.figures.paper import boundaries, counts, fits, mask
from sparsecore.figures.plane import half_width, plane
from sparsecore.figures.supports import along_axes, end_counts, spectrum, three_planes
from sparsecore.figures.sweep import layer_densities, metric_curve, pareto, run_seconds, weights_left
from sparsecore.figures.teaching import leaderboard_figure
from sparsecore.paper.pictures import Picture
from sparsecore.paper.thesis import printed
from sparsecore.runs.sweeps.results import interval
from sparsecore.teaching.challenge import challenges
from sparsecore.words import speaker
from tests.figures.test_figures import FOUND, point

say = speaker("en")
LOW, HIGH = "95 % interval, lower end", "95 % interval, upper end"


def read(figure: go.Figure) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(figure_csv(figure, say))))


def rows(figure: go.Figure, **wanted: str) -> list[dict[str, str]]:
    return [row for row in read(figure) if all(row[name] == value for name, value in wanted.items())]


def test_a_mean_row_has_its_interval_and_number_of_seeds():
    (mean,) = rows(metric_curve(FOUND, metric="rmse", say=say), series="global", kind="mean")[1:]
    value, low, high = interval([0.08, 0.09, 0.10])
    assert mean["density ρ"] == "0.4"
    assert (float(mean["RMSE"]), float(mean[LOW]), float(mean[HIGH])) == (value, low, high)
    assert (mean["number of seeds"], mean["Run"]) == ("3", "")


def test_dense_is_one_row_at_its_own_density():
    (dense,) = rows(metric_curve(FOUND, metric="rmse", say=say), series="dense", kind="mean")
    assert dense["density ρ"] == "1.0"


def test_every_run_is_a_row_with_id_seed_and_full_precision():
    digits = [*FOUND, point("global", 0.2, 3, 0.0812345678901234)]
    found = rows(metric_curve(digits, metric="rmse", say=say), kind="run")
    assert {row["Run"]: float(row["RMSE"]) for row in found} == {each.run: each.test for each in digits}
    assert {row["Run"]: int(row["Seed"]) for row in found} == {each.run: each.seed for each in digits}


def test_rows_name_the_part_if_both_are_drawn():
    figure = metric_curve(FOUND, printed("sinc"), metric="rmse", say=say, parts=("test", "train"))
    series = {row["series"] for row in read(figure)}
    assert series == {
        f"{name}{part}" for name in ("dense", "global", "layer-wise") for part in ("", ", train")
    }
    half = next(row for row in rows(figure, series="global, train", kind="mean") if row[LOW])
    assert float(half[LOW]) < float(half["RMSE"]) < float(half[HIGH])


def test_thesis_rows_have_a_kind_of_their_own():
    printed_curve = metric_curve([], printed("sinc"), metric="rmse", say=say)
    found = rows(printed_curve, kind="thesis", series="layer-wise")
    assert ("0.05", "0.6575") in [(row["density ρ"], row["RMSE"]) for row in found]


def test_a_percent_axis_states_the_unit_of_its_values():
    (header,) = csv.reader(
        io.StringIO(figure_csv(layer_densities(FOUND, "global", say=say), say).split("\n")[0])
    )
    assert "density of the layer (1 = 100 %)" in header


def test_a_heatmap_has_one_row_per_cell_with_its_panel():
    picture = Picture("r", "global", 0.5, "demo", *matrices())
    kept = rows(counts([picture], say), panel="W2: 1 of 2")
    assert [(row["from neuron"], row["to neuron"], row["steps kept"]) for row in kept] == [
        ("1", "1", "7"),
        ("2", "1", "0"),
    ]
    assert [row["kept"] for row in rows(mask([picture], say), panel="W2: 1 of 2")] == ["1", "0"]


def matrices() -> tuple[dict, dict]:
    """Return two small matrices, 2×1 and 1×2, after 9 steps."""
    shapes = ((2, 1), (1, 2))
    arrays = {"count.0": np.array([[9], [3]]), "mask.0": np.array([1], np.uint8)}
    arrays |= {"count.1": np.array([[7, 0]]), "mask.1": np.array([1], np.uint8)}
    entries = [matrix_entry(place, shape) for place, shape in enumerate(shapes)]
    return arrays, {"step": 9, "matrices": entries, "layers": [{"name": "fc1"}, {"name": "fc2"}]}


def test_contours_give_f_itself_not_the_drawn_scale():
    problem, found = computed.problem(*TWO_ENDS), computed.points(TWO_ENDS, 1)
    figure = plane(problem, found, 1.05, say)
    cell = rows(figure, series="f(w)")[100]
    w = np.array([[float(cell["w₁"]), float(cell["w₂"])]])
    assert float(cell["f(w)"]) == pytest.approx(float(problem.value(w)[0]), rel=1e-12)
    best = rows(figure, series="optimal")
    assert {(row["support"], float(row["f"])) for row in best} == {
        (str(found.supports[0][0] + 1), found.value[0])
    }


def test_a_named_line_is_a_row_and_formulas_are_escaped():
    figure = go.Figure(go.Scatter(x=[1, 2], y=[-0.5, None], name='=HYPERLINK("x")'))
    figure.add_hline(y=0.08, name="limit")
    assert figure_csv(figure, say).splitlines()[1:] == [
        '"\'=HYPERLINK(""x"")",1,-0.5',
        '"\'=HYPERLINK(""x"")",2,',
        "limit,,0.08",
    ]


def test_excel_reads_chinese_headers():
    data = figure_csv(metric_curve(FOUND, metric="rmse", say=speaker("zh")), speaker("zh"))
    assert data.encode(tables.EXCEL_ENCODING).startswith(b"\xef\xbb\xbf")
    assert data.startswith("系列,类别,密度 ρ,RMSE,编号,种子,95% 置信区间下限")


def every_figure() -> dict[str, go.Figure]:
    two, three, fifty = computed.points(TWO_ENDS, 1), (3, 3, 10.0, 0.1, 1), computed.points(FIFTY, 2)
    given = computed.problem(*three)
    path = np.array([[0.1, 0.2], [0.3, 0.0]])
    ends = computed.basins(TWO_ENDS, 1.05, half_width(two))
    dots = {
        "train.x": [0.0],
        "train.y": [1.0],
        "grid.x": [0.0, 1.0],
        "grid.y": [1.0, 0.8],
        "picture.fit": [1.0, 0.9],
    }
    fit = Picture(
        "r", "global", 0.5, "demo", {name: np.array(array) for name, array in dots.items()}, {"step": 9}
    )
    grounds = {
        "picture.chance": np.array([0, 255, 51, 9]),
        "points": np.zeros((2, 2)),
        "labels": np.array([0, 1]),
    }
    ground = Picture("r", "global", 0.5, "demo", grounds, {"step": 9, "edge": 1.0, "grid": 2, "train": 1})
    points_, classes = computed.drawn_spirals(1.0)
    densities = np.linspace(0.1, 1, 5)
    return {
        "seconds": run_seconds(FOUND, say=say),
        "weights": weights_left(FOUND, say=say),
        "pareto": pareto(FOUND, FOUND, metric="rmse", say=say),
        "challenge": leaderboard_figure([], challenges()["sinc"], say=say),
        "basins": plane(computed.problem(*TWO_ENDS), two, 1.05, say, paths=[path], ends=ends),
        "spectrum": spectrum(fifty, 1.05, say),
        "ends": end_counts([0.5, 0.25], [3, 4], 0.25, say),
        "planes": three_planes(given, computed.points(three, 2), 1.05, say),
        "axes": along_axes(given, computed.points(three, 1), 1.05, say),
        "descent": teaching.descent({1.05: np.array([2.0, 1.0])}, say),
        "subsets": teaching.subset_errors(computed.subsets(20, 1.0, 0), say, tested=True),
        "spirals": teaching.spirals(points_, classes, say),
        "ceiling": teaching.ceiling(computed.NOISES, computed.best_accuracies(), (1.0, 0.884), say),
        "storage": teaching.storage(densities, computed.stored(densities), say, bitmask=True),
        "speed": teaching.speed([0.1, 0.5], 1e-3, [1e-4, 2e-3], 0.3, say),
        "fits": fits([fit, fit], say),
        "boundaries": boundaries([ground], say),
        "five": teaching.descent({1.0: computed.problem(*FIVE_OF_FIFTY).value(np.zeros((2, 50)))}, say),
    }


@pytest.mark.parametrize("name", every_figure())
def test_every_figure_has_a_table(name: str):
    found = read(every_figure()[name])
    assert found
    assert all(None not in row and None not in row.values() for row in found)
    if name != "challenge":  # no entries: only the line to reach
        assert {"series"} < found[0].keys() or name == "ends"


def test_the_subset_figure_has_the_middle_half_of_the_draws():
    figure = teaching.subset_errors(computed.subsets(20, 1.0, 0), say, tested=True)
    test = rows(figure, series="test")[0]
    low, high = (float(test[f"interquartile range, {end} end"]) for end in ("lower", "upper"))
    assert low <= float(test["root mean squared error"]) or high >= low
    assert rows(figure, series="noise floor")


def test_an_unknown_trace_type_is_refused():
    with pytest.raises(TypeError, match="type 'pie' has no rows"):
        figure_csv(go.Figure(go.Pie(values=[1])), say)
