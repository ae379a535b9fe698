"""Methods by name: the class that a card names, made for a run."""

from __future__ import annotations

from sparsecore.engine.cards import methods
from sparsecore.engine.config import RunConfig
from sparsecore.engine.sparsifier.base import Sparsifier


def make(config: RunConfig) -> Sparsifier:
    """The sparsifier of a config's method, made with the arguments and the parameters of its card.

    A `CardError` where its class cannot be used.
    """
    card = methods()[config.method]
    found = card.load(Sparsifier)
    brought = {name: getattr(config, name) for name in card.own}
    return found(**found.arguments(config) | card.arguments | brought)


def follow(sparsifier: Sparsifier, config: RunConfig, before: RunConfig) -> None:
    """Have a sparsifier take over the live parameters of its run, which have changed since `before`."""
    own = methods()[config.method].own
    sparsifier.follow(config, before, [name for name, each in own.items() if each.live])
