"""How right answers are: estimated before labels come, realised when they have, and whether the two still agree.

`expecting` estimates a regression's errors from sampled rows and `estimating` is the job that does so; `relations` tells whether
inputs still go with the answers, and when an estimate is not to be relied on. `keyed` finds the predictions of labels that know
only a key, `taking` reads labels from where others keep them, `truths` what their texts mean. `arriving` prepares labelled rows
for `measured`, which computes what those of a window say (gaps between estimate and truth, worst slices, what changed inside
cells), and for `streams`, which feeds the detectors in order of arrival (`stream_store` keeps their state); `told` makes
findings of it all. `following` shows it, `pairs` looks for the worst pairs of columns when asked; `model` holds the shapes.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.monitoring.performance import estimating, expecting, following, taking

_ROOMS = ("estimating", "expecting", "following", "taking")

__all__ = ["estimating", "expecting", "following", "taking"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
