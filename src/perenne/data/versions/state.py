"""What was found out about files, so that nothing unchanged is read again: SQLite under ``.dvc/tmp``, one row a directory.

It is a memory and nothing more: without it, or with a broken one, everything takes longer and comes out the same. DVC's own is
not touched. A file is known again by time of change, size and inode; one that changed just before it was looked at is not
remembered, since it might change again within the same tick.
"""

import os
import threading
from array import array
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from perenne.data.versions.scanning import FACTS, Folder, Tree, is_racy

if TYPE_CHECKING:
    import sqlite3

UNKNOWN = bytes(16)
_VERSION = 1
_TABLES = """
create table if not exists folder (path blob primary key, names blob, facts blob, digests blob) without rowid;
create table if not exists tree (path blob primary key, signature blob, digest text, size integer, count integer) without rowid;
create table if not exists file (path blob primary key, changed integer, size integer, inode integer, digest text) without rowid;
create table if not exists link (path blob primary key, digest text) without rowid;
create table if not exists present (digest text primary key, folders blob) without rowid;
create table if not exists mark (mark blob primary key, digest text) without rowid;
"""
Answer = TypeVar("Answer")


class Whole(msgspec.Struct, frozen=True):
    """What is known of a directory as a whole."""

    digest: str
    size: int
    count: int


class State:
    """The memory of one repository; opened at the first question.

    Parameters
    ----------
    root : Path
        The repository's top folder: paths are kept relative to it.
    file : Path
        The database.
    hashed : callable
        How a file is hashed: its path -> 16 bytes.

    Attributes
    ----------
    patience : float
        Seconds to wait for another process that writes; then it is done without.
    """

    def __init__(self, root: Path, file: Path, hashed: Callable[[str], bytes]) -> None:
        self.hashed = hashed
        self.patience = 5.0
        self._root = os.fspath(root)
        self._file = file
        self._opened: sqlite3.Connection | None = None
        self._broken = False
        self._turn = threading.RLock()

    def close(self) -> None:
        """Close the database."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def whole(self, tree: Tree) -> Whole | None:
        """Return what is known of a directory that looks as it did."""
        rows = self._ask("select signature, digest, size, count from tree where path = ?", (self._key(tree.root),))
        if not rows or rows[0][0] != tree.signature():
            return None
        return Whole(*rows[0][1:])

    def fill(self, tree: Tree) -> int:
        """Give the files that look as they did their digests; return how many nobody knows."""
        known = self._folders(tree)
        tree.stored = set(known)
        unknown = 0
        for folder in tree.folders:
            row = known.get(folder.path)
            names = "\0".join(folder.names).encode(errors="surrogateescape")
            if row is not None and row[0] == names and row[1] == folder.facts.tobytes():
                folder.digests = folder.stored = row[2]
            else:
                folder.digests = bytes(16 * len(folder.names)) if row is None else _matched(folder, *row)
            unknown += _zeros(folder.digests)
        return unknown

    def folders_of(self, tree: Tree) -> set[str]:
        """Return the directories of a tree that are remembered."""
        top = self._key(tree.root)
        rows = self._ask("select path from folder where path = ? or (path >= ? and path < ?)", (top, top + b"/", top + b"0"))
        return {os.fsdecode(path[len(top) + 1 :]) for (path,) in rows}

    def _folders(self, tree: Tree) -> dict[str, tuple[bytes, bytes, bytes]]:
        top = self._key(tree.root)
        asked = "select path, names, facts, digests from folder where path = ? or (path >= ? and path < ?)"
        rows = self._ask(asked, (top, top + b"/", top + b"0"))
        return {os.fsdecode(path[len(top) + 1 :]): (names, facts, digests) for path, names, facts, digests in rows}

    def remember(self, tree: Tree, whole: Whole | None) -> None:
        """Keep the digests of a directory's files, and what it is as a whole if it is settled."""
        top = self._key(tree.root)
        rows = [
            (
                _below(top, folder.path),
                "\0".join(folder.names).encode(errors="surrogateescape"),
                folder.facts.tobytes(),
                _settled(folder, tree.time),
            )
            for folder in tree.folders
            if folder.stored is not folder.digests
        ]
        gone = [(_below(top, path),) for path in tree.stored.difference(folder.path for folder in tree.folders)]
        known = None
        if whole is not None and tree.is_settled():
            known = (top, tree.signature(), whole.digest, whole.size, whole.count)

        def write(database: "sqlite3.Connection") -> None:
            database.executemany("delete from folder where path = ?", gone)
            database.executemany("insert or replace into folder values (?, ?, ?, ?)", rows)
            if known is not None:
                database.execute("insert or replace into tree values (?, ?, ?, ?, ?)", known)

        if rows or gone or known:
            self._write(write)

    def marked(self, mark: bytes) -> str | None:
        """Return the digest of the manifest that names and digests together make, if it was made before."""
        rows = self._ask("select digest from mark where mark = ?", (mark,))
        return str(rows[0][0]) if rows else None

    def remember_mark(self, mark: bytes, digest: str) -> None:
        """Keep what manifest names and digests together make."""
        self._write(lambda database: database.execute("insert or replace into mark values (?, ?)", (mark, digest)))

    def mark_for(self, digest: str) -> bytes | None:
        """Return the mark of a manifest, if it was made here before."""
        rows = self._ask("select mark from mark where digest = ?", (digest,))
        return bytes(rows[0][0]) if rows else None

    def file(self, path: str, about: os.stat_result) -> str | None:
        """Return the digest of a single file that looks as it did."""
        rows = self._ask("select changed, size, inode, digest from file where path = ?", (self._key(path),))
        if not rows or rows[0][:3] != (about.st_mtime_ns, about.st_size, about.st_ino):
            return None
        return str(rows[0][3])

    def remember_file(self, path: str, about: os.stat_result, digest: str, looked: int) -> None:
        """Keep the digest of a single file, unless it changed just before somebody looked."""
        self.remember_files([(path, about, digest)], looked)

    def remember_files(self, files: Iterable[tuple[str, os.stat_result, str]], looked: int) -> None:
        """Keep the digests of single files."""
        rows = [
            (self._key(path), about.st_mtime_ns, about.st_size, about.st_ino, digest)
            for path, about, digest in files
            if not is_racy(about.st_mtime_ns, looked)
        ]
        if rows:
            self._write(lambda database: database.executemany("insert or replace into file values (?, ?, ?, ?, ?)", rows))

    def links(self) -> dict[str, str]:
        """Return what was put into the workspace, and which version."""
        return {self._path(path): str(digest) for path, digest in self._ask("select path, digest from link", ())}

    def remember_link(self, path: str, digest: str) -> None:
        """Note that a version of an output lies in the workspace by our doing."""
        self._write(lambda database: database.execute("insert or replace into link values (?, ?)", (self._key(path), digest)))

    def forget_link(self, path: str) -> None:
        """Note that an output is no longer in the workspace by our doing."""
        self._write(lambda database: database.execute("delete from link where path = ?", (self._key(path),)))

    def present(self, digest: str) -> bytes | None:
        """Return how the cache's folders looked when all objects of a manifest were in them."""
        rows = self._ask("select folders from present where digest = ?", (digest,))
        return bytes(rows[0][0]) if rows else None

    def remember_present(self, digest: str, folders: bytes) -> None:
        """Note that all objects of a manifest are in the cache."""
        self._write(lambda database: database.execute("insert or replace into present values (?, ?)", (digest, folders)))

    def _key(self, path: str) -> bytes:
        if path.startswith(f"{self._root}/"):
            path = path[len(self._root) + 1 :]
        return os.fsencode(path)

    def _path(self, key: bytes) -> str:
        return os.path.join(self._root, os.fsdecode(key))

    def _ask(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        return self._try(lambda database: database.execute(sql, values).fetchall()) or []

    def _write(self, write: Any) -> None:
        def within(database: "sqlite3.Connection") -> None:
            database.execute("begin immediate")
            write(database)
            database.execute("commit")

        self._try(within)

    def _try(self, work: Any) -> Any:
        """Do something with the database; a broken one is begun anew, one that is held by others is done without."""
        import sqlite3

        with self._turn:
            for again in (True, False):
                if self._broken:
                    return None
                try:
                    return work(self._database())
                except sqlite3.OperationalError:  # locked for long, read-only, disk full: it is not needed
                    self._broken = True
                    self._abandon()
                except sqlite3.DatabaseError:
                    self._abandon()
                    self._broken = not again
                    for suffix in ("", "-wal", "-shm"):
                        Path(f"{self._file}{suffix}").unlink(missing_ok=True)
        return None

    def _abandon(self) -> None:
        import sqlite3

        if self._opened is not None:
            with suppress(sqlite3.Error):
                self._opened.close()
            self._opened = None

    def _database(self) -> "sqlite3.Connection":
        if self._opened is not None:
            return self._opened
        import sqlite3

        self._file.parent.mkdir(parents=True, exist_ok=True)
        opened = sqlite3.connect(self._file, timeout=self.patience, isolation_level=None, check_same_thread=False)
        try:
            if opened.execute("pragma user_version").fetchone()[0] != _VERSION:
                opened.execute("pragma journal_mode = wal")
                opened.executescript(f"{_TABLES} pragma user_version = {_VERSION};")
            opened.execute("pragma synchronous = normal")
        except BaseException:
            opened.close()
            raise
        self._opened = opened
        return opened


def _below(top: bytes, path: str) -> bytes:
    return top + b"/" + os.fsencode(path) if path else top


def _matched(folder: Folder, names: bytes, facts: bytes, digests: bytes) -> bytes:
    """Return the digests of a directory's files, where each still looks as it did."""
    before = {name: number for number, name in enumerate(names.decode(errors="surrogateescape").split("\0"))}
    old = array("q")
    old.frombytes(facts)
    found = bytearray(16 * len(folder.names))
    for number, name in enumerate(folder.names):
        at = before.get(name)
        if at is not None and old[at * FACTS : (at + 1) * FACTS] == folder.facts[number * FACTS : (number + 1) * FACTS]:
            found[number * 16 : (number + 1) * 16] = digests[at * 16 : (at + 1) * 16]
    return bytes(found)


def _settled(folder: Folder, looked: int) -> bytes:
    """Return the digests of a directory's files, without those of files that may still change unseen."""
    racy = [number for number, fact in enumerate(folder.facts[::FACTS]) if is_racy(fact, looked)]
    if not racy:
        return bytes(folder.digests)
    kept = bytearray(folder.digests)
    for number in racy:
        kept[number * 16 : (number + 1) * 16] = UNKNOWN
    return bytes(kept)


def _zeros(digests: bytes) -> int:
    if UNKNOWN not in digests:
        return 0
    return sum(digests[at : at + 16] == UNKNOWN for at in range(0, len(digests), 16))
