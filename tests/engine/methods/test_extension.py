"""A method of two files in a folder of its own is a method like the others: none other is touched."""

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import sparsecore as sc
from sparsecore.engine.batch.grouping import fits
from sparsecore.engine.cards import CardError, methods
from sparsecore.engine.config import ConfigError, RunConfig, every_parameter
from sparsecore.engine.sparsifier.base import make
from sparsecore.engine.training.blobs import decode
from sparsecore.engine.training.trainer import Training
from sparsecore.figures.sweep import metric_curve, run_seconds
from sparsecore.runs.files.archive import export_run, import_run
from sparsecore.runs.files.script import run_script
from sparsecore.runs.insights.masks import overlap
from sparsecore.runs.insights.pairs import closest_run, missing_configs
from sparsecore.runs.store.store import Store
from sparsecore.runs.sweeps import stored
from sparsecore.runs.sweeps.executors import Local
from sparsecore.runs.sweeps.results import points
from sparsecore.runs.sweeps.spec import SweepSpec
from sparsecore.runs.workers.worker import Worker
from sparsecore.words import LANGUAGES, speaker, words
from tests.extension import LOTTERY, LOTTERY_CARD, extended, write, write_all


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with the method `lottery`, which this process finds."""
    made = write_all(tmp_path / "extension")
    with extended(made):
        yield made


def config(**parameters: object) -> RunConfig:
    given = {"method": "lottery", "density": 0.3, "max_steps": 40, "theta": 0.0, "device": "cpu"}
    return RunConfig.parse(given | parameters)


def trained(store: Store, asked: RunConfig) -> str:
    run = store.create(asked, worker="w")
    Worker(store, store.get(run), "w").work()
    return run


def test_it_has_its_words_in_both_languages_its_flag_and_its_colour(folder: Path):
    assert [words(language)["method.lottery"] for language in LANGUAGES] == ["lottery", "抽签"]
    row = every_parameter()["interval"]
    assert (row.flag, row.default, row.live) == ("--interval", 5, True)
    assert [words(language)[row.label_key] for language in LANGUAGES] == [
        "Steps between two draws",
        "两次抽取之间的步数",
    ]
    assert methods()["lottery"].colour == "#cc79a7"
    assert list(methods()) == ["dense", "global", "layerwise", "lottery"]
    assert isinstance(make(config()), sc.Sparsifier)
    assert sc.Lottery is type(make(config()))


def test_its_parameters_are_refused_outside_their_bounds_and_ignored_by_other_methods(folder: Path):
    with pytest.raises(ConfigError, match=r"^interval must be a whole number, at least 1 and at most 1,000"):
        config(interval=0)
    with pytest.raises(ConfigError, match=r"^method must be one of dense, global, layerwise, lottery; got"):
        config(method="magic")
    other = config(method="global", interval=7)
    assert "interval" not in other.model_dump()
    assert other == config(method="global")


def test_only_its_own_digests_know_its_parameters(folder: Path):
    assert config().digest() == config(interval=5).digest() != config(interval=6).digest()
    assert RunConfig().digest() == "a377182ccfdaf6be"
    assert RunConfig.model_validate_json(config(interval=6).model_dump_json()) == config(interval=6)


def test_it_goes_on_bit_for_bit_and_follows_its_live_parameter(folder: Path):
    whole, first = Training(config(max_steps=60)), Training(config(max_steps=60))
    for step in range(40):
        if step == 15:
            for training in (whole, first):
                training.change({"interval": 4})
        if step < 20:
            first.advance()
        whole.advance()
    again = Training(config(max_steps=60))
    again.restore(first.checkpoint())
    assert again.sparsifier.interval == 4
    for _ in range(20):
        again.advance()
    here, there = whole.checkpoint().arrays, again.checkpoint().arrays
    assert here.keys() == there.keys() >= {"sparsifier.random", "sparsifier.masks.0"}
    assert all(np.array_equal(here[name], there[name]) for name in here)


def test_it_is_no_part_of_a_batch_unless_its_card_says_so(folder: Path):
    assert fits(config(method="global"))
    assert not fits(config())
    (folder / "methods" / "lottery.toml").write_text('batches = "largest"\n' + LOTTERY_CARD, encoding="utf-8")
    with extended(folder):
        methods.__globals__["_cards"].cache_clear()
        assert fits(config())
    methods.__globals__["_cards"].cache_clear()


def test_its_runs_are_exported_imported_replayed_compared_and_written_as_a_script(
    folder: Path, store: Store, tmp_path: Path
):
    run, rival = trained(store, config(interval=3)), trained(store, config(method="layerwise"))
    file = io.BytesIO()
    export_run(store, run, file)
    file.seek(0)
    elsewhere = Store(tmp_path / "elsewhere")
    copy = import_run(elsewhere, file).run
    frames = [decode(row.payload)[1] for row in elsewhere.entries(copy, ["frame"])]
    assert {frame["method"] for frame in frames} == {"lottery"}
    elsewhere.close()
    assert overlap(store, run, rival).overall[-1] < 1
    ours, theirs = store.get(run), store.get(rival)
    assert closest_run(ours, [ours, theirs]) == theirs
    assert [each.method for each in missing_configs(ours)] == ["layerwise"]
    script = run_script(store, ours)
    assert "interval=3," in script
    assert "SPARSECORE_EXTENSIONS must name a folder that has the method lottery." in script
    assert "SPARSECORE_EXTENSIONS" not in run_script(store, theirs)


def test_a_sweep_trains_it_and_its_figures_have_its_colour(folder: Path, store: Store):
    spec = SweepSpec(
        task="sinc",
        methods=("lottery", "global"),
        densities=(1.0, 0.3),
        parameters={"max_steps": 30, "theta": 0.0, "interval": 2},
    )
    assert spec.size == len(spec.configs()) == 3
    sweep = stored.begin(store, spec)
    Local(store, workers=1).run(sweep, lambda cells: None)
    found = points(stored.cells_of(store, spec))
    assert {point.method for point in found} == {"dense", "lottery", "global"}
    say = speaker("zh")
    for figure in (metric_curve(found, metric="rmse", say=say), run_seconds(found, say=say)):
        lines = [trace for trace in figure.data if trace.legendgroup == "lottery" and trace.line.color]
        assert {trace.line.color for trace in lines} >= {"#cc79a7"}
        assert any(trace.name == "抽签" for trace in figure.data)


def test_the_command_line_trains_it(folder: Path, home: Path):
    command = [sys.executable, "-m", "sparsecore", "train"]
    helped = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True)
    assert "--interval" in helped.stdout
    assert "lottery: Keeps weights drawn at random." in " ".join(helped.stdout.split())
    asked = ["sinc", "--method", "lottery", "--interval", "3", "--max-steps", "20", "--json"]
    done = subprocess.run([*command, *asked], capture_output=True, text=True, check=True)
    printed = json.loads(done.stdout)
    assert (printed["method"], printed["config"]["interval"]) == ("lottery", 3)
    assert printed["nonzeros"] == printed["budget"]


# -- cards that cannot be used ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('title = { en = "lottery", zh = "抽签" }', 'title = { en = "lottery" }', "title.zh: Field required"),
        ('colour = "#cc79a7"', 'colour = "pink"', "colour: String should match pattern"),
        ('takes = ["density",', 'takes = ["densities",', "there is no parameter densities"),
        ('type = "whole"\n', "", "there is no parameter interval"),
        ('class = "lottery.Lottery"', "class = ", "cannot be read"),
        ('class = "lottery.Lottery"', 'class = "lottery.Raffle"', "names lottery.Raffle, which is not in"),
        ('class = "lottery.Lottery"', 'class = "lottery.torch"', "which is not a Sparsifier"),
        ('class = "lottery.Lottery"', 'class = "raffle.Raffle"', "cannot be imported: No module named"),
        ('class = "lottery.Lottery"', 'class = "dense.Dense"', "has that name; choose another"),
    ],
)
def test_a_broken_card_is_one_sentence_that_names_its_file(tmp_path: Path, old: str, new: str, said: str):
    assert old in LOTTERY_CARD
    path = write(tmp_path, "methods", "lottery", LOTTERY, LOTTERY_CARD.replace(old, new))
    with extended(tmp_path), pytest.raises(CardError) as refused:
        make(config())
    assert str(path) in str(refused.value)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_class_that_fails_while_it_is_imported_is_one_sentence(tmp_path: Path):
    path = write(tmp_path, "methods", "lottery", "import nothing_of_this_name\n", LOTTERY_CARD)
    with (
        extended(tmp_path),
        pytest.raises(CardError, match="No module named 'nothing_of_this_name'") as refused,
    ):
        make(config())
    assert str(path) in str(refused.value)


def test_a_name_is_taken_only_once(tmp_path: Path):
    write(tmp_path, "methods", "global", LOTTERY, LOTTERY_CARD)
    with extended(tmp_path), pytest.raises(CardError, match=r"the method global already exists in"):
        methods()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path):
    with extended(tmp_path / "nowhere"), pytest.raises(CardError, match="which is not a folder"):
        methods()


def test_the_command_line_says_a_broken_card_in_one_sentence(tmp_path: Path, home: Path):
    path = write(tmp_path, "methods", "lottery", LOTTERY, "title = 3")
    with extended(tmp_path):
        command = [sys.executable, "-m", "sparsecore", "train", "sinc"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert str(path) in done.stderr.replace("\n", "")
    assert "Traceback" not in done.stderr


def test_the_six_answers_stand_on_every_card():
    for card in methods().values():
        for answer in type(card.answers).model_fields:
            assert getattr(card.answers, answer).zh
