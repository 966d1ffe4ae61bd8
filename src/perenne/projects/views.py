"""What pages show of projects alone: their plan held against what happened, their policy in words, what they leave unsaid."""

from perenne.projects.plan import PlanLine, standing
from perenne.projects.service import Gap, gaps, matching
from perenne.projects.wording import policy_words

__all__ = ["Gap", "PlanLine", "gaps", "matching", "policy_words", "standing"]
