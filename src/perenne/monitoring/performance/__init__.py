"""How right answers are: estimated before labels come, realised when they have, and whether the two still agree.

`expecting` estimates a regression's errors from sampled rows (the job around it is `monitoring.estimating`); `relations` tells
whether inputs still go with the answers, and when an estimate is not to be relied on. `keyed` finds the predictions of labels
that know only a key, `taking` reads labels from where others keep them, `truths` what their texts mean. `arriving` prepares
labelled rows (`rows`) for `measured`, which computes what those of a window say (gaps between estimate and truth, worst slices,
what changed inside cells), and for `streams`, which feeds the detectors in order of arrival (`stream_store` keeps their state);
`told` makes findings of it all. `following` shows it, `looking` one window, `pairs` the worst pairs of columns. The shapes that
travel are in `monitoring.rightness`, below everything.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.monitoring.performance import expecting, following, taking

_ROOMS = ("expecting", "following", "taking")

__all__ = ["expecting", "following", "taking"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
