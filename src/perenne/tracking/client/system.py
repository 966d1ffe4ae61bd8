"""How busy the machine is while a run goes on, under MLflow's names for it; what the system does not tell is left out."""

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perenne.tracking.client.run import ActiveRun

MEGA = 1_000_000


def watch(run: "ActiveRun", seconds: float) -> Callable[[], None]:
    """Log the machine's figures every so many seconds, from a thread; return what stops it."""
    stop = threading.Event()

    def repeat() -> None:
        reader, step = Machine(), 0
        while not stop.wait(seconds):
            with contextlib.suppress(Exception):  # figures of the machine never end a training
                run.log_metrics(reader.read(), step)
            step += 1

    threading.Thread(target=repeat, name="perenne-system", daemon=True).start()
    return stop.set


class Machine:
    """Reads the machine's figures; shares of time are of the time since the reading before."""

    def __init__(self) -> None:
        self._busy = _processor_times()
        self._net = _network()
        self._cards = shutil.which("nvidia-smi")

    def read(self) -> dict[str, float]:
        """Return the figures by name, below ``system/``."""
        found = dict(self._processor()) | dict(_memory()) | dict(_disk()) | dict(self._network())
        if self._cards:
            found |= dict(_cards(self._cards))
        return {f"system/{name}": value for name, value in found.items()}

    def _processor(self) -> Iterator[tuple[str, float]]:
        before, self._busy = self._busy, _processor_times()
        if self._busy[1] > before[1]:
            yield "cpu_utilization_percentage", 100 * (self._busy[0] - before[0]) / (self._busy[1] - before[1])

    def _network(self) -> Iterator[tuple[str, float]]:
        now = _network()
        yield "network_receive_megabytes", (now[0] - self._net[0]) / MEGA
        yield "network_transmit_megabytes", (now[1] - self._net[1]) / MEGA


def _processor_times() -> tuple[float, float]:
    """Return busy and all ticks of the machine's processors."""
    fields = [float(field) for field in _read("/proc/stat").partition("\n")[0].split()[1:9]]
    return (sum(fields) - sum(fields[3:5]), sum(fields)) if fields else (0.0, 0.0)


def _memory() -> Iterator[tuple[str, float]]:
    lines = (line.split() for line in _read("/proc/meminfo").splitlines())
    sizes = {parts[0].rstrip(":"): float(parts[1]) * 1024 for parts in lines if len(parts) > 1}
    if "MemTotal" in sizes and "MemAvailable" in sizes:
        used = sizes["MemTotal"] - sizes["MemAvailable"]
        yield "system_memory_usage_megabytes", used / MEGA
        yield "system_memory_usage_percentage", 100 * used / sizes["MemTotal"]
    pages = _read("/proc/self/statm").split()
    if len(pages) > 1:
        yield "process_memory_megabytes", float(pages[1]) * os.sysconf("SC_PAGE_SIZE") / MEGA


def _disk() -> Iterator[tuple[str, float]]:
    usage = shutil.disk_usage(".")
    yield "disk_usage_percentage", 100 * usage.used / usage.total
    yield "disk_available_megabytes", usage.free / MEGA


def _network() -> tuple[float, float]:
    received = sent = 0.0
    for line in _read("/proc/net/dev").splitlines()[2:]:
        name, _, rest = line.partition(":")
        fields = rest.split()
        if name.strip() != "lo" and len(fields) > 8:
            received, sent = received + float(fields[0]), sent + float(fields[8])
    return received, sent


def _cards(program: str) -> Iterator[tuple[str, float]]:
    query = "--query-gpu=index,utilization.gpu,memory.used,memory.total,power.draw"
    try:
        done = subprocess.run(
            [program, query, "--format=csv,noheader,nounits"], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return
    yield from card_figures(done.stdout)


def card_figures(text: str) -> Iterator[tuple[str, float]]:
    """Read what `nvidia-smi` says, a card a line; what it does not know is left out.

    >>> dict(card_figures("0, 37, 1024, 8192, [N/A]"))["gpu_0_memory_usage_percentage"]
    12.5
    """
    for line in text.splitlines():
        index, *fields = [field.strip() for field in line.split(",")]
        values = [_number(field) for field in fields]
        if len(values) < 4:
            continue
        utilization, used, total, power = values
        yield from _known(f"gpu_{index}_utilization_percentage", utilization)
        yield from _known(f"gpu_{index}_memory_usage_megabytes", used)
        if used is not None and total:
            yield f"gpu_{index}_memory_usage_percentage", 100 * used / total
        yield from _known(f"gpu_{index}_power_usage_watts", power)


def _known(name: str, value: float | None) -> Iterator[tuple[str, float]]:
    if value is not None:
        yield name, value


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
