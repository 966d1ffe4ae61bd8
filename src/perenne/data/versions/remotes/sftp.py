"""Remotes over SSH, by SFTP alone: nothing is run at the far end, which may have no shell.

The host's key must be known: in ``known_hosts``, as `ssh` keeps it. DVC asks for no such thing, and so believes anybody.
"""

import contextlib
import os
import posixpath
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty, LifoQueue
from threading import Lock
from typing import Any
from uuid import uuid4

import paramiko

from perenne.core.errors import NotFound, PerenneError
from perenne.data.versions.remotes.copying import Hashing, blocks, write_all
from perenne.data.versions.remotes.local import ARRIVING
from perenne.data.versions.remotes.port import Found, Traits
from perenne.data.versions.remotes.refusals import damaged_source, not_there, refused, unreachable, unusable

SESSIONS = 4
"""Channels over one connection; servers allow ten unless told otherwise."""

_BLOCK = 1 << 20
_TIMEOUT_S = 30.0
_LEFT_BEHIND_S = 2 * 86_400


class SftpRemote:
    """A folder of another machine. Connected when it is first used; what the person's ``~/.ssh/config`` says of the host holds.

    Parameters
    ----------
    host : str
        Its name or address, or an alias of ``~/.ssh/config``.
    root : str
        The folder's absolute path.
    shown : str
        Its address without secrets.
    port, user, password, keyfile, passphrase, allow_agent
        How to get in; by agent and the usual keys if nothing is given.
    timeout : float
        Seconds of silence before the connection is given up.
    sessions : int
        Channels at once.
    """

    def __init__(
        self,
        host: str,
        root: str,
        shown: str,
        *,
        port: int | None = None,
        user: str | None = None,
        password: str | None = None,
        keyfile: str | None = None,
        passphrase: str | None = None,
        allow_agent: bool = True,
        timeout: float = _TIMEOUT_S,
        sessions: int = SESSIONS,
    ) -> None:
        self.shown = shown
        self.traits = Traits(jobs=max(1, sessions))
        self._root = root.rstrip("/")
        self._timeout = timeout
        self._host = host
        self._login = {
            "port": port,
            "username": user,
            "password": password,
            "key_filename": keyfile,
            "passphrase": passphrase,
            "allow_agent": allow_agent,
        }
        self._lock = Lock()
        self._client: paramiko.SSHClient | None = None
        self._idle: LifoQueue[paramiko.SFTPClient] = LifoQueue()
        self._folders: set[str] = set()
        self._swept = False

    def about(self, path: str, version: str | None = None) -> Found | None:
        """Return what is at a path; see the port."""
        try:
            with self._session(path) as session:
                found = session.stat(f"{self._root}/{path}")
        except NotFound:
            return None
        return _found(path, found) if stat.S_ISREG(found.st_mode or 0) else None

    def listing(self, prefix: str) -> Iterator[Found]:
        """Go through every file below a folder."""
        pending = [prefix.strip("/")]
        while pending:
            folder = pending.pop()
            try:
                with self._session(folder) as session:
                    inside = session.listdir_attr(f"{self._root}/{folder}".rstrip("/") or "/")
            except NotFound:
                continue
            for one in inside:
                path = f"{folder}/{one.filename}" if folder else one.filename
                if stat.S_ISDIR(one.st_mode or 0):
                    if path != ARRIVING:
                        pending.append(path)
                else:
                    yield _found(path, one)

    def get(self, path: str, target: str, version: str | None = None) -> str:
        """Write a file's bytes to a local file; many blocks are asked for before the first is there."""
        with self._session(path) as session, session.open(f"{self._root}/{path}", "rb") as stream:
            size = stream.stat().st_size
            stream.prefetch(size)
            with _ours():
                handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            hashing = Hashing()
            try:
                while data := stream.read(_BLOCK):
                    hashing.add(data)
                    with _ours():
                        write_all(handle, data)
            finally:
                found = hashing.end()
                os.close(handle)
        return found

    def put(self, source: str, path: str, digest: str | None = None) -> Found:
        """Send a file under another name and rename it."""
        place, temporary = f"{self._root}/{path}", f"{self._root}/{ARRIVING}/{uuid4().hex}"
        size = os.path.getsize(source)
        with self._session() as session:
            self._make(session, posixpath.dirname(temporary))
            self._make(session, posixpath.dirname(place))
            self._sweep(session)
            try:
                found = _send(session, source, temporary)
                if digest is not None and found != digest:
                    raise damaged_source(digest, found)
                _rename(session, temporary, place)
            except BaseException:
                with contextlib.suppress(Exception):
                    session.remove(temporary)
                raise
        return Found(path=path, size=size)

    def move(self, path: str, to: str) -> None:
        """Rename a file."""
        with self._session(path) as session:
            session.stat(f"{self._root}/{path}")
            self._make(session, posixpath.dirname(f"{self._root}/{to}"))
            _rename(session, f"{self._root}/{path}", f"{self._root}/{to}")

    def delete(self, path: str) -> None:
        """Remove a file."""
        with contextlib.suppress(NotFound), self._session(path) as session:
            session.remove(f"{self._root}/{path}")

    def settle(self) -> None:
        """Do nothing: a file is there when `put` returns; whether the disk has it is up to the far end."""

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            client, self._client = self._client, None
            self._idle = LifoQueue()
        if client is not None:
            client.close()

    @contextmanager
    def _session(self, path: str = "") -> Iterator[paramiko.SFTPClient]:
        """Give a channel for a while; one that broke is not used again."""
        try:
            session = self._take()
            try:
                yield session
            except (paramiko.SSHException, EOFError, ConnectionError, TimeoutError):
                with contextlib.suppress(Exception):
                    session.close()
                raise
            except BaseException:
                self._idle.put(session)
                raise
            self._idle.put(session)
        except PerenneError:
            raise
        except _OursError as error:
            raise error.inner from None
        except Exception as error:
            raise self._refusal(error, path) from None

    def _take(self) -> paramiko.SFTPClient:
        with self._lock:
            if self._client is not None and (transport := self._client.get_transport()) and transport.is_active():
                with contextlib.suppress(Empty):
                    return self._idle.get_nowait()
            else:
                self._idle = LifoQueue()
                self._client = self._connect()
            session = self._client.open_sftp()
        session.get_channel().settimeout(self._timeout)
        return session

    def _connect(self) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.load_system_host_keys()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        login, host = dict(self._login), self._host
        said = _said_of(host)
        host = str(said.get("hostname", host))
        login["port"] = login["port"] or int(said.get("port", 22))
        login["username"] = login["username"] or said.get("user")
        login["key_filename"] = login["key_filename"] or said.get("identityfile")
        client.connect(host, timeout=self._timeout, banner_timeout=self._timeout, auth_timeout=self._timeout, **login)
        return client

    def _make(self, session: paramiko.SFTPClient, folder: str) -> None:
        if folder in self._folders or folder in ("", "/"):
            return
        try:
            session.stat(folder)
        except FileNotFoundError:
            self._make(session, posixpath.dirname(folder))
            with contextlib.suppress(OSError):  # another thread was first; if not, the file that follows says so
                session.mkdir(folder)
        self._folders.add(folder)

    def _sweep(self, session: paramiko.SFTPClient) -> None:
        """Remove what a push that was killed left behind."""
        if self._swept:
            return
        self._swept = True
        with contextlib.suppress(OSError):
            for one in session.listdir_attr(f"{self._root}/{ARRIVING}"):
                if time.time() - (one.st_mtime or time.time()) > _LEFT_BEHIND_S:
                    session.remove(f"{self._root}/{ARRIVING}/{one.filename}")

    def _refusal(self, error: Exception, path: str) -> PerenneError:
        if isinstance(error, FileNotFoundError):
            return not_there(self.shown, path) if path else unusable(self.shown, "there is no such place")
        for kind, sign, why, hint in _REFUSALS:
            if isinstance(error, kind) and sign in str(error):
                return refused(self.shown, why, hint)
        if isinstance(error, PermissionError):
            return refused(self.shown, "permission denied", "may this user write there?")
        return unreachable(self.shown, str(error) or type(error).__name__)


_REFUSALS: tuple[tuple[type[Exception], str, str, str], ...] = (
    (
        paramiko.BadHostKeyException,
        "",
        "the host shows another key than the one in known_hosts",
        "somebody may stand in between: find out",
    ),
    (paramiko.PasswordRequiredException, "", "the key needs a passphrase", "use an agent, or set passphrase or ask_passphrase"),
    (
        paramiko.AuthenticationException,
        "",
        "it does not let us in",
        "user, key or password may be wrong; `ssh-add -l` lists the agent's keys",
    ),
    (
        paramiko.SSHException,
        "not found in known_hosts",
        "the host's key is not known",
        "`ssh HOST` once, hold its fingerprint against the real one, and say yes",
    ),
)


class _OursError(Exception):
    """What went wrong on this side of the connection."""

    def __init__(self, inner: OSError) -> None:
        super().__init__(str(inner))
        self.inner = inner


@contextmanager
def _ours() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _OursError(error) from None


def _send(session: paramiko.SFTPClient, source: str, temporary: str) -> str:
    """Send a file and return the md5 of what was sent; answers are read behind, not waited for one by one."""
    hashing = Hashing()
    try:
        with session.open(temporary, "wb") as stream:
            stream.set_pipelined(True)
            for block in blocks(source, _BLOCK):
                hashing.add(block)
                stream.write(block)
    finally:
        found = hashing.end()
    if session.stat(temporary).st_size != os.path.getsize(source):
        raise EOFError("it kept fewer bytes than it was sent")
    return found


def _rename(session: paramiko.SFTPClient, temporary: str, place: str) -> None:
    try:
        session.posix_rename(temporary, place)
    except OSError:  # a server without OpenSSH's extension renames to what is not there only
        with contextlib.suppress(FileNotFoundError):
            session.remove(place)
        session.rename(temporary, place)


def _found(path: str, attributes: Any) -> Found:
    return Found(path=path, size=attributes.st_size, modified=attributes.st_mtime)


def _said_of(host: str) -> dict[str, Any]:
    path = Path("~/.ssh/config").expanduser()
    return dict(paramiko.SSHConfig.from_path(os.fspath(path)).lookup(host)) if path.exists() else {}
