"""A retraining policy and what triggers it, in words for people: pure."""

from perenne.core.clock import format_duration
from perenne.projects import Cron, Drift, Manual, Missed, NewData, RetrainPolicy, Trigger


def trigger_words(trigger: Trigger) -> str:
    """Say what a trigger waits for.

    >>> trigger_words(Missed("roc_auc")), trigger_words(NewData(50_000))
    ('a missed objective for roc_auc', '50,000 new labelled rows')
    """
    match trigger:
        case Drift():
            return "drift of inputs or answers"
        case Missed(metric):
            return f"a missed objective for {metric}" if metric else "any missed objective"
        case NewData(rows):
            return f"{rows:,} new labelled rows"
        case Cron(expression, zone):
            return f"the calendar: {expression} ({zone})"
        case Manual(reason):
            return f"a person: {reason}" if reason else "a person"


def policy_words(policy: RetrainPolicy) -> tuple[str, ...]:
    """Say in sentences when a project is retrained, and what has to happen before a challenger answers people."""
    metric = policy.promote.metric or "the first objective's metric"
    past = f" on the newest {format_duration(policy.history)} of data" if policy.history else ""
    on = " or ".join(trigger_words(trigger) for trigger in policy.on) or "nothing but a person asking"
    beaten = f"in {metric} on the same held-out {format_duration(policy.holdout)}, alpha {policy.promote.alpha:g}"
    unseen, soak = f"{format_duration(policy.shadow)} and {policy.shadow_rows:,} rows", format_duration(policy.soak)
    budget = f"at most {policy.runs_per_month} training runs in 30 days"
    return (
        f"Retrains on {on}{past}.",
        f"A challenger must beat the champion {beaten}.",
        f"{policy.approve_by} must approve it." if policy.approve_by else "Nobody has to approve it: the evidence alone decides.",
        f"It answers unseen for {unseen}.",
        f"Once promoted it is watched for {soak}; a missed objective or a breached guardrail rolls it back.",
        f"Rests {format_duration(policy.cooldown)} after an episode, longer after each rejection in a row; {budget}.",
    )
