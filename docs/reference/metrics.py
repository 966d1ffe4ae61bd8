"""The page of metrics: what the control plane and the model server export, as they export it."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from docs.reference.markdown import code, escape, table

from perenne.app.metrics import Figures
from perenne.core.config import load_settings
from perenne.formats import prometheus
from perenne.serving.counters import Counters
from perenne.serving.metrics import families
from perenne.storage.workspace import Workspace
from perenne.telemetry.meters import RequestMeter
from perenne.telemetry.pulse import Pulse

HEAD = """# Metrics

Both servers answer `GET /metrics` in Prometheus' text format; what is worth an alert is on the page about
[operations](../operations.md#metrics). A metric without a sample is there by name and explanation.
"""
_FAMILY = re.compile(r"^# HELP (\S+) (.*)\n# TYPE \1 (\w+)", re.MULTILINE)


def page() -> str:
    """Write the page."""
    head = ["name", "type", "what"]
    return "\n".join(
        [HEAD, "## Control plane\n", table(head, _rows(control_plane())), "## Model server\n", table(head, _rows(server()))]
    )


def control_plane() -> bytes:
    """Scrape the figures of a control plane over an empty installation."""
    with TemporaryDirectory() as folder, Workspace(load_settings(Path(folder), {})) as workspace:
        return Figures(workspace.database, RequestMeter(), Pulse()).page()


def server() -> bytes:
    """Scrape the counters of a model server that has answered nothing."""
    found: Iterable[prometheus.Family] = families(Counters.create(2))
    return prometheus.render(found)


def _rows(scraped: bytes) -> Iterator[tuple[str, str, str]]:
    for name, text, kind in _FAMILY.findall(scraped.decode()):
        yield code(name), kind, escape(text)
