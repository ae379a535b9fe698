"""The full-batch gradient, chunk by chunk, leaves no trace in the training."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sparsecore.engine.analysis.derivatives import gradient, untouched, variables


class Stateful(nn.Module):
    """A network in which a forward pass changes buffers and draws random numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 8)
        self.norm = nn.BatchNorm1d(8)
        self.dropout = nn.Dropout(0.5)
        self.outer = nn.Linear(8, 1)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1  # another tensor, not the same one changed
        return self.outer(self.dropout(torch.relu(self.norm(self.inner(x)))))


def stateful() -> Stateful:
    torch.manual_seed(0)
    return Stateful()


def inputs(seed: int = 1) -> Tensor:
    return torch.randn(16, 3, generator=torch.Generator().manual_seed(seed))


def full_gradient(model: nn.Module, closure) -> dict[str, Tensor]:
    with untouched(model):
        return gradient(variables(model), closure).of


# -- chunks -----------------------------------------------------------------------------------------------


def test_the_gradient_of_a_scalar_by_hand():
    w = torch.tensor([1.0, -2.0], requires_grad=True)
    found = gradient({"w": w}, lambda: (w * w).sum())
    assert found.of["w"].tolist() == [2.0, -4.0]
    assert found.objective == 5.0
    assert found.chunks == 1


def test_chunks_sum_to_the_objective_and_its_gradient():
    w = torch.tensor([1.0, -2.0], requires_grad=True)
    found = gradient({"w": w}, lambda: [w[0] ** 2, w[1] ** 2, 3 * w[0]])
    assert found.of["w"].tolist() == [5.0, -4.0]
    assert found.objective == 8.0
    assert found.chunks == 3


def test_a_parameter_that_no_chunk_uses_has_gradient_zero():
    w, unused = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    assert gradient({"w": w, "unused": unused}, lambda: w.sum()).of["unused"].tolist() == [0.0, 0.0, 0.0]


def test_a_chunk_is_differentiated_before_the_next_one_is_asked_for():
    w, log = torch.ones((), requires_grad=True), []

    def chunks() -> Iterator[Tensor]:
        for number in range(3):
            log.append(f"asked {number}")
            loss = w * number
            loss.register_hook(lambda _, number=number: log.append(f"differentiated {number}"))
            yield loss

    gradient({"w": w}, chunks)
    assert log == [f"{what} {number}" for number in range(3) for what in ("asked", "differentiated")]


def test_many_small_chunks_of_a_half_precision_weight_are_not_lost():
    w = torch.ones((), dtype=torch.bfloat16, requires_grad=True)
    found = gradient({"w": w}, lambda: (w * 1.0 for _ in range(1_000)))
    assert found.of["w"].item() == 1_000  # bfloat16 counts to 256


@pytest.mark.parametrize(
    ("closure", "message"),
    [
        (lambda w: [], "returned no loss"),
        (lambda w: w, r"must return scalar tensors; chunk 0 is \(2,\)"),
        (lambda w: [w.sum(), 1.5], "must return scalar tensors; chunk 1 is float"),
        (lambda w: w.sum().detach(), "chunk 0 of loss_closure depends on no parameter"),
    ],
)
def test_a_closure_that_gives_no_objective_is_told_so(closure, message: str):
    w = torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match=message):
        gradient({"w": w}, lambda: closure(w))


def test_a_gradient_that_is_not_finite_is_named():
    w, v = torch.zeros(2, requires_grad=True), torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="the gradient of w is not finite in 2 of 2 entries"):
        gradient({"v": v, "w": w}, lambda: w.sqrt().sum() + v.sum())


def test_a_parameter_that_is_not_trained_is_no_variable():
    model = nn.Linear(2, 1)
    model.bias.requires_grad_(False)
    assert list(variables(model)) == ["weight"]


# -- no trace ---------------------------------------------------------------------------------------------


def test_no_grad_is_written_and_none_is_lost():
    model = stateful()
    kept = torch.randn_like(model.inner.weight)
    model.inner.weight.grad = kept
    before = kept.clone()
    full_gradient(model, lambda: model(inputs()).square().sum())
    assert model.inner.weight.grad is kept
    assert torch.equal(kept, before)
    assert all(p.grad is None for name, p in model.named_parameters() if name != "inner.weight")


def test_no_accumulation_hook_runs():
    model, ran = stateful(), []
    model.inner.weight.register_post_accumulate_grad_hook(ran.append)
    full_gradient(model, lambda: model(inputs()).sum())
    assert ran == []


def test_a_closure_that_drops_gradients_or_changes_the_mode_does_no_harm():
    model = stateful()
    kept = model.inner.weight.grad = torch.ones_like(model.inner.weight)
    model.norm.eval()

    def closure() -> Tensor:
        model.zero_grad(set_to_none=True)
        model.eval()
        return model(inputs()).sum()

    full_gradient(model, closure)
    assert model.inner.weight.grad is kept
    assert [model.training, model.norm.training, model.dropout.training] == [True, False, True]


def test_buffers_are_what_they_were_and_the_same_tensors():
    model = stateful()
    model(inputs())
    before = {name: (buffer, buffer.clone()) for name, buffer in model.named_buffers()}
    full_gradient(model, lambda: (model(inputs(seed)).sum() for seed in range(3)))
    for name, buffer in model.named_buffers():
        assert buffer is before[name][0], name
        assert torch.equal(buffer, before[name][1]), name


def test_random_states_are_what_they_were():
    model = stateful()

    def closure() -> Tensor:
        return model(inputs()).sum() * (random.random() + np.random.rand())

    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    full_gradient(model, closure)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    assert np.random.get_state()[1].tolist() == before[2]


def test_an_error_leaves_no_trace_either():
    model = stateful()
    state, buffers = torch.get_rng_state(), [buffer.clone() for buffer in model.buffers()]

    def closure() -> Iterator[Tensor]:
        yield model(inputs()).sum()
        raise KeyError("the data ran out")

    with pytest.raises(KeyError, match="the data ran out"):
        full_gradient(model, closure)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(now, then) for now, then in zip(model.buffers(), buffers, strict=True))


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_gradients_are_switched_on_where_the_caller_has_them_off(off):
    model, data = stateful(), inputs()
    expected = full_gradient(model, lambda: model(data).sum())
    with off():
        found = full_gradient(model, lambda: model(data).sum())
        assert not torch.is_grad_enabled()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_two_evaluations_in_a_row_see_the_same_random_numbers():
    model = stateful()
    first = full_gradient(model, lambda: model(inputs()).sum())
    second = full_gradient(model, lambda: model(inputs()).sum())
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_training_goes_on_as_if_nothing_had_been_evaluated():
    def trained(evaluate: bool) -> list[Tensor]:
        model = stateful()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
        for step in range(5):
            optimizer.zero_grad()
            model(inputs(step)).square().mean().backward()
            if evaluate:
                full_gradient(model, lambda: (model(inputs(seed)).square().mean() for seed in range(3)))
            optimizer.step()
        return [*model.parameters(), *model.buffers(), torch.rand(3)]

    pairs = zip(trained(evaluate=False), trained(evaluate=True), strict=True)
    assert all(torch.equal(without, having) for without, having in pairs)
