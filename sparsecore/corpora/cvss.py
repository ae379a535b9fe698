"""CVSS v3.1 base vectors: the official score, and the grade it stands for."""

from functools import lru_cache
from types import MappingProxyType

from cvss import CVSS3
from cvss.exceptions import CVSS3Error

# The eight base metrics and their values, in the order of the specification.
METRICS = MappingProxyType(
    {"AV": "NALP", "AC": "LH", "PR": "NLH", "UI": "NR", "S": "UC", "C": "NLH", "I": "NLH", "A": "NLH"}
)

# Lower bounds of 中危, 高危 and 超高危: CNNVD's scale has the cut points of CVSS v3's (specification,
# section 5, qualitative severity rating scale).
CUT_POINTS = (4.0, 7.0, 9.0)

# All 4·2·3·2·2·3·3·3 base vectors.
VECTOR_COUNT = 2592


@lru_cache(maxsize=VECTOR_COUNT)
def base_score(vector: str) -> float:
    """The base score, 0.0 to 10.0, of a vector `CVSS:3.1/AV:…/AC:…/PR:…/UI:…/S:…/C:…/I:…/A:…`.

    By Red Hat's `cvss` library. Raises ValueError for what is no CVSS v3 vector.

    >>> base_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
    9.8
    """
    try:
        return float(CVSS3(vector).base_score)
    except CVSS3Error as error:
        raise ValueError(
            f"{vector!r} is no CVSS v3.1 vector such as CVSS:3.1/AV:N/AC:L/…: {error}"
        ) from error


def grade_of_score(score: float) -> int:
    """The index in `GRADES` of a score: ≥ 9.0 超高危, ≥ 7.0 高危, ≥ 4.0 中危, below 低危.

    >>> [grade_of_score(score) for score in (3.9, 4.0, 7.0, 9.0)]
    [0, 1, 2, 3]
    """
    return sum(score >= cut for cut in CUT_POINTS)
