"""What windows are compared with: rows, the counts distances are taken from, and what its parts did to one another."""

from dataclasses import dataclass

from perenne.stats.profile import Profile
from perenne.stats.spread import Bands, Baseline


@dataclass(frozen=True, eq=False)
class Standard:
    """What windows are compared with.

    Attributes
    ----------
    profile : Profile
        Its rows.
    baseline : Baseline
        The counts that distances are taken from.
    bands : Bands
        What its parts have done to one another.
    """

    profile: Profile
    baseline: Baseline
    bands: Bands
