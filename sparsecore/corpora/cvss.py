"""CVSS vectors: the official base score and its grade."""

from functools import lru_cache

from cvss import CVSS2, CVSS3, CVSS4
from cvss.exceptions import CVSS2Error, CVSS3Error, CVSS4Error

# The eight base metrics and their values, in the order of the specification.
METRICS = {"AV": "NALP", "AC": "LH", "PR": "NLH", "UI": "NR", "S": "UC", "C": "NLH", "I": "NLH", "A": "NLH"}

# Lower bounds of 中危, 高危 and 超高危. CNNVD uses the cut points of CVSS v3 (specification, section 5,
# qualitative severity rating scale).
CUT_POINTS = (4.0, 7.0, 9.0)

SEVERITIES = frozenset(("LOW", "MEDIUM", "HIGH", "CRITICAL"))

# A v4 vector with all optional metrics has about 200 characters.
MAX_VECTOR_LENGTH = 500

# The number of base vectors: 4·2·3·2·2·3·3·3.
VECTOR_COUNT = 2592


@lru_cache(maxsize=VECTOR_COUNT)
def base_score(vector: str) -> float:
    """Return the base score, 0.0 to 10.0, of a vector `CVSS:3.1/AV:…/AC:…/PR:…/UI:…/S:…/C:…/I:…/A:…`.

    Computed by Red Hat's `cvss` library. Raises ValueError for an invalid CVSS v3 vector.

    >>> base_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H")
    9.8
    """
    try:
        return float(CVSS3(vector).base_score)
    except CVSS3Error as error:
        raise ValueError(
            f"{vector!r} is not a CVSS v3.1 vector such as CVSS:3.1/AV:N/AC:L/…: {error}"
        ) from error


def grade_of_vector(vector: str) -> str:
    """Return the CVSS severity name of a v2, v3 or v4 vector, "" for any other string or for the score 0.0.

    >>> grade_of_vector("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), grade_of_vector("AV:N/AC:L")
    ('CRITICAL', '')
    >>> grade_of_vector("AV:N/AC:L/Au:N/C:C/I:C/A:C")
    'HIGH'
    """
    if len(vector) > MAX_VECTOR_LENGTH:
        return ""
    kind = {"CVSS:3": CVSS3, "CVSS:4": CVSS4}.get(vector[:6], CVSS2)
    try:
        read = kind(vector)
    except (CVSS2Error, CVSS3Error, CVSS4Error):
        return ""
    name = read.severity if kind is CVSS4 else read.severities()[0]
    return name.upper() if name.upper() in SEVERITIES else ""


def grade_of_score(score: float) -> int:
    """Return the index in `GRADES` of a score: ≥ 9.0 超高危, ≥ 7.0 高危, ≥ 4.0 中危, below 低危.

    >>> [grade_of_score(score) for score in (3.9, 4.0, 7.0, 9.0)]
    [0, 1, 2, 3]
    """
    return sum(score >= cut for cut in CUT_POINTS)
