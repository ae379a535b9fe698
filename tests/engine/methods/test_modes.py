"""iht projects the iterate; latent projects a copy and keeps the dense iterate for the optimiser."""

import pytest
import torch
from torch import nn

from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.projection.project import project_


def single_row(values: list[float]) -> nn.Linear:
    layer = nn.Linear(len(values), 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([values]))
    return layer


def move(layer: nn.Linear, optimizer: torch.optim.Optimizer, gradient: list[float]) -> list[float]:
    layer.weight.grad = torch.tensor([gradient])
    optimizer.step()
    return layer.weight.tolist()[0]


def test_a_pruned_weight_keeps_its_size_in_the_latent_mode_only():
    for mode, after in (("iht", [4.0, 0.0, 0.0]), ("latent", [0.0, 4.5, 0.0])):
        layer = single_row([4.0, 3.0, 1.0])
        optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
        HardThreshold(1 / 3, mode=mode).attach(layer, optimizer)
        assert move(layer, optimizer, [0.0, 0.0, 0.0]) == [4.0, 0.0, 0.0]
        # z = 4, 0 − (−1.5), 0 for iht; 4, 3 − (−1.5), 1 for latent.
        assert move(layer, optimizer, [0.0, -1.5, 0.0]) == after


def test_latent_is_the_straight_through_iteration():
    torch.manual_seed(0)
    x, y = torch.randn(30, 8), torch.randn(30, 1)
    layer = nn.Linear(8, 1, bias=False)
    dense = layer.weight.detach().clone()
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    HardThreshold(0.25, mode="latent").attach(layer, optimizer)
    for _ in range(20):
        seen = layer.weight.detach().clone()
        optimizer.zero_grad()
        nn.functional.mse_loss(layer(x), y).backward()
        optimizer.step()
        gradient = 2 / 30 * x.T @ (x @ seen.T - y)
        dense -= 0.1 * gradient.T
        projected = dense.clone()
        project_([projected], 2)
        assert torch.allclose(layer.weight, projected, atol=1e-6)


@pytest.mark.parametrize("mode", ["iht", "latent"])
def test_a_closure_sees_the_projected_weights(mode: str):
    torch.manual_seed(0)
    x, y = torch.randn(30, 8), torch.randn(30, 1)
    layer = nn.Linear(8, 1)
    optimizer = torch.optim.LBFGS(layer.parameters(), max_iter=4, line_search_fn="strong_wolfe")
    sparsifier = HardThreshold(0.25, mode=mode).attach(layer, optimizer)
    seen, losses = [], []

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(layer(x), y)
        loss.backward()
        seen.append(int(layer.weight.count_nonzero()))
        losses.append(float(loss.detach()))
        return loss

    for _ in range(5):
        optimizer.step(closure)
        assert int(layer.weight.count_nonzero()) == sparsifier.budgets()["global"] == 2
    assert min(losses) < losses[0]
    if mode == "latent":
        assert set(seen) == {2}


def test_latent_honours_floors_and_counts_like_iht():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05)
    sparsifier = HardThreshold(0.3, mode="latent", keep_alive=1).attach(model, optimizer)
    for _ in range(12):
        optimizer.zero_grad()
        model(torch.randn(9, 5)).square().mean().backward()
        optimizer.step()
        assert sum(sparsifier.kept) == round(0.3 * 48)
        assert all(mask.any(dim=1).all() for mask in sparsifier.masks)
    assert int(sum(count.sum() for count in sparsifier.counts)) == 12 * round(0.3 * 48)


def test_after_detach_the_projected_weights_stay():
    layer = single_row([4.0, 3.0, 1.0])
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    sparsifier = HardThreshold(1 / 3, mode="latent").attach(layer, optimizer)
    move(layer, optimizer, [0.0, 0.0, 0.0])
    sparsifier.detach()
    assert move(layer, optimizer, [1.0, 1.0, 0.0]) == [3.0, -1.0, 0.0]


def test_an_unknown_mode_is_named():
    with pytest.raises(ValueError, match="mode must be one of iht, latent; got 'soft'"):
        HardThreshold(0.5, mode="soft")
