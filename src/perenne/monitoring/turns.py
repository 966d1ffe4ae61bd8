"""What monitoring does in a turn of the loop: take in what came, join labels, judge what has ended."""

from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.realising import realise

__all__ = ["collect", "judge_due", "realise"]
