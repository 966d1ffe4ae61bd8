"""A retraining policy in words, for pages and whoever asks."""

from perenne.core.clock import format_duration
from perenne.projects.blackouts import Blackout
from perenne.projects.retraining import (
    AllOf,
    Concept,
    Cron,
    Drift,
    Manual,
    Missed,
    Mode,
    NewData,
    Promotion,
    RetrainPolicy,
    Trigger,
)


def trigger_words(trigger: Trigger) -> str:
    """Say what opens an episode.

    >>> trigger_words(NewData(rows=50_000)), trigger_words(Missed("roc_auc"))
    ('50,000 labelled rows are new', 'roc_auc is missed')
    >>> trigger_words(AllOf((Drift(for_windows=2, of=3), Manual("prices"))))
    'inputs or answers drift in 2 of 3 windows and a person asks: prices, within 7d'
    """
    match trigger:
        case Drift(for_windows, _, features):
            often = f" in {for_windows} of {trigger.windows} windows" if for_windows > 1 or trigger.of else ""
            return f"{', '.join(features) or 'inputs or answers'} drift{'s' * (len(features) == 1)}{often}"
        case Missed(metric):
            return f"{metric or 'an objective'} is missed"
        case Concept(detector):
            return f"what is true has changed{f', by {detector}' if detector else ''}"
        case NewData(rows, versions, dataset):
            of = f" of {dataset}" if dataset else ""
            return f"{rows:,} labelled rows are new" if rows else f"{versions:,} new versions{of} of the data have arrived"
        case Cron(expression, zone):
            return f"the calendar says {expression} ({zone})"
        case Manual(reason):
            return f"a person asks: {reason}" if reason else "a person asks"
        case AllOf(triggers, within):
            return f"{' and '.join(map(trigger_words, triggers))}, within {format_duration(within)}"


def policy_words(policy: RetrainPolicy) -> tuple[str, ...]:
    """Say when a project retrains, and what has to happen before a challenger answers: a sentence each.

    >>> policy_words(RetrainPolicy())[0]
    'Retrains when inputs or answers drift, and when a person asks.'
    """
    parts = (_when, _data, _contest, _guards, _approval, _trial, _rest, _limits)
    return tuple(sentence for part in parts if (sentence := part(policy)))


def promotion_words(rule: Promotion) -> str:
    """Say what a challenger has to show.

    >>> promotion_words(Promotion(metric="roc_auc"))
    'be better than the champion in roc_auc on the same rows: one-sided paired test, alpha 0.05'
    """
    metric = rule.metric or "the first objective"
    least = f" by {rule.min_effect:g} or more" if rule.min_effect else ""
    ways = {
        Mode.SUPERIOR: f"be better than the champion in {metric}{least} on the same rows",
        Mode.NON_INFERIOR: f"not be worse than the champion in {metric} by {rule.margin:g} on the same rows",
        Mode.FRESH: (
            f"not be worse than the champion in {metric} by {rule.margin:g} on the older rows and be better{least} on the newest"
        ),
        Mode.BY_TRIGGER: (
            f"be better than the champion in {metric}{least} on the same rows; after drift, on the newest, "
            f"and not worse by {rule.margin:g} on the older ones"
        ),
    }
    return f"{ways[rule.mode]}: one-sided paired test, alpha {rule.alpha:g}"


def blackout_words(blackout: Blackout) -> str:
    """Say when nothing is to change.

    >>> blackout_words(Blackout(hours="08:00-18:00", days=("mon",)))
    'mon 08:00-18:00 (UTC)'
    """
    return f"{', '.join((*blackout.days, *blackout.dates)) or 'every day'} {blackout.hours or 'all day'} ({blackout.zone})"


def _when(policy: RetrainPolicy) -> str:
    causes = ", or when ".join(trigger_words(trigger) for trigger in policy.on if not isinstance(trigger, Manual))
    return f"Retrains when {causes}, and when a person asks." if causes else "Retrains only when a person asks."


def _data(policy: RetrainPolicy) -> str:
    past = f"the last {format_duration(policy.history)}" if policy.history else "all the past"
    known = f", up to {format_duration(policy.label_delay)} ago, when labels are known" if policy.label_delay else ""
    return f"Learns from {past}{known}; the newest {format_duration(policy.holdout)} are kept to judge by."


def _contest(policy: RetrainPolicy) -> str:
    return f"A challenger must {promotion_words(policy.promote)}."


def _guards(policy: RetrainPolicy) -> str:
    by = f"In no group of {', '.join(policy.slices)} may it be worse by {policy.slice_margin:g}." if policy.slices else ""
    chance = policy.false_promotions_per_year
    return " ".join(filter(None, (by, f"At most {chance:g} promotions a year may be chance." if chance else "")))


def _approval(policy: RetrainPolicy) -> str:
    return f"{policy.approve_by} must approve." if policy.approve_by else "Nobody needs to approve: the evidence alone decides."


def _trial(policy: RetrainPolicy) -> str:
    shadow, soak = format_duration(policy.shadow), format_duration(policy.soak)
    unseen = f"It then answers unseen for {shadow} and {policy.shadow_rows:,} rows"
    longer = format_duration(policy.canary_time) if policy.canary_time else "as long"
    share = f", then {policy.canary:.1%} of the callers for {longer}" if policy.canary else ""
    proof = ", until labels show it to be better" if policy.prove_live else ""
    return f"{unseen}{share}{proof}, is promoted, and is watched for {soak}: a miss meanwhile rolls it back."


def _rest(policy: RetrainPolicy) -> str:
    rest = f"Rests {format_duration(policy.cooldown)} after each episode, longer after rejections in a row"
    hours = f", {policy.cpu_hours_per_month:g} CPU hours" if policy.cpu_hours_per_month else ""
    money = f", {policy.money_per_month:g} of money" if policy.money_per_month else ""
    return f"{rest}; at most {policy.runs_per_month} training runs{hours}{money} in 30 days."


def _limits(policy: RetrainPolicy) -> str:
    return f"Nothing changes {'; '.join(map(blackout_words, policy.blackout))}." if policy.blackout else ""
