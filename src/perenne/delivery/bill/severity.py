"""CVSS 3 vectors to a base score and a severity (FIRST, "Common Vulnerability Scoring System v3.1: Specification", section 7)."""

import math

_IMPACT = {"H": 0.56, "L": 0.22, "N": 0.0}
_VECTOR = {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2}
_COMPLEXITY = {"L": 0.77, "H": 0.44}
_PRIVILEGES = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}
_INTERACTION = {"N": 0.85, "R": 0.62}
_STEPS = ((9.0, "critical"), (7.0, "high"), (4.0, "medium"), (0.1, "low"))


def base_score(vector: str) -> float | None:
    """Return the base score of a CVSS 3.0 or 3.1 vector; None if it is none.

    >>> base_score("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"), base_score("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:H/I:H/A:H")
    (9.8, 9.9)
    >>> base_score("CVSS:3.1/AV:L/AC:H/PR:L/UI:R/S:U/C:N/I:L/A:N"), base_score("CVSS:4.0/AV:N")
    (2.2, None)
    """
    head, *parts = vector.split("/")
    given = dict(part.split(":", 1) for part in parts if ":" in part)
    if head not in ("CVSS:3.0", "CVSS:3.1"):
        return None
    try:
        changed = given["S"] == "C"
        lost = 1 - math.prod(1 - _IMPACT[given[name]] for name in "CIA")
        privileges = _PRIVILEGES[given["S"]][given["PR"]]
        reach = 8.22 * _VECTOR[given["AV"]] * _COMPLEXITY[given["AC"]] * privileges * _INTERACTION[given["UI"]]
    except KeyError:
        return None
    impact = 7.52 * (lost - 0.029) - 3.25 * (lost - 0.02) ** 15 if changed else 6.42 * lost
    if impact <= 0:
        return 0.0
    return _up(min((1.08 if changed else 1.0) * (impact + reach), 10.0))


def _up(value: float) -> float:
    """Round up to one decimal, by whole numbers so that 4.000001 stays 4.0 (appendix A of 3.1)."""
    whole = round(value * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10


def severity_of(score: float | None) -> str:
    """Return how a score is called; empty for none.

    >>> severity_of(9.8), severity_of(0.0), severity_of(None)
    ('critical', '', '')
    """
    return "" if score is None else next((name for least, name in _STEPS if score >= least), "")
