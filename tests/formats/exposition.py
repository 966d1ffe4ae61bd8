"""A strict reader of Prometheus' text format 0.0.4, by its description: what it takes, a scrape takes.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

import math
import re
from typing import NamedTuple

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
TYPES = {"counter", "gauge", "histogram", "summary", "untyped"}


class Metric(NamedTuple):
    """A metric that was read: its type and its samples, by name and labels."""

    kind: str
    samples: dict[tuple[str, tuple[tuple[str, str], ...]], float]


def read(page: bytes) -> dict[str, Metric]:
    """Read a page, or fail with what is wrong with it."""
    text = page.decode("utf-8")
    assert text.endswith("\n")
    metrics: dict[str, Metric] = {}
    present = ""
    for line in text[:-1].split("\n"):
        assert line.strip(" "), "an empty line"
        if line.startswith("# HELP "):
            present = line.split(" ")[2]
            assert NAME.fullmatch(present) and present not in metrics, f"{present} comes twice"
            assert len(line.split(" ", 3)) == 4, f"{present} has no help"
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == present and kind in TYPES, line
            metrics[name] = Metric(kind, {})
        else:
            _add(metrics, present, line)
    for name, metric in metrics.items():
        _check(name, metric)
    return metrics


def _add(metrics: dict[str, Metric], present: str, line: str) -> None:
    match = SAMPLE.fullmatch(line)
    assert match, f"not a sample: {line!r}"
    labels, rest = [], match["labels"] or ""
    while rest:
        found = LABEL.match(rest)
        assert found, f"odd labels in {line!r}"
        labels.append((found[1], found[2]))
        rest = rest[found.end() :]
    assert len({name for name, _ in labels}) == len(labels), f"a label comes twice in {line!r}"
    suffixes = ("", "_bucket", "_sum", "_count") if metrics[present].kind == "histogram" else ("",)
    assert match["name"] in {present + suffix for suffix in suffixes}, f"{match['name']} stands below {present}"
    key = (match["name"], tuple(sorted(labels)))
    assert key not in metrics[present].samples, f"comes twice: {line!r}"
    metrics[present].samples[key] = float(match["value"].replace("+Inf", "inf"))


def _check(name: str, metric: Metric) -> None:
    """Check the conventions: counters end in `_total` and never fall below nought, histograms add up."""
    others = name.startswith("nv_inference_")  # Triton's counters have no such ending
    assert others or (metric.kind == "counter") == name.endswith("_total"), f"{name} is a {metric.kind}"
    if metric.kind == "counter":
        assert all(value >= 0 and not math.isnan(value) for value in metric.samples.values()), name
    if metric.kind != "histogram":
        return
    series: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for (sample, labels), value in metric.samples.items():
        rest = tuple(item for item in labels if item[0] != "le")
        if sample == f"{name}_bucket":
            series.setdefault(rest, []).append((float(dict(labels)["le"].replace("+Inf", "inf")), value))
    for labels, buckets in series.items():
        assert buckets == sorted(buckets) and buckets[-1][0] == math.inf, f"{name}: edges out of order"
        counts = [count for _, count in buckets]
        assert counts == sorted(counts), f"{name}: buckets do not add up"
        assert metric.samples[f"{name}_count", labels] == counts[-1]
        assert (f"{name}_sum", labels) in metric.samples
