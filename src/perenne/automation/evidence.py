"""A round's findings as evidence rows, and which of them the gate asks for."""

from collections.abc import Sequence

from perenne import delivery
from perenne.automation.round import Outcome
from perenne.projects import Gate, RetrainPolicy
from perenne.registry import Evidence, GatePolicy, Verdict, Version
from perenne.training import BoundCheck, Compared

PARITY = "parity: the compiled form answers like the model"
DATA = "data: validation"


def superiority_check(policy: RetrainPolicy, champion: Version) -> str:
    """Name the check that a challenger beats the champion."""
    return f"compare: better than {champion.id} at alpha {policy.promote.alpha:g}"


def required_gates(gates: Sequence[Gate]) -> tuple[str, ...]:
    """Name the gates without which a project lets no version go on; the registry itself waits for people."""
    return tuple(gate.name for gate in gates if gate.required and gate.name != "review")


def gate_policy(outcome: Outcome, policy: RetrainPolicy, champion: Version | None, gates: Sequence[Gate] = ()) -> GatePolicy:
    """Return what a version needs: parity, sound data, every bound measurable now, to beat the champion, and required gates."""
    required = [PARITY, DATA, *(check.check for check in outcome.evaluation.checks)]
    required += [delivery.gates.PREFIX + name for name in required_gates(gates)]
    if champion is not None:
        required.append(superiority_check(policy, champion))
    return GatePolicy(tuple(required), policy.approve_by)


def evidence_of(outcome: Outcome, policy: RetrainPolicy, champion: Version | None, compared: Compared | None) -> list[Evidence]:
    """Write a round's findings as evidence."""
    warnings = outcome.checked.warnings
    found = f"{outcome.checked.rows} rows; " + (
        f"{len(warnings)} warnings: {'; '.join(warnings[:3])}" if warnings else "no warnings"
    )
    facts = [
        Evidence(check=PARITY, verdict=Verdict.PASS, detail=outcome.evaluation.parity),
        Evidence(check=DATA, verdict=Verdict.PASS, detail=found),
        *(_bound(check) for check in outcome.evaluation.checks),
    ]
    if champion is not None and compared is not None:
        facts.append(_compared(superiority_check(policy, champion), compared, policy.promote.alpha))
    return facts


def _bound(check: BoundCheck) -> Evidence:
    verdict = Verdict.UNKNOWN if check.met is None else Verdict.PASS if check.met else Verdict.FAIL
    return Evidence(
        check=check.check,
        verdict=verdict,
        value=check.value,
        low=check.low,
        high=check.high,
        limit=check.limit,
        detail=check.detail,
    )


def _compared(name: str, found: Compared, alpha: float) -> Evidence:
    if found.p_superior is None or found.difference is None:
        return Evidence(
            check=name, verdict=Verdict.UNKNOWN, limit=alpha, detail=found.reason or "the metric is undefined on the holdout"
        )
    verdict = Verdict.PASS if found.difference > 0 and found.p_superior < alpha else Verdict.FAIL
    detail = (
        f"{found.metric} {found.challenger:.4g} against {found.champion:.4g} on the same {found.rows} rows, "
        f"p = {found.p_superior:.3g}"
    )
    return Evidence(
        check=name, verdict=verdict, value=found.difference, low=found.low, high=found.high, limit=alpha, detail=detail
    )
