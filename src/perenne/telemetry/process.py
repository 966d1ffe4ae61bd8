"""What a process costs, as the operating system says: in the names every Prometheus client library uses."""

import os
import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from perenne.formats.prometheus import Family, Sample

_PROC = Path("/proc")


def families() -> Iterator[Family]:
    """Go through the figures of this process; what the system does not tell is left out."""
    yield _family("process_cpu_seconds_total", "counter", "CPU time spent.", cpu_seconds())
    yield _family("process_resident_memory_bytes", "gauge", "Resident memory.", resident_bytes())
    if (handles := _open_handles()) is not None:
        yield _family("process_open_fds", "gauge", "Open file descriptors.", handles)
    yield _family("process_max_fds", "gauge", "File descriptors allowed.", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    if (started := start_time(os.getpid())) is not None:
        yield _family("process_start_time_seconds", "gauge", "When the process started, in seconds since 1970.", started)


def cpu_seconds() -> float:
    """Return the CPU time this process has spent."""
    spent = os.times()
    return spent.user + spent.system


def resident_bytes() -> int:
    """Return the resident memory of this process; where the system does not tell, the most it ever had."""
    statm = _read(_PROC / "self" / "statm").split()
    if len(statm) >= 2:
        return int(statm[1]) * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def cpu_seconds_of(pid: int) -> float | None:
    """Return the CPU time another process has spent; None if it does not run or the system does not tell."""
    fields = _read(_PROC / str(pid) / "stat").rpartition(")")[2].split()
    return None if len(fields) < 13 else (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes_of(pid: int) -> int | None:
    """Return the resident memory of another process; None if it does not run or the system does not tell."""
    statm = _read(_PROC / str(pid) / "statm").split()
    return int(statm[1]) * os.sysconf("SC_PAGE_SIZE") if len(statm) >= 2 else None


def start_time(pid: int) -> float | None:
    """Return when a process of this machine started, in seconds since 1970; None if it does not run or the system does not tell.

    With the number of the process it says whether it is still the same one: numbers are used again.
    """
    fields = _read(_PROC / str(pid) / "stat").rpartition(")")[2].split()
    booted = _read(_PROC / "stat").partition("btime ")[2].split(maxsplit=1)
    if len(fields) < 20 or not booted:
        return None
    return float(booted[0]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def is_running(pid: int, started: float | None) -> bool:
    """Tell whether a process of this machine runs, and is the one that started then."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it runs, as somebody else
        pass
    found = start_time(pid)
    return started is None or found is None or abs(found - started) < 2.0


def _open_handles() -> int | None:
    for folder in (_PROC / "self" / "fd", Path("/dev/fd")):
        try:
            return len(os.listdir(folder))
        except OSError:
            continue
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _family(name: str, kind: str, description: str, value: float) -> Family:
    return Family(name, kind, description, [Sample({}, value)])
