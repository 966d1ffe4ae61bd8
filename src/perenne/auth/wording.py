"""Records of the audit trail in words: the one place that puts them so, for pages, the story of the demo and whoever asks."""

import msgspec

from perenne.auth.chain import AuditRecord
from perenne.auth.phrases import Phrase, State
from perenne.auth.phrases import applied as _applied
from perenne.auth.phrases import channel as _channel
from perenne.auth.phrases import did as _did
from perenne.auth.phrases import escalated as _escalated
from perenne.auth.phrases import named_key as _named_key
from perenne.auth.phrases import of_image as _image
from perenne.auth.phrases import parked as _parked
from perenne.auth.phrases import part_of as _part_of
from perenne.auth.phrases import rolled_back as _rolled_back
from perenne.auth.phrases import served as _served
from perenne.auth.phrases import shadow as _shadow
from perenne.auth.phrases import short as _short
from perenne.auth.phrases import silenced_widely as _silenced_widely
from perenne.auth.phrases import state_of as _state
from perenne.auth.phrases import stated_trust as _stated_trust
from perenne.auth.phrases import stopped as _stopped
from perenne.auth.phrases import weights as _weights
from perenne.auth.principals import PrincipalKind
from perenne.core.addresses import address_of


class Told(msgspec.Struct, frozen=True):
    """A record in words.

    Attributes
    ----------
    who, did, what : str
        "ada", "approved", "churn@3".
    more : str
        What became of it, and why; may be empty.
    path : str
        The address of the page of what it was done to; empty if it has none.
    """

    who: str
    did: str
    what: str
    more: str
    path: str

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        return f"{self.who} {self.did} {self.what}{': ' if self.more else ''}{self.more}"


def told(record: AuditRecord) -> Told:
    """Put a record into words; one of an action that is not known here is told by its names.

    >>> row = AuditRecord(1, 0, "ada", "user", "", "version.approve", "version", "churn@3", None, None, "good", "", "")
    >>> told(row).sentence
    'ada approved churn@3: good'
    """
    phrase = _PHRASES.get(record.action)
    did, what, more = phrase(record, _state(record.after)) if phrase else _plainly(record)
    said = "; ".join(part for part in (more, _reason(record, more)) if part)
    kind = "monitor" if record.action.startswith("monitor.") else record.entity
    return Told(_who(record), did, what, said, address_of(kind, record.entity_id))


def _who(record: AuditRecord) -> str:
    if record.actor_kind == PrincipalKind.POLICY:
        return "the loop"
    if record.actor.startswith("guardrail:"):
        return "the guardrail"
    if record.actor.startswith("rollback:"):
        return "the roll-back rule"
    return record.actor


def _reason(record: AuditRecord, more: str) -> str:
    return "" if record.reason == more else record.reason


def _plainly(record: AuditRecord) -> tuple[str, str, str]:
    verb = record.action.partition(".")[2] or record.action
    return f"recorded “{verb.replace('_', ' ')}” for", f"{record.entity} {_short(record.entity_id)}".strip(), ""


def _stated(record: AuditRecord, _: State) -> tuple[str, str, str]:
    return "stated" if record.before is None else "changed what is stated of", record.entity_id, ""


def _took_snapshot(record: AuditRecord, after: State) -> tuple[str, str, str]:
    rows = after.get("rows")
    return "took", f"a snapshot of {after.get('dataset', 'a data set')}", f"{rows:,} rows" if isinstance(rows, int) else ""


def _wrote_snapshot(record: AuditRecord, after: State) -> tuple[str, str, str]:
    return "wrote", f"snapshot {_short(record.entity_id)}", f"to {after.get('to', 'a lake')}"


def _chose_rows(record: AuditRecord, after: State) -> tuple[str, str, str]:
    items, new = after.get("items"), after.get("new")
    more = f"{items:,} items, {new:,} new" if isinstance(items, int) and isinstance(new, int) else ""
    return "chose the rows of", f"label set {record.entity_id}", more


def _labelling(did: str, *keys: str) -> Phrase:
    """Tell of what was done with a label set: of its figures, those that are named."""

    def phrase(record: AuditRecord, after: State) -> tuple[str, str, str]:
        said = [(key, after[key]) for key in keys if key in after]
        words = [f"{value:,} {key}" if isinstance(value, int) else _short(str(value)) for key, value in said]
        return did, f"label set {record.entity_id}", ", ".join(words)

    return phrase


def _examined(record: AuditRecord, after: State) -> tuple[str, str, str]:
    errors, warnings = after.get("errors"), after.get("warnings")
    found = "" if errors is None else f"{errors} errors, {warnings} warnings"
    return "looked at", f"a snapshot of {after.get('dataset', 'a data set')}", found


def _told_of(verb: str) -> Phrase:
    """Make the phrase of a change of a webhook: what it hears of."""
    return lambda record, after: (verb, f"webhook {after.get('name') or record.entity_id}", ", ".join(after.get("events") or ()))


def _deleted_files(record: AuditRecord, after: State) -> tuple[str, str, str]:
    files = after.get("files")
    return "deleted", "artifacts", f"{files} below {record.entity_id}" if files else ""


def _started(record: AuditRecord, after: State) -> tuple[str, str, str]:
    return "started", f"a {after.get('kind') or 'run'} of {after.get('project') or _short(record.entity_id)}", ""


def _ended(verb: str) -> Phrase:
    return lambda record, after: (verb, f"run {_short(record.entity_id)}", str(after.get("outcome") or ""))


def _experiment(verb: str) -> Phrase:
    def phrase(record: AuditRecord, after: State) -> tuple[str, str, str]:
        before = _state(record.before).get("name")
        name = after.get("name")
        return verb, f"experiment {before or name or record.entity_id}", f"to {name}" if before and name else ""

    return phrase


def _kept_view(verb: str) -> Phrase:
    def phrase(record: AuditRecord, after: State) -> tuple[str, str, str]:
        name = after.get("name") or _state(record.before).get("name") or record.entity_id
        return verb, f"the view {name}", "shared with others" if after.get("shared") else ""

    return phrase


def _logged_model(verb: str) -> Phrase:
    def phrase(record: AuditRecord, after: State) -> tuple[str, str, str]:
        name = after.get("name") or _state(record.before).get("name")
        return verb, f"model {name or record.entity_id}", ""

    return phrase


def _registered(record: AuditRecord, after: State) -> tuple[str, str, str]:
    gate = {"open": "its gate is open", "waiting": "it waits for approval", "closed": "its gate is closed"}
    return "registered", record.entity_id, gate.get(str(after.get("gate")), "")


def _evidence(record: AuditRecord, after: State) -> tuple[str, str, str]:
    return "added evidence to", record.entity_id, ", ".join(f"{check} {verdict}" for check, verdict in list(after.items())[:3])


def _exported(record: AuditRecord, after: State) -> tuple[str, str, str]:
    places = {"edge": "for the edge", "browser": "for the browser"}
    rows = "" if after.get("rows") else "without its example rows"
    return "packaged", f"{record.entity_id} {places.get(str(after.get('kind')), '')}".strip(), rows


def _moved_alias(record: AuditRecord, after: State) -> tuple[str, str, str]:
    model, _, name = record.entity_id.partition("/")
    return "made", f"{after.get('value', 'another version')} {name or 'alias'} of {model}", ""


def _watching(record: AuditRecord, after: State) -> tuple[str, str, str]:
    did = "began to watch" if record.before is None else "changed what is asked of"
    return did, f"{after.get('version', '')} in {record.entity_id}".strip(), ""


def _counted_table(record: AuditRecord, after: State) -> tuple[str, str, str]:
    rows = after.get("rows")
    what = f"{rows:,} rows" if isinstance(rows, int) else "rows"
    return "counted", f"{what} of {after.get('source') or 'a table'} into the windows of {record.entity_id}", ""


def _set_baseline(record: AuditRecord, after: State) -> tuple[str, str, str]:
    count, kind = after.get("windows", "some"), after.get("kind")
    return "made", f"{count} windows of {record.entity_id} the baseline" + (f" of {kind}" if kind else ""), ""


def _alert(verb: str) -> Phrase:
    return lambda record, after: (
        verb,
        f"the alert on {after.get('deployment') or after.get('rule') or _short(record.entity_id)}",
        "",
    )


def _silenced(record: AuditRecord, after: State) -> tuple[str, str, str]:
    return "silenced", f"{after.get('rule') or 'every rule'} of {after.get('deployment', '')}".strip(), ""


def _episode(did: str) -> Phrase:
    return lambda record, after: (did, f"the retraining of {after.get('project') or _short(record.entity_id)}", "")


def _challenger(did: str) -> Phrase:
    return lambda record, after: (did, str(after.get("challenger") or f"a challenger of {after.get('project', '')}".strip()), "")


def _labels(record: AuditRecord, after: State) -> tuple[str, str, str]:
    rows = after.get("rows")
    return "labelled", f"{rows:,} answers" if isinstance(rows, int) else "answers", ""


def _refused(record: AuditRecord, after: State) -> tuple[str, str, str]:
    return "was refused with", f"{after.get('failures', 'several')} bad tokens from {record.entity_id}", ""


def _dropped_alias(record: AuditRecord, __: State) -> tuple[str, str, str]:
    model, _, name = record.entity_id.partition("/")
    return "took away", f"{name or 'an alias'} of {model}", ""


def _revealed(record: AuditRecord, after: State) -> tuple[str, str, str]:
    columns = after.get("columns") or ()
    return "looked at personal data of", f"snapshot {_short(record.entity_id)}", ", ".join(map(str, columns))[:200]


def _staged(record: AuditRecord, after: State) -> tuple[str, str, str]:
    return "moved", f"{record.entity_id} to {after.get('value', 'another stage')}", ""


def _renamed(record: AuditRecord, after: State) -> tuple[str, str, str]:
    return "renamed", f"{_state(record.before).get('value', 'a model')} to {record.entity_id}", ""


def _tagged(did: str) -> Phrase:
    return lambda record, after: (did, record.entity_id, str((after or _state(record.before)).get("key") or ""))


def _reviewed(did: str) -> Phrase:
    return lambda record, after: (did, f"{record.entity_id} for {after.get('target', 'a place')}", "")


def _deleted_version(record: AuditRecord, _: State) -> tuple[str, str, str]:
    aliases = _state(record.before).get("aliases") or ()
    return "deleted", record.entity_id, f"aliases {', '.join(map(str, aliases))} went with it" if aliases else ""


def _judging(did: str, what: str) -> Phrase:
    """Tell of what traces are judged by: its name, if it has one, or its id."""

    def phrase(record: AuditRecord, after: State) -> tuple[str, str, str]:
        name = after.get("name") or _state(record.before).get("name") or _short(record.entity_id)
        return did, f"{what} {name}", ""

    return phrase


def _commented(did: str) -> Phrase:
    return lambda record, after: (did, _short(record.entity_id), str(after.get("text") or "")[:200])


_PHRASES: dict[str, Phrase] = {
    "project.state": _stated,
    "project.bundle": _did("took over the files of"),
    "snapshot.take": _took_snapshot,
    "snapshot.write": _wrote_snapshot,
    "dataset.describe": _did("said something else of", "data set"),
    "monitor.add": _did("began to watch what others serve:"),
    "monitor.pause": _did("held the readings of"),
    "monitor.resume": _did("let go on the readings of"),
    "monitor.remove": _did("no longer watches"),
    "monitor.restore": _did("watches again"),
    "source.declare": _did("declared where rows come from:"),
    "source.change": _did("changed when rows are read again:"),
    "source.pause": _did("paused the source of"),
    "source.resume": _did("let go on the source of"),
    "source.remove": _did("removed the source of"),
    "snapshot.examine": _examined,
    "snapshot.reveal": _revealed,
    "label_set.create": _did("made", "label set"),
    "label_set.change": _did("changed what is asked by", "label set"),
    "label_set.choose": _chose_rows,
    "label_set.decide": _labelling("decided in", "items"),
    "label_set.gold": _labelling("said what is known in", "items"),
    "label_set.rule": _labelling("stated a rule of", "rule"),
    "label_set.drop_rule": _labelling("removed a rule of", "rule"),
    "label_set.run_rules": _labelling("ran the rules of", "labelled", "changed"),
    "label_set.suspect": _labelling("looked for wrong labels in", "suspects"),
    "label_set.rank": _labelling("ordered the queue of", "items"),
    "label_set.import": _labelling("brought labels into", "kept"),
    "label_set.version": _labelling("froze", "version", "labels"),
    "label_set.erase": _labelling("removed items for good from", "items"),
    "label_set.training_set": _labelling("made a training set from", "version"),
    "run.start": _started,
    "run.finished": _ended("finished"),
    "run.failed": _ended("gave up"),
    "run.killed": _ended("stopped"),
    "run.running": _ended("went on with"),
    "run.scheduled": _ended("scheduled"),
    "run.delete": _ended("deleted"),
    "artifact.delete": _deleted_files,
    "webhook.create": _told_of("added"),
    "webhook.update": _told_of("changed"),
    "webhook.delete": _did("removed", "webhook"),
    "run.restore": _ended("brought back"),
    "logged_model.create": _logged_model("logged"),
    "logged_model.delete": _logged_model("deleted"),
    "run.remove": _ended("removed for good"),
    "run.bring": _ended("brought in"),
    "experiment.create": _experiment("made"),
    "experiment.rename": _experiment("renamed"),
    "experiment.delete": _experiment("deleted"),
    "experiment.restore": _experiment("brought back"),
    "experiment.remove": _experiment("removed for good"),
    "experiment.bring": _experiment("brought in"),
    "view.keep": _kept_view("kept"),
    "view.change": _kept_view("changed"),
    "view.remove": _kept_view("removed"),
    "logged_model.remove": _did("removed for good"),
    "version.register": _registered,
    "version.evidence": _evidence,
    "version.package": _did("packaged"),
    "version.gate": _did("asked for the gates of"),
    "version.export": _exported,
    "version.approve": _did("approved"),
    "version.reject": _did("rejected"),
    "version.bar": _did("barred"),
    "version.clear": _did("took away the bar of"),
    "version.sign": _did("signed"),
    "key.make": _did("made", "signing key"),
    "key.trust": _named_key("let count"),
    "key.withdraw": _named_key("withdrew"),
    "trust.state": _stated_trust,
    "trust.file": _did("vouched for code in", "file"),
    "trust.vouch": _did("vouched for", "package"),
    "trust.doubt": _did("no longer vouches for", "package"),
    "alias.move": _moved_alias,
    "deployment.deployed": _served("deployed", "to"),
    "deployment.promoted": _served("promoted", "to champion of"),
    "deployment.rolled_back": _rolled_back,
    "deployment.challenger_set": _shadow("put", "in shadow beside"),
    "deployment.challenger_removed": _shadow("took", "out of the shadow of"),
    "deployment.canary_set": _weights,
    "deployment.canary_removed": _weights,
    "deployment.weights_set": _weights,
    "deployment.route_set": _part_of("changed", "how callers are split between the versions of"),
    "deployment.rules_set": _part_of("changed", "when a version is taken back by itself in"),
    "deployment.timeout_set": _part_of("changed", "how long a version may take in"),
    "deployment.mirror_set": _part_of("changed", "how much a version answers unseen in"),
    "deployment.fallback_set": _part_of("changed", "who answers where another one fails in"),
    "deployment.holdout_set": _part_of("changed", "how many callers are answered without the model in"),
    "ticket.decided": _did("answered in the place of", "the model of"),
    "deployment.parked": _parked("parked"),
    "deployment.unparked": _parked("asked again"),
    "deployment.undone": _part_of("undid", "the last change of"),
    "deployment.stopped": _stopped,
    "deployment.resumed": _did("resumed"),
    "deployment.window_changed": _did("changed the windows of", "deployment"),
    "deployment.log_changed": _did("changed what is kept of", "the predictions of"),
    "cluster.begin": _applied("began to apply"),
    "cluster.apply": _applied("applied"),
    "cluster.settle": _applied("saw every pod run"),
    "cluster.stall": _applied("waited in vain for"),
    "cluster.fail": _applied("could not apply"),
    "deployment.stop_impossible": _did("could not stop"),
    "image.make": _image("made an image of", "build"),
    "image.rebuild": _image("made again, on something newer, the image of", "build"),
    "image.push": _image("pushed the image of", "reference"),
    "image.roll_out": _image("rolled out the image of", "deployment"),
    "monitor.watch": _watching,
    "monitor.profile": _counted_table,
    "monitor.baseline": _set_baseline,
    "labels.accept": _labels,
    "outcomes.accept": _did("sent", "outcomes of"),
    "metrics.accept": _did("sent", "aggregates of"),
    "alert.pending": _alert("noticed the first sign of"),
    "alert.firing": _alert("raised"),
    "alert.resolved": _alert("resolved"),
    "alert.ok": _alert("dropped"),
    "alert.acknowledge": _did("acknowledged", "alert"),
    "alert.silence": _silenced,
    "alert.unacknowledge": _did("let go of", "alert"),
    "alert.comment": _commented("wrote to alert"),
    "alert.escalate": _escalated,
    "silence.add": _silenced_widely("silenced"),
    "silence.end": _silenced_widely("ended the silence of"),
    "channel.add": _channel("added"),
    "channel.change": _channel("changed"),
    "channel.remove": _did("removed", "channel"),
    "episode.triggered": _episode("opened"),
    "episode.debounced": _episode("gathered the causes of"),
    "episode.budget_ok": _episode("found room in the budget for"),
    "episode.data_ready": _episode("found the data ready for"),
    "episode.training": _episode("started training in"),
    "episode.evaluated": _challenger("measured the challenger"),
    "episode.blessed": _challenger("let pass"),
    "episode.infra_checked": _challenger("tried to load"),
    "episode.awaiting_approval": _challenger("asked for approval of"),
    "episode.shadow": _challenger("began to shadow with"),
    "episode.canary": _challenger("gave a share of the callers to"),
    "episode.promoted": _challenger("ended a retraining by promoting"),
    "episode.soaking": _challenger("began to watch"),
    "episode.settled": _challenger("settled on"),
    "episode.rejected": _challenger("turned down"),
    "episode.rolled_back": _challenger("rolled back"),
    "episode.failed": _episode("gave up"),
    "episode.expired": _episode("let expire"),
    "episode.superseded": _challenger("gave up, for another answers by now,"),
    "episode.not_needed": _episode("found no need for"),
    "episode.cancelled": _episode("cancelled"),
    "policy.pause": _did("paused the retraining of", "project"),
    "policy.resume": _did("resumed the retraining of", "project"),
    "job.cancel": _did("cancelled", "job"),
    "job.retry": _did("tried again", "job"),
    "job.prioritise": _did("moved in the queue", "job"),
    "event.retry": _did("delivered again", "event"),
    "event.drop": _did("gave up", "event"),
    "token.create": lambda record, after: ("made", f"token {after.get('name', _short(record.entity_id))}", ""),
    "token.rotate": _did("gave a new secret to", "token"),
    "token.revoke": _did("revoked", "token"),
    "token.use": _did("came with", "token"),
    "token.refuse": _refused,
    "alias.drop": _dropped_alias,
    "model.create": _did("made", "model"),
    "model.describe": _did("described", "model"),
    "model.rename": _renamed,
    "model.delete": _did("removed", "model"),
    "model.tag": _tagged("tagged"),
    "model.untag": _tagged("took a tag from"),
    "version.stage": _staged,
    "version.describe": _did("described"),
    "version.tag": _tagged("tagged"),
    "version.untag": _tagged("took a tag from"),
    "version.delete": _deleted_version,
    "review.open": _reviewed("asked for a review of"),
    "review.approved": _reviewed("closed the review of"),
    "review.rejected": _reviewed("turned down in review"),
    "review.withdrawn": _reviewed("withdrew the review of"),
    "policy.state": _did("stated", "review policy"),
    "policy.remove": _did("removed", "review policy"),
    "comment.add": _commented("commented on"),
    "comment.edit": _commented("changed a comment on"),
    "comment.remove": _did("took back a comment on"),
    "trace.delete": lambda record, after: (
        "deleted",
        f"{after.get('traces', 'some')} traces of experiment {record.entity_id}",
        "",
    ),
    "dataset.create": _judging("made", "evaluation dataset"),
    "dataset.delete": _judging("deleted", "evaluation dataset"),
    "dataset.delete_records": _judging("deleted records of", "evaluation dataset"),
    "scorer.register": _judging("registered", "scorer"),
    "scorer.delete": _judging("deleted", "scorer"),
    "issue.create": _judging("opened", "issue"),
    "issue.update": _judging("changed", "issue"),
    "label_schema.create": _judging("made", "the question"),
    "label_schema.update": _judging("changed", "the question"),
    "label_schema.delete": _judging("deleted", "the question"),
    "review_queue.create": _judging("made", "review queue"),
    "review_queue.update": _judging("changed", "review queue"),
    "review_queue.delete": _judging("deleted", "review queue"),
    "snapshot.mask": lambda record, after: (
        "hid personal data in",
        f"snapshot {_short(record.entity_id)}",
        ", ".join(map(str, after.get("rules", ()))),
    ),
    "snapshot.erase": lambda record, after: (
        "erased rows of",
        f"snapshot {_short(record.entity_id)}",
        f"{after.get('rows', '?')} rows",
    ),
    "erasure.begin": lambda record, after: (
        "began to erase",
        "a person's rows",
        f"{after.get('rows', '?')} rows of {after.get('snapshots', '?')} snapshots",
    ),
    "erasure.finish": lambda record, after: (
        "erased",
        "a person's rows",
        f"{after.get('rows', '?')} rows of {after.get('snapshots', '?')} snapshots",
    ),
    "session.open": lambda record, _: ("logged in to", "the page", ""),
    "session.end": lambda record, _: ("logged out of", "the page", ""),
}
"""How each action is told: what was done, to what, and what became of it."""
