from itertools import combinations

import pytest

from sparsecore.corpora.cvss import METRICS
from sparsecore.corpora.phrases import (
    ATTACK_VECTOR,
    COMPLEXITY,
    FLAWS,
    IMPACTS,
    INTERACTION,
    NO_INTERACTION,
    PLATFORMS_OF_ATTACK_VECTOR,
    PRIVILEGES,
    PRODUCTS,
    SCOPE,
    TEMPLATES,
)

INTERACTIONS = {
    "N": NO_INTERACTION,
    "R": tuple(phrase for phrases in INTERACTION.values() for phrase in phrases),
}
TABLES = {"AV": ATTACK_VECTOR, "AC": COMPLEXITY, "PR": PRIVILEGES, "UI": INTERACTIONS, "S": SCOPE, **IMPACTS}


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_value_has_several_phrases_of_its_own(metric):
    table = TABLES[metric]
    said = set(METRICS[metric]) - ({"N"} if metric in IMPACTS else set())
    assert set(table) == said
    assert all(len(set(phrases)) >= 2 for phrases in table.values())
    for one, other in combinations(table.values(), 2):
        assert not any(a in b or b in a for a in one for b in other)


def test_every_flaw_names_existing_platforms_and_metrics():
    for flaw in FLAWS:
        assert set(flaw.platforms) <= set(PRODUCTS)
        assert all(set(values) <= set(METRICS[metric]) for metric, values in flaw.needs.items())
        assert len(flaw.causes) >= 2


def test_every_platform_belongs_to_one_attack_vector():
    homes = [home for places in PLATFORMS_OF_ATTACK_VECTOR.values() for home in places]
    assert sorted(homes) == sorted(PRODUCTS)
    assert set(INTERACTION) == set(PRODUCTS)


def test_every_template_uses_every_clause_once():
    for template in TEMPLATES:
        for part in ("product", "flaw", "cause", "attacker", "exploit", "impacts", "ease", "limits"):
            assert template.count(f"{{{part}}}") == 1
