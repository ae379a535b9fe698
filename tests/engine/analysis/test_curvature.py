"""The largest curvature: power iteration with products of the Hessian and a vector."""

import math

import pytest
import torch
from torch import Tensor, nn

from sparsecore.engine.analysis.derivatives import lipschitz
from sparsecore.engine.tasks.networks import Perceptron, TextClassifier


class Point(nn.Module):
    """A vector of weights and nothing else, for objectives written down by hand."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(values, dtype=torch.float64))


def least_squares(seed: int, rows: int = 40, columns: int = 12) -> tuple[nn.Linear, Tensor, Tensor]:
    source = torch.Generator().manual_seed(seed)
    a = torch.randn(rows, columns, generator=source, dtype=torch.float64)
    b = torch.randn(rows, generator=source, dtype=torch.float64)
    return nn.Linear(columns, 1, bias=False, dtype=torch.float64), a, b


# -- by hand ----------------------------------------------------------------------------------------------


def test_the_curvature_of_a_parabola_is_its_factor():
    point = Point([2.0])
    assert lipschitz(point, lambda: 3.5 * point.w.square().sum()).value == pytest.approx(7.0)


def test_a_curvature_downwards_counts_by_its_size():
    point = Point([1.0, 1.0])
    found = lipschitz(point, lambda: 0.5 * (point.w[0] ** 2 - 5 * point.w[1] ** 2), tolerance=1e-6)
    assert found.value == pytest.approx(5.0, rel=1e-6)


def test_a_saddle_of_equal_curvatures_up_and_down_settles():
    point = Point([1.0, 1.0])  # f = xy: eigenvalues 1 and −1; plain Rayleigh quotients would wander
    found = lipschitz(point, lambda: point.w[0] * point.w[1])
    assert found.value == pytest.approx(1.0)
    assert found.settled
    assert found.iterations == 2


def test_a_plane_has_no_curvature():
    point = Point([1.0, 1.0])
    found = lipschitz(point, lambda: point.w.sum())
    assert (found.value, found.residual, found.settled, found.iterations) == (0.0, 0.0, True, 1)


def test_the_curvature_is_that_of_the_present_weights():
    assert float(lipschitz(here := Point([1.0]), lambda: (here.w**4).sum())) == pytest.approx(12.0)
    assert float(lipschitz(there := Point([2.0]), lambda: (there.w**4).sum())) == pytest.approx(48.0)


def test_parameters_without_gradient_are_held():
    point = Point([1.0])
    point.v = nn.Parameter(torch.ones(1, dtype=torch.float64))

    def loss() -> Tensor:
        return (point.w.square() + 4 * point.v.square() + 3 * point.w * point.v).sum()

    for held, value in ((point.v, 2.0), (point.w, 8.0)):
        point.requires_grad_(True)
        held.requires_grad_(False)
        assert lipschitz(point, loss).value == pytest.approx(value)
    point.requires_grad_(True)
    exact = 5 + math.sqrt(18)  # the larger root of (2 − λ)(8 − λ) = 9
    assert lipschitz(point, loss, tolerance=1e-8).value == pytest.approx(exact, rel=1e-8)


# -- against exact answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_on_least_squares_it_is_the_largest_eigenvalue_of_the_gram_matrix(seed: int):
    layer, a, b = least_squares(seed)
    found = lipschitz(
        layer, lambda: 0.5 * (layer(a)[:, 0] - b).square().sum(), tolerance=1e-4, iterations=2_000
    )
    exact = float(torch.linalg.eigvalsh(a.T @ a)[-1])
    assert found.settled
    assert found.residual <= 1e-4
    assert exact * (1 - 1e-4) <= found.value <= exact * (1 + 1e-12)


def test_on_a_network_it_is_the_largest_absolute_eigenvalue_of_the_hessian():
    torch.manual_seed(0)
    model = Perceptron((2, 4, 3, 1)).double()
    x, y = torch.randn(20, 2, dtype=torch.float64), torch.randn(20, 1, dtype=torch.float64)
    found = lipschitz(model, lambda: (model(x) - y).square().mean(), tolerance=1e-5, iterations=500)

    names, values = zip(*model.named_parameters(), strict=True)
    sizes = [value.numel() for value in values]

    def flat(w: Tensor) -> Tensor:
        parts = {n: p.view_as(v) for n, p, v in zip(names, w.split(sizes), values, strict=True)}
        return (torch.func.functional_call(model, parts, x) - y).square().mean()

    hessian = torch.autograd.functional.hessian(flat, torch.cat([v.detach().flatten() for v in values]))
    assert found.settled
    assert found.value == pytest.approx(float(torch.linalg.eigvalsh(hessian).abs().max()), rel=1e-5)


def test_chunks_give_what_the_whole_gives():
    layer, a, b = least_squares(seed=0)

    def whole() -> Tensor:
        return 0.5 * (layer(a)[:, 0] - b).square().sum()

    def chunked():
        for rows, targets in zip(a.split(7), b.split(7), strict=True):
            yield 0.5 * (layer(rows)[:, 0] - targets).square().sum()

    one, many = lipschitz(layer, whole), lipschitz(layer, chunked)
    assert many.value == pytest.approx(one.value, rel=1e-12)
    assert many.iterations == one.iterations


def test_the_residual_is_how_far_the_squared_hessian_is_from_scaling_its_vector():
    point = Point([0.0, 0.0, 0.0])
    factors = torch.tensor([5.0, -4.0, 1.0], dtype=torch.float64)
    first = torch.randn(3, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    first /= first.norm()
    square = (factors * first).square().sum()
    found = lipschitz(point, lambda: 0.5 * factors @ point.w.square(), iterations=2, seed=7)
    assert found.residual == pytest.approx(float((factors**2 * first - square * first).norm() / square))


def test_the_estimate_never_falls_and_says_when_it_has_not_settled():
    layer, a, b = least_squares(seed=1)
    found = [
        lipschitz(layer, lambda: 0.5 * (layer(a)[:, 0] - b).square().sum(), iterations=n, tolerance=1e-9)
        for n in (1, 2, 3, 5, 10)
    ]
    values = [one.value for one in found]
    assert values == sorted(values)
    assert [one.iterations for one in found] == [1, 2, 3, 5, 10]
    assert not any(one.settled for one in found)
    assert found[0].residual == math.inf


# -- networks ---------------------------------------------------------------------------------------------


def test_attention_is_differentiated_twice():
    torch.manual_seed(0)
    model = TextClassifier(vocabulary=20, length=6, width=8, hidden=16, blocks=1, classes=3)
    tokens, grades = torch.randint(1, 20, (5, 6)), torch.randint(0, 3, (5,))
    found = lipschitz(model, lambda: nn.functional.cross_entropy(model(tokens), grades), iterations=10)
    assert 0 < found.value < math.inf


def test_dropout_drops_the_same_units_in_every_round():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 1))
    x = torch.randn(8, 3)
    state = torch.get_rng_state()
    assert lipschitz(model, lambda: model(x).square().mean(), iterations=300).settled
    assert torch.equal(torch.get_rng_state(), state)


def test_the_training_is_left_as_it_was():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    kept = model[0].weight.grad = torch.ones_like(model[0].weight)
    before = [tensor.detach().clone() for tensor in (*model.parameters(), *model.buffers())]
    with torch.no_grad():
        lipschitz(model, lambda: model(torch.ones(2, 3)).square().mean(), iterations=3)
    after = (*model.parameters(), *model.buffers())
    assert all(torch.equal(then, now) for then, now in zip(before, after, strict=True))
    assert model[0].weight.grad is kept
    assert torch.equal(kept, torch.ones_like(kept))
    assert model[2].weight.grad is None


def test_the_same_seed_gives_the_same_estimate():
    layer, a, b = least_squares(seed=2)
    closure = lambda: 0.5 * (layer(a)[:, 0] - b).square().sum()  # noqa: E731
    values = [lipschitz(layer, closure, iterations=3, seed=seed).value for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]


# -- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("iterations", [0, -1, 1.5, True])
def test_at_least_one_iteration_is_needed(iterations: object):
    with pytest.raises(ValueError, match="iterations must be a whole number of at least 1; got"):
        lipschitz(point := Point([1.0]), lambda: point.w.sum(), iterations=iterations)


@pytest.mark.parametrize("tolerance", [-1e-9, math.nan, math.inf])
def test_a_broken_tolerance_is_refused(tolerance: float):
    with pytest.raises(ValueError, match="tolerance must be at least 0 and finite; got"):
        lipschitz(point := Point([1.0]), lambda: point.w.sum(), tolerance=tolerance)


def test_variables_must_require_a_gradient():
    point = Point([1.0])
    point.w.requires_grad_(False)
    with pytest.raises(ValueError, match="the Hessian would be empty"):
        lipschitz(point, lambda: point.w.sum())


def test_a_curvature_that_is_not_finite_is_named():
    point = Point([0.0])
    with pytest.raises(ValueError, match="the Hessian-vector product of w is not finite"):
        lipschitz(point, lambda: (point.w**1.5).sum())
