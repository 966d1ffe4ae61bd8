"""`perenne trace list|search|show|delete|export`."""

from collections.abc import Iterator
from typing import Any

import click
import msgspec

from perenne import tracking
from perenne.auth.principals import local_principal
from perenne.core import json
from perenne.core.clock import format_duration, format_time, parse_duration
from perenne.core.errors import NotFound
from perenne.core.results import Result
from perenne.formats.otlp import Span
from perenne.llm import conventions, feedback, names, trace_search, traces
from perenne.llm.model import Trace
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace

AT_ONCE = 5_000
"""So many traces go in one transaction: others write in between."""

_EXPERIMENT = click.option("--experiment", default="Default", show_default=True, help="The experiment's name or number.")
_LIMIT = click.option(
    "--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="At most this many, newest first."
)


@click.group()
def trace() -> None:
    """What language models did, and what was said of it."""


@trace.command("list")
@_EXPERIMENT
@_LIMIT
@click.pass_obj
def list_(workspace: Workspace, experiment: str, limit: int) -> list[dict[str, Any]]:
    """List traces of an experiment, newest first.

    \b
    Examples:
      perenne trace list --experiment support-bot
    """
    return _found(workspace, experiment, "", limit)


@trace.command()
@click.argument("filter_", metavar="FILTER")
@_EXPERIMENT
@_LIMIT
@click.pass_obj
def search(workspace: Workspace, filter_: str, experiment: str, limit: int) -> list[dict[str, Any]]:
    """Find traces by a filter, in the language of every search.

    \b
    Examples:
      perenne trace search "status = 'ERROR' OR execution_time_ms >= 5000"
      perenne trace search "span.type = 'TOOL' AND span.status = 'ERROR'" --experiment support-bot
    """
    return _found(workspace, experiment, filter_, limit)


@trace.command()
@click.argument("trace_id", metavar="TRACE")
@click.pass_obj
def show(workspace: Workspace, trace_id: str) -> Result:
    """Show a trace: its spans as a tree, and what was said of it; --json has all that the spans hold.

    \b
    Examples:
      perenne trace show tr-4bf92f3577b34da6a3ce929d0e0e4736
    """
    with workspace.database.read() as tx:
        found = traces.get(tx, local_principal(), trace_id)
        spans = traces.complete_spans(tx, [found], partial=True)[found.id]
    whole = {"trace": found, "spans": [msgspec.structs.asdict(span) for span in spans]}
    return Result(json.plain(whole), shown=_shown(found, spans))


@trace.command()
@click.argument("trace_ids", metavar="[TRACE…]", nargs=-1)
@click.option("--older-than", metavar="DURATION", help="All that began longer ago than this, such as 90d.")
@_EXPERIMENT
@click.pass_obj
def delete(workspace: Workspace, trace_ids: tuple[str, ...], older_than: str | None, experiment: str) -> Result:
    """Delete traces for good, with all that was said of them: those that are named, or old ones.

    \b
    Examples:
      perenne trace delete tr-4bf92f3577b34da6a3ce929d0e0e4736 --experiment support-bot
      perenne trace delete --older-than 90d --experiment support-bot
    """
    actor = local_principal()
    before = None if older_than is None else (workspace.clock.now() - parse_duration(older_than)) // 1_000

    def work(tx: Transaction) -> int:
        return traces.delete(tx, actor, _number(tx, experiment), ids=trace_ids, before=before, limit=AT_ONCE)

    deleted = 0
    while gone := workspace.database.write(work):
        deleted += gone
    strange = older_than is None and deleted < len(trace_ids)
    return Result({"deleted": deleted}, note="the others are not traces of this experiment" if strange else "")


@trace.command()
@_EXPERIMENT
@click.option(
    "--form", type=click.Choice(feedback.FORMS), default="assessments", show_default=True, help="What a line has; see the docs."
)
@click.option(
    "--holdout", type=click.IntRange(0, 100), default=10, show_default=True, help="Of a hundred prompts, so many to hold out."
)
@click.pass_obj
def export(workspace: Workspace, experiment: str, form: str, holdout: int) -> str:
    """Print what was said of traces as JSON lines, to train on.

    \b
    Examples:
      perenne trace export --experiment support-bot > feedback.jsonl
      perenne trace export --experiment support-bot --form preference > pairs.jsonl
    """
    with workspace.database.read() as tx:
        rows = feedback.rows(tx, local_principal(), [_number(tx, experiment)], form, holdout=holdout)
        return "\n".join(json.encode(row).decode() for row in rows)


def _found(workspace: Workspace, experiment: str, text: str, limit: int) -> list[dict[str, Any]]:
    with workspace.database.read() as tx:
        number = _number(tx, experiment)
        found = trace_search.search(tx, local_principal(), experiments=[number], text=text, limit=limit)
    return [_row(one) for one in found.traces]


def _number(tx: Transaction, text: str) -> int:
    """Return the number of an experiment that is named, or whose number is given."""
    actor = local_principal()
    try:
        return tracking.experiments.by_name(tx, actor, text).id
    except NotFound:
        if not (text.isascii() and text.isdecimal() and len(text) < 19):
            raise
        return tracking.experiments.get(tx, actor, int(text)).id


def _row(one: Trace) -> dict[str, Any]:
    return {
        "trace": one.id,
        "state": one.state.value,
        "name": one.name or "",
        "started": format_time(one.started * 1_000),
        "took": "" if one.duration is None else format_duration(one.duration * 1_000),
        "tokens": one.usage.total_tokens,
        "cost": one.cost.total_cost,
        "said": len(one.assessments),
        "request": (one.request_preview or "")[:80],
    }


def _shown(found: Trace, spans: list[Span]) -> dict[str, Any]:
    said = [
        {"name": one.name, "kind": one.kind.value, "value": conventions.written(one.value), "by": one.source, "counts": one.valid}
        for one in found.assessments
    ]
    told = _row(found) | {"request": found.request_preview or "", "response": found.response_preview or "", "said": said}
    return told | {"tags": found.tags, "spans": [_line(span, depth) for depth, span in _tree(spans)]}


def _tree(spans: list[Span]) -> Iterator[tuple[int, Span]]:
    """Go through the spans of a trace from the root down; what hangs on nothing comes as a root."""
    known = {span.span_id for span in spans}
    children: dict[str, list[Span]] = {}
    for span in spans:
        children.setdefault(span.parent_id if span.parent_id in known else "", []).append(span)
    waiting = [(0, span) for span in reversed(children.get("", []))]
    while waiting:
        depth, span = waiting.pop()
        yield depth, span
        waiting += [(depth + 1, child) for child in reversed(children.pop(span.span_id, []))]


def _line(span: Span, depth: int) -> dict[str, Any]:
    kind = span.attributes.get(names.SPAN_TYPE)
    took = format_duration((span.end - span.start) // 1_000) if span.end else ""
    model = span.attributes.get(names.MODEL)
    return {
        "span": f"{'  ' * depth}{span.name}",
        "type": kind if isinstance(kind, str) else "",
        "state": ("", "ok", "error")[min(span.status, 2)],
        "took": took,
        "model": model if isinstance(model, str) else "",
    }
