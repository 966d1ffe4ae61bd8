"""`perenne doctor`: is this installation sound?"""

import os
import shutil
import sys
from collections.abc import Callable

import click
import msgspec

from perenne.cli.places import place_options
from perenne.cli.progress import bar
from perenne.core.errors import PerenneError
from perenne.core.ids import new_id
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.storage.blobs import open_blobs
from perenne.storage.objects import describe_objects, open_objects
from perenne.storage.workspace import Workspace

MIN_FREE_BYTES = 1 << 30


class Finding(msgspec.Struct, frozen=True):
    """One check of the installation."""

    check: str
    state: str
    detail: str


@click.command()
@click.option("--deep", is_flag=True, help="Read every object and compare it with its digest.")
@place_options
@click.pass_obj
def doctor(workspace: Workspace, deep: bool) -> Result:
    """Check this installation: Python, folder, database, objects, audit trail, events, jobs and running processes.

    Exits with 6 on a problem.

    \b
    Examples:
      perenne doctor
      perenne doctor --deep
    """
    findings = look(workspace, deep=deep)
    bad = [finding for finding in findings if finding.state != "ok"]
    return Result(findings, EXIT_FINDINGS if bad else 0, f"{len(bad)} problems" if bad else "all is well")


def look(workspace: Workspace, *, deep: bool = False) -> list[Finding]:
    """Make every check; see `doctor`."""
    checks: list[tuple[str, Callable[[], tuple[bool, str]]]] = [
        ("python", _python),
        ("home", lambda: _home(workspace)),
        ("disk", lambda: _disk(workspace)),
        ("database", lambda: _database(workspace)),
        ("audit trail", lambda: _audit(workspace)),
        ("objects", lambda: _objects(workspace, deep)),
        ("events", lambda: _events(workspace)),
        ("jobs", lambda: _jobs(workspace)),
        ("processes", lambda: _processes(workspace)),
    ]
    return [_check(name, check) for name, check in checks]


def _check(name: str, check: Callable[[], tuple[bool, str]]) -> Finding:
    try:
        sound, detail = check()
    except PerenneError as error:
        sound, detail = False, f"{error.message}. {error.hint}"
    return Finding(name, "ok" if sound else "problem", detail)


def _python() -> tuple[bool, str]:
    return sys.version_info >= (3, 11), sys.version.split()[0]


def _home(workspace: Workspace) -> tuple[bool, str]:
    home = workspace.settings.home
    home.mkdir(parents=True, exist_ok=True)
    return os.access(home, os.W_OK), str(home)


def _disk(workspace: Workspace) -> tuple[bool, str]:
    free = shutil.disk_usage(workspace.settings.home).free
    return free >= MIN_FREE_BYTES, f"{free / 2**30:.1f} GiB free"


def _database(workspace: Workspace) -> tuple[bool, str]:
    database = workspace.database
    with database.read() as tx:
        answer, name = database.backend.check(tx), database.backend.describe(tx)
    return answer == "ok", name if answer == "ok" else f"{name}: {answer}"


def _audit(workspace: Workspace) -> tuple[bool, str]:
    from perenne.auth import audit

    with workspace.database.read() as tx:
        verdict = audit.verify(tx)
    if verdict.bad_seq is None:
        return True, f"{verdict.records} records, every link holds"
    return False, f"record {verdict.bad_seq} is {verdict.problem}"


def _objects(workspace: Workspace, deep: bool) -> tuple[bool, str]:
    """Try the store itself, past any cache: write a probe, read it, delete it; then count what is there."""
    store = open_objects(workspace.settings.objects, cached=False)
    probe = f"a probe of perenne doctor, {new_id()}".encode()
    digest = store.put(probe)
    store.get(digest)
    store.delete(digest)
    where = describe_objects(store.url)
    if store.exists(digest):
        return False, f"{where}: a deleted object is still there"
    digests = list(store.digests())
    if deep:
        with bar("objects") as progress:
            for position, found in enumerate(digests):
                store.get(found)
                progress(position + 1, len(digests))
    read = ", each read and compared" if deep else ""
    artifacts = sum(1 for _ in open_blobs(workspace.settings.objects).ids())
    return True, f"{where}: {len(digests)} objects{read}, {artifacts} artifacts; a probe was written, read and deleted"


def _events(workspace: Workspace) -> tuple[bool, str]:
    from perenne.storage import outbox

    with workspace.database.read() as tx:
        aside = outbox.events(tx, state="set_aside")
    return not aside, f"{len(aside)} set aside" + (f"; newest: {aside[0].name}: {aside[0].error}" if aside else "")


def _jobs(workspace: Workspace) -> tuple[bool, str]:
    from perenne.storage import jobs

    with workspace.database.read() as tx:
        failed = jobs.jobs(tx, state="failed")
    return not failed, f"{len(failed)} failed" + (f"; newest: {failed[0].kind}: {failed[0].error}" if failed else "")


def _processes(workspace: Workspace) -> tuple[bool, str]:
    from perenne.net.processes import processes

    found = processes(workspace.settings.home)
    bad = [line for line in found if line.problem]
    if bad:
        return False, "; ".join(f"{line.name} (process {line.pid}): {line.problem}" for line in bad)
    return True, "; ".join(f"{line.name} {line.state}" for line in found) or "none runs"
