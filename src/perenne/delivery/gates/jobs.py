"""The gates of a version as a job: a worker runs them, from what was recorded of the project."""

from pathlib import Path

import msgspec

from perenne import registry
from perenne.auth import audit
from perenne.auth.principals import Principal, policy_principal
from perenne.auth.roles import Action, require
from perenne.core.errors import Invalid, PerenneError
from perenne.delivery.gates.model import GateRow
from perenne.delivery.gates.order import all_gates
from perenne.delivery.gates.running import Wish, find_version, run_gates
from perenne.projects import LoadedProject, get_project, load_project
from perenne.registry import Version
from perenne.storage import jobs
from perenne.storage.jobs import Job
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

GATE_JOB = "gate.run"
JOBS = 200


class GateWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked for: a comparison, some gates alone or left out, whether to look again at what was found before."""

    against: str = "champion"
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    fresh: bool = False


class ToRun(msgspec.Struct, frozen=True, kw_only=True):
    """The payload of a job: of which version, what is asked, and who asked."""

    version: str
    wish: GateWish
    asked_by: str


def ask(tx: Transaction, actor: Principal, identity: str, wish: GateWish) -> Job:
    """Let a worker run the gates of a version; asked again before it has, it is the same job.

    Raises
    ------
    NotFound
        If there is no such version, or none the actor may see.
    Denied
        If the actor may not log evidence of it.
    """
    version = find_version(tx, actor, identity)
    require(actor, Action.LOG, version.project)
    check_wish(wish)
    under_way = open_job(tx, version.id)
    if under_way is not None:
        return under_way
    identity = jobs.enqueue(tx, GATE_JOB, ToRun(version=version.id, wish=wish, asked_by=actor.name), attempts_allowed=1)
    audit.record(tx, actor, "version.gate", "version", version.id, after=wish)
    job = jobs.get_job(tx, identity)
    assert job is not None
    return job


def check_wish(wish: GateWish) -> None:
    """Refuse a gate that there is not. Raises Invalid, naming the field."""
    known = [gate.name for gate in all_gates()]
    for field, names in (("only", wish.only), ("skip", wish.skip)):
        for name in names:
            if name not in known:
                hint = f"there are {', '.join(known)}"
                raise Invalid(f"{field}: there is no gate {name[:60]!r}", code="gate.unknown", hint=hint)


def open_job(tx: Transaction, version: str) -> Job | None:
    """Return the job that runs the gates of a version, or waits to."""
    for state in ("queued", "running"):
        for job in jobs.jobs(tx, state=state, kind=GATE_JOB, limit=JOBS):
            if msgspec.json.decode(job.payload, type=ToRun).version == version:
                return job
    return None


def run_gate_job(workspace: Workspace, job: Job) -> None:
    """Do a job; the evidence and its end are one transaction."""
    payload = msgspec.json.decode(job.payload, type=ToRun)
    with workspace.database.read() as tx:
        version = registry.get_version(tx, payload.version)
    wish = Wish(payload.wish.against, payload.wish.only, payload.wish.skip, payload.wish.fresh)

    def hear(row: GateRow, number: int, total: int) -> None:
        said = f"{row.gate}: {row.verdict.value}"
        workspace.database.write(lambda tx: jobs.note_progress(tx, job, number / total, said), durable=False)

    actor = policy_principal(version.project, payload.asked_by)
    run_gates(
        workspace, actor, version.id, wish, project=_project(workspace, version), hear=hear, fence=lambda tx: jobs.finish(tx, job)
    )


def _project(workspace: Workspace, version: Version) -> LoadedProject | None:
    """Return the project if its folder is on this machine; without it, what was recorded of it counts."""
    try:
        with workspace.database.read() as tx:
            folder = Path(get_project(tx, version.project).folder)
        return load_project(folder) if (folder / "project.py").is_file() else None
    except PerenneError:
        return None
