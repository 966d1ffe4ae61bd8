"""Guardrails while their window runs: what can be known at once is looked at in every turn of the loop.

The limits of what is seen hold for all looks together, and each further window of a version may use a smaller part of the chance
of a false stop, so that over all its life it is stopped by chance with `ALPHA` at most. A breach does at once what one that is
found at the end of a window does: its alert fires, and who hears of it stops the model.
"""

from perenne.monitoring import row_store, store
from perenne.monitoring.alerts import advance
from perenne.monitoring.events import GuardrailBreached
from perenne.monitoring.findings import Finding, sentence
from perenne.monitoring.guards import store as guard_store
from perenne.monitoring.guards.figures import lasting
from perenne.monitoring.guards.model import ALPHA, Running
from perenne.monitoring.judge import speaks
from perenne.monitoring.model import BoundState, Outcome, Severity, Standing, Watch, WindowKey, stand
from perenne.monitoring.references import load_reference
from perenne.stats.profile import Profile
from perenne.stats.sequential import spent
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace


def look_at_running(workspace: Workspace, now: int) -> int:
    """Hold every window that runs and has grown against the guardrails that are known at once; return how many there were."""
    with workspace.database.read() as tx:
        due = guard_store.running_due(tx, now)
    return sum(_look(workspace, key, now) for key, _ in due)


def _look(workspace: Workspace, key: WindowKey, now: int) -> bool:
    with workspace.database.read() as tx:
        watch = store.find_watch(tx, key.stream.deployment, key.stream.version)
        window, known = store.find_window(tx, key), guard_store.find_running(tx, key)
        groups = row_store.list_groups(tx, key)
        look = guard_store.windows_looked_at(tx, key.stream, key.start) + 1 if known is None else known.look
    if watch is None or window is None:
        return False
    reference = load_reference(workspace.objects, watch.reference)
    profile = Profile.from_bytes(window.profile, reference)
    alpha = spent(ALPHA, look) / len(watch.guardrails)
    seen = ((bound, lasting(bound, window, reference.layout, profile, groups, alpha)) for bound in watch.guardrails)
    states = tuple(stand(bound, figure) for bound, figure in seen if figure is not None)
    running = Running(
        deployment=window.deployment,
        variant=window.variant,
        version=window.version,
        window_start=window.window_start,
        window_length=window.window_length,
        revision=window.revision,
        look=look,
        alpha=alpha,
        states=states,
        looked=now,
    )
    breached = [state for state in states if state.standing is Standing.MISSED]

    def keep(tx: Transaction) -> bool:
        guard_store.save_running(tx, running)
        if breached and speaks(tx, key.stream):
            advance(tx, watch, key, [breach(watch, key, state) for state in breached], now)
        return True

    return workspace.database.write(keep)


def breach(watch: Watch, key: WindowKey, state: BoundState) -> Finding:
    """Say that a guardrail is breached; the alert is that of the whole window, which will judge it again."""
    return Finding(
        rule=state.rule,
        outcome=Outcome.ALARM,
        severity=Severity.CRITICAL,
        confirm=1,
        summary=sentence(state),
        event=lambda alert: GuardrailBreached(
            deployment=watch.deployment,
            version=watch.version,
            guardrail=state.bound,
            value=float("nan") if state.figure.value is None else state.figure.value,
            threshold=state.limit,
            source=state.figure.source,
            group=state.figure.group,
            window_start=key.start,
            alert=alert,
            stop=state.stop,
        ),
    )
