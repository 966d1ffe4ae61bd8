"""A retraining policy in words, for pages and whoever asks."""

from perenne.core.clock import format_duration
from perenne.projects.model import Cron, Drift, Manual, Missed, NewData, RetrainPolicy, Trigger


def trigger_words(trigger: Trigger) -> str:
    """Say what opens an episode.

    >>> trigger_words(NewData(50_000)), trigger_words(Missed("roc_auc"))
    ('50,000 labelled rows are new', 'roc_auc is missed')
    """
    match trigger:
        case Drift():
            return "inputs or answers drift"
        case Missed(metric):
            return f"{metric or 'an objective'} is missed"
        case NewData(rows):
            return f"{rows:,} labelled rows are new"
        case Cron(expression, zone):
            return f"the calendar says {expression} ({zone})"
        case Manual():
            return "a person asks"


def policy_words(policy: RetrainPolicy) -> tuple[str, ...]:
    """Say when a project retrains, and what has to happen before a challenger answers: a sentence each.

    >>> policy_words(RetrainPolicy())[0]
    'Retrains when inputs or answers drift, and when a person asks.'
    """
    return (_when(policy), _data(policy), _contest(policy), _approval(policy), _trial(policy), _rest(policy))


def _when(policy: RetrainPolicy) -> str:
    causes = ", or when ".join(trigger_words(trigger) for trigger in policy.on if not isinstance(trigger, Manual))
    return f"Retrains when {causes}, and when a person asks." if causes else "Retrains only when a person asks."


def _data(policy: RetrainPolicy) -> str:
    past = f"the last {format_duration(policy.history)}" if policy.history else "all the past"
    known = f", up to {format_duration(policy.label_delay)} ago, when labels are known" if policy.label_delay else ""
    return f"Learns from {past}{known}; the newest {format_duration(policy.holdout)} are kept to judge by."


def _contest(policy: RetrainPolicy) -> str:
    metric, alpha = policy.promote.metric or "the first objective", policy.promote.alpha
    return f"A challenger must beat the champion on the same rows, in {metric}: one-sided paired test, alpha {alpha:g}."


def _approval(policy: RetrainPolicy) -> str:
    return f"{policy.approve_by} must approve." if policy.approve_by else "Nobody needs to approve: the evidence alone decides."


def _trial(policy: RetrainPolicy) -> str:
    shadow, soak = format_duration(policy.shadow), format_duration(policy.soak)
    unseen = f"It then answers unseen for {shadow} and {policy.shadow_rows:,} rows"
    share = f", then {policy.canary:.1%} of the callers for as long" if policy.canary else ""
    return f"{unseen}{share}, is promoted, and is watched for {soak}: a miss meanwhile rolls it back."


def _rest(policy: RetrainPolicy) -> str:
    rest = f"Rests {format_duration(policy.cooldown)} after each episode, longer after rejections in a row"
    return f"{rest}; at most {policy.runs_per_month} training runs in 30 days."
