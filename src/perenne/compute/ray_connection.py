"""The one connection to a Ray cluster that a process can have, shared by its executors.

Never a bare `ray.init()`: that joins whatever cluster a file in a shared folder names. A local cluster listens on the loopback
address alone, asks for a token, has no dashboard, sends no statistics, and keeps its files in a folder of its own.
"""

import atexit
import contextlib
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perenne.core.errors import Conflict, Invalid, Unavailable

LOCAL = "local"
LOOPBACK = "127.0.0.1"
REACH_S = 5.0
STORE_BYTES = 200 * 2**20  # calls and answers are small: results go to the object store of perenne
LONGEST = 40  # the names of Ray's sockets come behind the folder's, and may have 107 characters in all
QUIET = {"configure_logging": False, "logging_level": "WARNING", "log_to_driver": True}
_PREFIX = "perenne-ray-"


def load() -> Any:
    """Import Ray. Raises Unavailable, naming the extra, if it is not installed."""
    try:
        import ray
    except ImportError as error:
        raise Unavailable("Ray is not installed", code="compute.extra", hint="pip install 'perenne[ray]'") from error
    return ray


class Connection:
    """The connection of this process, and who uses it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._address = ""
        self._folder: Path | None = None
        self._held: int | None = None

    def open(self, address: str, cpus: int | None) -> None:
        """Connect this process to a cluster, or share the connection it has.

        Parameters
        ----------
        address : str
            ``local`` starts a cluster of this machine alone; otherwise HOST:PORT of the head of one that this machine belongs to.
        cpus : int or None
            How many processors a local cluster takes itself to have.

        Raises
        ------
        Invalid
            If the address is neither.
        Unavailable
            If Ray is not installed, or the cluster cannot be reached.
        Conflict
            If the process is connected to another cluster.
        """
        _check(address)
        ray = load()
        with self._lock:
            if ray.is_initialized():
                joined = self._address or ray.get_runtime_context().gcs_address
                if joined != address:
                    raise Conflict(
                        f"this process is connected to the Ray cluster {joined} already",
                        code="compute.ray_connected",
                        hint="close its executor first: a process uses one Ray cluster at a time",
                    )
            else:
                self._begin(ray, address, cpus)
            self._users += 1

    def close(self) -> None:
        """Give the connection back; with its last user a cluster started here ends. A connection made by others stays."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self.end()

    def end(self) -> None:
        """Disconnect, if it was connected here, and remove what was made for that."""
        if self._address:
            with _signals_kept():
                load().shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)
        self._address, self._folder, self._held = "", None, None

    def _begin(self, ray: Any, address: str, cpus: int | None) -> None:
        try:
            with _signals_kept():
                if address == LOCAL:
                    self._folder, self._held = _own_folder()
                    _start(ray, cpus, self._folder)
                else:
                    _join(ray, address)
        except (OSError, RuntimeError, ValueError) as error:
            ray.shutdown()
            self.end()
            raise Unavailable(
                f"the Ray cluster {address} cannot be used: {str(error).strip().partition(chr(10))[0]}",
                code="compute.ray_unreachable",
                hint="does it run, and does this machine belong to it?",
            ) from error
        self._address = address


connection = Connection()
atexit.register(connection.end)


def _check(address: str) -> None:
    host, _, port = address.rpartition(":")
    if address != LOCAL and (not host or "/" in host or not (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536)):
        raise Invalid(
            f"Ray address {address[:100]!r} is neither local nor HOST:PORT",
            code="compute.ray_address",
            hint="the head's port for nodes (6379), on a machine of the cluster; Ray's client protocol (ray://…) is not spoken",
        )


def _join(ray: Any, address: str) -> None:
    host, _, port = address.rpartition(":")
    _reach(host, int(port))
    with _pinned() if _loopback_only(ray, host, int(port)) else contextlib.nullcontext():
        ray.init(address=address, **QUIET)


def _start(ray: Any, cpus: int | None, folder: Path) -> None:
    """Start a cluster of this machine alone; it ends with this process, even if that is killed."""
    logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)  # that it asks for a token is no news
    with _pinned(), _environment({"RAY_USAGE_STATS_ENABLED": "0"}):
        ray.init(
            address=LOCAL,
            num_cpus=cpus,
            include_dashboard=False,
            object_store_memory=STORE_BYTES,
            _node_ip_address=LOOPBACK,
            _temp_dir=str(folder),
            **QUIET,
        )


def _reach(host: str, port: int) -> None:
    """Try the address: Ray itself would go on trying for ten minutes."""
    socket.create_connection((host.strip("[]"), port), timeout=REACH_S).close()


def _loopback_only(ray: Any, host: str, port: int) -> bool:
    """Tell whether a cluster of this machine listens on the loopback address alone."""
    if host not in {"localhost", LOOPBACK}:
        return False
    try:
        _reach(ray.util.get_node_ip_address(), port)
    except OSError:
        return True
    return False


@contextlib.contextmanager
def _pinned() -> Iterator[None]:
    """Let Ray take the loopback address for this machine's: it replaces it by the outside one otherwise."""
    from ray._private import ray_constants

    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Put the handler of SIGTERM back, which Ray replaces by its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _environment(settings: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _own_folder() -> tuple[Path, int]:
    """Make and lock the cluster's folder, and remove those of processes that were killed: nobody holds their locks."""
    place = Path(tempfile.gettempdir())
    place = place if len(str(place)) <= LONGEST else Path("/tmp")  # noqa: S108  (the folder in it is ours alone)
    for left in place.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            os.close(_lock_of(left))
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    return folder, _lock_of(folder)


def _lock_of(folder: Path) -> int:
    """Lock a folder for as long as the descriptor is open. Raises OSError if another process has it."""
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle
