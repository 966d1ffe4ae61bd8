"""The run-cache sent and brought: what stages have done, so that another machine need not do it again."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from perenne.core.errors import Invalid, PerenneError
from perenne.data.versions.plans import MD5
from perenne.data.versions.remotes.opening import Ask, Named, open_named
from perenne.data.versions.remotes.presence import present
from perenne.data.versions.remotes.transfer import Hear, Progress, Shelf, upload
from perenne.data.versions.reports import Report
from perenne.data.versions.repository import Repository
from perenne.data.versions.writing import replace
from perenne.formats.dvc.entries import Entry
from perenne.formats.dvc.run_cache import key_of, read_entry, value_of

RUNS = "runs"
_ENTRY_PARTS = 4


def entries_of(repository: Repository) -> Iterator[str]:
    """Go through the run-cache: paths from the cache's top, ``runs/<2>/<key>/<value>``."""
    top = repository.cache_folder / RUNS
    for folder, _, names in os.walk(top):
        for name in names:
            path = f"{RUNS}/{os.path.relpath(folder, top)}/{name}"
            if _is_entry(path):
                yield path


def _is_entry(path: str) -> bool:
    parts = path.split("/")
    return len(parts) == _ENTRY_PARTS and len(parts[3]) == len(parts[2]) == 64 and parts[2].startswith(parts[1])


def outputs_of_runs(repository: Repository) -> Iterator[Entry]:
    """Go through the outputs that the run-cache remembers; an entry that cannot be read remembers nothing."""
    for path in entries_of(repository):
        try:
            stage = read_entry((repository.cache_folder / path).read_bytes(), path)
        except (OSError, Invalid):
            continue
        yield from stage.outs


def push_run_cache(
    repository: Repository,
    remote: str | None,
    report: Report,
    *,
    jobs: int | None = None,
    lasting: bool = True,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> None:
    """Send what stages have done, and the objects that they made as far as they are in the cache."""
    named = open_named(repository.config, remote, ask=ask, lasting=lasting)
    try:
        _check(named)
        digests = {entry.digest for entry in outputs_of_runs(repository) if entry.digest and entry.algorithm == MD5[0]}
        for digest in [digest for digest in digests if digest.endswith(".dir") and repository.cache.has(digest)]:
            digests |= {file.md5 for file in repository.cache.manifest(digest)}
        here = digests - repository.cache.missing(digests)
        files = {digest for digest in here if not digest.endswith(".dir")}
        for part in (files, here - files):
            wanted = part - present(named.remote, part, jobs=jobs or named.jobs)
            moved = upload(Shelf(repository.cache), named.remote, wanted, jobs=jobs or named.jobs, hear=hear)
            report.moved += len(moved.arrived)
            report.bytes += moved.bytes
            if moved.error is not None:
                report.fail(moved.error)
                return
        _send_entries(repository, named, report, hear)
    except PerenneError as error:
        report.fail(error)
    finally:
        named.remote.close()


def _send_entries(repository: Repository, named: Named, report: Report, hear: Hear | None) -> None:
    there = {file.path for file in named.remote.listing(RUNS)}
    wanted = [path for path in entries_of(repository) if path not in there]
    for number, path in enumerate(wanted, 1):
        named.remote.put(os.fspath(repository.cache_folder / path), path)
        if hear is not None:
            hear(Progress("send", number, len(wanted)))
    named.remote.settle()
    report.moved += len(wanted)


def fetch_run_cache(
    repository: Repository,
    remote: str | None,
    report: Report,
    *,
    jobs: int | None = None,
    hear: Hear | None = None,
    ask: Ask | None = None,
) -> None:
    """Bring what stages have done elsewhere. An entry whose bytes are not those of its name is passed over."""
    named = open_named(repository.config, remote, ask=ask)
    try:
        _check(named)
        here = set(entries_of(repository))
        wanted = [file.path for file in named.remote.listing(RUNS) if file.path not in here and _is_entry(file.path)]
        with TemporaryDirectory(prefix="perenne-runs-") as made:
            for number, path in enumerate(wanted, 1):
                report.moved += _bring_entry(repository, named, path, Path(made) / str(number))
                if hear is not None:
                    hear(Progress("bring", number, len(wanted)))
    except PerenneError as error:
        report.fail(error)
    finally:
        named.remote.close()


def _bring_entry(repository: Repository, named: Named, path: str, temporary: Path) -> int:
    named.remote.get(path, os.fspath(temporary))
    data = temporary.read_bytes()
    try:
        stage = read_entry(data, path)
    except Invalid:
        return 0
    _, _, key, value = path.split("/")
    if (key_of(stage), value_of(stage)) != (key, value):
        return 0
    target = repository.cache_folder / path
    target.parent.mkdir(parents=True, exist_ok=True)
    return int(replace(target, data, repository.temporary))


def _check(named: Named) -> None:
    if not named.remote.traits.lists:
        raise Invalid(
            f"{named.remote.shown} cannot be listed, so it keeps no run-cache",
            code="data.no_run_cache",
            hint="choose a remote that can be listed",
        )
