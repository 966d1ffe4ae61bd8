"""What a bandit has learnt, on its way to the workers: `shares.json` in the release folder, replaced whole.

It is no part of the release: it changes with each reward, and is neither a generation nor a record of the audit trail.
"""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from perenne.core import json
from perenne.core.errors import PerenneError
from perenne.serving.model import Bandit, Deployment
from perenne.storage.files import write_atomically

SHARES = "shares.json"


class Posterior(msgspec.Struct, frozen=True):
    """What is known of a version's reward: from how many answers, its mean, and its standard deviation among answers."""

    count: int
    mean: float
    deviation: float


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a bandit gives which share of the callers.

    Attributes
    ----------
    route : Bandit
        By which rule they were found.
    shares : dict
        By version; they add up to one.
    posterior : dict
        By version.
    time : int
        When, microseconds since 1970.
    """

    route: Bandit
    shares: dict[str, float]
    posterior: dict[str, Posterior]
    time: int

    def of(self, deployment: Deployment) -> Mapping[str, float] | None:
        """Return the shares, if they were found for what the deployment asks for."""
        return self.shares if deployment.route == self.route else None


def read_shares(folder: Path) -> Shares | None:
    """Read what a release folder says; None if nothing, or nothing that can be read."""
    try:
        return json.decode((folder / SHARES).read_bytes(), Shares, what=SHARES)
    except (OSError, PerenneError):
        return None


def write_shares(folder: Path, shares: Shares) -> None:
    """Let workers take shares over, within a second."""
    write_atomically(folder / SHARES, json.encode(shares))
