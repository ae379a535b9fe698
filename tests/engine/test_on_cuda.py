"""On a CUDA GPU: the same supports as on a CPU, and a batch that trains as its runs do alone."""

from collections.abc import Iterator

import pytest
import torch

from sparsecore import project_
from sparsecore.engine.batch.loop import train_many
from sparsecore.engine.batch.projection import cut_rows_
from sparsecore.engine.config import RunConfig
from sparsecore.engine.training.events import Checkpoint, Ended, Event, Frame, Look, Ready, Record
from sparsecore.engine.training.loop import train

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")

GRID = [
    ("layerwise", 0.4, 0),
    ("global", 0.3, 1),
    ("dense", 1.0, 2),
    ("layerwise", 0.05, 1),
    ("global", 0.1, 7),
]


def configs(task: str, **parameters: object) -> list[RunConfig]:
    shared = {"task": task, "device": "cuda", "max_steps": 60, "theta": 0.0} | parameters
    return [RunConfig(**{"method": m, "density": d, "seed": s} | shared) for m, d, s in GRID]


def of(kind: type, events: list[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


@pytest.fixture(params=[torch.float32, torch.float64, torch.bfloat16, torch.float16])
def drawn(request: pytest.FixtureRequest) -> Iterator[list[torch.Tensor]]:
    """Three weight matrices with many equal values, on the CPU."""
    generator = torch.Generator().manual_seed(3)
    shapes = (200, 1), (300, 200), (1, 300)
    return [(torch.randn(shape, generator=generator) * 8).round().to(request.param) / 8 for shape in shapes]


@pytest.mark.parametrize("keep", [0, 1, 3_025, 24_200, 60_500])
def test_a_gpu_keeps_the_weights_that_a_cpu_keeps(drawn: list[torch.Tensor], keep: int):
    there = [tensor.cuda() for tensor in drawn]
    here = [tensor.clone() for tensor in drawn]
    assert project_(there, keep=keep).kept == project_(here, keep=keep).kept
    for mine, theirs in zip(there, here, strict=True):
        assert torch.equal(mine.cpu(), theirs)


def test_each_row_of_many_is_cut_as_it_is_alone_on_a_cpu(drawn: list[torch.Tensor]):
    row = torch.cat([tensor.flatten() for tensor in drawn])
    rows = torch.stack([row, row.flip(0), -row]).cuda()
    keep = [24_200, 3_025, 1]
    expected = [one.cpu() for one in rows.clone()]
    for one, budget in zip(expected, keep, strict=True):
        project_([one], keep=budget)
    masks, counts = torch.ones_like(rows, dtype=torch.bool), torch.zeros_like(rows, dtype=torch.int32)
    sound = torch.ones(3, 1, dtype=torch.bool, device="cuda")
    cut_rows_(rows, torch.tensor(keep, device="cuda"), masks, counts, sound)
    for one, cut in zip(expected, rows, strict=True):
        assert torch.equal(one, cut.cpu())


@pytest.mark.parametrize("size", ["demo", "paper"])
@pytest.mark.parametrize("task", ["sinc", "spirals"])
def test_a_batch_reaches_what_its_runs_reach_alone(task: str, size: str):
    many: list[list[Event]] = [[] for _ in GRID]
    for place, event in train_many(configs(task, size=size)):
        many[place].append(event)
    for config, events in zip(configs(task, size=size), many, strict=True):
        alone = list(train(config))
        assert of(Ended, events)[0].reason == of(Ended, alone)[0].reason
        mine, theirs = of(Ended, events)[0].result, of(Ended, alone)[0].result
        assert mine["device"].startswith("cuda")
        assert (mine["steps"], mine["budget"]) == (theirs["steps"], theirs["budget"])
        for part, figures in theirs["metrics"].items():
            assert mine["metrics"][part] == pytest.approx(figures, rel=0.02, abs=0.01)


def test_a_run_on_a_gpu_tells_of_itself_and_goes_on_from_its_checkpoint():
    config = RunConfig(task="sinc", method="global", density=0.3, device="cuda", max_steps=60, theta=0.0)
    events: list[Event] = []
    running, reply, looked = train(config), None, False
    while not (events and isinstance(events[-1], Ended)):
        events.append(running.send(reply))
        look = events[-1] == Ready(30) and not looked
        reply, looked = (Look() if look else None), looked or look
    assert [record.step for record in of(Record, events)] == [0, 20, 40, 60]
    last = of(Frame, events)[-1]
    assert last.meta["nonzeros"] == last.meta["budget"]
    saved = next(checkpoint for checkpoint in of(Checkpoint, events) if checkpoint.step == 30)
    resumed = of(Ended, list(train(config, resume=saved)))[0].result
    for part, figures in of(Ended, events)[0].result["metrics"].items():
        assert resumed["metrics"][part] == pytest.approx(figures, rel=1e-3)
