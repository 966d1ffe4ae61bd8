"""What monitoring does in a turn of the loop: take in what came, join labels, judge what has ended."""

from perenne.monitoring import intake
from perenne.monitoring.elsewhere import turns as elsewhere
from perenne.monitoring.judge import judge_due
from perenne.monitoring.realising import realise
from perenne.storage.workspace import Workspace

__all__ = ["collect", "judge_due", "realise"]


def collect(workspace: Workspace) -> int:
    """Take in what observers left, and what others sent; return how much was new."""
    return intake.collect(workspace) + elsewhere.collect(workspace)
