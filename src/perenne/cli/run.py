"""`perenne run`: one round."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from perenne.auth.principals import local_principal
from perenne.cli.pages import look_at
from perenne.cli.places import place_options
from perenne.cli.progress import RoundProgress
from perenne.core.addresses import address_of
from perenne.core.results import EXIT_FINDINGS, Result
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.automation.rounds import RoundResult
    from perenne.registry import Dossier


class CheckLine(msgspec.Struct, frozen=True):
    """One check, in a line."""

    check: str
    verdict: str
    detail: str


class RoundReport(msgspec.Struct, frozen=True):
    """What a round came to, for a person to read."""

    version: str
    gate: str
    run: str
    snapshot: str
    model: str
    steps: str
    checks: tuple[CheckLine, ...]


@click.command()
@click.option("--folder", type=click.Path(path_type=Path), default=Path("."), help="Where project.py lies.")
@place_options
@click.pass_obj
def run(workspace: Workspace, folder: Path) -> Result:
    """Do one round: snapshot, validate, fit, compile, evaluate, register, gate.

    Steps whose data, code and parameters have not changed are not done again; after a crash it goes on where it was.
    Exits with 6 if the version's gate is closed.

    \b
    Examples:
      perenne run
      perenne run --folder churn
    """
    from perenne.app.wiring import Platform
    from perenne.automation import run_round
    from perenne.projects import load_project
    from perenne.registry import GateState, dossier
    from perenne.telemetry import logs, tracing

    os.environ.setdefault("PERENNE_LOG", "text")  # a person reads this; the child processes of steps follow
    logs.configure("perenne-run", level="warning")
    loaded, parent = load_project(folder), os.environ.get("TRACEPARENT")
    with (
        tracing.traced_process("perenne-run"),
        tracing.span("round", {"perenne.project": loaded.project.name}, parent=parent),
        RoundProgress(len(loaded.project.only_model.candidates)) as progress,
    ):
        done = run_round(workspace, local_principal(), loaded, on_event=progress.hear)
    if done.changed:
        Platform(workspace).loop.settle()
    with workspace.database.read() as tx:
        found = dossier(tx, done.version.id)
    closed = found.gate.state is GateState.CLOSED
    look = look_at(workspace.settings.home, address_of("version", done.version.id))
    return Result(_report(done, found), EXIT_FINDINGS if closed else 0, f"{_note(done, found)}\n{look}")


def _report(done: "RoundResult", found: "Dossier") -> RoundReport:
    best = done.outcome.chosen.best
    gate = "; ".join([found.gate.state.value, *found.gate.reasons])
    checks = tuple(CheckLine(item.check, item.verdict.value, item.detail) for item in found.evidence)
    steps = f"{done.steps - done.hits} done, {done.hits} known already"
    return RoundReport(done.version.id, gate, done.run, done.version.snapshot, best.estimator, steps, checks)


def _note(done: "RoundResult", found: "Dossier") -> str:
    if not done.changed:
        return f"nothing changed: data, code and parameters are those of {done.version.id}"
    if found.gate.state == "waiting":
        return f"next: `perenne model approve {done.version.id}`"
    if found.gate.state == "open":
        return "next: `perenne up` serves it, watches it, and keeps it going"
    return "the gate is closed: nothing will serve this version"
