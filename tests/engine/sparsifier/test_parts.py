"""The parts of the base class that a method overrides: each method here is a few lines."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from sparsecore.engine.projection.project import Projection
from sparsecore.engine.sparsifier.base import Sparsifier
from sparsecore.engine.sparsifier.budgets import uniform
from sparsecore.engine.sparsifier.layers import Layer, group_sizes


class PerLayer(Sparsifier):
    """What the methods below share: a fixed density in every layer."""

    def __init__(self, density: float) -> None:
        super().__init__()
        self.density = density

    def groups(self, layers: Sequence[Layer]) -> list[str | None]:
        return [layer.name if layer.prunable else None for layer in layers]

    def budgets(self) -> dict[str, int]:
        return uniform(self.density, group_sizes(self.layers))


class MaskedMagnitude(PerLayer):
    """Prune what is small among what is left; nothing returns."""

    def scores(self, group: str, places: Sequence[int], keep: int) -> list[Tensor]:
        return [self.layers[p].weight.abs().masked_fill(~self.masks[p], -1.0).add_(1.0) for p in places]


class Neurons(PerLayer):
    """Whole output neurons survive: a weight's score is the norm of its row."""

    def scores(self, group: str, places: Sequence[int], keep: int) -> list[Tensor]:
        rows = [self.layers[p].weight.norm(dim=1, keepdim=True) for p in places]
        return [row.expand_as(self.layers[p].weight) for row, p in zip(rows, places, strict=True)]


class Evolving(PerLayer):
    """SET (Mocanu et al., 2018): every `every` steps drop a share of the smallest, grow as many at random."""

    def __init__(self, density: float, every: int, share: float) -> None:
        super().__init__(density)
        self.every, self.share = every, share
        self.random = torch.Generator().manual_seed(0)

    def due(self) -> bool:
        return self.step % self.every == 1

    def select(self, group: str, places: Sequence[int], keep: int) -> Projection:
        (place,) = places
        weight, mask = self.layers[place].weight, self.masks[place]
        before = mask.clone()
        stay = keep if self.step == 1 else round(keep * (1 - self.share))
        size = weight.abs().masked_fill(~mask, -1.0).flatten()
        kept = size.topk(stay).indices
        free = torch.ones_like(size, dtype=torch.bool)
        free[kept] = False
        room = free.nonzero().flatten()
        grown = room[torch.randperm(len(room), generator=self.random)[: keep - stay]]
        mask.zero_().view(-1)[torch.cat([kept, grown])] = True
        weight.masked_fill_(~mask, 0.0)
        self.counts[place].add_(mask)
        return Projection((keep,), float(size[kept].min()), int((mask != before).sum()))


class Shrinking(PerLayer):
    """A penalty on the loss beside the hard constraint."""

    def penalty(self) -> Tensor:
        return 0.1 * sum(layer.weight.abs().sum() for layer in self.layers)


def train(sparsifier: Sparsifier, steps: int) -> list[list[Tensor]]:
    """The masks after each step of a small network."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    sparsifier.attach(model, optimizer)
    x, y = torch.randn(20, 6), torch.randn(20, 4)
    masks = []
    for _ in range(steps):
        optimizer.zero_grad()
        (nn.functional.mse_loss(model(x), y) + sparsifier.penalty()).backward()
        optimizer.step()
        masks.append([mask.clone() for mask in sparsifier.masks])
        for layer, mask in zip(sparsifier.layers, sparsifier.masks, strict=True):
            assert not layer.weight[~mask].any()
            assert int(mask.count_nonzero()) == sparsifier.budgets()[layer.name]
    return masks


def test_masked_magnitude_never_lets_a_weight_return():
    masks = train(MaskedMagnitude(0.5), 10)
    for then, now in itertools.pairwise(masks):
        assert all(not (new & ~old).any() for old, new in zip(then, now, strict=True))


def test_a_score_of_the_row_prunes_whole_neurons():
    for mask in train(Neurons(0.5), 5)[-1]:
        assert all(row.all() or not row.any() for row in mask)


def test_regrowth_happens_at_its_own_pace_and_the_support_is_held_in_between():
    sparsifier = Evolving(0.5, every=4, share=0.25)
    masks = train(sparsifier, 9)
    same = [torch.equal(a[0], b[0]) for a, b in itertools.pairwise(masks)]
    assert same == [True, True, True, False, True, True, True, False]
    assert int((masks[4][0] & ~masks[3][0]).sum()) <= round(24 * 0.25)
    assert int(sparsifier.counts[0].sum()) == 9 * 24


def test_a_penalty_shrinks_what_the_constraint_keeps():
    bare, penalised = PerLayer(0.5), Shrinking(0.5)
    train(bare, 30)
    train(penalised, 30)
    size = [sum(float(layer.weight.detach().abs().sum()) for layer in s.layers) for s in (bare, penalised)]
    assert size[1] < 0.8 * size[0]
