"""What a project says of how well its answers must come true, beyond objectives: what they are worth, and whose labels come."""

import math

import msgspec

from perenne.core.errors import Invalid


class Performance(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the performance of a project's answers is followed.

    Attributes
    ----------
    worth : tuple of float
        For two classes, what a true positive, a false positive, a false negative and a true negative are worth: `business_value`,
        the mean of one answer, is estimated and realised by it.
    label_key : str
        The input column by which labels may come that know no prediction id.

    >>> Performance(worth=(100, -5, -100, 0), label_key="flight").worth
    (100, -5, -100, 0)
    """

    worth: tuple[float, ...] = ()
    label_key: str = ""

    def __post_init__(self) -> None:
        worth = tuple(self.worth)
        if len(worth) not in (0, 4) or not all(isinstance(value, int | float) and math.isfinite(value) for value in worth):
            raise Invalid(
                f"Performance(worth={self.worth!r}) is not four numbers",
                code="project.monitoring",
                hint="what a true positive, a false positive, a false negative and a true negative are worth: (100, -5, -100, 0)",
            )
        msgspec.structs.force_setattr(self, "worth", worth)
