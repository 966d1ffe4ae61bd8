"""The champion: on the same rows, this version is not worse by more than a margin, by the paired bootstrap."""

from collections.abc import Mapping

from perenne import training
from perenne.delivery.gates.model import Finding, unknown
from perenne.delivery.gates.port import Setting
from perenne.delivery.gates.subject import Subject
from perenne.registry import Verdict

MARGIN = 0.02
"""By how much of the champion's own value a version may be worse, where the project sets no limit."""


class NotWorse:
    """Not worse than the champion: shown, shown to be worse, or not to be told by these rows."""

    name = "not-worse"
    title = "it is not worse than the champion on the same rows"
    rests_on: tuple[str, ...] = ("bounds", "champion")
    settings: Mapping[str, Setting] = {"metric": ""}

    def unasked(self, subject: Subject) -> str:
        """It is asked where there is another champion."""
        if subject.champion is None:
            return "there is no champion to compare with"
        return "it is the champion itself" if subject.champion.id == subject.version.id else ""

    def look(self, subject: Subject) -> Finding:
        """Let both answer the holdout of this version's snapshot."""
        rival, plan, rules = subject.rival, subject.plan, subject.rules
        metric = str(subject.setting(self, "metric")) or rules.metric or training.search_metric(plan.task, rules.objectives)
        objects, snapshot = subject.workspace.objects, subject.version.snapshot
        found = training.compare_packages(objects, snapshot, plan, subject.package, subject.champion_package, metric)
        if found.difference is None or found.low is None or found.high is None or found.champion is None:
            return unknown(found.reason or f"{metric} is undefined on these rows")
        stated = rules.of(self.name).at_least
        limit = -MARGIN * abs(found.champion) if stated is None else stated
        return Finding(
            verdict=judged(found.low, found.high, limit),
            value=found.difference,
            low=found.low,
            high=found.high,
            limit=limit,
            detail=(
                f"{metric} {found.challenger:.4g} against {found.champion:.4g} of {rival.id} on the same {found.rows} rows, "
                f"95 % interval of the difference in its favour {found.low:.4g} to {found.high:.4g}"
            ),
            facts={"metric": metric, "against": rival.id, "rows": found.rows, "p_superior": found.p_superior},
        )


def judged(low: float, high: float, limit: float) -> Verdict:
    """Say what an interval of the difference shows; positive is in the version's favour.

    >>> [judged(low, high, -0.01).value for low, high in ((-0.005, 0.01), (-0.03, -0.02), (-0.03, 0.03))]
    ['pass', 'fail', 'unknown']
    """
    if low >= limit:
        return Verdict.PASS
    return Verdict.FAIL if high < limit else Verdict.UNKNOWN
