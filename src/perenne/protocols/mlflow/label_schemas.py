"""MLflow's label schemas: the questions that people are asked about traces."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from perenne import llm
from perenne.auth.roles import Action
from perenne.protocols.mlflow.decoding import Message, ProtoEnum
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.experiments import experiment_number
from perenne.protocols.mlflow.messages import Int32, Int64, some
from perenne.protocols.mlflow.wire import MlflowError, Words, wrong
from perenne.protocols.mlflow.words import ABSENT

MOST_RESULTS = 50_000


class SchemaType(ProtoEnum):
    """Which kind of assessment an answer becomes."""

    LABEL_SCHEMA_TYPE_UNSPECIFIED = ("LABEL_SCHEMA_TYPE_UNSPECIFIED", 0)
    FEEDBACK = ("FEEDBACK", 1)
    EXPECTATION = ("EXPECTATION", 2)


class PassFail(Message):
    """Two answers."""

    positive_label: str = ""
    negative_label: str = ""


class Categorical(Message):
    """One answer of several, or several of them."""

    options: list[str] = []
    multi_select: bool = False


class Numeric(Message):
    """A number."""

    min_value: float | UnsetType = UNSET
    max_value: float | UnsetType = UNSET


class Text(Message):
    """A text."""

    max_length: Int64 | UnsetType = UNSET


class Input(Message):
    """How a question is answered."""

    pass_fail: PassFail | UnsetType = UNSET
    categorical: Categorical | UnsetType = UNSET
    numeric: Numeric | UnsetType = UNSET
    text: Text | UnsetType = UNSET


class CreateSchema(Message):
    """A new question."""

    required = ("experiment_id", "name", "type")
    experiment_id: str = ""
    name: str = ""
    type: SchemaType | UnsetType = UNSET
    input: Input | UnsetType = UNSET
    instruction: str | UnsetType = UNSET
    enable_comment: bool = False


class NamedSchema(Message):
    """A question by its id."""

    required = ("schema_id",)
    schema_id: str = ""


class UpdateSchema(Message):
    """What is changed of a question."""

    required = ("schema_id",)
    schema_id: str = ""
    name: str | UnsetType = UNSET
    instruction: str | UnsetType = UNSET
    enable_comment: bool | UnsetType = UNSET
    input: Input | UnsetType = UNSET


class SchemaByName(Message):
    """A question by its name."""

    required = ("experiment_id", "name")
    experiment_id: str = ""
    name: str = ""


class ListSchemas(Message):
    """Which questions are listed."""

    required = ("experiment_id",)
    experiment_id: str = ""
    max_results: Int32 | UnsetType = UNSET
    page_token: str = ""


class Schema(msgspec.Struct):
    """A question."""

    schema_id: str
    experiment_id: str
    name: str
    type: str
    instruction: Any
    enable_comment: bool
    input: dict[str, Any]
    created_at: int
    last_updated_at: int
    is_default: bool


class OneSchema(msgspec.Struct):
    """A question."""

    label_schema: Schema


class Schemas(msgspec.Struct):
    """A page of questions."""

    label_schemas: Any
    next_page_token: Any


def create_schema(call: Call, asked: CreateSchema) -> OneSchema:
    """Add a question."""
    assert asked.type is not UNSET
    given = llm.label_schemas.LabelSchema(
        id="",
        experiment=experiment_number(asked.experiment_id),
        name=asked.name,
        type=asked.type.value,
        input=_input(Input() if asked.input is UNSET else asked.input),
        instruction=None if asked.instruction is UNSET else asked.instruction,
        enable_comment=asked.enable_comment,
    )
    return OneSchema(_schema(llm.label_schemas.create(call.tx, call.actor, given)))


def get_schema(call: Call, asked: NamedSchema) -> OneSchema:
    """Read a question."""
    return OneSchema(_schema(llm.label_schemas.get(call.tx, call.actor, asked.schema_id)))


def schema_by_name(call: Call, asked: SchemaByName) -> OneSchema:
    """Read a question by its name."""
    number = experiment_number(asked.experiment_id)
    return OneSchema(_schema(llm.label_schemas.by_name(call.tx, call.actor, number, asked.name)))


def list_schemas(call: Call, asked: ListSchemas) -> Schemas:
    """List the questions of an experiment."""
    number, limit = experiment_number(asked.experiment_id), _limit(asked.max_results)
    found = llm.label_schemas.list_(call.tx, call.actor, number, limit=limit, token=asked.page_token)
    return Schemas(some([_schema(one) for one in found.schemas]), found.token or UNSET)


def update_schema(call: Call, asked: UpdateSchema) -> OneSchema:
    """Change a question."""
    told = {name: getattr(asked, name) for name in ("name", "instruction", "enable_comment", "input")}
    changes = {name: value for name, value in told.items() if value is not UNSET}
    if "input" in changes:
        changes["input"] = _input(changes["input"])
    return OneSchema(_schema(llm.label_schemas.update(call.tx, call.actor, asked.schema_id, changes)))


def delete_schema(call: Call, asked: NamedSchema) -> None:
    """Remove a question."""
    llm.label_schemas.delete(call.tx, call.actor, asked.schema_id)


def _limit(given: int | UnsetType) -> int:
    limit = 100 if given is UNSET else given
    if not 1 <= limit <= MOST_RESULTS:
        raise wrong(f"max_results must be between 1 and {MOST_RESULTS}.")
    return limit


def _input(given: Input) -> dict[str, Any]:
    told = {name: getattr(given, name) for name in given.__struct_fields__}
    chosen = {name: msgspec.to_builtins(value) for name, value in told.items() if value is not UNSET}
    if len(chosen) != 1:
        what = f"got {', '.join(chosen)}" if chosen else "got an empty oneof"
        kinds = "`pass_fail`, `categorical`, `numeric`, or `text`"
        raise wrong(f"Label schema `input` must have exactly one of {kinds} set; {what}.")
    return chosen


def _schema(one: "llm.label_schemas.LabelSchema") -> Schema:
    return Schema(
        one.id,
        str(one.experiment),
        one.name,
        one.type,
        UNSET if one.instruction is None else one.instruction,
        one.enable_comment,
        one.input,
        one.created,
        one.updated,
        one.is_default,
    )


_MAY = Action.LOG
_PLACE = "3.0/mlflow/label-schemas"
ENDPOINTS = [
    Endpoint("POST", f"{_PLACE}/create", Kind.CHANGE, create_schema, CreateSchema, _MAY),
    Endpoint("GET", f"{_PLACE}/get", Kind.READ, get_schema, NamedSchema),
    Endpoint("GET", f"{_PLACE}/get-by-name", Kind.READ, schema_by_name, SchemaByName),
    Endpoint("GET", f"{_PLACE}/list", Kind.CHANGE, list_schemas, ListSchemas),
    Endpoint("PATCH", f"{_PLACE}/update", Kind.CHANGE, update_schema, UpdateSchema, _MAY),
    Endpoint("DELETE", f"{_PLACE}/delete", Kind.CHANGE, delete_schema, NamedSchema, _MAY),
]


def _unknown(error: "llm.label_schemas.UnknownSchema") -> MlflowError:
    if error.experiment is None:
        return MlflowError(ABSENT, f"Label schema with id '{error.identity}' not found.")
    return MlflowError(ABSENT, f"Label schema with name '{error.identity}' not found for experiment '{error.experiment}'.")


WORDS: Words = {
    "label_schema.not_found": _unknown,
    "label_schema.exists": lambda error: MlflowError("RESOURCE_ALREADY_EXISTS", error.message),
}
