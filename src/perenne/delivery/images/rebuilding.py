"""The same model on a newer runtime or newer libraries: proven, through the gate, as a new image of the same version.

The version keeps its number, for its files, and so what was approved, are the same; what changes is a further build of it. The
layer of the model is the one that the build before has.
"""

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from packaging.requirements import InvalidRequirement, Requirement

from perenne import registry
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core import json
from perenne.core.errors import Invalid, Unavailable
from perenne.core.hashing import key_of
from perenne.delivery.images import delivering, making, proving, records
from perenne.delivery.images.delivering import Target
from perenne.delivery.images.layout import Hear
from perenne.delivery.images.making import Choice
from perenne.delivery.images.model import Change, Image, changes
from perenne.registry import Evidence, Verdict, Version
from perenne.storage.trees import fetch_tree

if TYPE_CHECKING:
    from perenne.storage.workspace import Workspace

FAILED, UNKNOWN = 6, 7
_GATE_SECONDS = 3_600


class Upgrade(NamedTuple):
    """What is to be newer.

    Attributes
    ----------
    libraries : tuple of str
        Such as `numpy==2.5.0`.
    wheels : Path, optional
        A folder of wheels that they are taken from; from the package index if not given.
    """

    libraries: tuple[str, ...] = ()
    wheels: Path | None = None


class Rebuilt(NamedTuple):
    """What came of it.

    Attributes
    ----------
    image : Image or None
        The new image; None if it was not made.
    place : str
        Where it is.
    before : Image or None
        The build before.
    changes : list of Change
        What is in the new one that was not in the one before, and the other way round.
    evidence : list of Evidence
        What was proven.
    gated : Gated
        What the gates came to; its verdict is empty if they were not run.
    code : int
        The exit code: 0, 6 if something failed, 7 if something required is unknown.
    """

    image: Image | None
    place: str
    before: Image | None
    changes: list[Change]
    evidence: list[Evidence]
    gated: "Gated"
    code: int


def rebuild(
    workspace: "Workspace",
    actor: Principal,
    version: Version,
    choice: Choice,
    upgrade: Upgrade,
    target: Target,
    hear: Hear,
    *,
    deployment: str = "",
    gates: bool = True,
    reason: str = "",
) -> Rebuilt:
    """Make a further image of a version, if the model answers as before with what is newer and its gates let it through.

    Parameters
    ----------
    deployment : str
        The deployment that is to run it from then on; none if empty.
    gates : bool
        Whether the gates of the version are run anew, with the newer libraries.

    Raises
    ------
    Conflict
        If the libraries do not go together, or the deployment is answered by another version.
    PerenneError
        As `delivering.deliver`.
    """
    overlay = install(workspace, upgrade, hear) if upgrade.libraries else ()
    evidence = _prove(workspace, version, overlay, hear)
    workspace.database.write(lambda tx: registry.approvals.add_evidence(tx, actor, version.id, evidence, produced_by=actor.name))
    with workspace.database.read() as tx:
        before = records.newest(tx, version.id)
    code, gated = _code(evidence), Gated(0, "", ())
    if not code and gates:
        hear("running the gates with the newer libraries")
        gated = run_gates(workspace, version.id, overlay)
    if code or gated.code:
        return Rebuilt(None, "", before, [], evidence, gated, code or gated.code)
    choice = choice._replace(overlay=overlay)
    made = delivering.deliver(workspace, actor, version, choice, target, hear, reason=reason or "rebuilt")
    found = changes(before.components if before else (), made.image.components)
    if before is None or before.digest != made.image.digest:
        _note(workspace, actor, made.image, before, found, reason)
    if deployment:
        workspace.database.write(lambda tx: records.roll_out(tx, actor, made.image.digest, deployment, reason=reason))
    with workspace.database.read() as tx:
        image = records.get_image(tx, actor, made.image.digest)
    return Rebuilt(image, made.place, before, found, evidence, gated, 0)


def _prove(workspace: "Workspace", version: Version, overlay: Sequence[Path], hear: Hear) -> list[Evidence]:
    hear("asking the model with the newer libraries")
    with tempfile.TemporaryDirectory(prefix="perenne-rebuild-") as folder:
        package = Path(folder, "package")
        package.mkdir()
        fetch_tree(workspace.objects, version.tree, package)
        return proving.prove(package, overlay)


def _code(evidence: Sequence[Evidence]) -> int:
    verdicts = {item.verdict for item in evidence}
    return FAILED if Verdict.FAIL in verdicts else UNKNOWN if Verdict.UNKNOWN in verdicts else 0


def install(workspace: "Workspace", upgrade: Upgrade, hear: Hear) -> tuple[Path, ...]:
    """Install newer libraries into a folder of their own, beside those that are here, and return it.

    Raises
    ------
    Invalid
        If a library is not named with its version.
    Unavailable
        If they cannot be had.
    """
    named = tuple(sorted(_pinned(text) for text in upgrade.libraries))
    folder = making.kept_images(workspace).folder / "environments" / key_of(named, sys.version)
    if (folder / "complete").exists():
        return (folder,)
    hear(f"installing {', '.join(named)}")
    source = ["--no-index", "--find-links", str(upgrade.wheels)] if upgrade.wheels is not None else []
    command = [*_installer(), "install", "--no-deps", "--quiet", "--upgrade", "--target", str(folder), *source, *named]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        said = next((line for line in run.stderr.splitlines() if "ERROR" in line or "error" in line), "").strip()
        raise Unavailable(
            f"{', '.join(named)} cannot be installed{': ' if said else ''}{said[:200]}",
            code="image.install",
            hint="is the version right, and can the package index be reached? --wheels names a folder instead",
        )
    (folder / "complete").touch()
    return (folder,)


def _pinned(text: str) -> str:
    try:
        requirement = Requirement(text.replace("=", "==", 1) if "=" in text and not {"==", "<", ">", "~", "!"} & {text} else text)
    except InvalidRequirement:
        requirement = None
    exact = requirement is not None and [one.operator for one in requirement.specifier] == ["=="]
    if requirement is None or not exact or requirement.url:
        raise Invalid(f"{text[:100]!r} names no library with its version", code="image.upgrade", hint="write numpy=2.5.0")
    return f"{requirement.name}{requirement.specifier}"


def _installer() -> list[str]:
    """Return the program that installs, as it is found here: pip, or uv."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    import shutil

    uv = shutil.which("uv")
    if uv is None:
        raise Unavailable("neither pip nor uv is here", code="image.install", hint="`python -m ensurepip` installs pip")
    return [uv, "pip"]


class Gated(NamedTuple):
    """What the gates came to: the exit code, pass, fail or unknown, and which of them hold the version back."""

    code: int
    verdict: str
    held_by: tuple[str, ...]


def run_gates(workspace: "Workspace", version: str, overlay: Sequence[Path]) -> Gated:
    """Run the gates of a version in a process of its own, with newer libraries before the others.

    Raises
    ------
    Unavailable
        If they cannot be run at all.
    """
    settings = workspace.settings
    environment = {
        **proving.environment(overlay),
        "PERENNE_HOME": str(settings.home),
        "PERENNE_DATABASE": settings.database,
        "PERENNE_OBJECTS": settings.objects,
    }
    environment.pop("OMP_NUM_THREADS", None)
    command = [sys.executable, "-P", "-m", "perenne", "gate", version, "--fresh", "--json"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_GATE_SECONDS, check=False)
    if run.returncode not in (0, FAILED, UNKNOWN):
        lines = run.stderr.strip().splitlines() or [f"it ended with {run.returncode}"]
        raise Unavailable(
            f"the gates could not be run: {lines[0][:300]}", code="image.gate", hint=f"`perenne gate {version}` says more"
        )
    report = json.decode(run.stdout, _Report, "report of the gates")
    held = tuple(row.gate for row in report.rows if row.verdict == "fail" or (row.required and row.verdict != "pass"))
    return Gated(run.returncode, report.verdict, held)


class _Row(msgspec.Struct):
    gate: str
    verdict: str
    required: bool = False


class _Report(msgspec.Struct):
    verdict: str
    rows: list[_Row]


def _note(
    workspace: "Workspace", actor: Principal, image: Image, before: Image | None, found: Sequence[Change], reason: str
) -> None:
    """Keep in the audit trail what differs from the build before."""
    after = {
        "version": image.version,
        "build": image.build,
        "changes": {change.name: f"{change.before or 'none'} to {change.after or 'none'}" for change in found},
    }
    told = before and {"digest": before.digest, "build": before.build}
    workspace.database.write(
        lambda tx: audit.record(tx, actor, "image.rebuild", "image", image.digest, before=told, after=after, reason=reason)
    )
