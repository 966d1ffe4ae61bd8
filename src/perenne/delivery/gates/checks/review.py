"""The people: whoever must approve has approved, and nobody has said no."""

from collections.abc import Mapping

from perenne.delivery.gates.model import Finding, unknown
from perenne.delivery.gates.port import Setting
from perenne.delivery.gates.subject import Subject
from perenne.registry import Decision, Verdict


class Review:
    """Human review, read from the decisions on exactly these files."""

    name = "review"
    title = "who must approve it has approved it"
    rests_on: tuple[str, ...] = ("moment",)
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is asked where somebody must approve, or has said no."""
        return "" if self._asked(subject) or self._decisions(subject) else "nobody is asked to approve it"

    def look(self, subject: Subject) -> Finding:
        """Read the decisions; the registry itself waits for those that are missing."""
        decisions = self._decisions(subject)
        no = next((decision for decision in decisions if not decision.approved), None)
        if no is not None:
            return Finding(verdict=Verdict.FAIL, detail=f"rejected by {no.approver}: {no.reason or 'no reason given'}")
        waits = [reason for reason in subject.dossier.gate.reasons if reason.startswith("approval ")]
        if waits or (self._asked(subject) and not decisions):
            return unknown("; ".join(waits) or f"approval by {self._asked(subject)} is missing")
        if not decisions:
            return unknown("nobody is asked to approve it")
        people = sorted({decision.approver for decision in decisions})
        return Finding(
            verdict=Verdict.PASS, value=float(len(people)), unit="approvals", detail=f"approved by {', '.join(people)}"
        )

    def _asked(self, subject: Subject) -> str:
        return subject.version.policy.approve_by

    def _decisions(self, subject: Subject) -> list[Decision]:
        mine = subject.version.tree
        return [decision for decision in subject.dossier.decisions if decision.tree == mine]
