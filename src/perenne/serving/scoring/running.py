"""The use case: begin or go on, answer every part that is missing, then give the answers their name."""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from perenne import inference, registry
from perenne.core import json
from perenne.core.errors import Conflict, Invalid, NotFound, PerenneError
from perenne.core.hashing import digest_bytes
from perenne.serving import service
from perenne.serving.scoring.inputs import Aside, Part, Source
from perenne.serving.scoring.outputs import RESERVED, format_of, join
from perenne.serving.scoring.telling import tell
from perenne.serving.scoring.workers import Done, Task, answer_all, part_file
from perenne.storage.files import write_atomically
from perenne.storage.trees import fetch_tree

if TYPE_CHECKING:
    from perenne.storage.workspace import Workspace

PART_ROWS = 50_000
_PLAN = "plan.json"
_IDENTITY_BITS = 56


class Scored(NamedTuple):
    """What scores: the folder of a package, the digest of its manifest, how it is called, and whether code in it may run.

    Of a deployment's champion also the deployment, and the package as monitoring knows it.
    """

    folder: Path
    manifest: str
    version: str
    code: bool
    deployment: str = ""
    tree: str = ""


class Plan(msgspec.Struct, frozen=True):
    """What makes a scoring the same as one that was begun: rows, package, and what is written how."""

    rows: str
    manifest: str
    version: str
    keep: tuple[str, ...]
    how: str
    part_rows: int
    at: int
    log: bool = False
    time: str = ""


class Log(NamedTuple):
    """How monitoring is told: the folders of releases, of the log and of posts, and the column that says when a row happened."""

    releases: Path
    logs: Path
    spool: Path
    time: str = ""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How a scoring is done.

    Attributes
    ----------
    keep : tuple of str
        Columns of the input that come along.
    part_rows, workers : int
        Rows of a part, and how many processes answer.
    at : int or None
        The instant in the prediction ids, microseconds since 1970; now if not given.
    replace, restart : bool
        Whether an output that is there may be replaced, and another scoring that was begun given up.
    log : Log or None
        How monitoring is told; None if it is not.
    """

    keep: tuple[str, ...] = ()
    part_rows: int = PART_ROWS
    workers: int = 1
    at: int | None = None
    replace: bool = False
    restart: bool = False
    log: Log | None = None


class Pace(NamedTuple):
    """How far it is: parts and rows that are there, and how much of the input was read of how much."""

    parts: int
    rows: int
    read: int
    bytes: int


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a scoring.

    Attributes
    ----------
    rows, aside : int
        How many were answered, and how many could not be read.
    resumed : int
        How many parts were there already.
    seconds : float
        How long it took this time.
    logged : int
        How many rows monitoring has of it, those of challengers among them.
    """

    version: str
    output: str
    rows: int
    aside: int
    parts: int
    resumed: int
    seconds: float
    logged: int = 0
    reasons: dict[str, int] = {}


def find(workspace: "Workspace", name: str, folder: Path) -> Scored:
    """Find what scores: a deployment's champion, a version `name@number`, or a folder with a package; fetched if need be.

    Raises
    ------
    NotFound
        If there is none of that name.
    Conflict
        If its signature is not what is asked for.
    """
    if Path(name).is_dir():
        manifest = inference.load(Path(name)).manifest
        digest = digest_bytes((Path(name) / "package.json").read_bytes())
        return Scored(Path(name).absolute(), digest, f"{Path(name).name} ({manifest.estimator})", False)
    deployment = ""
    with workspace.database.read() as tx:
        if "@" in name:
            version = registry.get_version(tx, name)
        else:
            try:
                deployment = service.get_deployment(tx, name).name
                version = registry.get_version(tx, service.get_deployment(tx, name).champion.version)
            except NotFound as error:
                error.hint = "a deployment, a version such as churn@3, or the folder of a package"
                raise
        version, asked = registry.placing.as_served(tx, version), registry.trust.policy(tx, version.project)
    (seal,) = registry.trust.seals(workspace, [version.tree], version.project).values()
    if asked.require == "on" and not seal.signed.valid:
        raise registry.trust.refused(version.id, seal.signed)
    target = folder / version.tree
    if not target.exists():
        beside = folder / f".{version.tree}.incoming"
        shutil.rmtree(beside, ignore_errors=True)
        fetch_tree(workspace.objects, version.tree, beside)
        beside.rename(target)
    return Scored(target, seal.manifest, version.id, seal.unpickle, deployment, version.tree if deployment else "")


def score(
    scored: Scored, source: Path, output: Path, wish: Wish, hear: Callable[[Pace], None] = lambda _: None
) -> tuple[Summary, list[Aside]]:
    """Score a file or folder of rows into a file; go on where an earlier try was cut off.

    Returns
    -------
    Summary, list of Aside
        What came of it, and the rows that were set aside.

    Raises
    ------
    Conflict
        If the output is there, another scoring was begun for it, or somebody else is at it.
    Invalid
        If the input or the wish cannot be read.
    """
    begun = time.monotonic()
    if wish.log is not None and not scored.deployment:
        raise Invalid(
            "monitoring knows deployments, and this is none", code="score.log", hint="score a deployment, whose champion answers"
        )
    signature = inference.load(scored.folder, manifest=scored.manifest, code=scored.code).signature
    how = format_of(output)
    taken = [name for name in wish.keep if name in RESERVED or name.startswith("p_")]
    if taken:
        raise Invalid(f"{taken[0]!r} is a column of the output", code="score.keep", hint="rename it in the input")
    time_column = (wish.log.time,) if wish.log is not None and wish.log.time else ()
    needed = tuple(dict.fromkeys((*signature.names, *wish.keep, *time_column)))
    rows = Source(source, needed, wish.part_rows)
    folder = output.parent / f".{output.name}.scoring"
    with _alone(folder):
        plan = _begin(folder, rows, scored, how, wish)
        done = _done(folder)
        if output.exists() and not wish.replace and not _was_joined(folder):
            raise Conflict(f"{output.name} is there already", code="score.exists", hint="--replace writes it anew")
        present, resumed = dict(done), len(done)

        def hear_part(item: Done) -> None:
            present[item.part] = item
            hear(Pace(len(present), sum(one.rows for one in present.values()), rows.read_bytes, rows.bytes))

        task = _task(folder, plan, scored)
        answer_all(task, _missing(rows, done), wish.workers, hear_part)
        summary, aside = _join(folder, output, plan, rows, present)
        logged = _tell(folder, scored, wish.log, task.identity)
        shutil.rmtree(folder)
    took = round(time.monotonic() - begun, 3)
    return msgspec.structs.replace(summary, resumed=resumed, seconds=took, logged=logged), aside


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder of a scoring alone. Raises Conflict if another process does."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder.with_name(f"{folder.name}.lock")
    handle = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                "another process scores into this file", code="score.busy", hint="wait for it, or write into another file"
            ) from None
        yield
        lock.unlink(missing_ok=True)
    finally:
        os.close(handle)


def _begin(folder: Path, rows: Source, scored: Scored, how: str, wish: Wish) -> Plan:
    """Keep what is scored by what, or find that it is what was begun."""
    at = wish.at if wish.at is not None else time.time_ns() // 1_000
    logs = (wish.log is not None, wish.log.time if wish.log is not None else "")
    plan = Plan(rows.digest(), scored.manifest, scored.version, wish.keep, how, wish.part_rows, at, *logs)
    path = folder / _PLAN
    if wish.restart or not path.exists():
        for old in folder.iterdir():
            old.unlink()
        write_atomically(path, json.encode(plan))
        return plan
    before = json.decode(path.read_bytes(), Plan, what=_PLAN)
    if msgspec.structs.replace(plan, at=before.at if wish.at is None else plan.at) != before:
        raise Conflict(
            "another scoring was begun for this file, of other rows, by another version or in another form",
            code="score.begun",
            hint="--restart gives it up; or write into another file",
        )
    return before


def _done(folder: Path) -> dict[int, Done]:
    """Read which parts are there."""
    found = {}
    for path in sorted(folder.glob("part-*.json")):
        try:
            item = json.decode(path.read_bytes(), Done, what=path.name)
        except PerenneError:  # cut off: the part is answered again
            continue
        if part_file(folder, item.part).exists():
            found[item.part] = item
    return found


def _was_joined(folder: Path) -> bool:
    return (folder / "joined").exists()


def _task(folder: Path, plan: Plan, scored: Scored) -> Task:
    mixed = hashlib.sha256(json.canonical(msgspec.structs.replace(plan, at=0, log=False, time=""))).digest()
    low = int.from_bytes(mixed[: _IDENTITY_BITS // 8]) << (80 - _IDENTITY_BITS)
    identity = (plan.at // 1_000 << 80) | low
    return Task(
        package=str(scored.folder),
        manifest=scored.manifest,
        version=scored.version,
        code=scored.code,
        folder=str(folder.absolute()),
        how=plan.how,
        keep=plan.keep,
        identity=f"{identity:x}",
        tree=scored.tree if plan.log else "",
        time=plan.time,
    )


def _tell(folder: Path, scored: Scored, log: Log | None, identity: str) -> int:
    """Tell monitoring what was answered, if it is to be told."""
    if log is None:
        return 0
    files = sorted(folder.glob("part-*.messages"))
    return tell(log.releases / scored.deployment, log.logs, log.spool, files, f"score-{identity[:24]}")


def _missing(rows: Source, done: dict[int, Done]) -> Iterator[Part]:
    return (part for part in rows.parts() if part.number not in done)


def _join(folder: Path, output: Path, plan: Plan, rows: Source, present: dict[int, Done]) -> tuple[Summary, list[Aside]]:
    """Make one file of all parts, and count what was set aside."""
    notes = [present[number] for number in sorted(present)]
    if not notes:
        raise Invalid("there are no rows to score", code="score.no_rows", hint="is it the right file?")
    write_atomically(folder / "joined", b"")
    join([part_file(folder, note.part) for note in notes], output, plan.how, notes[0].names)
    aside = [*rows.aside, *(Aside(note.file, row, reason) for note in notes for row, reason in note.aside)]
    order = {file.name: place for place, file in enumerate(rows.files)}
    aside.sort(key=lambda item: (order[item.file], item.row))
    reasons: dict[str, int] = {}
    for item in aside:
        reasons[item.reason] = reasons.get(item.reason, 0) + 1
    summary = Summary(
        version=plan.version, output=output.name, rows=sum(note.rows for note in notes), aside=len(aside), parts=len(notes),
        resumed=0, seconds=0.0, reasons=reasons,
    )  # fmt: skip
    return summary, aside
