"""The constraint holds after the outermost step, and who else moves the weights is told."""

import copy
import subprocess
import sys
import warnings

import pytest
import torch
from torch import nn

from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.sparsifier.schedules import Cubic


class Lookahead(torch.optim.Optimizer):
    """Moves the weights back on slow ones after every second step of what it wraps."""

    def __init__(self, inner: torch.optim.Optimizer) -> None:
        self.optimizer, self.taken = inner, 0
        self.param_groups, self.defaults, self.state = inner.param_groups, inner.defaults, inner.state
        self.slow = [[p.detach().clone() for p in group["params"]] for group in self.param_groups]

    @torch.no_grad()
    def step(self, closure=None) -> None:
        self.optimizer.step(closure)
        self.taken += 1
        if self.taken % 2 == 0:
            for group, slow in zip(self.param_groups, self.slow, strict=True):
                for p, s in zip(group["params"], slow, strict=True):
                    p.data.copy_(s.add_(p - s, alpha=0.5))


class SAM(torch.optim.Optimizer):
    """Foret et al. (2021), used by its two halves."""

    def __init__(self, params, rho: float = 0.05) -> None:
        super().__init__(params, {"rho": rho})
        self.base_optimizer = torch.optim.SGD(self.param_groups, lr=0.1)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def first_step(self) -> None:
        for p in self.param_groups[0]["params"]:
            self.state[p]["old"] = p.data.clone()
            p.add_(p.grad, alpha=0.05)

    @torch.no_grad()
    def second_step(self) -> None:
        for p in self.param_groups[0]["params"]:
            p.data = self.state[p]["old"]
        self.base_optimizer.step()


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), nn.Tanh(), nn.Linear(12, 5))


def differentiate(model: nn.Module) -> None:
    model.zero_grad()
    model(torch.randn(16, 6)).square().mean().backward()


def nonzeros(model: nn.Module) -> int:
    return sum(int(layer.weight.count_nonzero()) for layer in (model[0], model[2]))


@pytest.fixture(autouse=True)
def _no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_the_weights_are_cut_after_a_wrapper_has_moved_them():
    model = network()
    optimizer = Lookahead(torch.optim.Adam(model.parameters(), lr=0.1))
    sparsifier = HardThreshold(0.2).attach(model, optimizer)
    for step in range(1, 7):
        differentiate(model)
        optimizer.step()
        assert (nonzeros(model), sparsifier.step) == (26, step)
    sparsifier.detach()
    assert "step" not in vars(optimizer)


def test_both_halves_of_sam_are_one_step():
    model = network()
    optimizer = SAM(model.parameters())
    sparsifier = HardThreshold(0.2).attach(model, optimizer)
    for step in range(1, 5):
        for half in (optimizer.first_step, optimizer.second_step):
            differentiate(model)
            half()
        assert (nonzeros(model), sparsifier.step) == (26, step)


def test_a_wrapper_that_came_later_is_told_once():
    model = network()
    inner = torch.optim.Adam(model.parameters(), lr=0.1)
    HardThreshold(0.2).attach(model, inner)
    optimizer = Lookahead(inner)

    def steps(count: int) -> None:
        for _ in range(count):
            differentiate(model)
            optimizer.step()

    with pytest.warns(UserWarning, match="weights outside the support were not zero before step 3"):
        steps(4)
    steps(4)  # a second warning would be an error


def test_what_a_wrapper_puts_in_place_of_the_weights_between_steps_is_told_once():
    class Averaging(Lookahead):
        """As torchcontrib's SWA: `swap_swa_sgd` puts the averages in, past every version counter."""

        def swap_swa_sgd(self) -> None:
            for group, slow in zip(self.param_groups, self.slow, strict=True):
                for p, s in zip(group["params"], slow, strict=True):
                    p.data.copy_(s)

    model = network()
    optimizer = Averaging(torch.optim.Adam(model.parameters(), lr=0.1))
    sparsifier = HardThreshold(0.2).attach(model, optimizer)
    differentiate(model)
    optimizer.step()
    with pytest.warns(
        UserWarning, match=r"outside the support were not zero after swap_swa_sgd: project_copy"
    ):
        optimizer.swap_swa_sgd()
    assert nonzeros(sparsifier.project_copy(model)) == 26
    optimizer.swap_swa_sgd()  # a second warning would be an error


def test_parameters_that_the_optimiser_does_not_know_are_told_once():
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    HardThreshold(0.2).attach(model, optimizer)
    model.load_state_dict(copy.deepcopy(model.state_dict()), assign=True)
    differentiate(model)
    with pytest.warns(
        UserWarning, match=r"another parameter in place of 0, 2, such as after load_state_dict"
    ):
        optimizer.step()
    optimizer.step()


@pytest.mark.parametrize("mode", ["iht", "latent"])
@pytest.mark.parametrize("freeze_at", [None, 2])
def test_parameters_that_the_optimiser_takes_over_are_held(mode: str, freeze_at: int | None):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    sparsifier = HardThreshold(0.2, mode=mode, freeze_at=freeze_at).attach(model, optimizer)
    for step in range(1, 7):
        differentiate(model)
        optimizer.step()
        assert (nonzeros(model), sparsifier.step) == (26, step)
        if step == 3:
            model.load_state_dict(copy.deepcopy(model.state_dict()), assign=True)
            optimizer.param_groups[0]["params"] = list(model.parameters())
    assert [layer.weight for layer in sparsifier.layers] == [model[0].weight, model[2].weight]
    assert all(int(count.max()) == 6 for count in sparsifier.counts)


def test_an_optimiser_saved_with_the_constraint_resumes_its_schedule():
    def begin(end: float) -> tuple[nn.Module, torch.optim.Optimizer, HardThreshold]:
        return (model := network()), torch.optim.Adam(model.parameters()), HardThreshold(Cubic(1.0, end, 10))

    model, optimizer, sparsifier = begin(0.2)
    sparsifier.attach(model, optimizer)
    for _ in range(4):
        differentiate(model)
        optimizer.step()
    assert not any(name.startswith("sparsifier") for name in optimizer.param_groups[0])
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    for end, first, step in ((0.2, True, 4), (0.2, False, 4), (0.3, True, 0)):
        model, optimizer, other = begin(end)
        if not first:
            other.attach(model, optimizer)
        model.load_state_dict(saved[0])
        optimizer.load_state_dict(copy.deepcopy(saved[1]))
        if first:
            other.attach(model, optimizer)
        assert (other.step, other.density == sparsifier.density) == (step, step == 4)


def test_a_compiled_step_is_projected():
    model = network()
    optimizer = torch.optim.Adam(model.parameters())
    HardThreshold(0.2).attach(model, optimizer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        step = torch.compile(optimizer.step, backend="eager")
        for _ in range(2):
            differentiate(model)
            step()
    assert nonzeros(model) == 26


def test_a_copy_of_averages_is_projected_and_the_training_is_not():
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    sparsifier = HardThreshold(0.2).attach(model, optimizer)
    average = torch.optim.swa_utils.AveragedModel(model)
    for _ in range(5):
        differentiate(model)
        optimizer.step()
        average.update_parameters(model)
    assert nonzeros(average.module) > 26
    masks = [mask.clone() for mask in sparsifier.masks]
    sparsifier.project_copy(average)
    assert nonzeros(average.module) == 26
    assert all(torch.equal(a, b) for a, b in zip(masks, sparsifier.masks, strict=True))
    assert int(sum(count.sum() for count in sparsifier.counts)) == 5 * 26
    with pytest.raises(ValueError, match="the copy has no weight 2"):
        sparsifier.project_copy(nn.Sequential(nn.Linear(6, 12)))


def test_the_compiler_of_torch_is_not_loaded_before_there_is_an_optimiser():
    code = "import sys, sparsecore.engine.training.trainer; sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
