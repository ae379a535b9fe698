"""The built-in corpus: sentences made from CVSS v3.1 vectors, graded by their official base score."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from sparsecore.corpora.corpus import GRADES, Corpus
from sparsecore.corpora.cvss import METRICS, base_score, grade_of_score
from sparsecore.corpora.phrases import (
    ATTACK_VECTOR,
    COMPLEXITY,
    EXPLOITS,
    FLAWS,
    HOMES_OF_ATTACK_VECTOR,
    IMPACTS,
    INTERACTION,
    NO_INTERACTION,
    PRIVILEGES,
    PRODUCTS,
    PROPERTIES,
    SCOPE,
    TEMPLATES,
    UNHARMED,
    VENDORS,
    VERSIONS,
)

NOTICE = MappingProxyType(
    {
        "en": "These descriptions are generated sentences, graded by the CVSS v3.1 formula; "
        "they describe no real product or vulnerability.",
        "zh": "这些描述是由本程序生成的句子，等级按 CVSS v3.1 公式计算，不对应任何真实产品或漏洞。",
    }
)

# A limit on one request of a page: about 10 s and 50 MB. The thesis's own corpus has 56 k texts.
MAX_COUNT = 100_000
BUILT_IN_SEED = 2024  # the built-in texts are one fixed set; the run's seed splits it

# Probabilities of each metric's values, in the order of METRICS, and of the three impacts together, which
# depend on each other in real records. Chosen so that every grade has a share to learn from: 11, 41, 34 and
# 14 %, summed over all vectors.
MARGINALS = MappingProxyType(
    {
        "AV": (0.6, 0.12, 0.2, 0.08),
        "AC": (0.72, 0.28),
        "PR": (0.58, 0.28, 0.14),
        "UI": (0.65, 0.35),
        "S": (0.68, 0.32),
    }
)
IMPACT_PROFILES = MappingProxyType(
    {
        **{"HHH": 0.42, "HHN": 0.05, "HNN": 0.1, "NHN": 0.03, "NNH": 0.11},
        **{"LLL": 0.03, "LLN": 0.1, "LNN": 0.08, "NLN": 0.04, "NNL": 0.04},
    }
)


class _Dice:
    """Draws from a PCG64 stream.

    Only uniform doubles are taken from it: NumPy promises the stream itself for ever, but not how it makes
    integers, choices and shuffles (NEP 19).
    """

    def __init__(self, *seed: int) -> None:
        self.uniform = np.random.Generator(np.random.PCG64(seed)).random

    def below(self, limit: int) -> int:
        return int(self.uniform() * limit)

    def pick(self, options: Sequence) -> object:
        return options[self.below(len(options))]

    def weighted(self, options: Sequence, probabilities: Sequence[float]) -> object:
        rest = self.uniform()
        for option, probability in zip(options, probabilities, strict=True):
            rest -= probability
            if rest < 0:
                return option
        return options[-1]


def generate(count: int, seed: int, noise: float = 0.0) -> Corpus:
    """`count` different Chinese descriptions with their grades, the same on every machine.

    Each metric of a random CVSS v3.1 base vector is said in words; the grade is that of the official base
    score. With probability `noise` a label is one of the three other grades. A larger count with the same
    seed begins with the same texts; another noise leaves the texts as they are. Raises ValueError unless
    1 ≤ count ≤ `MAX_COUNT`, seed ≥ 0 and 0 ≤ noise ≤ 1.

    >>> corpus = generate(1, seed=0)
    >>> corpus.name, corpus.generated, len(corpus.texts)
    ('generated-1-seed-0', True, 1)
    """
    _check(count, seed, noise)
    dice, noise_dice = _Dice(seed), _Dice(seed, 1)
    grades: dict[str, int] = {}
    while len(grades) < count:
        vector = _vector(dice)
        text = _text(vector, dice)
        if text not in grades:
            grades[text] = _noisy(grade_of_vector(vector), noise, noise_dice)
    name = f"generated-{count}-seed-{seed}" + (f"-noise-{noise:g}" if noise else "")
    return Corpus(name, tuple(grades), tuple(grades.values()), {}, generated=True)


def grade_of_vector(vector: Mapping[str, str]) -> int:
    """The index in `GRADES` of a base vector given as metric → value.

    >>> grade_of_vector(dict(AV="N", AC="L", PR="N", UI="N", S="U", C="H", I="H", A="H"))
    3
    """
    return grade_of_score(
        base_score("CVSS:3.1/" + "/".join(f"{metric}:{vector[metric]}" for metric in METRICS))
    )


def _check(count: int, seed: int, noise: float) -> None:
    if not 1 <= count <= MAX_COUNT:
        raise ValueError(f"count must be 1 to {MAX_COUNT}, got {count}.")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}.")
    if not 0 <= noise <= 1:
        raise ValueError(f"noise is a probability, 0 to 1, got {noise}.")


def _noisy(grade: int, noise: float, dice: _Dice) -> int:
    """Both numbers are drawn at any noise, so that raising it only adds wrong labels."""
    replaced, shift = dice.uniform() < noise, 1 + dice.below(len(GRADES) - 1)
    return (grade + shift) % len(GRADES) if replaced else grade


def _vector(dice: _Dice) -> dict[str, str]:
    vector = {metric: dice.weighted(METRICS[metric], shares) for metric, shares in MARGINALS.items()}
    profile = dice.weighted(tuple(IMPACT_PROFILES), tuple(IMPACT_PROFILES.values()))
    return vector | dict(zip(IMPACTS, profile, strict=True))


def _text(vector: Mapping[str, str], dice: _Dice) -> str:
    home = dice.pick(HOMES_OF_ATTACK_VECTOR[vector["AV"]])
    flaw = dice.pick([flaw for flaw in FLAWS if home in flaw.homes and _fits(flaw.needs, vector)])
    return dice.pick(TEMPLATES).format(
        product=_product(home, dice),
        flaw=flaw.name,
        cause=dice.pick(flaw.causes),
        attacker=dice.pick(ATTACK_VECTOR[vector["AV"]]) + dice.pick(PRIVILEGES[vector["PR"]]),
        exploit=dice.pick(EXPLOITS),
        impacts=_impacts(vector, dice),
        ease=_ease(vector, home, dice),
        limits=_limits(vector, dice),
    )


def _fits(needs: Mapping[str, str], vector: Mapping[str, str]) -> bool:
    return all(vector[metric] in values for metric, values in needs.items())


def _product(home: str, dice: _Dice) -> str:
    number = f"{1 + dice.below(9)}.{dice.below(10)}"
    return dice.pick(VENDORS) + dice.pick(PRODUCTS[home]) + dice.pick(VERSIONS).format(number)


def _impacts(vector: Mapping[str, str], dice: _Dice) -> str:
    """What the attacker can do, in a random order."""
    parts = [dice.pick(IMPACTS[metric][vector[metric]]) for metric in IMPACTS if vector[metric] != "N"]
    return "、".join(parts.pop(dice.below(len(parts))) for _ in range(len(parts)))


def _ease(vector: Mapping[str, str], home: str, dice: _Dice) -> str:
    interaction = NO_INTERACTION if vector["UI"] == "N" else INTERACTION[home]
    return dice.pick(COMPLEXITY[vector["AC"]]) + "，" + dice.pick(interaction)


def _limits(vector: Mapping[str, str], dice: _Dice) -> str:
    scope = dice.pick(SCOPE[vector["S"]])
    unharmed = [name for metric, name in PROPERTIES.items() if vector[metric] == "N"]
    return f"{scope}，{'和'.join(unharmed)}{dice.pick(UNHARMED)}" if unharmed else scope
