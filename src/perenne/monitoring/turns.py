"""What monitoring does in a turn of the loop, and in a job: take in what came, join labels, judge what has ended, estimate."""

from perenne.monitoring.estimating import estimate_losses
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.realising import realise

__all__ = ["collect", "estimate_losses", "judge_due", "realise"]
