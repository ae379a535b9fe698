from itertools import product

import pytest

from sparsecore.corpora.cvss import METRICS, VECTOR_COUNT, base_score, grade_of_score


# Scores published by FIRST in "CVSS v3.1 Examples", and by NVD for the named CVE.
@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8),
        ("AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0),  # CVE-2021-44228, Log4Shell
        ("AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", 7.5),  # CVE-2014-0160, Heartbleed
        ("AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 6.1),  # CVE-2013-1937, phpMyAdmin XSS
        ("AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4),  # CVE-2013-0375, MySQL
        ("AV:N/AC:H/PR:N/UI:R/S:U/C:L/I:N/A:N", 3.1),  # CVE-2014-3566, POODLE
        ("AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H", 9.9),  # CVE-2012-1516, VMware
        ("AV:L/AC:L/PR:H/UI:N/S:U/C:L/I:L/A:L", 4.2),  # CVE-2009-0783, Tomcat
        ("AV:N/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 8.8),  # CVE-2012-0384, Cisco IOS
        ("AV:P/AC:L/PR:N/UI:N/S:U/C:N/I:H/A:N", 4.6),  # CVE-2014-2019, iOS
        ("AV:P/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 6.8),
        ("AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:L", 1.6),
        ("AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0),
    ],
)
def test_published_example_scores(vector, score):
    assert base_score(f"CVSS:3.1/{vector}") == score


def test_every_base_vector_has_a_score_between_0_and_10():
    vectors = [
        "/".join(map(":".join, zip(METRICS, values, strict=True))) for values in product(*METRICS.values())
    ]
    assert len(vectors) == VECTOR_COUNT
    assert all(0 <= base_score(f"CVSS:3.1/{vector}") <= 10 for vector in vectors)


def test_a_cut_point_belongs_to_the_higher_grade():
    assert [grade_of_score(score) for score in (0.1, 3.9, 4.0, 6.9, 7.0, 8.9, 9.0, 10.0)] == [
        0,
        0,
        1,
        1,
        2,
        2,
        3,
        3,
    ]


@pytest.mark.parametrize(
    "vector", ["", "high", "CVSS:3.1/AV:N", "CVSS:3.1/AV:X/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"]
)
def test_an_invalid_vector_is_refused(vector):
    with pytest.raises(ValueError, match=r"is not a CVSS v3\.1 vector such as"):
        base_score(vector)
