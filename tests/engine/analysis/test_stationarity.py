"""The certificate: how far a point is from the optimality conditions of Beck & Eldar (2013)."""

import json
import math
from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn

from sparsecore.engine.analysis.stationarity import Certificate, stationarity
from sparsecore.engine.methods.dense import Dense
from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.projection.project import project_
from sparsecore.engine.sparsifier.base import Sparsifier
from sparsecore.engine.tasks.networks import Perceptron

# f(w) = ½(w₁ − 3)² + ½(2w₂ − 2)², so ∇f = (w₁ − 3, 4w₂ − 4), L(f) = 4; for ‖w‖₀ ≤ 1 the optimum is (3, 0).
A = torch.tensor([[1.0, 0.0], [0.0, 2.0]], dtype=torch.float64)
B = torch.tensor([3.0, 2.0], dtype=torch.float64)


class Budgeted(HardThreshold):
    """Hard thresholding with a whole number for its budget, any from 0 to K."""

    def __init__(self, budget: int) -> None:
        super().__init__(density=1.0)
        self.budget = budget

    def budgets(self) -> dict[str, int]:
        return {"global": self.budget}


class Regression:
    """½‖Aw − b‖² on a linear layer without bias, under ‖w‖₀ ≤ budget."""

    def __init__(self, a: Tensor, b: Tensor, w: Sequence[float], budget: int) -> None:
        self.a, self.b = a, b
        self.layer = nn.Linear(a.shape[1], 1, bias=False, dtype=a.dtype)
        self.w = self.layer.weight.data[0]
        self.w.copy_(torch.as_tensor(w))
        self.step = 1 / float(torch.linalg.eigvalsh(a.T @ a)[-1])
        self.optimizer = torch.optim.SGD(self.layer.parameters(), lr=self.step)
        self.sparsifier = Budgeted(budget).attach(self.layer, self.optimizer)

    def loss(self) -> Tensor:
        return 0.5 * (self.layer(self.a)[:, 0] - self.b).square().sum()

    def chunks(self, size: int):
        for rows, targets in zip(self.a.split(size), self.b.split(size), strict=True):
            yield 0.5 * (self.layer(rows)[:, 0] - targets).square().sum()

    def gradient(self) -> Tensor:
        return self.a.T @ (self.a @ self.w - self.b)

    def certificate(self, **options) -> Certificate:
        return stationarity(self.layer, self.loss, self.sparsifier, **options)

    def iterate(self, steps: int) -> None:
        for _ in range(steps):
            self.optimizer.zero_grad()
            self.loss().backward()
            self.optimizer.step()


def plane(w: Sequence[float], budget: int = 1) -> Regression:
    return Regression(A, B, w, budget)


def random_regression(seed: int, budget: int = 5) -> Regression:
    source = torch.Generator().manual_seed(seed)
    a = torch.randn(30, 12, generator=source, dtype=torch.float64)
    b = torch.randn(30, generator=source, dtype=torch.float64)
    w = torch.randn(12, generator=source, dtype=torch.float64)
    project_([w], budget)
    return Regression(a, b, w.tolist(), budget)


# -- two weights, all numbers by hand -----------------------------------------------------------------------


def test_the_numbers_at_the_optimum():
    found = plane([3.0, 0.0]).certificate(lipschitz=2.0)  # ∇f = (0, −4)
    group = found.groups["global"]
    assert (group.weights, group.budget, group.nonzeros) == (2, 1, 1)
    assert (group.max_gradient_on, group.max_gradient_off, group.threshold) == (0.0, 4.0, 3.0)
    assert group.smallest_lipschitz == 4 / 3
    assert (group.lipschitz_bound, group.within_bound) == (6.0, True)
    assert (group.residual, group.feasible, group.basic_feasible) == (0.0, True, True)
    assert (found.objective, found.chunks, found.max_gradient_free) == (2.0, 1, 0.0)
    assert (found.residual, found.relative_residual, found.l_stationary) == (0.0, 0.0, True)


@pytest.mark.parametrize(("lipschitz", "stationary"), [(2.0, False), (2.9, False), (3.0, True), (4.0, True)])
def test_a_basic_feasible_point_need_not_be_l_stationary(lipschitz: float, stationary: bool):
    found = plane([0.0, 1.0]).certificate(lipschitz=lipschitz)  # ∇f = (−3, 0), M₁ = 1
    assert found.basic_feasible
    assert found.smallest_lipschitz == 3.0
    assert found.groups["global"].lipschitz_bound == lipschitz
    assert found.groups["global"].within_bound is stationary
    assert found.l_stationary is stationary


def test_a_point_that_is_not_basic_feasible():
    found = plane([1.0, 0.0]).certificate(lipschitz=100.0)  # ∇f = (−2, −4)
    assert (found.max_gradient_on, found.max_gradient_off) == (2.0, 4.0)
    assert (found.residual, found.relative_residual) == (2.0, 0.5)
    assert not found.basic_feasible
    assert found.groups["global"].within_bound
    assert not found.l_stationary


def test_the_residual_may_reach_the_tolerance_and_no_further():
    point = plane([1.0, 0.0])
    assert point.certificate(tolerance=2.0).basic_feasible
    assert not point.certificate(tolerance=1.999).basic_feasible


def test_with_fewer_nonzeros_than_the_budget_the_gradient_must_vanish_everywhere():
    found = plane([0.0, 0.0]).certificate(lipschitz=1e9)  # ∇f = (−3, −4), M₁ = 0
    group = found.groups["global"]
    assert (group.nonzeros, group.threshold, group.residual) == (0, 0.0, 4.0)
    assert group.smallest_lipschitz == math.inf
    assert (group.lipschitz_bound, group.within_bound, group.basic_feasible) == (0.0, False, False)
    assert not found.l_stationary


def test_with_fewer_nonzeros_and_no_gradient_left_any_l_will_do():
    a, b = torch.eye(3, dtype=torch.float64), torch.tensor([3.0, 0.0, 0.0], dtype=torch.float64)
    found = Regression(a, b, [3.0, 0.0, 0.0], budget=2).certificate(lipschitz=1e-9)
    assert found.groups["global"].threshold == 0.0
    assert found.smallest_lipschitz == 0.0
    assert found.groups["global"].within_bound
    assert found.basic_feasible
    assert found.l_stationary


def test_a_zero_that_the_mask_keeps_is_off_the_support():
    a, b = torch.eye(3, dtype=torch.float64), torch.tensor([3.0, 0.0, 0.0], dtype=torch.float64)
    point = Regression(a, b, [3.0, 0.0, 0.0], budget=2)
    point.iterate(1)  # the tie of two zeros: the mask keeps the first
    assert point.sparsifier.masks[0].tolist() == [[True, True, False]]
    point.b[1] = 0.5  # now ∇f = (0, −0.5, 0)
    found = point.certificate()
    assert (found.max_gradient_on, found.max_gradient_off) == (0.0, 0.5)
    assert found.smallest_lipschitz == math.inf
    assert (found.residual, found.basic_feasible) == (0.5, False)


def test_a_point_with_more_nonzeros_than_the_budget_is_not_feasible():
    found = plane([3.0, 1.0]).certificate(lipschitz=4.0)  # ∇f = 0: the unconstrained optimum
    assert found.residual == 0.0
    assert not found.feasible
    assert not found.basic_feasible
    assert not found.l_stationary
    assert found.groups["global"].threshold == 3.0
    assert found.smallest_lipschitz == math.inf


def test_with_a_budget_of_0_the_only_point_is_stationary():
    found = plane([0.0, 0.0], budget=0).certificate(lipschitz=0.1)
    assert found.groups["global"].threshold == math.inf
    assert found.groups["global"].lipschitz_bound == math.inf
    assert (found.smallest_lipschitz, found.residual) == (0.0, 0.0)
    assert found.l_stationary


def test_with_a_budget_of_all_weights_every_position_is_on_the_support():
    found = plane([0.0, 1.0], budget=2).certificate()
    assert (found.max_gradient_on, found.max_gradient_off) == (3.0, 0.0)
    assert (found.residual, found.smallest_lipschitz) == (3.0, 0.0)
    assert not found.basic_feasible


def test_without_l_nothing_is_said_of_l_stationarity():
    found = plane([3.0, 0.0]).certificate()
    assert (found.lipschitz, found.l_stationary) == (None, None)
    assert (found.groups["global"].lipschitz_bound, found.groups["global"].within_bound) == (None, None)


def test_the_estimated_l_is_the_largest_curvature():
    found = plane([3.0, 0.0]).certificate(lipschitz="estimate")
    assert found.lipschitz == pytest.approx(4.0, rel=1e-3)
    assert found.l_stationary


def test_a_flat_objective_with_a_budget_of_0_has_no_broken_bound():
    point = plane([0.0, 0.0], budget=0)
    found = stationarity(
        point.layer,
        lambda: point.w.new_ones(1) + 0 * point.layer.weight.sum(),
        point.sparsifier,
        lipschitz="estimate",
    )
    assert (found.lipschitz, found.groups["global"].lipschitz_bound) == (0.0, math.inf)
    assert found.l_stationary


# -- against the closed form ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_the_gradient_in_closed_form(seed: int):
    point = random_regression(seed)
    gradient, on = point.gradient().abs(), point.w != 0
    found = point.certificate()
    magnitudes = point.w.abs().sort(descending=True).values
    assert found.max_gradient_on == pytest.approx(float(gradient[on].max()), rel=1e-12)
    assert found.max_gradient_off == pytest.approx(float(gradient[~on].max()), rel=1e-12)
    assert found.groups["global"].threshold == float(magnitudes[4])
    assert found.smallest_lipschitz == pytest.approx(float(gradient[~on].max() / magnitudes[4]), rel=1e-12)
    assert found.relative_residual == pytest.approx(float(gradient[on].max() / gradient.max()), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_iterative_hard_thresholding_ends_at_a_point_that_is_l_stationary(seed: int):
    point = random_regression(seed)
    point.iterate(1_500)
    found = point.certificate(lipschitz=1 / point.step, tolerance=1e-9)
    assert found.basic_feasible
    assert found.l_stationary
    assert found.smallest_lipschitz <= 1 / point.step


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("factor", [0.01, 0.5, 0.99, 1.01, 2.0])
def test_a_basic_feasible_point_is_a_fixed_point_of_the_iteration_exactly_when_l_suffices(
    seed: int, factor: float
):
    point = random_regression(seed)
    on = point.w != 0
    point.w[on] = torch.linalg.lstsq(point.a[:, on], point.b).solution
    found = point.certificate(tolerance=1e-9)
    assert found.basic_feasible
    lipschitz = factor * found.smallest_lipschitz
    stepped = point.w - point.gradient() / lipschitz
    project_([stepped], 5)
    moved = not torch.allclose(stepped, point.w, atol=1e-9)
    assert moved is (factor < 1)
    assert point.certificate(tolerance=1e-9, lipschitz=lipschitz).l_stationary is (factor > 1)


@pytest.mark.parametrize("size", [1, 7, 30])
def test_chunks_give_what_the_whole_gives(size: int):
    point = random_regression(seed=0)
    whole = point.certificate()
    chunked = stationarity(point.layer, lambda: point.chunks(size), point.sparsifier)
    assert chunked.chunks == math.ceil(30 / size)
    assert chunked.objective == pytest.approx(whole.objective, rel=1e-12)
    assert chunked.max_gradient_on == pytest.approx(whole.max_gradient_on, rel=1e-12)
    assert chunked.max_gradient_off == pytest.approx(whole.max_gradient_off, rel=1e-12)


# -- networks ---------------------------------------------------------------------------------------------


def trained(sparsifier: Sparsifier, steps: int = 3) -> tuple[Perceptron, Callable[[], Tensor]]:
    torch.manual_seed(0)
    model = Perceptron((2, 8, 6, 1))
    x, y = torch.randn(20, 2), torch.randn(20, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    sparsifier.attach(model, optimizer)

    def loss() -> Tensor:
        return nn.functional.mse_loss(model(x), y)

    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    model.zero_grad()
    loss().backward()
    return model, loss


def largest(*tensors: Tensor) -> float:
    return max((float(tensor.abs().max()) for tensor in tensors if tensor.numel()), default=0.0)


def test_a_global_budget_is_one_group_and_its_biases_are_free():
    sparsifier = HardThreshold(0.25)
    model, loss = trained(sparsifier)
    found = stationarity(model, loss, sparsifier)
    weights = [model.fc1.weight, model.fc2.weight, model.fc3.weight]
    group = found.groups["global"]
    assert list(found.groups) == ["global"]
    assert (group.weights, group.budget, group.nonzeros) == (70, round(0.25 * 70), round(0.25 * 70))
    assert found.max_gradient_on == largest(*(w.grad[w != 0] for w in weights))
    assert found.max_gradient_off == largest(*(w.grad[w == 0] for w in weights))
    assert found.max_gradient_free == largest(model.fc1.bias.grad, model.fc2.bias.grad, model.fc3.bias.grad)
    assert group.threshold == pytest.approx(sparsifier.thresholds["global"], rel=1e-6)


def test_a_layerwise_budget_is_a_group_a_layer_and_exempt_layers_are_free():
    sparsifier = HardThreshold(0.5, scope="layer")
    model, loss = trained(sparsifier)
    found = stationarity(model, loss, sparsifier)
    assert list(found.groups) == ["fc2"]
    assert found.groups["fc2"].max_gradient_off == largest(model.fc2.weight.grad[model.fc2.weight == 0])
    others = [p.grad for name, p in model.named_parameters() if name != "fc2.weight"]
    assert found.max_gradient_free == largest(*others)
    assert found.residual == max(found.max_gradient_on, found.max_gradient_free)


def test_of_several_groups_the_worst_counts():
    sparsifier = HardThreshold(0.5, scope="layer", exempt=())
    model, loss = trained(sparsifier)
    found = stationarity(model, loss, sparsifier)
    assert list(found.groups) == ["fc1", "fc2", "fc3"]
    for figure in ("max_gradient_on", "max_gradient_off", "smallest_lipschitz"):
        assert getattr(found, figure) == max(getattr(group, figure) for group in found.groups.values())


def test_without_a_constraint_every_gradient_must_vanish():
    sparsifier = Dense()
    model, loss = trained(sparsifier)
    found = stationarity(model, loss, sparsifier)
    every = largest(*(p.grad for p in model.parameters()))
    assert found.residual == every
    assert (found.relative_residual, found.max_gradient_off, found.smallest_lipschitz) == (1.0, 0.0, 0.0)


def test_a_gradient_of_a_free_parameter_forbids_basic_feasibility():
    layer = nn.Linear(2, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    sparsifier = HardThreshold(0.5).attach(layer, torch.optim.SGD(layer.parameters()))
    found = stationarity(layer, lambda: (layer.bias - 2).square().sum() + 0 * layer.weight.sum(), sparsifier)
    assert found.groups["global"].basic_feasible
    assert found.max_gradient_free == found.residual == 4.0
    assert not found.basic_feasible


def test_a_parameter_that_is_not_trained_is_a_constant():
    sparsifier = HardThreshold(0.5, scope="layer")
    model, loss = trained(sparsifier)
    for layer in (model.fc1, model.fc3):
        layer.requires_grad_(False)
    model.fc2.bias.requires_grad_(False)
    assert stationarity(model, loss, sparsifier).max_gradient_free == 0.0


def test_gradients_and_support_are_left_as_they_were():
    sparsifier = HardThreshold(0.25)
    model, loss = trained(sparsifier)
    before = [(p, p.grad, p.detach().clone(), p.grad.clone()) for p in model.parameters()]
    counts = [count.clone() for count in sparsifier.counts]
    with torch.no_grad():
        stationarity(model, loss, sparsifier, lipschitz="estimate")
    for parameter, grad, weights, gradients in before:
        assert parameter.grad is grad
        assert torch.equal(parameter, weights)
        assert torch.equal(grad, gradients)
    assert all(torch.equal(now, then) for now, then in zip(sparsifier.counts, counts, strict=True))


def test_a_detached_sparsifier_still_says_whom_it_held():
    sparsifier = HardThreshold(0.25)
    model, loss = trained(sparsifier)
    attached = stationarity(model, loss, sparsifier)
    sparsifier.detach()
    assert stationarity(model, loss, sparsifier).groups == attached.groups


# -- the summary ------------------------------------------------------------------------------------------


def test_the_summary_is_json_with_none_for_what_is_infinite():
    summary = plane([0.0, 0.0]).certificate(lipschitz=1.0).summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["smallest_lipschitz"] is None
    assert summary["groups"]["global"]["smallest_lipschitz"] is None
    assert summary["groups"]["global"]["max_gradient_off"] == 4.0
    assert summary["chunks"] == 1
    assert summary["seconds"] > 0
    assert summary["basic_feasible"] is False


def test_a_certificate_cannot_be_changed():
    with pytest.raises(AttributeError):
        plane([3.0, 0.0]).certificate().residual = 0.0


# -- refusals ---------------------------------------------------------------------------------------------


def test_a_sparsifier_that_is_attached_to_nothing_is_refused():
    layer = nn.Linear(2, 1)
    with pytest.raises(ValueError, match=r"not attached: call attach\(\) with the model first"):
        stationarity(layer, lambda: layer.weight.sum(), HardThreshold(0.5))


def test_a_sparsifier_of_another_model_is_refused():
    mine, other = plane([1.0, 0.0]), plane([1.0, 0.0])
    with pytest.raises(ValueError, match="not a trained parameter of this model"):
        stationarity(mine.layer, mine.loss, other.sparsifier)


def test_a_constrained_weight_that_requires_no_gradient_is_refused():
    point = plane([1.0, 0.0])
    point.layer.weight.requires_grad_(False)
    with pytest.raises(ValueError, match="or the weight requires no gradient"):
        point.certificate()


def test_a_frozen_support_is_lifted_for_the_certificate_alone():
    torch.manual_seed(0)
    layer, x = nn.Linear(6, 4, bias=False), torch.randn(20, 6)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    sparsifier = HardThreshold(0.25).attach(layer, optimizer)
    layer(x).sub(1).square().mean().backward()
    optimizer.step()

    def objective() -> Tensor:
        return layer(x).sub(1).square().mean()

    moving = stationarity(layer, objective, sparsifier)
    sparsifier.freeze()
    frozen = stationarity(layer, objective, sparsifier)
    assert frozen.max_gradient_off > 0
    assert frozen.max_gradient_off == pytest.approx(moving.max_gradient_off, rel=1e-5)
    assert frozen.max_gradient_on == pytest.approx(moving.max_gradient_on, rel=1e-5)
    optimizer.zero_grad()
    objective().backward()
    assert not layer.weight.grad[~sparsifier.masks[0]].any()


def test_a_gradient_that_is_not_finite_is_named():
    point = plane([1.0, 0.0])
    point.b[0] = math.nan
    with pytest.raises(ValueError, match="the gradient of weight is not finite in 2 of 2 entries"):
        point.certificate()


def test_a_weight_that_is_not_finite_is_named():
    point = plane([math.nan, 0.0])
    with pytest.raises(ValueError, match="the weight of weight is not finite in 1 of 2 entries"):
        point.certificate()


@pytest.mark.parametrize("tolerance", [-1.0, math.nan, math.inf])
def test_a_broken_tolerance_is_refused(tolerance: float):
    with pytest.raises(ValueError, match="tolerance must be at least 0 and finite; got"):
        plane([1.0, 0.0]).certificate(tolerance=tolerance)


@pytest.mark.parametrize("lipschitz", [0.0, -1.0, math.nan, math.inf, "guess"])
def test_a_broken_lipschitz_constant_is_refused(lipschitz: object):
    with pytest.raises(ValueError, match="lipschitz must be positive and finite, 'estimate' or None; got"):
        plane([1.0, 0.0]).certificate(lipschitz=lipschitz)
