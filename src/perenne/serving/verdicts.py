"""What a model server found of a version that fails, left in the spool for the control plane, which decides.

::

    spool/verdicts/<deployment>-<version>-<server>.json     removed once it was heard

The server has taken the version out of its own rotation by then. Hearing a verdict twice changes nothing.
"""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec

from perenne.core import json
from perenne.core.clock import SystemClock
from perenne.core.errors import PerenneError
from perenne.serving.model import Deployment, Role, Variant
from perenne.storage.files import sweep, write_atomically

log = logging.getLogger("perenne.serving")
_FOLDER = "verdicts"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """That a version is to be asked no more.

    Attributes
    ----------
    deployment, version, tree : str
        Whose, which version, and its package.
    role : Role
        As what it failed: a challenger or canary is parked, a champion goes back to the version before.
    reason : str
        What it did, in a line.
    generation : int
        Of the deployment then.
    server : str
        Which server says so.
    time : int
        When, microseconds since 1970.
    """

    deployment: str
    version: str
    tree: str
    role: Role
    reason: str
    generation: int
    server: str
    time: int


def leave_verdict(spool: Path, verdict: Verdict) -> None:
    """Leave a verdict. Raises OSError if the disk refuses it."""
    write_atomically(_path(spool, verdict), json.encode(verdict))


def pronounce(spool: Path, deployment: Deployment, variant: Variant, why: str, server: str) -> None:
    """Leave word that a variant is to be asked no more; that it cannot be left is logged, for the server has acted already."""
    verdict = Verdict(
        deployment=deployment.name,
        version=variant.version,
        tree=variant.tree,
        role=variant.role,
        reason=why,
        generation=deployment.generation,
        server=server,
        time=SystemClock().now(),
    )
    try:
        leave_verdict(spool, verdict)
    except OSError as error:
        log.error("the verdict on %s cannot be left: %s", variant.version, error.strerror)


def read_verdicts(spool: Path, deployment: str | None = None) -> Iterator[tuple[Path, Verdict]]:
    """Go through the verdicts that wait, of one deployment or all; what cannot be read is left out."""
    for path in sorted((spool / _FOLDER).glob("[!.]*.json")):
        try:
            verdict = json.decode(path.read_bytes(), Verdict, what=path.name)
        except (OSError, PerenneError):
            continue
        if deployment in (None, verdict.deployment):
            yield path, verdict


def forget(path: Path) -> None:
    """Remove a verdict that was heard."""
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)
        sweep(path.parent)


def still_stands(verdict: Verdict, deployment: Deployment) -> Variant | None:
    """Return the variant that a verdict is about; None if it is asked no more, or was let answer again since."""
    for variant in deployment.variants:
        same = (variant.version, variant.tree, variant.role) == (verdict.version, verdict.tree, verdict.role)
        again = variant.since > verdict.generation or (variant.role is Role.CHAMPION and deployment.crowned > verdict.time)
        if same and not variant.parked and not again:
            return variant
    return None


def _path(spool: Path, verdict: Verdict) -> Path:
    return spool / _FOLDER / f"{verdict.deployment}-{quote(verdict.version, safe='@')}-{verdict.server}.json"
