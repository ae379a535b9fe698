"""The built-in corpus: sentences generated from CVSS v3.1 vectors, graded by their official base score."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from sparsecore.corpora.corpus import GRADES, Corpus
from sparsecore.corpora.cvss import METRICS, base_score, grade_of_score

# The phrases of the texts; the comments of the file explain them.
PHRASES = tomllib.loads(Path(__file__).with_name("phrases.toml").read_text(encoding="utf-8"))

# A limit for one request from a page: about 10 s and 50 MB. The thesis's own corpus has 56 k texts.
MAX_COUNT = 100_000
BUILT_IN_SEED = 2024  # the built-in texts are one fixed set; the run's seed only splits it

# Probabilities of each metric's values, in the order of METRICS, and of the three impacts jointly, which
# depend on each other in real records. They give each grade a learnable share: 11, 41, 34 and 14 %, summed
# over all vectors.
MARGINALS = {
    "AV": (0.6, 0.12, 0.2, 0.08),
    "AC": (0.72, 0.28),
    "PR": (0.58, 0.28, 0.14),
    "UI": (0.65, 0.35),
    "S": (0.68, 0.32),
}
IMPACT_PROFILES = {
    **{"HHH": 0.42, "HHN": 0.05, "HNN": 0.1, "NHN": 0.03, "NNH": 0.11},
    **{"LLL": 0.03, "LLN": 0.1, "LNN": 0.08, "NLN": 0.04, "NNL": 0.04},
}


class _Sampler:
    """Draw random values from a PCG64 stream.

    It uses only uniform doubles: NumPy guarantees the stream itself across versions, but not how it derives
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
    """Generate `count` distinct Chinese descriptions with their grades, identical on every machine.

    Each sentence puts the metrics of a random CVSS v3.1 base vector into words; the grade is that of the
    official base score. With probability `noise` a label is replaced by one of the three other grades. A
    larger count with the same seed starts with the same texts; `noise` does not change the texts. Raises
    ValueError unless 1 ≤ count ≤ `MAX_COUNT`, seed ≥ 0 and 0 ≤ noise ≤ 1.

    >>> corpus = generate(1, seed=0)
    >>> corpus.name, corpus.generated, len(corpus.texts)
    ('generated-1-seed-0', True, 1)
    """
    _check(count, seed, noise)
    rng, noise_rng = _Sampler(seed), _Sampler(seed, 1)
    grades: dict[str, int] = {}
    while len(grades) < count:
        vector = _vector(rng)
        text = _text(vector, rng)
        if text not in grades:
            grades[text] = _with_noise(grade_of_metrics(vector), noise, noise_rng)
    name = f"generated-{count}-seed-{seed}" + (f"-noise-{noise:g}" if noise else "")
    return Corpus(name, tuple(grades), tuple(grades.values()), {}, generated=True)


def grade_of_metrics(vector: Mapping[str, str]) -> int:
    """Return the index in `GRADES` of a base vector given as metric → value.

    >>> grade_of_metrics(dict(AV="N", AC="L", PR="N", UI="N", S="U", C="H", I="H", A="H"))
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
        raise ValueError(f"noise must be a probability from 0 to 1, got {noise}.")


def _with_noise(grade: int, noise: float, rng: _Sampler) -> int:
    """Replace a grade with probability `noise`.

    Both numbers are drawn at any noise, so that a higher noise only adds wrong labels.
    """
    replaced, shift = rng.uniform() < noise, 1 + rng.below(len(GRADES) - 1)
    return (grade + shift) % len(GRADES) if replaced else grade


def _vector(rng: _Sampler) -> dict[str, str]:
    vector = {metric: rng.weighted(METRICS[metric], shares) for metric, shares in MARGINALS.items()}
    profile = rng.weighted(tuple(IMPACT_PROFILES), tuple(IMPACT_PROFILES.values()))
    return vector | dict(zip(PHRASES["properties"], profile, strict=True))


def _text(vector: Mapping[str, str], rng: _Sampler) -> str:
    def phrase(metric: str) -> str:
        return rng.pick(PHRASES["values"][metric][vector[metric]])

    platform = rng.pick(PHRASES["platforms"][vector["AV"]])
    flaws = (flaw for flaw in PHRASES["flaws"] if platform in flaw["platforms"])
    flaw = rng.pick([flaw for flaw in flaws if _fits(flaw["needs"], vector)])
    interaction = "none" if vector["UI"] == "N" else platform
    return rng.pick(PHRASES["templates"]).format(
        product=_product(platform, rng),
        flaw=flaw["name"],
        cause=rng.pick(flaw["causes"]),
        attacker=phrase("AV") + phrase("PR"),
        exploit=rng.pick(PHRASES["exploits"]),
        impacts=_impacts(vector, phrase, rng),
        ease=f"{phrase('AC')}，{rng.pick(PHRASES['interaction'][interaction])}",
        limits=phrase("S") + _unharmed(vector, rng),
    )


def _fits(needs: Mapping[str, str], vector: Mapping[str, str]) -> bool:
    return all(vector[metric] in values for metric, values in needs.items())


def _product(platform: str, rng: _Sampler) -> str:
    number = f"{1 + rng.below(9)}.{rng.below(10)}"
    vendor, product = rng.pick(PHRASES["vendors"]), rng.pick(PHRASES["products"][platform])
    return vendor + product + rng.pick(PHRASES["versions"]).format(number)


def _impacts(vector: Mapping[str, str], phrase: Callable[[str], str], rng: _Sampler) -> str:
    """List the possible impacts in random order."""
    parts = [phrase(metric) for metric in PHRASES["properties"] if vector[metric] != "N"]
    return "、".join(parts.pop(rng.below(len(parts))) for _ in range(len(parts)))


def _unharmed(vector: Mapping[str, str], rng: _Sampler) -> str:
    names = [name for metric, name in PHRASES["properties"].items() if vector[metric] == "N"]
    return f"，{'和'.join(names)}{rng.pick(PHRASES['unharmed'])}" if names else ""
