"""What the parent tells its processes, and the wires it makes for them; it imports none of what they need to answer."""

import socket

import msgspec

from perenne.net.listening import Listening

GRACE_SECONDS = 30
BODY_BYTES = 32 * 1024 * 1024
QUEUE_ROWS = 200_000
BACKLOG_BYTES = 8 * 1024 * 1024
BUFFER = 1024 * 1024


class WorkerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent tells a worker.

    Attributes
    ----------
    folder : str
        The release folder.
    index, workers : int
        Which of how many.
    listening, wire, counters : int
        Inherited file descriptors: the listening socket, the wire to the observer, the shared counters.
    where, port : Listening, int
        Where it listens, and the names it is reached by.
    switches : int
        Inherited file descriptor of what is switched off; -1 if callers may not switch anything.
    tokens : str
        The file of the tokens that count; empty if callers show none.
    token_rate : float
        How often a token may be used in a second; 0 for no limit.
    body_bytes, queue_rows, backlog_bytes : int
        Limits.
    drain_seconds : float
        How long it still takes new connections after it has said that it is not ready any more.
    succeeds : bool
        Whether a predecessor answers on the same socket until this server is ready.
    verdicts : int
        The shared memory in which the parent says what it found of signatures; -1 if it does not.
    spool : str
        Where requests that a person is to answer are left; empty for nowhere.
    """

    folder: str
    index: int
    workers: int
    listening: int
    wire: int
    counters: int
    where: Listening
    port: int
    switches: int = -1
    tokens: str = ""
    token_rate: float = 0.0
    body_bytes: int = BODY_BYTES
    queue_rows: int = QUEUE_ROWS
    backlog_bytes: int = BACKLOG_BYTES
    drain_seconds: float = 0.0
    succeeds: bool = False
    verdicts: int = -1
    spool: str = ""


class ObserverOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the parent tells the observer.

    Attributes
    ----------
    folder, logs, spool : str
        The release folder, where the row log goes, and where posts are left.
    wires : tuple of int
        The observer's end of the wire of each worker.
    control, counters : int
        The wire to the parent, and the shared counters.
    server : str
        Which server this is, in the names of its files; the same for each life of the observer.
    verdicts : int
        The shared memory in which the parent says what it found of signatures; -1 if it does not.
    """

    folder: str
    logs: str
    spool: str
    wires: tuple[int, ...]
    control: int
    counters: int
    server: str = ""
    verdicts: int = -1


class Flush(msgspec.Struct, frozen=True, array_like=True):
    """From the parent: write everything you have, then send the same back."""

    token: str


flush_decoder = msgspec.msgpack.Decoder(Flush)


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Make the two ends of a wire; messages stay whole, and each end outlives the process that used it."""
    kind = getattr(socket, "SOCK_SEQPACKET", socket.SOCK_DGRAM)
    try:
        ends = socket.socketpair(socket.AF_UNIX, kind)
    except OSError:  # no SOCK_SEQPACKET for AF_UNIX on macOS
        ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        end.setblocking(False)
    return ends
