from collections import Counter
from itertools import chain, combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsecore.corpora.corpus import GRADES
from sparsecore.corpora.cvss import METRICS
from sparsecore.corpora.generator import (
    IMPACT_PROFILES,
    MARGINALS,
    MAX_COUNT,
    PHRASES,
    _fits,
    generate,
    grade_of_metrics,
)
from sparsecore.corpora.storage import corpus_id

INTERACTION = dict(PHRASES["interaction"])
NO_INTERACTION = INTERACTION.pop("none")
TABLES = PHRASES["values"] | {"UI": {"N": NO_INTERACTION, "R": [*chain(*INTERACTION.values())]}}


@pytest.fixture(scope="module")
def corpus():
    return generate(2000, seed=0)


def vector_read_back(text):
    vector = {}
    for metric, table in TABLES.items():
        values = {value for value, phrases in table.items() if any(phrase in text for phrase in phrases)}
        if metric in PHRASES["properties"] and PHRASES["properties"][metric] in text:
            values.add("N")
        assert len(values) == 1, (metric, values, text)
        vector[metric] = values.pop()
    return vector


def test_the_grade_can_be_recovered_from_the_text(corpus):
    for text, label in zip(corpus.texts, corpus.labels, strict=True):
        assert grade_of_metrics(vector_read_back(text)) == label


def test_the_flaw_fits_the_vector(corpus):
    names = {flaw["name"]: flaw for flaw in PHRASES["flaws"]}
    for text in corpus.texts:
        vector = vector_read_back(text)
        flaw = next(flaw for name, flaw in names.items() if f"{name}漏洞" in text)
        assert all(vector[metric] in values for metric, values in flaw["needs"].items())
        assert any(cause in text for cause in flaw["causes"])


def test_every_possible_vector_has_a_compatible_flaw():
    for values in product(*(METRICS[metric] for metric in MARGINALS)):
        for profile in IMPACT_PROFILES:
            vector = dict(zip(METRICS, (*values, *profile), strict=True))
            for platform in PHRASES["platforms"][vector["AV"]]:
                assert any(
                    platform in flaw["platforms"] and _fits(flaw["needs"], vector)
                    for flaw in PHRASES["flaws"]
                ), (
                    vector,
                    platform,
                )


# The id of these 200 texts with their labels. Runs identify their corpus by count and seed: a changed id
# would make old runs irreproducible.
def test_the_texts_are_the_same_on_every_machine():
    assert corpus_id(generate(200, seed=0)) == "8747a1aa9d8f61d1"
    assert corpus_id(generate(200, seed=0, noise=0.5)) == "5e1e7a0ab64a01ab"


def test_texts_are_distinct_and_one_or_two_sentences_long(corpus):
    assert len(set(corpus.texts)) == 2000
    assert all(40 <= len(text) <= 110 for text in generate(20_000, seed=3).texts)


def test_no_text_names_a_grade(corpus):
    assert not any(grade in text for text in corpus.texts for grade in GRADES)


@pytest.mark.parametrize("seed", range(5))
def test_no_grade_is_rare_and_none_has_the_majority(seed):
    counts = generate(2000, seed).counts()
    assert min(counts) >= 0.08 * 2000
    assert max(counts) < 0.45 * 2000


@settings(max_examples=20)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 2**64))
def test_a_larger_corpus_starts_with_the_smaller_one(one, other, seed):
    small, large = sorted((one, other))
    assert generate(large, seed).texts[:small] == generate(small, seed).texts


def test_another_seed_gives_other_texts(corpus):
    assert len(set(corpus.texts) & set(generate(2000, seed=1).texts)) < 20


def test_noise_replaces_labels_uniformly_and_keeps_texts(corpus):
    noisy = generate(2000, seed=0, noise=0.3)
    assert noisy.texts == corpus.texts
    shifts = Counter((new - old) % 4 for new, old in zip(noisy.labels, corpus.labels, strict=True))
    # 600 expected with standard deviation √(2000·0.3·0.7) = 20.5, and 200 per grade with 13.4.
    assert abs(2000 - shifts[0] - 600) < 4 * 20.5
    assert all(abs(shifts[shift] - 200) < 4 * 13.4 for shift in (1, 2, 3))


def test_more_noise_only_adds_wrong_labels_and_full_noise_changes_all(corpus):
    wrong = [
        {
            i
            for i, (new, old) in enumerate(zip(generate(2000, 0, noise).labels, corpus.labels, strict=True))
            if new != old
        }
        for noise in (0.1, 0.4, 1.0)
    ]
    assert wrong[0] < wrong[1] < wrong[2]
    assert len(wrong[2]) == 2000


def test_a_generated_corpus_is_marked_as_such(corpus):
    assert corpus.generated
    assert corpus.skipped == {}
    assert generate(5, 7, 0.25).name == "generated-5-seed-7-noise-0.25"


@pytest.mark.parametrize(
    "arguments", [(0, 0), (MAX_COUNT + 1, 0), (10, -1), (10, 0, -0.1), (10, 0, 1.1), (10, 0, float("nan"))]
)
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match=r"count must be|seed must be|noise must be a probability"):
        generate(*arguments)


# -- the phrases


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_value_has_several_phrases_of_its_own(metric):
    table = TABLES[metric]
    said = set(METRICS[metric]) - ({"N"} if metric in PHRASES["properties"] else set())
    assert set(table) == said
    assert all(len(set(phrases)) >= 2 for phrases in table.values())
    for one, other in combinations(table.values(), 2):
        assert not any(a in b or b in a for a in one for b in other)


def test_every_flaw_names_existing_platforms_and_metrics():
    for flaw in PHRASES["flaws"]:
        assert set(flaw["platforms"]) <= set(PHRASES["products"])
        assert all(set(values) <= set(METRICS[metric]) for metric, values in flaw["needs"].items())
        assert len(flaw["causes"]) >= 2


def test_every_platform_belongs_to_one_attack_vector():
    homes = [home for places in PHRASES["platforms"].values() for home in places]
    assert sorted(homes) == sorted(PHRASES["products"])
    assert set(INTERACTION) == set(PHRASES["products"])


def test_every_template_uses_every_clause_once():
    for template in PHRASES["templates"]:
        for part in ("product", "flaw", "cause", "attacker", "exploit", "impacts", "ease", "limits"):
            assert template.count(f"{{{part}}}") == 1
