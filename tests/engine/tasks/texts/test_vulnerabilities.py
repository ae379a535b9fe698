"""The text task: parts, batches, losses and scores follow from the config alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from sparsecore.corpora.generator import BUILT_IN_SEED
from sparsecore.corpora.reading import read_corpus
from sparsecore.corpora.storage import save
from sparsecore.corpora.tokens import build_vocabulary
from sparsecore.engine.config import RunConfig
from sparsecore.engine.tasks.texts.grading import evaluating
from sparsecore.engine.tasks.vulnerabilities import Vulnerabilities
from sparsecore.engine.training.events import Record
from sparsecore.engine.training.loop import train

CPU = torch.device("cpu")
PLAIN = {"class_weights": 0.0, "label_smoothing": 0.0, "dropout": 0.0}


def texts(home: Path, **parameters: object) -> Vulnerabilities:
    return Vulnerabilities(RunConfig(task="vulnerabilities", **parameters), CPU, home)


def weights(task: Vulnerabilities) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in task.model.parameters()])


def test_every_text_is_in_one_part_and_grades_are_shared_out_evenly(cached: Path):
    task = texts(cached)
    parts = task.parts
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(2_000))
    assert len(parts["test"]) == pytest.approx(400, abs=4)
    assert len(parts["validation"]) == pytest.approx(160, abs=4)
    shares = [np.bincount(task.labels[rows], minlength=4) / len(rows) for rows in parts.values()]
    assert np.ptp(shares, axis=0).max() < 0.01


def test_an_epoch_shows_every_training_text_once_and_the_next_in_another_order(cached: Path):
    task = texts(cached)

    def epoch(number: int) -> list[int]:
        steps = range(number * task.steps_an_epoch, (number + 1) * task.steps_an_epoch)
        return [int(row) for step in steps for row in task.batch(step)]

    assert sorted(epoch(0)) == sorted(task.parts["train"].tolist())
    assert sorted(epoch(1)) == sorted(epoch(0))
    assert epoch(1) != epoch(0)


def test_a_batch_depends_on_the_step_alone(cached: Path):
    one, other = texts(cached), texts(cached)
    for step in range(40):
        one.batch(step)
    assert np.array_equal(one.batch(60), other.batch(60))


def test_the_seed_splits_the_texts_and_starts_the_weights(cached: Path):
    one, same, other = texts(cached), texts(cached), texts(cached, seed=1)
    assert torch.equal(one.tokens, same.tokens)
    assert torch.equal(weights(one), weights(same))
    assert one.corpus == other.corpus
    assert not np.array_equal(one.parts["test"], other.parts["test"])


def test_the_vocabulary_knows_the_training_texts_only(cached: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[np.ndarray] = []

    def spy(tokens, rows, *limits):
        seen.append(rows)
        return build_vocabulary(tokens, rows, *limits)

    monkeypatch.setattr("sparsecore.engine.tasks.vulnerabilities.build_vocabulary", spy)
    task = texts(cached)
    assert len(seen) == 1
    assert np.array_equal(seen[0], task.parts["train"])


def test_the_generated_texts_say_what_they_are(cached: Path):
    meta = texts(cached).scene()[1]
    assert meta["generated"]
    assert meta["texts"] == meta["of"] == 2_000
    assert meta["grades"] == ["低危", "中危", "高危", "超高危"]
    assert 0.25 <= meta["majority"] < 0.9


def test_the_scene_counts_weights_and_padding(cached: Path):
    meta = texts(cached).scene()[1]
    assert meta["weights"]["encoder"] == 2 * (3 * 32**2 + 2 * 32 * 64)
    assert meta["weights"]["head"] == 64 * 32 * 4
    assert 1 <= meta["padding_waste"] <= 1.15
    assert sum(meta["parts"].values()) == 2_000


def test_label_noise_changes_labels_and_no_text(cached: Path):
    clean, noisy = texts(cached), texts(cached, noise=0.3)
    assert clean.corpus.texts == noisy.corpus.texts
    changed = np.mean(np.array(clean.corpus.labels) != np.array(noisy.corpus.labels))
    assert changed == pytest.approx(0.3, abs=0.04)
    assert BUILT_IN_SEED == 2024


def test_metrics_are_those_of_the_confusion_matrix(cached: Path):
    task = texts(cached)
    scored = task.metrics()
    confusion = task.picture()[0]["confusion"]
    assert confusion.sum() == len(task.parts["test"])
    assert scored["test"]["accuracy"] == np.trace(confusion) / confusion.sum()
    f1 = [
        2 * confusion[g, g] / (confusion[g].sum() + confusion[:, g].sum())
        for g in range(4)
        if confusion[g].sum()
    ]
    assert scored["test"]["macro_f1"] == pytest.approx(np.mean(f1))
    assert scored["train"].keys() == {"accuracy", "macro_f1"}


def test_scores_do_not_depend_on_how_texts_are_grouped(cached: Path):
    task = texts(cached)
    rows = task.parts["test"][:90]
    with torch.no_grad(), evaluating(task.model):
        alone = torch.cat([task.model(task.tokens[row : row + 1]) for row in rows.tolist()])
    assert torch.allclose(task._logits(rows), alone, atol=1e-5)


def test_a_plain_loss_is_the_mean_cross_entropy(cached: Path):
    task = texts(cached, **PLAIN)
    rows = task.batch(3)
    expected = functional.cross_entropy(task.model(task.tokens[rows]), task.labels[rows])
    assert task.loss(3).item() == pytest.approx(expected.item(), rel=1e-6)


def test_the_objective_is_the_mean_of_the_losses_of_all_texts(cached: Path):
    task = texts(cached, dropout=0.0)
    steps = range(task.steps_an_epoch)
    with torch.no_grad():
        summed = sum(float(task.loss(step)) * len(task.batch(step)) for step in steps)
        whole = float(sum(task.objective()))
    assert whole == pytest.approx(summed / len(task.parts["train"]), rel=1e-5)


def test_a_rare_grade_weighs_more_and_the_mean_weight_is_1(cached: Path):
    task = texts(cached, class_weights=0.5)
    counts = np.bincount(task.labels[task.parts["train"]], minlength=4)
    found = task.class_weights.numpy()
    assert (found * counts).sum() / counts.sum() == pytest.approx(1.0)
    assert found[0] / found[1] == pytest.approx((counts[1] / counts[0]) ** 0.5)


def test_dropout_follows_from_the_seed_and_the_step(cached: Path):
    task = texts(cached, dropout=0.3)
    torch.manual_seed(5)
    losses = [task.loss(step).item() for step in (4, 5, 4)]
    state = torch.get_rng_state()
    torch.manual_seed(5)
    assert torch.equal(torch.get_rng_state(), state)
    assert losses[0] == losses[2]
    assert task.loss(4).item() != texts(cached, dropout=0.3, seed=1).loss(4).item()
    assert losses[0] != texts(cached, dropout=0.0).loss(4).item()


def test_word_dropout_hides_words_but_never_padding(cached: Path):
    task = texts(cached, word_dropout=0.5)
    read: list[torch.Tensor] = []
    task.model.register_forward_pre_hook(lambda _, given: read.append(given[0]))
    task.loss(4)
    task.loss(4)
    rows = task.batch(4)
    true = task.tokens[rows][:, : read[0].shape[1]]
    assert torch.equal(read[0], read[1])
    assert torch.equal(read[0] == 0, true == 0)
    hidden = (read[0] != true)[true > 1]
    assert (read[0][read[0] != true] == 1).all()
    assert 0.4 < hidden.float().mean() < 0.6
    laptop, demo = texts(cached, size="laptop").config, texts(cached).config
    assert (laptop.word_dropout, laptop.dropout) == (0.1, 0.2)
    assert (demo.word_dropout, demo.dropout) == (0.0, 0.1)


def test_nothing_is_left_out_when_texts_are_scored(cached: Path):
    task = texts(cached, dropout=0.9)
    assert torch.equal(task.outputs(), task.outputs())
    assert task.model.training


def test_early_stopping_watches_what_it_is_told(cached: Path):
    measured = {"validation": {"accuracy": 0.1}, "test": {"accuracy": 0.2}}
    assert texts(cached).watched(measured) == 0.1
    assert texts(cached, watch="test").watched(measured) == 0.2


def test_early_measurements_are_recorded_and_end_no_run(cached: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Vulnerabilities, "patience", 1)
    monkeypatch.setattr(Vulnerabilities, "watched", lambda self, metrics: 0.0)
    first, second = sorted(texts(cached).early_measurements)[:2]
    events = list(train(RunConfig(task="vulnerabilities", max_steps=second), cached))
    measured = [event.step for event in events if isinstance(event, Record) and "metrics" in event.values]
    assert measured == [0, first, second]
    assert events[-1].reason == "max_steps"


def test_half_precision_is_for_cuda(cached: Path):
    assert not texts(cached).half
    assert texts(cached).loss(0).dtype == torch.float32


def test_texts_of_a_file_need_a_home():
    with pytest.raises(ValueError, match="from a home folder"):
        Vulnerabilities(RunConfig(task="vulnerabilities", data="0" * 16), CPU, None)


def test_the_paper_size_has_the_numbers_of_the_thesis(cached: Path, monkeypatch: pytest.MonkeyPatch):
    few = texts(cached).corpus
    monkeypatch.setattr("sparsecore.engine.tasks.vulnerabilities.builtin_corpus", lambda size, noise: few)
    counts = texts(cached, size="paper").scene()[1]["weights"]
    assert (counts["encoder"], counts["head"]) == (1_835_008, 262_144)


@pytest.mark.parametrize("size", ["demo", "laptop", "paper"])
def test_real_texts_waste_little_at_every_size(cached: Path, real: Path, size: str):
    key = save(read_corpus(real), cached / "corpora")
    meta = texts(cached, size=size, data=key).scene()[1]
    assert meta["padding_waste"] <= 1.15


def test_real_texts_are_split_by_time(cached: Path, real: Path):
    key = save(read_corpus(real), cached / "corpora")
    task = texts(cached, size="laptop", data=key, split="time")
    days = {name: [task.corpus.dates[i] for i in rows] for name, rows in task.parts.items()}
    assert max(days["train"]) <= min(days["validation"])
    assert max(days["validation"]) <= min(days["test"])
    assert len(days["test"]) == pytest.approx(0.2 * len(task.labels), abs=2)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU: half precision is for it alone")
def test_on_cuda_products_are_in_half_precision_and_losses_are_not(cached: Path):
    config = RunConfig(task="vulnerabilities", device="cuda")
    task = Vulnerabilities(config, torch.device("cuda"), cached)
    assert task.half
    assert task.loss(0).dtype == torch.float32
    assert task.loss(0).item() == task.loss(0).item()
    assert task.metrics()["test"]["accuracy"] > 0
    exact = Vulnerabilities(config.model_copy(update={"precision": "float32"}), torch.device("cuda"), cached)
    assert exact.loss(0).item() == pytest.approx(task.loss(0).item(), rel=0.02)
