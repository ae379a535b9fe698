"""A frozen support stays, and freezing, thawing and a new density act in a run as they do in the library."""

import pytest
import torch
from torch import nn

from sparsecore.engine.config import RunConfig
from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.training.events import Change, Ended, Frame, Ready, Record, Stop
from sparsecore.engine.training.loop import train
from sparsecore.engine.training.trainer import Training


def network() -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 5))
    return model, torch.optim.Adam(model.parameters(), lr=0.05, weight_decay=0.01)


def steps(model: nn.Module, optimizer: torch.optim.Optimizer, count: int) -> None:
    for _ in range(count):
        optimizer.zero_grad()
        (model(torch.randn(16, 6)) - 1).square().mean().backward()
        optimizer.step()


def test_a_frozen_support_does_not_move_and_pruned_weights_get_no_gradient():
    model, optimizer = network()
    sparsifier = HardThreshold(0.2).attach(model, optimizer)
    steps(model, optimizer, 3)
    sparsifier.freeze()
    masks = [mask.clone() for mask in sparsifier.masks]
    before = [layer.weight.detach().clone() for layer in sparsifier.layers]
    steps(model, optimizer, 10)
    for layer, mask, then in zip(sparsifier.layers, masks, before, strict=True):
        assert not layer.weight.grad[~mask].any()
        assert not layer.weight[~mask].any()
        assert (layer.weight[mask] != then[mask]).all()
        for state in optimizer.state[layer.weight].values():
            assert state.shape != mask.shape or not state[~mask].any()
    assert all(torch.equal(a, b) for a, b in zip(masks, sparsifier.masks, strict=True))
    assert (sparsifier.changed, sparsifier.jaccard) == (0, 1.0)
    assert sparsifier.still >= 10
    assert int(sum(count[mask].min() for count, mask in zip(sparsifier.counts, masks, strict=True))) >= 20


def test_thawed_it_moves_again_within_the_same_budget():
    model, optimizer = network()
    sparsifier = HardThreshold(0.2).attach(model, optimizer)
    steps(model, optimizer, 3)
    sparsifier.freeze()
    steps(model, optimizer, 3)
    sparsifier.unfreeze()
    masks = [mask.clone() for mask in sparsifier.masks]
    steps(model, optimizer, 30)
    assert any(not torch.equal(a, b) for a, b in zip(masks, sparsifier.masks, strict=True))
    assert sum(sparsifier.kept) == sum(int(layer.weight.count_nonzero()) for layer in sparsifier.layers) == 26


def test_it_freezes_at_a_step_or_when_the_support_has_settled():
    model, optimizer = network()
    at = HardThreshold(0.2, freeze_at=4).attach(model, optimizer)
    steps(model, optimizer, 3)
    assert at.frozen is None
    steps(model, optimizer, 1)
    assert at.frozen is not None
    at.detach()
    settled = HardThreshold(0.2, freeze_settled=3).attach(model, optimizer)
    optimizer.param_groups[0]["lr"] = 0.0
    steps(model, optimizer, 1)
    assert settled.still == 0 or settled.frozen is None
    steps(model, optimizer, 4)
    assert settled.frozen is not None


def test_what_cannot_be_frozen_or_changed_is_refused():
    model, optimizer = network()
    sparsifier = HardThreshold(0.2)
    with pytest.raises(ValueError, match="no support to freeze yet"):
        sparsifier.freeze()
    sparsifier.attach(model, optimizer)
    with pytest.raises(ValueError, match="no support to freeze yet"):
        sparsifier.freeze()
    steps(model, optimizer, 1)
    sparsifier.freeze()
    with pytest.raises(ValueError, match=r"frozen: call unfreeze\(\)"):
        sparsifier.density = 0.5
    sparsifier.detach()
    assert sparsifier.frozen is None
    steps(model, optimizer, 1)
    assert sum(int(layer.weight.count_nonzero()) for layer in sparsifier.layers) > 26


# -- in a run ---------------------------------------------------------------------------------------------


def answered(config: RunConfig, commands: dict[int, Change | Stop]) -> list:
    """The events of a run that is sent each command before the step it stands for."""
    events, run, reply = [], train(config), None
    while True:
        event = run.send(reply)
        reply = commands.pop(event.step, None) if isinstance(event, Ready) else None
        events.append(event)
        if isinstance(event, Ended):
            return events


def frozen_at(events: list) -> list[int]:
    return [event.step for event in events if isinstance(event, Record) and event.values["frozen"]]


def short(**values: object) -> RunConfig:
    return RunConfig(**{"max_steps": 100, "theta": 0.0, "method": "global", "density": 0.3} | values)


def test_a_run_freezes_at_its_step_and_says_so_in_records_frames_and_result():
    events = answered(short(freeze_at=35), {})
    assert frozen_at(events) == [40, 60, 80, 100]
    assert events[-1].result["frozen"]
    assert next(e for e in reversed(events) if isinstance(e, Frame)).meta["frozen"]


def test_a_command_freezes_now_and_another_thaws():
    commands = {25: Change({"freeze_at": 20}), 70: Change({"freeze_at": None})}
    assert frozen_at(answered(short(), commands)) == [40, 60]


def test_another_density_chooses_a_frozen_support_anew_once():
    events = answered(short(freeze_at=20), {50: Change({"density": 0.1})})
    assert frozen_at(events) == [20, 40, 60, 80, 100]
    assert events[-1].result["budget"] == events[-1].result["nonzeros"] == round(0.1 * 288)


def test_a_frozen_run_goes_on_from_its_checkpoint_frozen():
    training = Training(short(freeze_at=10))
    for _ in range(20):
        training.advance()
    other = Training(short(freeze_at=10))
    other.restore(training.checkpoint())
    assert other.sparsifier.frozen is not None
    for _ in range(5):
        training.advance()
        other.advance()
    pairs = zip(training.before.parameters, other.before.parameters, strict=True)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)
    assert all(
        torch.equal(a, b) for a, b in zip(training.sparsifier.masks, other.sparsifier.masks, strict=True)
    )


@pytest.mark.slow
def test_the_thesis_collapse_and_its_cure():
    """Global at ρ ≤ 0.1 empties the last layer at once; a floor within the same total lets it learn."""
    config = {"task": "sinc", "size": "paper", "method": "global", "density": 0.1, "max_steps": 600}
    collapsed = answered(RunConfig(**config), {})[-1]
    assert (collapsed.reason, collapsed.detail["layer"]) == ("collapsed", "fc3")
    cured = answered(RunConfig(**config, keep_alive=1, keep_alive_layer=150, learning_rate=5e-3), {})[-1]
    assert cured.reason == "max_steps"
    assert cured.result["nonzeros"] == cured.result["budget"] == collapsed.result["budget"] == 6_050
    rows = {row["name"]: row["nonzeros"] for row in cured.result["layers"]}
    assert min(rows.values()) >= 150
    assert cured.result["metrics"]["test"]["rmse"] < 0.6 * collapsed.result["metrics"]["test"]["rmse"]
