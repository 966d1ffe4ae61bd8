"""What monitoring does in a turn of the loop: take in what came, join labels, look at what runs, judge what has ended."""

from perenne.monitoring.guards.running import look_at_running
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.realising import realise

__all__ = ["collect", "judge_due", "look_at_running", "realise"]
