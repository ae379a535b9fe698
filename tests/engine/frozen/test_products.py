"""A frozen layer computed by its non-zeros gives what the dense masked one does; a copy is its own."""

import copy
import json
import pickle
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sparsecore.engine.frozen import layers as frozen_layers
from sparsecore.engine.frozen.linear import Support, sparse_linear
from sparsecore.engine.methods.hard_threshold import HardThreshold
from sparsecore.engine.training.trainer import Training
from tests.engine.frozen.test_freezing import short

CSR = [{"path": "csr", "milliseconds": {"csr": 1.0, "dense": 2.0}}]
DENSE = [{"path": "dense", "milliseconds": {"csr": 2.0, "dense": 1.0}}]
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "fused Adam": partial(torch.optim.Adam, lr=0.01, fused=True),
    "Adam": partial(torch.optim.Adam, lr=0.01, weight_decay=0.1, amsgrad=True),
    "AdamW": partial(torch.optim.AdamW, lr=0.01, weight_decay=0.1),
    "SGD": partial(torch.optim.SGD, lr=0.1),
    "SGD with momentum": partial(torch.optim.SGD, lr=0.1, momentum=0.9, weight_decay=0.01),
    "RMSprop": partial(torch.optim.RMSprop, lr=0.01),
    "Adafactor": partial(torch.optim.Adafactor, lr=0.01),
    "LBFGS": partial(torch.optim.LBFGS, max_iter=1),
}
State = tuple[nn.Module, torch.optim.Optimizer, HardThreshold]


def begin(path: list, name: str = "fused Adam", bias: bool = True) -> State:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(5, 70), nn.Tanh(), nn.Linear(70, 90, bias=bias), nn.Tanh(), nn.Linear(90, 2)
    )
    optimizer = OPTIMIZERS[name](model.parameters())
    sparsifier = HardThreshold(0.1, layers="2").attach(model, optimizer)
    step((model, optimizer, sparsifier))
    sparsifier.freeze()
    sparsifier.frozen.choose(path)
    return model, optimizer, sparsifier


def step(state: State, seed: int = 0, shape: tuple[int, ...] = (65, 5), parts: int = 1) -> None:
    model, optimizer, _ = state
    x = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))

    def closure() -> Tensor:
        optimizer.zero_grad()
        for part in x.chunk(parts):
            loss = (model(part) - 1).square().mean()
            loss.backward()
        return loss

    if isinstance(optimizer, torch.optim.LBFGS):
        optimizer.step(closure)
        return
    closure()
    optimizer.step()


def alike(one: State, other: State, exactly: bool = False) -> bool:
    tolerance = {"rtol": 0.0, "atol": 0.0} if exactly else {"rtol": 1e-4, "atol": 1e-5}
    pairs = [
        *zip(one[0].parameters(), other[0].parameters(), strict=True),
        *((a[k], b[k]) for a, b in zip(*(s[1].state.values() for s in (one, other)), strict=True) for k in a),
    ]
    return all(torch.allclose(a, b, **tolerance) for a, b in pairs if isinstance(a, Tensor))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "LBFGS"])
def test_steps_are_those_of_the_dense_masked_layer(name: str, bias: bool):
    csr, dense = (begin(path, name, bias) for path in (CSR, DENSE))
    for seed, shape in enumerate([(65, 5), (1, 5), (63, 5), (300, 5), (3, 7, 5), (64, 5)]):
        for state in (csr, dense):
            step(state, seed, shape, parts=2)
        assert alike(csr, dense)
    mask = csr[2].masks[[layer.name for layer in csr[2].layers].index("2")]
    weight = csr[0][2].weight
    assert not weight[~mask].any()
    assert not weight.grad[~mask].any()
    assert all(any(weight is p for p in group["params"]) for group in csr[1].param_groups)


def test_an_optimizer_that_calls_a_closure_steps_the_whole_weight():
    csr, dense = (begin(path, "LBFGS") for path in (CSR, DENSE))
    for state in (csr, dense):
        step(state, 1)
    # One step alone: the next amplifies what differs in rounding.
    pairs = zip(csr[0].parameters(), dense[0].parameters(), strict=True)
    assert all(torch.allclose(a, b, rtol=1e-3, atol=1e-4) for a, b in pairs)
    layer = csr[2].frozen.layers[0]
    assert not layer.weight[~layer.mask].any()


@pytest.mark.parametrize("batch", [1, 7, 63, 64, 65, 300])
@pytest.mark.parametrize("kind", ["random", "empty rows and columns", "all zero", "odd sizes"])
def test_products_equal_the_dense_ones(batch: int, kind: str):
    torch.manual_seed(batch)
    height, width = (37, 53) if kind == "odd sizes" else (66, 80)
    mask = torch.rand(height, width) < 0.1
    if kind == "empty rows and columns":
        mask[3:20], mask[:, 30:50] = False, False
    mask &= kind != "all zero"
    weight, bias = (
        (torch.randn(height, width) * mask).requires_grad_(),
        torch.randn(height, requires_grad=True),
    )
    x, dy = torch.randn(batch, width, requires_grad=True), torch.randn(batch, height)
    y, expected = sparse_linear(x, weight, bias, Support(mask)), nn.functional.linear(x, weight, bias)
    torch.testing.assert_close(y, expected, rtol=1e-4, atol=1e-4)
    dx, dweight, dbias = torch.autograd.grad(y, (x, weight, bias), dy)
    for mine, theirs in zip(
        (dx, dweight, dbias), torch.autograd.grad(expected, (x, weight, bias), dy), strict=True
    ):
        theirs = theirs * mask if theirs.shape == mask.shape else theirs
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


def test_a_strided_input_without_gradient_and_a_second_derivative():
    torch.manual_seed(0)
    mask = torch.rand(8, 9) < 0.4
    weight = (torch.randn(8, 9) * mask).requires_grad_()
    x = torch.randn(9, 11).t()
    y = sparse_linear(x, weight, None, Support(mask))
    torch.testing.assert_close(y, x @ weight.t())
    (slope,) = torch.autograd.grad(y.square().sum(), weight, create_graph=True)
    (curve,) = torch.autograd.grad(slope.square().sum(), weight)
    (theirs,) = torch.autograd.grad((x @ weight.t()).square().sum(), weight, create_graph=True)
    (expected,) = torch.autograd.grad((theirs * mask).square().sum(), weight)
    torch.testing.assert_close(curve * mask, expected * mask, rtol=1e-4, atol=1e-3)


def test_the_first_training_batch_decides_once_and_a_slower_way_is_never_taken(monkeypatch):
    for times, path in (({"csr": 1.0, "dense": 2.0}, "csr"), ({"csr": 2.0, "dense": 1.0}, "dense")):
        state = begin([{"path": None, "milliseconds": {}}])
        asked = []
        monkeypatch.setattr(frozen_layers, "measure", lambda *_, t=times, a=asked: a.append(1) or t)
        with torch.no_grad():
            state[0](torch.randn(4, 5))
        assert state[2].frozen.report()[0]["path"] is None
        step(state)
        step(state)
        row = state[2].frozen.report()[0]
        assert (row["path"], row["ratio"], asked) == (path, times["csr"] / times["dense"], [1])
        assert ("forward" in vars(state[0][2])) == (path == "csr")


@pytest.mark.parametrize("way", [copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))])  # noqa: S301
def test_a_copy_computes_with_its_own_weights_and_goes_on_bit_for_bit(way):
    state = begin(CSR)
    step(state, 1)
    copied = way(state)
    assert copied[2].frozen.report() == state[2].frozen.report()
    for each in (state, copied):
        step(each, 2)
        step(each, 3)
    assert alike(state, copied, exactly=True)
    before = state[0][2].weight.detach().clone()
    step(copied, 4)
    assert torch.equal(before, state[0][2].weight)
    assert copied[0][2].forward.__self__.module is copied[0][2]
    alone = copy.deepcopy(state[0])
    alone(torch.randn(4, 5)).sum().backward()
    assert alone[2].weight.grad.count_nonzero() > 0.9 * alone[2].weight.numel()


def test_the_choice_is_in_the_state_and_a_loaded_run_goes_on_bit_for_bit():
    state = begin(CSR)
    step(state, 1)
    rest = state[2].state_dict()
    json.dumps(rest["frozen_layers"])
    other = begin(DENSE)
    for mine, saved in zip(other, copy.deepcopy([part.state_dict() for part in state]), strict=True):
        mine.load_state_dict(saved)
    assert other[2].frozen.report()[0]["path"] == "csr"
    for each in (state, other):
        step(each, 2)
    assert alike(state, other, exactly=True)


def test_a_paper_size_run_goes_on_from_its_checkpoint_bit_for_bit():
    config = short(size="paper", method="layerwise", density=0.05, freeze_at=3)
    training, other = Training(config), Training(config)
    for _ in range(6):
        training.advance()
    assert training.sparsifier.frozen.report()[0]["path"] is not None
    other.restore(training.checkpoint())
    assert other.sparsifier.frozen.report() == training.sparsifier.frozen.report()
    for _ in range(3):
        training.advance()
        other.advance()
    assert all(
        torch.equal(a, b) for a, b in zip(training.before.parameters, other.before.parameters, strict=True)
    )


def test_lifted_gradients_are_whole_and_thawed_it_is_an_ordinary_module():
    state = begin(CSR)
    model, _, sparsifier = state
    mask = sparsifier.frozen.layers[0].mask
    x = torch.randn(30, 5)
    with sparsifier.frozen.lifted():
        model(x).sum().backward()
    assert model[2].weight.grad[~mask].any()
    sparsifier.unfreeze()
    assert "forward" not in vars(model[2])
    assert not model[2].weight._backward_hooks
    model.zero_grad()
    model(x).sum().backward()
    assert model[2].weight.grad[~mask].any()


def test_what_others_write_to_the_weight_between_steps_counts():
    csr, dense = begin(CSR), begin(DENSE)
    for state in (csr, dense):
        for seed in range(3):
            step(state, seed)
            weight = state[0][2].weight
            with torch.no_grad():
                weight.add_(0.01 * state[2].frozen.layers[0].mask)
            weight.data.mul_(0.9)
            weight.grad.mul_(0.5)
            state[1].step()
    assert alike(csr, dense)
    with torch.no_grad():
        weight = csr[0][2].weight.fill_(1.0)
    step(csr)
    assert not weight[~csr[2].frozen.layers[0].mask].any()


@pytest.mark.parametrize("case", ["double", "autocast", "eval", "functional"])
def test_what_the_compiled_path_cannot_do_stays_dense(case: str, monkeypatch):
    monkeypatch.setattr(frozen_layers, "sparse_linear", lambda *_: pytest.fail("not to be called"))
    model, _, _ = begin(CSR)
    x = torch.randn(8, 5)
    if case == "double":
        assert model.double()(x.double()).dtype is torch.float64
    elif case == "autocast":
        with torch.autocast("cpu", torch.bfloat16):
            model(x).sum().backward()
    elif case == "eval":
        model.eval()(x).sum().backward()
    else:
        given = dict(model.named_parameters())
        torch.func.grad(lambda p: torch.func.functional_call(model, p, (x,)).sum())(given)


def test_inside_torch_compile_the_dense_way_gives_the_same_gradients():
    model, _, _ = begin(CSR)
    x = torch.randn(65, 5)
    found = []
    for network in (torch.compile(model, backend="eager"), model):
        model.zero_grad()
        network(x).sum().backward()
        found.append(model[2].weight.grad.clone())
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("reentrant", [True, False])
def test_activation_checkpointing_recomputes_what_it_saved(reentrant: bool, monkeypatch):
    monkeypatch.setattr(frozen_layers, "measure", lambda *_: {"csr": 1.0, "dense": 2.0})
    state = begin([{"path": None, "milliseconds": {}}])
    for _ in range(3):
        state[1].zero_grad()
        x = torch.randn(65, 5, requires_grad=True)
        checkpoint(state[0], x, use_reentrant=reentrant).square().mean().backward()
        state[1].step()
    assert state[2].frozen.report()[0]["path"] == "csr"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("way", ["script", "export"])
def test_a_frozen_network_is_scripted_and_exported(way: str):
    model, x = begin(CSR)[0], torch.randn(3, 5)
    made = torch.jit.script(model) if way == "script" else torch.export.export(model, (x,)).module()
    torch.testing.assert_close(made(x), model(x), rtol=1e-4, atol=1e-5)
