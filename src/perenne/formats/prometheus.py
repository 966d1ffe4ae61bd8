"""Prometheus' text format, version 0.0.4."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
MAX_LABEL = 256
"""A longer value of a label is cut: whoever names things must not fill a scraper's memory."""


class Sample(NamedTuple):
    """A value with its labels; `suffix` is `_bucket`, `_sum` or `_count` in a histogram."""

    labels: Mapping[str, str]
    value: float
    suffix: str = ""


class Family(NamedTuple):
    """A metric: its name, its type (`counter`, `gauge`, `histogram`), one line of help, and its samples."""

    name: str
    kind: str
    description: str
    samples: list[Sample]


def render(families: Iterable[Family]) -> bytes:
    r"""Write metrics as text.

    >>> print(render([Family("up", "gauge", "Whether it is.", [Sample({"job": 'a"b'}, 1)])]).decode(), end="")
    # HELP up Whether it is.
    # TYPE up gauge
    up{job="a\"b"} 1
    """
    lines = []
    for family in families:
        lines.append(f"# HELP {family.name} {family.description}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        lines += [f"{family.name}{sample.suffix}{_labels(sample.labels)} {_number(sample.value)}" for sample in family.samples]
    return ("\n".join(lines) + "\n").encode("utf-8", "backslashreplace")


def histogram(labels: Mapping[str, str], edges: Iterable[float], cells: Iterable[int], total: float) -> list[Sample]:
    """Return the samples of a histogram from the counts of its cells; the last cell has no upper edge."""
    samples, seen = [], 0
    for edge, count in zip([*map(_number, edges), "+Inf"], cells, strict=True):
        seen += count
        samples.append(Sample({**labels, "le": edge}, seen, "_bucket"))
    return [*samples, Sample(labels, total, "_sum"), Sample(labels, seen, "_count")]


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    shown = value if len(value) <= MAX_LABEL else f"{value[: MAX_LABEL - 9]}…{_digest(value)}"
    return shown.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _digest(value: str) -> str:
    """Return eight letters that tell long values apart which begin alike."""
    return hashlib.sha256(value.encode("utf-8", "backslashreplace")).hexdigest()[:8]


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return str(int(value)) if value == int(value) else repr(value)
