"""Objectives and guardrails, measured anew on the rows nobody has learned from: over all rows, in groups, and between groups."""

from collections.abc import Callable, Mapping

from perenne.delivery.gates.model import Finding, unknown, worst
from perenne.delivery.gates.port import Setting
from perenne.delivery.gates.subject import Rules, Subject
from perenne.projects import Guardrail, Objective
from perenne.registry import Verdict
from perenne.stats import fairness
from perenne.training import BoundCheck

Bound = Objective | Guardrail


class Objectives:
    """What the model must reach over all rows."""

    name = "objectives"
    title = "objectives and guardrails are met on rows it has not learned from"
    rests_on: tuple[str, ...] = ("bounds",)
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is asked where the project states one."""
        return "" if self._chosen(subject.rules) else "the project states no objective"

    def look(self, subject: Subject) -> Finding:
        """Measure each."""
        return _judged(subject, self._chosen(subject.rules), "objective")

    def _chosen(self, rules: Rules) -> list[str]:
        return _named(rules, lambda bound: bound.by is None and not bound.operational and not _fair(bound))


class Slices:
    """What the model must reach in every group."""

    name = "slices"
    title = "they are met in every group"
    rests_on: tuple[str, ...] = ("bounds",)
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is asked where the project states one by groups."""
        return "" if self._chosen(subject.rules) else "the project looks at no group"

    def look(self, subject: Subject) -> Finding:
        """Measure each in its worst group."""
        return _judged(subject, self._chosen(subject.rules), "bound by groups")

    def _chosen(self, rules: Rules) -> list[str]:
        return _named(rules, lambda bound: bound.by is not None and not bound.operational and not _fair(bound))


class Fairness:
    """How much groups may differ."""

    name = "fairness"
    title = "groups do not differ by more than they may"
    rests_on: tuple[str, ...] = ("bounds",)
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is asked where the project states a measure of fairness."""
        return "" if self._chosen(subject.rules) else "the project states no measure of fairness"

    def look(self, subject: Subject) -> Finding:
        """Measure each disparity."""
        return _judged(subject, self._chosen(subject.rules), "measure of fairness")

    def _chosen(self, rules: Rules) -> list[str]:
        return _named(rules, _fair)


def _fair(bound: Bound) -> bool:
    return bound.metric in fairness.measures()


def _named(rules: Rules, chosen: Callable[[Bound], bool]) -> list[str]:
    kinds = (("objective", rules.objectives), ("guardrail", rules.guardrails))
    return [f"{kind}: {bound}" for kind, bounds in kinds for bound in bounds if chosen(bound)]


def _judged(subject: Subject, names: list[str], what: str) -> Finding:
    """Put the checks of some bounds together; the one that is furthest from being met lends its figures."""
    found = {check.check: check for check in subject.evaluation.checks}
    checks = [found[name] for name in names if name in found]
    lost = [name for name in names if name not in found]
    if not checks:
        return unknown(f"no {what} could be measured")
    verdicts = [_verdict(check) for check in checks] + [Verdict.UNKNOWN] * len(lost)
    verdict = worst(verdicts)
    chosen = next(check for check in checks if _verdict(check) is verdict) if not lost or verdict is Verdict.FAIL else checks[0]
    sentences = [_sentence(check) for check in checks] + [f"{name}: not measured" for name in lost]
    return Finding(
        verdict=verdict,
        value=chosen.value,
        limit=chosen.limit,
        low=chosen.low,
        high=chosen.high,
        detail="; ".join(sentences),
        facts={"rows": subject.evaluation.rows, "checks": [_fact(check) for check in checks]},
    )


def _verdict(check: BoundCheck) -> Verdict:
    return Verdict.UNKNOWN if check.met is None else Verdict.PASS if check.met else Verdict.FAIL


def _sentence(check: BoundCheck) -> str:
    value = "unknown" if check.value is None else f"{check.value:.4g}"
    return f"{check.check.partition(': ')[2]}: {value}" + (f" ({check.detail})" if check.detail else "")


def _fact(check: BoundCheck) -> dict[str, object]:
    return {
        "check": check.check, "verdict": _verdict(check).value, "value": check.value, "low": check.low, "high": check.high,
        "limit": check.limit, "detail": check.detail,
    }  # fmt: skip
