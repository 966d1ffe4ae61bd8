"""Making a run again: its code in a folder of its own, its command, and its metrics beside those of the first time."""

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from perenne.core.config import Settings
from perenne.core.errors import Conflict, NotFound
from perenne.core.ids import new_id
from perenne.core.paths import SKIPPED_FOLDERS, confined
from perenne.storage.objects import ObjectStore
from perenne.storage.workspace import Workspace
from perenne.tracking import comparing, provenance, service
from perenne.tracking.model import FOLDER, Provenance, Run, RunState

TOLERANCE = 1e-6
_OF_TIME = re.compile(r"(^system/|latency|second|_ms$|throughput|(^|_)time(_|$))")
"""Metrics that tell how long something took, which is never the same twice."""

_PROGRAMS = {"python": [sys.executable], "perenne": [sys.executable, "-m", "perenne"]}
_PROGRAMS["__main__.py"] = _PROGRAMS["perenne"]
_LAST_LINES = 15


class Difference(msgspec.Struct, frozen=True):
    """Something that is not what it was: its name, then and now."""

    name: str
    before: str | float | None
    now: str | float | None


class Reproduced(msgspec.Struct, frozen=True, kw_only=True):
    """What came of making a run again.

    Attributes
    ----------
    run, again : str
        The first run and the new one.
    folder : str
        Where the code lies.
    borrowed : tuple of str
        Files that no commit and no object had, taken from the folder as it is now.
    environment : tuple of Difference
        Packages and Python that are of another version.
    metrics : tuple of Difference
        Metrics that came out otherwise.
    compared : int
        How many metrics were compared; those that tell how long something took are not.
    """

    run: str
    again: str
    folder: str
    borrowed: tuple[str, ...]
    environment: tuple[Difference, ...]
    metrics: tuple[Difference, ...]
    compared: int

    @property
    def verdict(self) -> str:
        """Whether the result is the `same`, `differs`, or is `unknown` for want of metrics."""
        if self.metrics:
            return "differs"
        return "same" if self.compared else "unknown"


def reproduce(workspace: Workspace, identity: str, folder: Path, *, root: Path, anyway: bool = False) -> Reproduced:
    """Make a run again.

    Parameters
    ----------
    folder : Path
        Where its code goes; it is made.
    root : Path
        The project's folder: its repository, and the data that is not kept.
    anyway : bool
        Whether to go on in another environment.

    Raises
    ------
    Conflict
        If the run kept no command or code, its commit is not in the repository, the environment is another, or the command
        fails.
    """
    with workspace.database.read() as tx:
        run = service.get_run(tx, identity)
    if not run.provenance.command:
        what = f"run {identity} kept no command"
        raise Conflict(what, code="reproduce.command", hint="only what perenne started can be made again")
    differences = environment_differences(workspace.objects, run.provenance)
    if differences and not anyway:
        first = ", ".join(f"{one.name} {one.before or 'none'} then, {one.now or 'none'} now" for one in differences[:5])
        raise Conflict(
            f"the environment is another: {first}" + (f", and {len(differences) - 5} more" if len(differences) > 5 else ""),
            code="reproduce.environment",
            hint="install what it was, or go on with --anyway",
        )
    place = lay_out(workspace.objects, run, root, folder)
    borrowed = _borrow(root, place)
    again = _run_command(workspace.settings, run, place)
    names = [name for name in run.metrics if not _OF_TIME.search(name)]
    found = [_difference(name, run.metrics[name], again.metrics.get(name)) for name in names]
    return Reproduced(
        run=run.id,
        again=again.id,
        folder=str(place),
        borrowed=tuple(borrowed),
        environment=tuple(differences),
        metrics=tuple(one for one in found if one is not None),
        compared=len(found),
    )


def environment_differences(objects: ObjectStore, said: Provenance) -> list[Difference]:
    """Tell what is installed now otherwise than it was; nothing if it was not kept."""
    try:
        before = comparing.packages_in(objects.get(said.environment).decode()) if said.environment else {}
    except NotFound:
        before = {}
    now = comparing.packages_in("\n".join(provenance.packages())) if before else {}
    lines = comparing.different(before, now)
    if said.python and said.python != provenance.python_version():
        lines.insert(0, ("python", said.python, provenance.python_version()))
    return [Difference(*line) for line in lines]


def lay_out(objects: ObjectStore, run: Run, root: Path, folder: Path) -> Path:
    """Write a run's code into a folder, and return the place in it where its command was given."""
    said = run.provenance
    folder.mkdir(parents=True, exist_ok=True)
    if said.commit:
        _check_out(said.commit, root, folder)
        if said.patch:
            _git(folder, "apply", "--whitespace=nowarn", "-", given=objects.get(said.patch))
    elif not said.source:
        raise Conflict(f"run {run.id} kept no code", code="reproduce.code", hint="it was started with code=False, or elsewhere")
    place = confined(folder, run.tags[FOLDER]) if run.tags.get(FOLDER) else folder
    for name, digest in {**({} if said.commit else said.source), **said.untracked}.items():
        target = confined(place, name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(objects.get(digest))
    return place


def _check_out(commit: str, root: Path, folder: Path) -> None:
    top = _git(root, "rev-parse", "--show-toplevel").decode().strip()
    if subprocess.run(["git", "-C", top, "cat-file", "-e", f"{commit}^{{commit}}"], capture_output=True, check=False).returncode:
        what = f"commit {commit[:12]} is not in the repository at {top}"
        raise Conflict(what, code="reproduce.commit", hint="fetch it, or stand in its repository")
    _git(folder, "clone", "--quiet", "--shared", "--no-checkout", top, ".")
    _git(folder, "-c", "advice.detachedHead=false", "checkout", "--quiet", commit)


def _git(folder: Path, *arguments: str, given: bytes | None = None) -> bytes:
    done = subprocess.run(["git", "-C", str(folder), *arguments], input=given, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-300:]
        raise Conflict(f"git {arguments[0]} failed: {said}", code="reproduce.git", hint="stand in the project's repository")
    return done.stdout


def _borrow(root: Path, place: Path) -> list[str]:
    """Link what the code's folder lacks and the project's has, code apart; return the names."""
    found: list[str] = []
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        target = place / path.name
        if path.name.startswith(".") or path.name in SKIPPED_FOLDERS or path.suffix == ".py" or path.resolve() == place.resolve():
            continue
        if path.is_dir() and target.is_dir():
            found += [f"{path.name}/{name}" for name in _borrow(path, target)]
        elif not target.exists() and not place.resolve().is_relative_to(path.resolve()):
            target.symlink_to(path.resolve())
            found.append(path.name)
    return found


def _run_command(settings: Settings, run: Run, place: Path) -> Run:
    """Give the run's command in its folder, and return the run that it made."""
    words = shlex.split(run.provenance.command)
    program = _PROGRAMS.get(words[0]) or [shutil.which(words[0]) or words[0]]
    identity = new_id()
    apart = run.kind == "round"  # a round finds what was done before, so it gets a workspace in which nothing was
    home = place / ".perenne" if apart else settings.home
    kept = {} if apart else {"PERENNE_DATABASE": settings.database, "PERENNE_OBJECTS": settings.objects}
    left_out = ("PERENNE_DATABASE", "PERENNE_OBJECTS", "PERENNE_URL", "MLFLOW_TRACKING_URI")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    environment |= {"PERENNE_HOME": str(home), "PERENNE_RUN_ID": identity, "PERENNE_REPRODUCES": run.id, **kept}
    try:
        done = subprocess.run([*program, *words[1:]], cwd=place, env=environment, capture_output=True, check=False)
    except OSError as error:
        what = f"`{words[0]}` cannot be run: {error.strerror}"
        raise Conflict(what, code="reproduce.command", hint="is it installed?") from None
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).decode(errors="replace").splitlines()[-_LAST_LINES:])
        raise Conflict(f"`{run.provenance.command}` failed:\n{said}", code="reproduce.failed", hint=f"its code lies in {place}")
    return _made(msgspec.structs.replace(settings, home=home), identity, apart=apart)


def _made(settings: Settings, identity: str, *, apart: bool) -> Run:
    if apart:
        settings = msgspec.structs.replace(
            settings, database=f"sqlite:///{settings.home / 'perenne.db'}", objects=(settings.home / "objects").as_uri()
        )
    with Workspace(settings) as workspace, workspace.database.read() as tx:
        made = service.runs(tx, limit=1) if apart else [service.get_run(tx, identity)]
    if not made or made[0].state is not RunState.FINISHED:
        raise Conflict("the command made no run that finished", code="reproduce.run", hint="does it log one?")
    return made[0]


def _difference(name: str, before: float | None, now: float | None) -> Difference | None:
    if before is None or now is None:
        return None if before is now else Difference(name, before, now)
    return None if math.isclose(before, now, rel_tol=TOLERANCE, abs_tol=1e-12) else Difference(name, before, now)
