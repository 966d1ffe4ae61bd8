"""A load generator that is not the bottleneck: raw sockets and epoll in a process of its own, distinct requests in turn.

    python benchmarks/serving/load.py PORT FILE --concurrency 32 --seconds 5 [--requests 100000]

FILE holds requests as they go over the wire, each behind its length (four bytes, big-endian). Loopback only; each connection
waits for its answer before it asks again. Prints one line of JSON.
"""

import argparse
import array
import json
import select
import socket
import struct
import time
from pathlib import Path
from typing import Any, NamedTuple

HOST = "127.0.0.1"
_LENGTH = b"content-length:"


class Load(NamedTuple):
    """What was asked: seconds, answers, those that were not 200, and latencies in milliseconds."""

    seconds: float
    answers: int
    failed: int
    latencies: "array.array[float]"

    def summary(self) -> dict[str, Any]:
        """Return it as figures."""
        ordered = sorted(self.latencies)

        def quantile(share: float) -> float:
            return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")

        return {
            "seconds": self.seconds,
            "answers": self.answers,
            "failed": self.failed,
            "rps": self.answers / self.seconds,
            "p50_ms": quantile(0.5),
            "p99_ms": quantile(0.99),
        }


class _Connection:
    """One caller: its socket, what has arrived of the answer, and when it asked."""

    __slots__ = ("arrived", "asked", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(60)
        self.arrived = b""
        self.asked = 0


def whole(data: bytes) -> bool:
    """Tell whether an answer has arrived whole."""
    head = data.find(b"\r\n\r\n")
    if head < 0:
        return False
    lower = data[:head].lower()
    place = lower.find(_LENGTH)
    if place < 0:
        return data.endswith(b"0\r\n\r\n")
    end = lower.find(b"\r", place)
    length = int(lower[place + len(_LENGTH) : end if end >= 0 else head])
    return len(data) >= head + 4 + length


def drive(port: int, requests: list[bytes], concurrency: int, seconds: float, most: int) -> Load:
    """Ask for so many seconds, or so many times, with so many connections at once."""
    connections = {}
    poll = select.epoll()
    for _ in range(concurrency):
        connection = _Connection(port)
        connections[connection.socket.fileno()] = connection
        poll.register(connection.socket.fileno(), select.EPOLLIN)
    latencies = array.array("d")
    clock, count, turn, failed, asked = time.perf_counter_ns, len(requests), 0, 0, 0
    began = clock()
    end = began + int(seconds * 1e9)
    for connection in connections.values():
        connection.asked = clock()
        connection.socket.sendall(requests[turn % count])
        turn += 1
        asked += 1
    waiting = asked
    while waiting:
        for handle, _ in poll.poll(60):
            connection = connections[handle]
            data = connection.socket.recv(1 << 18)
            if not data:
                raise ConnectionError("the server closed a connection")
            if connection.arrived:
                data = connection.arrived + data
            if not whole(data):
                connection.arrived = data
                continue
            connection.arrived = b""
            now = clock()
            latencies.append((now - connection.asked) / 1e6)
            failed += not data.startswith(b"HTTP/1.1 200")
            if now >= end or asked >= most:
                waiting -= 1
                continue
            connection.asked = now
            connection.socket.sendall(requests[turn % count])
            turn += 1
            asked += 1
    taken = (clock() - began) / 1e9
    for connection in connections.values():
        connection.socket.close()
    return Load(taken, len(latencies), failed, latencies)


def read_requests(path: Path) -> list[bytes]:
    """Read a file of requests."""
    data, found, place = path.read_bytes(), [], 0
    while place < len(data):
        (length,) = struct.unpack_from(">I", data, place)
        found.append(data[place + 4 : place + 4 + length])
        place += 4 + length
    return found


def write_requests(path: Path, requests: list[bytes]) -> None:
    """Write a file of requests."""
    path.write_bytes(b"".join(struct.pack(">I", len(request)) + request for request in requests))


def main() -> None:
    """Ask and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--requests", type=int, default=1_000_000)
    given = parser.parse_args()
    load = drive(given.port, read_requests(given.file), given.concurrency, given.seconds, given.requests)
    print(json.dumps(load.summary()))


if __name__ == "__main__":
    main()
