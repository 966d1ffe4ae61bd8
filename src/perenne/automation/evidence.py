"""A round's findings as evidence rows, and which of them the gate asks for."""

from collections.abc import Sequence

from perenne import delivery
from perenne.automation.round import Outcome
from perenne.projects import Gate, Mode, Promotion, RetrainPolicy
from perenne.registry import Evidence, GatePolicy, Verdict, Version
from perenne.stats.promotion import Contest, combined
from perenne.training import BoundCheck, Compared, Terms

PARITY = "parity: the compiled form answers like the model"
DATA = "data: validation"


def terms_of(policy: RetrainPolicy, rule: Promotion, since: int = 0) -> Terms:
    """Return what a challenger has to show, as training asks for it."""
    return Terms(
        mode=Mode.SUPERIOR.value if rule.mode is Mode.BY_TRIGGER else rule.mode.value,
        alpha=rule.alpha,
        min_effect=rule.min_effect,
        margin=rule.margin,
        minimum=policy.minimum_labels,
        slices=policy.slices,
        slice_margin=policy.slice_margin,
        cluster=policy.cluster,
        since=since,
    )


def promotion_check(terms: Terms, champion: Version) -> str:
    """Name the check of a challenger against the champion."""
    against, chance = champion.id, f"at alpha {terms.alpha:.3g}"
    if terms.mode == Mode.NON_INFERIOR:
        return f"compare: not worse than {against} by {terms.margin:g} {chance}"
    if terms.mode == Mode.FRESH:
        return f"compare: not worse than {against} by {terms.margin:g} on older rows, better on newer ones {chance}"
    return f"compare: better than {against} {chance}"


def slice_check(column: str, terms: Terms) -> str:
    """Name the check of a challenger in the groups of a column."""
    return f"slices: in no group of {column} worse by {terms.slice_margin:g}"


def required_gates(gates: Sequence[Gate]) -> tuple[str, ...]:
    """Name the gates without which a project lets no version go on; the registry itself waits for people."""
    return tuple(gate.name for gate in gates if gate.required and gate.name != "review")


def gate_policy(
    outcome: Outcome, policy: RetrainPolicy, champion: Version | None, terms: Terms, gates: Sequence[Gate] = ()
) -> GatePolicy:
    """Return what a version needs: parity, sound data, every bound measurable now, to pass against the champion, and gates."""
    required = [PARITY, DATA, *(check.check for check in outcome.evaluation.checks)]
    required += [delivery.gates.PREFIX + name for name in required_gates(gates)]
    if champion is not None:
        required += [promotion_check(terms, champion), *(slice_check(column, terms) for column in terms.slices)]
    return GatePolicy(tuple(required), policy.approve_by)


def evidence_of(outcome: Outcome, champion: Version | None, compared: Compared | None, terms: Terms) -> list[Evidence]:
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
        facts.append(_compared(promotion_check(terms, champion), compared, terms))
        facts += [_sliced(column, compared, terms) for column in terms.slices]
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


def _compared(name: str, found: Compared, terms: Terms) -> Evidence:
    if found.difference is None or not found.contests:
        return Evidence(
            check=name,
            verdict=Verdict.UNKNOWN,
            limit=terms.alpha,
            detail=found.reason or "the metric is undefined on the holdout",
        )
    held = [contest for contest in found.contests if "=" not in contest.part]
    detail = (
        f"{found.metric} {found.challenger:.4g} against {found.champion:.4g} on the same {found.rows} rows, "
        f"{'; '.join(map(_told, held))}"
    )
    return Evidence(
        check=name, verdict=Verdict(combined(held).value), value=found.difference, low=found.low, high=found.high,
        limit=terms.alpha, detail=detail,
    )  # fmt: skip


def _told(contest: Contest) -> str:
    if contest.part == "all" and contest.p is not None and not contest.missing:
        return f"p = {contest.p:.3g}"
    return contest.sentence


def _sliced(column: str, found: Compared, terms: Terms) -> Evidence:
    """Say how a challenger does in the groups of a column: one that cannot be told holds it back like one that is worse."""
    held = [contest for contest in found.contests if contest.part.startswith(f"{column}=")]
    worst = min(held, key=lambda contest: contest.difference if contest.difference is not None else 0.0, default=None)
    lacking = "no group has enough rows" if not held else ""
    failed = [contest.sentence for contest in held if contest.shown != "pass"]
    return Evidence(
        check=slice_check(column, terms),
        verdict=Verdict(combined(held).value),
        value=worst.difference if worst else None,
        low=worst.low if worst else None,
        high=worst.high if worst else None,
        limit=-terms.slice_margin,
        detail=lacking or "; ".join(failed[:3]) or f"{len(held)} groups, worst {worst.sentence if worst else ''}",
    )
