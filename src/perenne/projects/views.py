"""What pages show of projects alone: what each one states, its plan held against what happened, and what it leaves unsaid."""

from perenne.projects.plan import PlanLine, standing
from perenne.projects.service import Gap, gaps, matching

__all__ = ["Gap", "PlanLine", "gaps", "matching", "standing"]
