"""What a turn of the loop does about outcomes: take in decisions, join what was posted, and compare callers by it."""

from perenne.monitoring.guarding.comparing import compare_callers
from perenne.monitoring.guarding.joining import join_outcomes
from perenne.monitoring.guarding.reporting import take_decisions
from perenne.storage.workspace import Workspace


def realise_outcomes(workspace: Workspace, now: int) -> int:
    """Bring what is known of outcomes up to date; return how much that was."""
    return take_decisions(workspace) + join_outcomes(workspace, now) + compare_callers(workspace, now)
