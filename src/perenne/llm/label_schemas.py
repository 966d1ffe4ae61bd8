"""Label schemas: what people are asked about traces, and how they can answer. Each experiment has one from the start."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import msgspec
import sqlalchemy as sa

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, require, sees
from perenne.core.clock import SystemClock
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.llm.pages import start_of, token_after
from perenne.llm.scope import open_experiment, projects_of
from perenne.llm.tables import label_schema
from perenne.storage.database import Transaction

__all__ = ["LabelSchema", "UnknownSchema", "by_name", "create", "delete", "get", "known", "list_", "update"]

DEFAULT = "Feedback"
LONGEST_NAME, LONGEST_INSTRUCTION, LONGEST_OPTION, MOST_OPTIONS = 250, 1_000, 64, 10
TYPES = ("FEEDBACK", "EXPECTATION")
INPUTS = ("pass_fail", "categorical", "numeric", "text")


class LabelSchema(msgspec.Struct, frozen=True, kw_only=True):
    """A question. Times in milliseconds.

    Attributes
    ----------
    type : str
        ``FEEDBACK`` or ``EXPECTATION``: which kind of assessment an answer becomes.
    input : dict
        How it is answered, by one name of `INPUTS`, with what that takes.
    is_default : bool
        Whether it is the one that is there from the start.
    """

    id: str
    experiment: int
    name: str
    type: str
    input: dict[str, Any]
    instruction: str | None = None
    enable_comment: bool = False
    created: int = 0
    updated: int = 0

    @property
    def is_default(self) -> bool:
        """Whether it is the one that is there from the start, which nobody changes."""
        return self.name == DEFAULT


_columns = [label_schema.c[name] for name in LabelSchema.__struct_fields__]


class UnknownSchema(NotFound):
    """There is no such label schema, or it may not be seen."""

    def __init__(self, identity: str, experiment: int | None = None) -> None:
        where = "" if experiment is None else f" in experiment {experiment}"
        super().__init__(f"label schema {identity[:100]!r} does not exist{where}", code="label_schema.not_found")
        self.identity, self.experiment = identity, experiment


class Found(msgspec.Struct, frozen=True):
    """A page of label schemas, and the token of the next."""

    schemas: list[LabelSchema]
    token: str = ""


def create(tx: Transaction, actor: Principal, given: LabelSchema) -> LabelSchema:
    """Add a question. Raises Invalid, and Conflict, `label_schema.exists`, if there is one of this name."""
    _check(given)
    open_experiment(tx, actor, given.experiment, Action.LOG)
    _require_free(tx, given)
    return _insert(tx, actor, given)


def get(tx: Transaction, actor: Principal, identity: str) -> LabelSchema:
    """Read a question. Raises UnknownSchema."""
    found = _find(tx, label_schema.c.id == identity)
    if found is None or not sees(actor, _project(tx, found)):
        raise UnknownSchema(identity)
    return found


def by_name(tx: Transaction, actor: Principal, experiment: int, name: str) -> LabelSchema:
    """Read a question by its name. Raises UnknownSchema."""
    open_experiment(tx, actor, experiment, Action.READ)
    found = _find(tx, label_schema.c.experiment == experiment, label_schema.c.name == name)
    if found is None:
        raise UnknownSchema(name, experiment)
    return found


def list_(tx: Transaction, actor: Principal, experiment: int, *, limit: int = 100, token: str = "") -> Found:
    """List the questions of an experiment, newest first; the one that every experiment has is made if it is not there."""
    open_experiment(tx, actor, experiment, Action.READ)
    if _find(tx, label_schema.c.experiment == experiment, label_schema.c.name == DEFAULT) is None:
        told = "Share any feedback on this trace."
        first = LabelSchema(id="", experiment=experiment, name=DEFAULT, type=TYPES[0], input={"text": {}}, instruction=told)
        _insert(tx, actor, first)
    start = start_of(token, f"label_schemas:{experiment}")
    query = sa.select(*_columns).where(label_schema.c.experiment == experiment)
    rows = tx.execute(query.order_by(label_schema.c.number.desc()).offset(start).limit(limit + 1))
    found = [LabelSchema(**row._mapping) for row in rows]
    return Found(found[:limit], token_after(len(found) > limit, start + limit, f"label_schemas:{experiment}"))


def update(tx: Transaction, actor: Principal, identity: str, changes: Mapping[str, Any]) -> LabelSchema:
    """Change `name`, `instruction`, `enable_comment` or `input` of a question.

    Raises
    ------
    Invalid
        If it is the one that is there from the start, or answers would lose their sense.
    Conflict
        If there is another of this name.
    """
    before = get(tx, actor, identity)
    require(actor, Action.LOG, _project(tx, before))
    if before.is_default:
        raise Invalid("The experiment's default question cannot be edited.", code="label_schema.default", hint="make another")
    after = msgspec.structs.replace(before, **changes, updated=SystemClock().now() // 1_000)
    _check(after)
    _check_same_input(before.input, after.input)
    if after.name != before.name:
        _require_free(tx, after)
    values = {name: getattr(after, name) for name in (*changes, "updated")}
    tx.execute(label_schema.update().where(label_schema.c.id == identity).values(**values))
    audit.record(tx, actor, "label_schema.update", "label_schema", identity, after={"name": after.name})
    return after


def delete(tx: Transaction, actor: Principal, identity: str) -> None:
    """Remove a question, if it is there; answers stay. Raises Invalid for the one that is there from the start."""
    found = _find(tx, label_schema.c.id == identity)
    if found is None or not sees(actor, _project(tx, found)):
        return
    require(actor, Action.LOG, _project(tx, found))
    if found.is_default:
        raise Invalid("The experiment's default question cannot be deleted.", code="label_schema.default", hint="leave it")
    tx.execute(label_schema.delete().where(label_schema.c.id == identity))
    audit.record(tx, actor, "label_schema.delete", "label_schema", identity, before={"name": found.name})


def known(tx: Transaction, experiment: int, ids: list[str]) -> set[str]:
    """Return those of some ids that are questions of an experiment."""
    query = sa.select(label_schema.c.id).where(label_schema.c.experiment == experiment, label_schema.c.id.in_(ids))
    return {row.id for row in tx.execute(query)}


def _insert(tx: Transaction, actor: Principal, given: LabelSchema) -> LabelSchema:
    now = SystemClock().now() // 1_000
    made = msgspec.structs.replace(given, id=f"ls-{uuid4().hex}", created=now, updated=now)
    tx.execute(label_schema.insert(), {name: getattr(made, name) for name in LabelSchema.__struct_fields__})
    audit.record(tx, actor, "label_schema.create", "label_schema", made.id, after={"name": made.name})
    return made


def _find(tx: Transaction, *where: "sa.ColumnElement[bool]") -> LabelSchema | None:
    row = tx.execute(sa.select(*_columns).where(*where)).one_or_none()
    return None if row is None else LabelSchema(**row._mapping)


def _project(tx: Transaction, found: LabelSchema) -> str:
    return projects_of(tx, [found.experiment]).get(found.experiment, "")


def _require_free(tx: Transaction, given: LabelSchema) -> None:
    if _find(tx, label_schema.c.experiment == given.experiment, label_schema.c.name == given.name) is not None:
        raise Conflict(
            f"Label schema with name '{given.name}' already exists for experiment '{given.experiment}'.",
            code="label_schema.exists",
            hint="choose another name",
        )


def _check(given: LabelSchema) -> None:
    _require(0 < len(given.name) <= LONGEST_NAME, "name", f"has {len(given.name)} characters", f"1 to {LONGEST_NAME}")
    _require(given.name.strip().lower() != DEFAULT.lower(), "name", f"{given.name!r} is reserved", "choose another")
    _require(given.type in TYPES, "type", f"is {given.type[:60]!r}", f"one of {', '.join(TYPES)}")
    length = len(given.instruction or "")
    _require(length <= LONGEST_INSTRUCTION, "instruction", f"has {length} characters", f"at most {LONGEST_INSTRUCTION}")
    _require(len(given.input) == 1 and set(given.input) <= set(INPUTS), "input", "is not one of its kinds", ", ".join(INPUTS))
    [(kind, takes)] = given.input.items()
    _CHECKS[kind](takes)


def _check_pass_fail(takes: Mapping[str, Any]) -> None:
    labels = [takes.get("positive_label"), takes.get("negative_label")]
    good = all(isinstance(label, str) and 0 < len(label) <= LONGEST_OPTION for label in labels) and labels[0] != labels[1]
    _require(good, "input.pass_fail", "has not two labels that differ", f"each of 1 to {LONGEST_OPTION} characters")


def _check_categorical(takes: Mapping[str, Any]) -> None:
    options = takes.get("options") or []
    good = all(isinstance(option, str) and 0 < len(option) <= LONGEST_OPTION for option in options)
    good = good and 0 < len(options) <= MOST_OPTIONS and len(set(options)) == len(options)
    _require(good, "input.categorical", "has not 1 to 10 different options", f"each of 1 to {LONGEST_OPTION} characters")


def _check_numeric(takes: Mapping[str, Any]) -> None:
    least, most = takes.get("min_value"), takes.get("max_value")
    _require(least is None or most is None or least < most, "input.numeric", "ends before it begins", "min_value < max_value")


def _check_text(takes: Mapping[str, Any]) -> None:
    most = takes.get("max_length")
    _require(most is None or most >= 1, "input.text", "takes no text", "max_length of 1 or more")


_CHECKS = {"pass_fail": _check_pass_fail, "categorical": _check_categorical, "numeric": _check_numeric, "text": _check_text}


def _check_same_input(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    _require(set(before) == set(after), "input", "cannot become another kind", "make another question")
    chosen = [bool(one.get("categorical", {}).get("multi_select")) for one in (before, after)]
    _require(chosen[0] == chosen[1], "input.categorical.multi_select", "cannot be changed", "make another question")


def _require(good: bool, field: str, what: str, hint: str) -> None:
    if not good:
        raise Invalid(f"Label schema `{field}` {what}.", code="label_schema.invalid", hint=hint)
