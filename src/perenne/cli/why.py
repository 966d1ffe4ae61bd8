"""`perenne why`: explain one prediction."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from perenne.core.results import Result
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.automation import Why

_BAR = 10


@click.command()
@click.argument("prediction_id")
@click.pass_obj
def why(workspace: Workspace, prediction_id: str) -> Result:
    """Explain one prediction: model, code, data, approvals, drift at that minute, and what each input did.

    \b
    Examples:
      perenne why 01M8GQSGBA1NHC8Y45EHH2NB3J-0
    """
    from perenne import automation

    found = automation.why(workspace, prediction_id)
    return Result(found, note=f"on the page: /why/{found.prediction_id}", shown=dict(_told(found)))


def _told(found: "Why") -> Iterator[tuple[str, Any]]:
    """Tell what stands behind an answer, a line each; what is not recorded is said at the end."""
    score = "" if found.score is None else f", score {found.score:.4g}"
    yield "answer", f"{'none' if found.answer is None else found.answer}{score}"
    yield "what happened", _happened(found)
    yield "answered", f"{found.answered}, in {found.latency_us} µs"
    yield "about", found.event_time
    yield "by", f"{found.deployment}, {found.variant}{f' ({found.reason})' if found.reason else ''}"
    yield "version", f"{found.version} {found.version_state}, package {found.digest[:12]}"
    yield "gate", found.gate
    yield "signature", found.signature
    yield "approvals", "; ".join(found.approvals)
    yield "run", f"{found.run}: {found.run_outcome}"
    changed = ", with uncommitted changes" if found.uncommitted else ""
    yield "code", f"commit {found.commit}{changed}" if found.commit else "no commit"
    until = f" until {found.trained_until}" if found.trained_until else ""
    yield "data", f"{found.dataset} {found.snapshot[:12]}, {found.snapshot_rows:,} rows{until}"
    if found.drift is not None:
        yield "drift", "; ".join([f"{found.drift.state} from {found.drift.window}", *found.drift.causes])
    for other in found.others:
        yield "beside it", f"{other.version} would have said {other.answer}"
    yield "inputs", _inputs(found)
    yield "missing", "; ".join(found.missing)


def _happened(found: "Why") -> str:
    actual = found.actual
    if actual is None:
        return "not known yet"
    if actual.right is not None:
        return f"{actual.label}: the answer was {'right' if actual.right else 'wrong'}"
    return actual.label if actual.error is None else f"{actual.label}: the answer is off by {actual.error:+.4g}"


def _inputs(found: "Why") -> list[dict[str, Any]]:
    most = max((abs(item.effect) for item in found.inputs), default=0.0) or 1.0
    return [
        {
            "input": item.name,
            "effect": f"{item.effect:+.4g}",
            "bar": ("+" if item.effect > 0 else "-") * round(_BAR * abs(item.effect) / most),
            "value": "missing" if item.value is None else item.value,
            "typical": f"typical {item.typical:.4g}" if isinstance(item.typical, float) else f"typical {item.typical}",
            "known": f"known: {item.range}" if item.known else f"not seen in training: {item.range}",
        }
        for item in found.inputs
    ]
