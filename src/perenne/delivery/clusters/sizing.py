"""From what was measured of a version to what a pod of it asks for; without figures there are defaults, and it says so."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from perenne.delivery.clusters.model import Sizes

DEFAULT_MB = 192.0
HEADROOM = 1.3
SPARE_MB = 64
LEAST_MILLIS = 100
UTILISATION = 0.7
_STEP_MB = 16


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a version: resident memory of one worker in MB, CPU per request in microseconds, and what says so."""

    memory_mb: float | None = None
    cpu_us: float | None = None
    source: str = ""


def measured(facts: Iterable[tuple[str, Mapping[str, Any]]]) -> Measured:
    """Find the figures among what gates measured of a version: pairs of a gate and its facts, the newest last.

    >>> measured([("memory", {"resident_mb": 92.0, "cpu_us": 40.0})])
    Measured(memory_mb=92.0, cpu_us=40.0, source='gate memory')
    """
    found: dict[str, tuple[float, str]] = {}
    for gate, said in facts:
        for key in ("resident_mb", "cpu_us"):
            value = said.get(key)
            if isinstance(value, int | float) and value > 0:
                found[key] = (float(value), f"gate {gate}")
    sources = dict.fromkeys(source for _, source in found.values())
    none = (None, "")
    return Measured(memory_mb=found.get("resident_mb", none)[0], cpu_us=found.get("cpu_us", none)[0], source=", ".join(sources))


def sizes(found: Measured, *, workers: int, rate: float = 0.0, replicas: int = 1) -> Sizes:
    """Return what a pod asks for and may take.

    Parameters
    ----------
    found : Measured
        The figures there are.
    workers : int
        Processes that answer in the pod; each may use one core.
    rate : float
        Requests in a second, over all replicas, that are to be answered without another replica; 0 if nobody said.
    replicas : int
        Over how many replicas they spread.

    >>> sizes(Measured(memory_mb=92.0, cpu_us=40.0, source="gate"), workers=2, rate=2_000, replicas=2).cpu
    '100m'
    """
    one = found.memory_mb or DEFAULT_MB
    memory = _steps(one * workers * HEADROOM + SPARE_MB)
    millis = 1_000 * workers
    if found.cpu_us and rate:
        millis = max(LEAST_MILLIS, min(millis, math.ceil(round(rate / replicas * found.cpu_us / 1_000 / UTILISATION, 6))))
    return Sizes(
        cpu=f"{millis}m",
        cpu_limit=f"{1_000 * workers + 500}m",
        memory=f"{memory}Mi",
        memory_limit=f"{_steps(1.5 * memory)}Mi",
        source=_source(found, rate),
    )


def _source(found: Measured, rate: float) -> str:
    parts = []
    if found.memory_mb:
        parts.append(f"memory measured, {found.memory_mb:.0f} MB a worker")
    if found.cpu_us and rate:
        parts.append(f"CPU measured, {found.cpu_us:.0f} µs a request at {rate:g} requests/s")
    elif found.cpu_us:
        parts.append(f"{found.cpu_us:.0f} µs of CPU a request were measured; no rate was given, so a core a worker is asked for")
    if found.source:
        parts.append(f"evidence: {found.source}")
    missing = [name for name, value in (("memory", found.memory_mb), ("CPU", found.cpu_us)) if not value]
    if missing:
        parts.append(f"{' and '.join(missing)}: nothing was measured, a default")
    return "; ".join(parts)


def _steps(megabytes: float) -> int:
    return math.ceil(megabytes / _STEP_MB) * _STEP_MB
