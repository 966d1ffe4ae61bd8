"""What people see of a deployment's health in a terminal: a line for each window, and how the newest stands by every bound."""

import msgspec

from perenne.core.clock import format_time
from perenne.monitoring.model import CHAMPION, BoundState, WindowVerdict
from perenne.monitoring.service import Health


class AlertRow(msgspec.Struct, frozen=True):
    """An open alert, in a line."""

    alert: str
    version: str
    state: str
    what: str


class WindowRow(msgspec.Struct, frozen=True):
    """A window, in a line; `missed` names the bounds that it missed, `moved` says what moved most."""

    window: str
    version: str
    variant: str
    state: str
    rows: int
    missed: str
    moved: str


class BoundRow(msgspec.Struct, frozen=True):
    """An objective or a guardrail in the champion's newest window, and how the figure is known."""

    bound: str
    limit: str
    standing: str
    value: float | None
    interval: str
    known: str
    rows: int


class Shown(msgspec.Struct, frozen=True):
    """The health of a deployment, in lines."""

    deployment: str
    state: str
    alerts: tuple[AlertRow, ...]
    bounds: tuple[BoundRow, ...]
    windows: tuple[WindowRow, ...]


def shown(health: Health) -> Shown:
    """Put a deployment's health into lines, newest window first."""
    windows = sorted((verdict for stream in health.streams for verdict in stream.windows), key=_when, reverse=True)
    newest = next((verdict for verdict in windows if verdict.variant == CHAMPION), None)
    return Shown(
        health.deployment,
        health.state,
        tuple(AlertRow(alert.id, alert.version, alert.state.value, alert.summary) for alert in health.alerts),
        tuple(_bound(state) for state in newest.bounds) if newest else (),
        tuple(_window(verdict) for verdict in windows),
    )


def _when(verdict: WindowVerdict) -> tuple[int, bool]:
    return verdict.window_start, verdict.variant == CHAMPION


def _window(verdict: WindowVerdict) -> WindowRow:
    moved = [cause for cause in verdict.causes if cause.state in ("alarm", "warn")]
    words = f"{moved[0].feature}: {moved[0].sentence}" if moved else ""
    more = f"; {len(moved) - 1} more" if len(moved) > 1 else ""
    return WindowRow(
        format_time(verdict.window_start)[:16].replace("T", " "),
        verdict.version,
        verdict.variant,
        verdict.state.value,
        verdict.rows,
        ", ".join(dict.fromkeys(state.bound for state in verdict.bounds if state.standing == "missed")),
        words + more,
    )


def _bound(state: BoundState) -> BoundRow:
    figure = state.figure
    interval = "" if figure.low is None or figure.high is None else f"{figure.low:.4g} to {figure.high:.4g}"
    name = f"{state.bound}{f' ({figure.group})' if figure.group else ''}"
    limit = f"{'≥' if state.at_least else '≤'} {state.limit:g}"
    return BoundRow(name, limit, state.standing.value, figure.value, interval, figure.source, figure.rows)
