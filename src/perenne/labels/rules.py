"""Weak labels: rules say what a row likely is, or nothing; what several of them say is combined.

What comes of it is kept as labels whose source is `rule`, with a confidence. They never count against what people say.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from perenne import data
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.labels import label_store, predicates, rule_store, sets
from perenne.labels.label_store import Item
from perenne.labels.model import Definition, LabelSet, Role, Source, TaskKind
from perenne.labels.rule_store import Rule, RuleReport
from perenne.labels.values import Label, checked, resolve
from perenne.storage.database import Database
from perenne.storage.objects import ObjectStore
from perenne.storage.transaction import Transaction

if TYPE_CHECKING:
    import pyarrow as pa

LABELLER = "rules"
MOST_RULES = 200
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,62}")
_WITH_RULES = frozenset({TaskKind.BINARY, TaskKind.MULTICLASS})


class Method(StrEnum):
    """How what rules say is combined: by how many say so, or by how good each seems to be as well."""

    MAJORITY = "majority"
    DAWID_SKENE = "dawid-skene"


class Outcome(msgspec.Struct, frozen=True):
    """What came of running the rules.

    Attributes
    ----------
    items, covered : int
        Items there are, and those of which any rule said something.
    labelled : int
        Items that have a label by rules now; a tie is none.
    changed : int
        Labels that were added, or taken back.
    """

    label_set: str
    method: str
    items: int
    covered: int
    labelled: int
    changed: int
    rules: tuple[tuple[str, RuleReport], ...]


def add(tx: Transaction, actor: Principal, name: str, rule: str, text: str, value: str = "", *, kind: str = "sql") -> Rule:
    """State a rule, in place of the one of its name.

    Parameters
    ----------
    text, value : str
        A condition in SQL over the columns of the rows, and the class of the rows that it is true of.

    Raises
    ------
    Invalid
        If the name, the condition or the class cannot be used, or the label set has no single class to say.
    """
    found = sets.get(tx, actor, name)
    require(actor, Action.LOG, found.project)
    _check_kind(found.definition)
    if not _NAME.fullmatch(rule):
        raise Invalid(f"rule: {rule[:100]!r} is no name", code="label.rule", hint="letters, digits, blanks, at most 63")
    if kind == "sql":
        predicates.check(rule, text)
        checked(found.definition, value)
    known = rule_store.rules(tx, name)
    if len(known) >= MOST_RULES and all(each.name != rule for each in known):
        raise Conflict(f"there are {len(known)} rules", code="label.rules", hint="remove one first")
    made = Rule(rule, kind, value, text, None, SystemClock().now(), actor.name)
    rule_store.keep_rule(tx, name, made)
    audit.record(tx, actor, "label_set.rule", "label set", name, after={"rule": rule, "kind": kind, "value": value, "text": text})
    return made


def remove(tx: Transaction, actor: Principal, name: str, rule: str) -> None:
    """Remove a rule; what it said is taken back when the rules are run again. Raises NotFound."""
    found = sets.get(tx, actor, name)
    require(actor, Action.LOG, found.project)
    if not rule_store.drop_rule(tx, name, rule):
        raise NotFound(
            f"there is no rule {rule[:100]!r}", code="label.rule_not_found", hint="`perenne label rules list` shows them"
        )
    audit.record(tx, actor, "label_set.drop_rule", "label set", name, after={"rule": rule})


def listed(tx: Transaction, actor: Principal, name: str) -> list[Rule]:
    """List the rules of a label set with what they said last, by name."""
    sets.get(tx, actor, name)
    return rule_store.rules(tx, name)


def _check_kind(definition: Definition) -> None:
    if definition.kind not in _WITH_RULES:
        raise Invalid(f"kind: rules say one class, not a {definition.kind.value}", code="label.rule", hint="binary or multiclass")


Function = Callable[[dict[str, Any]], str | None]


class _Work(NamedTuple):
    """What rules are run on: the label set, its items, their rows, and what was said of them."""

    found: LabelSet
    items: list[Item]
    said: dict[str, list[Label]]
    rules: list[Rule]


def run(
    database: Database,
    objects: ObjectStore,
    actor: Principal,
    name: str,
    *,
    method: Method = Method.DAWID_SKENE,
    functions: Mapping[str, tuple[Function, str]] | None = None,
) -> Outcome:
    """Run the rules over the items, combine what they say, and keep it.

    Parameters
    ----------
    functions : mapping, optional
        Functions of a row, by name, each with its source: they return a class or None. They run here, in this process; a server
        runs none. Rules in SQL that are kept are run as well.

    Raises
    ------
    Invalid
        If a rule fails; nothing is changed.
    """
    with database.read() as tx:
        work = _work(tx, actor, name)
    functions = functions or {}
    asked = [each for each in work.rules if each.kind == "sql" and each.name not in functions]
    table = _rows(objects, work)
    votes = _votes(work.found.definition, table, asked, functions)
    names = [*(each.name for each in asked), *functions]
    if not names:
        raise Invalid("there is no rule", code="label.rules", hint="`perenne label rules add` states one")
    combined, reports = _combine(work, votes, method)

    def keep(tx: Transaction) -> Outcome:
        for each, (_, source) in functions.items():
            rule_store.keep_rule(tx, name, Rule(each, "python", "", source[:20_000], None, SystemClock().now(), actor.name))
        rule_store.report(tx, name, zip(names, reports, strict=True))
        changed = _write(tx, work, combined)
        covered = int((votes >= 0).any(1).sum())
        done = Outcome(
            name, method.value, len(work.items), covered, len(combined), changed, tuple(zip(names, reports, strict=True))
        )  # fmt: skip
        after = {"method": method.value, "items": done.items, "labelled": done.labelled, "changed": changed, "rules": names}
        audit.record(tx, actor, "label_set.run_rules", "label set", name, after=after)
        return done

    return database.write(keep)


def _work(tx: Transaction, actor: Principal, name: str) -> _Work:
    found = sets.get(tx, actor, name)
    require(actor, Action.LOG, found.project)
    _check_kind(found.definition)
    if not found.snapshot:
        raise Conflict(f"{name} has no rows yet", code="label.no_rows", hint="`perenne label rows` chooses a snapshot")
    return _Work(found, label_store.items(tx, name), label_store.current(tx, name), rule_store.rules(tx, name))


def _rows(objects: ObjectStore, work: _Work) -> "pa.Table":
    import pyarrow as pa

    return data.snapshots.read_snapshot(objects, work.found.snapshot).take(
        pa.array([item.row for item in work.items], pa.int64())
    )


def _votes(definition: Definition, table: "pa.Table", asked: list[Rule], functions: Mapping[str, tuple[Function, str]]) -> Any:
    """Return what each rule says of each item, (items, rules): the place of a class, or -1."""
    import numpy as np

    votes = np.full((table.num_rows, len(asked) + len(functions)), -1, np.int64)
    true = predicates.matching(table, {each.name: each.text for each in asked})
    for place, each in enumerate(asked):
        votes[true[each.name], place] = definition.names.index(each.value)
    rows = table.to_pylist() if functions else []
    for place, (name, (function, _)) in enumerate(functions.items(), len(asked)):
        votes[:, place] = [_call(definition, name, function, row) for row in rows]
    return votes


def _call(definition: Definition, name: str, function: Function, row: dict[str, Any]) -> int:
    try:
        value = function(row)
    except Exception as error:
        raise Invalid(
            f"rule {name!r} failed: {type(error).__name__}: {error}",
            code="label.rule",
            hint="it gets a row as a dict; return None to abstain",
        ) from error
    if value is None:
        return -1
    if value not in definition.names:
        raise Invalid(f"rule {name!r} says {value!r}", code="label.rule", hint=f"one of: {', '.join(definition.names)}; or None")
    return definition.names.index(value)


def _combine(work: _Work, votes: Any, method: Method) -> tuple[dict[str, tuple[str, float]], list[RuleReport]]:
    """Return the class and its confidence by item, and what is to be said of each rule."""
    import numpy as np

    from perenne.stats.annotators import dawid_skene, majority, votes_of

    names, flat = work.found.definition.names, votes_of(votes)
    known = np.array([_known(work, item) for item in work.items], np.int64)
    estimate = dawid_skene(flat, len(work.items), votes.shape[1], len(names), silence=True, known=known)
    p = majority(flat, len(work.items), len(names)) if method is Method.MAJORITY else estimate.probabilities
    reports = [_report(votes, place, known, estimate) for place in range(votes.shape[1])]
    combined = {}
    for row in np.flatnonzero(~np.isnan(p[:, 0])):
        best = int(p[row].argmax())
        if (p[row] >= p[row, best] - 1e-9).sum() == 1:
            combined[work.items[row].item] = (names[best], round(float(p[row, best]), 9))
    return combined, reports


def _known(work: _Work, item: Item) -> int:
    """Return the place of the class that people gave an item, or -1."""
    counted = resolve(work.found.definition, work.said.get(item.item, ()), (Source.PERSON, Source.IMPORT))
    return -1 if counted is None else work.found.definition.names.index(counted.value)


def _report(votes: Any, place: int, known: Any, estimate: Any) -> RuleReport:
    import numpy as np

    mine = votes[:, place]
    others = np.delete(votes, place, axis=1)
    says = mine >= 0
    truth = estimate.probabilities
    weights = truth[np.flatnonzero(says), mine[says]]
    return RuleReport(
        items=len(mine),
        covered=int(says.sum()),
        overlaps=int((says & (others >= 0).any(1)).sum()),
        conflicts=int((says & ((others >= 0) & (others != mine[:, None])).any(1)).sum()),
        checked=int((says & (known >= 0)).sum()),
        right=int((says & (known == mine)).sum()),
        estimated=float(weights.mean()) if len(weights) else None,
    )


def _write(tx: Transaction, work: _Work, combined: dict[str, tuple[str, float]]) -> int:
    """Add what is new, and take back what is said no longer; return how many rows that makes."""
    now, name = SystemClock().now(), work.found.name
    before = {
        item: (label.value, label.confidence)
        for item, labels in label_store.current(tx, name).items()
        for label in labels
        if label.source == Source.RULE and label.labeller == LABELLER
    }
    after = {item: (checked(work.found.definition, value), sure) for item, (value, sure) in combined.items()}
    rows: list[dict[str, Any]] = [
        {"item": item, "value": value, "confidence": sure}
        for item, (value, sure) in after.items()
        if before.get(item) != (value, sure)
    ]
    rows += [{"item": item, "value": None, "confidence": None} for item in before if item not in after]
    plain = {
        "snapshot": work.found.snapshot, "labeller": LABELLER, "source": Source.RULE.value, "role": Role.OPINION.value,
        "note": "", "time": now, "known": now, "request": None, "original": None,
    }  # fmt: skip
    if rows:
        label_store.add_labels(tx, name, [plain | row for row in rows])
    return len(rows)
