"""What goes into a debug bundle. Each part may fail by itself: a bundle is wanted most when something is broken."""

import importlib.metadata
import os
import platform
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

import sqlalchemy as sa

import perenne
from perenne.core import json
from perenne.core.clock import SystemClock, format_time
from perenne.core.errors import Conflict, PerenneError
from perenne.core.redaction import BLACK, is_secret_key, redact, redact_text
from perenne.storage.workspace import Workspace

MAX_ROWS = 1_000_000
NEWEST = 20
LOG_LINES = 2_000
_ENVIRONMENT = ("PERENNE_", "OTEL_")
_SHORTEST_SECRET = 6


class BundledFile(NamedTuple):
    """A file of the bundle: its name, its bytes, and what it holds."""

    name: str
    data: bytes
    what: str


def write_bundle(
    workspace: Workspace, output: Path | None, environment: Mapping[str, str] = os.environ
) -> tuple[Path, list[BundledFile]]:
    """Write the bundle, readable by its owner only, and return where it lies and what it holds.

    Raises
    ------
    Conflict
        If the file is there already.
    """
    now = SystemClock().now()
    path = output or Path(f"perenne-debug-{format_time(now)[:19].replace(':', '')}.zip")
    if path.exists():
        raise Conflict(f"{path} is there already", code="debug.exists", hint="choose another name with --output")
    files = _files(workspace, environment, Blackener(known_secrets(environment)), now)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=".perenne-debug-")
    try:
        with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in files:
                archive.writestr(file.name, file.data)
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise
    return path, files


def known_secrets(environment: Mapping[str, str]) -> list[str]:
    """Return the secrets this process was given: they are blackened wherever they turn up, whatever stands beside them."""
    found = set()
    for name, value in environment.items():
        if is_secret_key(name) or name.endswith("_KEY"):
            found.add(value)
        for word in value.split():
            found |= _secrets_of_url(word) if "://" in word else set()
        if name in {"PERENNE_ALERT_WEBHOOK"}:  # the path of a webhook is its password
            found.add(urlsplit(value).path)
    forms = {form for secret in found for form in (secret, unquote(secret), quote(secret, safe=""))}
    return sorted((form for form in forms if len(form) >= _SHORTEST_SECRET), key=len, reverse=True)


def _secrets_of_url(text: str) -> set[str]:
    try:
        password = urlsplit(text).password
    except ValueError:
        return set()
    return {password} if password else set()


class Blackener:
    """Blackens secrets by key and shape, and those that are known wherever they stand.

    Parameters
    ----------
    secrets : list of str
        See `known_secrets`.
    """

    def __init__(self, secrets: list[str]) -> None:
        self._secrets = secrets

    def text(self, text: str) -> str:
        """Return a text without them."""
        text = redact_text(text)
        for secret in self._secrets:
            text = text.replace(secret, BLACK)
        return text

    def value(self, value: Any) -> Any:
        """Return plain values without them."""
        return self._known(redact(value))

    def lines(self, lines: list[bytes]) -> bytes:
        """Return log lines without them: those that are JSON stay JSON."""
        return b"".join(self._line(line) + b"\n" for line in lines)

    def _line(self, line: bytes) -> bytes:
        try:
            return json.encode(self.value(json.decode(line, dict[str, Any])))
        except PerenneError:
            return self.text(line.decode("utf-8", "replace")).encode()

    def _known(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self.text(key): self._known(item) for key, item in value.items()}
            case list():
                return [self._known(item) for item in value]
            case _:
                return value


def _files(workspace: Workspace, environment: Mapping[str, str], blackener: Blackener, now: int) -> list[BundledFile]:
    parts: list[tuple[str, str, Callable[[], Any]]] = [
        ("versions.json", "perenne, Python, platform, packages", _versions),
        ("settings.json", "settings and environment variables, secrets blackened", lambda: _settings(workspace, environment)),
        ("doctor.json", "what `perenne doctor` finds", lambda: _findings(workspace)),
        ("processes.json", "which processes run, and how they stand", lambda: _processes(workspace)),
        ("database.json", "schema version, and how many rows each table has", lambda: _database(workspace)),
        ("jobs.json", f"the newest {NEWEST} failed jobs, without what they were given", lambda: _jobs(workspace)),
        ("events.json", f"the newest {NEWEST} events set aside, without what they told", lambda: _events(workspace)),
        ("episodes.json", f"the newest {NEWEST} retraining episodes", lambda: _episodes(workspace)),
    ]
    files = [BundledFile(name, json.pretty(blackener.value(_guarded(part))).encode(), what) for name, what, part in parts]
    pages = [BundledFile("metrics.txt", _metrics(workspace, now), "the figures of the database, by Prometheus' names")]
    files += [page._replace(data=blackener.text(page.data.decode()).encode()) for page in [*pages, *_asked(workspace)]]
    if kept := environment.get("PERENNE_LOG_FILE"):
        from perenne.telemetry.log_files import newest_lines

        lines = newest_lines(Path(kept), LOG_LINES)
        files.append(BundledFile("log.ndjson", blackener.lines(lines), f"the newest {len(lines)} lines of the log"))
    return files


def _guarded(part: Callable[[], Any]) -> Any:
    try:
        return json.plain(part())
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _versions() -> dict[str, Any]:
    required = {name.partition(";")[0] for name in importlib.metadata.requires("perenne") or ()} if _is_installed() else set()
    names = {requirement.split("[")[0].split(">")[0].split("=")[0].split("<")[0].strip() for requirement in required}
    names |= {"sqlalchemy", "msgspec", "numpy", "pyarrow", "duckdb", "onnxruntime", "scikit-learn", "starlette", "uvicorn"}
    return {
        "perenne": perenne.__version__,
        "python": sys.version,
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "packages": {name: version for name in sorted(names) if (version := _version(name))},
    }


def _is_installed() -> bool:
    return bool(_version("perenne"))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _settings(workspace: Workspace, environment: Mapping[str, str]) -> dict[str, Any]:
    settings = workspace.settings
    named = {name: text for name, text in sorted(environment.items()) if name.startswith(_ENVIRONMENT)}
    return {
        "home": str(settings.home),
        "database": _shown_url(settings.database),
        "objects": _shown_url(settings.objects),
        "host": settings.host,
        "port": settings.port,
        "serve_port": settings.serve_port,
        "environment": {name: _shown_variable(name, text) for name, text in named.items()},
    }


def _shown_variable(name: str, text: str) -> str:
    if name.endswith("HEADERS"):  # what a collector is told may be a key under any name
        return BLACK
    return _shown_url(text) if "://" in text else text


def _shown_url(text: str) -> str:
    """Show of a URL where it leads; who asks, with what, and for what is left out, but for files."""
    try:
        url = urlsplit(text)
        if url.scheme in {"file", "sqlite"}:
            return text
        port = f":{url.port}" if url.port else ""
    except ValueError:
        return BLACK
    return f"{url.scheme}://{url.hostname or ''}{port}/…"


def _findings(workspace: Workspace) -> Any:
    from perenne.cli.doctor import look

    return look(workspace)


def _processes(workspace: Workspace) -> Any:
    from perenne.net.processes import processes
    from perenne.telemetry.heartbeats import signs

    return {"processes": processes(workspace.settings.home), "signs": signs(workspace.settings.home)}


def _database(workspace: Workspace) -> dict[str, Any]:
    from perenne.storage import migrations

    with workspace.database.read() as tx:
        connection = tx.connection
        tables = sorted(sa.inspect(connection).get_table_names())
        return {
            "kind": connection.dialect.name,
            "schema": migrations.current(connection),
            "newest_schema": migrations.revisions()[-1],
            "rows": {name: _rows(connection, name) for name in tables},
        }


def _rows(connection: sa.Connection, name: str) -> int | str:
    """Count the rows of a table, up to a limit."""
    some = sa.select(sa.literal(1)).select_from(sa.table(name)).limit(MAX_ROWS).subquery()
    count = int(connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0)
    return count if count < MAX_ROWS else f"{MAX_ROWS} or more"


def _jobs(workspace: Workspace) -> list[dict[str, Any]]:
    from perenne.storage import jobs

    with workspace.database.read() as tx:
        failed = jobs.jobs(tx, state="failed", limit=NEWEST)
    return [
        {
            "id": job.id, "kind": job.kind, "state": job.state, "attempt": job.attempt, "attempts_allowed": job.attempts_allowed,
            "created": format_time(job.created), "ended": job.ended and format_time(job.ended), "error": job.error,
            "payload_fields": _names_in(job.payload),
        }
        for job in failed
    ]  # fmt: skip


def _events(workspace: Workspace) -> list[dict[str, Any]]:
    from perenne.storage import outbox

    with workspace.database.read() as tx:
        aside = outbox.events(tx, state="set_aside", limit=NEWEST)
    return [
        {
            "id": event.id, "name": event.name, "created": format_time(event.created), "attempts": event.attempts,
            "error": event.error, "payload_fields": _names_in(event.payload),
        }
        for event in aside
    ]  # fmt: skip


def _names_in(payload: str) -> list[str]:
    """Return the names of a payload's fields: what lies in them may be anybody's."""
    return sorted(json.decode(payload, dict[str, Any]))


def _episodes(workspace: Workspace) -> list[Any]:
    from perenne.automation import list_episodes

    with workspace.database.read() as tx:
        return list(list_episodes(tx, limit=NEWEST))


def _metrics(workspace: Workspace, now: int) -> bytes:
    from perenne.app.metrics import build_info, stored_families
    from perenne.formats import prometheus

    try:
        with workspace.database.read() as tx:
            return prometheus.render([build_info(), *stored_families(tx, now)])
    except Exception as error:
        return f"# {type(error).__name__}: {error}\n".encode()


def _asked(workspace: Workspace) -> list[BundledFile]:
    """Ask the processes that answer for their figures."""
    from perenne.net.processes import ask, processes

    files = []
    for process in processes(workspace.settings.home):
        if not process.address or process.state != "alive":
            continue
        try:
            status, body = ask(process.address, "/metrics")
        except OSError:
            continue
        if status == 200:
            name = "-".join(word for word in process.name.replace("/", "-").split())
            files.append(BundledFile(f"metrics-{name}.txt", body, f"the figures of {process.name}"))
    return files
