"""What monitoring does in a turn of the loop.

Take in what came, join labels, look at what runs, judge what has ended, let go of what is old; and the job that estimates errors.
"""

from perenne.monitoring import intake
from perenne.monitoring.baselines.retention import retire
from perenne.monitoring.drawing import draw_due
from perenne.monitoring.elsewhere import turns as elsewhere
from perenne.monitoring.estimating import estimate_losses
from perenne.monitoring.guarding.realising import realise_outcomes
from perenne.monitoring.guarding.running import look_at_running
from perenne.monitoring.judge import judge_due
from perenne.monitoring.realising import realise
from perenne.storage.workspace import Workspace

__all__ = ["collect", "draw_due", "estimate_losses", "judge_due", "look_at_running", "realise", "realise_outcomes", "retire"]


def collect(workspace: Workspace) -> int:
    """Take in what observers left, and what others sent; return how much was new."""
    return intake.collect(workspace) + elsewhere.collect(workspace)
