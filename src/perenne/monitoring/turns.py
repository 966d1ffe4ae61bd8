"""What monitoring does in a turn of the loop: take in what came, join labels, judge what has ended, let go of what is old."""

from perenne.monitoring.baselines.retention import retire
from perenne.monitoring.drawing import draw_due
from perenne.monitoring.intake import collect
from perenne.monitoring.judge import judge_due
from perenne.monitoring.realising import realise

__all__ = ["collect", "draw_due", "judge_due", "realise", "retire"]
