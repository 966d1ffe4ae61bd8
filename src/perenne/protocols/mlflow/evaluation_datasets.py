"""MLflow's evaluation datasets. Tags, records, schema and profile are texts of JSON in the messages."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from perenne import llm
from perenne.auth.roles import Action
from perenne.core import json
from perenne.core.tokens import check_limit
from perenne.protocols.mlflow.decoding import Message
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.experiments import experiment_number
from perenne.protocols.mlflow.messages import Int32, some
from perenne.protocols.mlflow.wire import MlflowError, Words
from perenne.protocols.mlflow.words import ABSENT

MOST_RESULTS = 1_000
PLAIN = "UNSPECIFIED"


class CreateDataset(Message):
    """A new dataset."""

    required = ("name",)
    name: str = ""
    experiment_ids: list[str] = []
    source_type: str = ""
    source: str = ""
    schema: str = ""
    profile: str = ""
    created_by: str = ""
    tags: str = ""


class NamedDataset(Message):
    """A dataset by its id, which stands in the path."""

    dataset_id: str = ""
    key: str = ""
    page_token: str = ""


class SearchDatasets(Message):
    """A search."""

    experiment_ids: list[str] = []
    filter_string: str = ""
    max_results: Int32 | UnsetType = UNSET
    order_by: list[str] = []
    page_token: str = ""


class DatasetTags(Message):
    """Tags."""

    required = ("tags",)
    tags: str = ""


class DatasetRecords(Message):
    """Records to put in."""

    required = ("records",)
    records: str = ""


class ReadRecords(Message):
    """Which records to read."""

    max_results: Int32 | UnsetType = UNSET
    page_token: str = ""


class DeleteRecords(Message):
    """Which records to remove."""

    dataset_record_ids: list[str] = []


class DatasetExperiments(Message):
    """Experiments that a dataset belongs to."""

    dataset_id: str = ""
    experiment_ids: list[str] = []


class Dataset(msgspec.Struct):
    """A dataset."""

    dataset_id: str
    name: str
    tags: str
    schema: str | UnsetType
    profile: str | UnsetType
    digest: str
    created_time: int
    last_update_time: int
    created_by: str | UnsetType
    last_updated_by: str | UnsetType
    experiment_ids: list[str] | UnsetType = UNSET


class OneDataset(msgspec.Struct):
    """A dataset."""

    dataset: Dataset


class FoundDatasets(msgspec.Struct):
    """A page of datasets."""

    datasets: list[Dataset] | UnsetType
    next_page_token: str | UnsetType


class Upserted(msgspec.Struct):
    """How many records are new, and how many were there."""

    inserted_count: int
    updated_count: int


class Records(msgspec.Struct):
    """A page of records."""

    records: str
    next_page_token: str | UnsetType


class DeletedRecords(msgspec.Struct):
    """How many records were removed."""

    deleted_count: int


class ExperimentIds(msgspec.Struct):
    """Experiments."""

    experiment_ids: list[str] | UnsetType


def create_dataset(call: Call, asked: CreateDataset) -> OneDataset:
    """Make a dataset."""
    numbers = [experiment_number(identity) for identity in asked.experiment_ids]
    made = llm.datasets.create(call.tx, call.actor, asked.name, experiments=numbers, tags=_tags(asked.tags))
    return OneDataset(_dataset(made, places=True))


def get_dataset(call: Call, _: NamedDataset) -> OneDataset:
    """Read a dataset."""
    return OneDataset(_dataset(llm.datasets.get(call.tx, call.actor, call.parts[0])))


def delete_dataset(call: Call, _: NamedDataset) -> None:
    """Remove a dataset."""
    llm.datasets.delete(call.tx, call.actor, call.parts[0])


def search_datasets(call: Call, asked: SearchDatasets) -> FoundDatasets:
    """Find datasets."""
    found = llm.datasets.search(
        call.tx,
        call.actor,
        experiments=[experiment_number(identity) for identity in asked.experiment_ids],
        text=asked.filter_string,
        order=asked.order_by,
        limit=_limit(asked.max_results),
        token=asked.page_token,
    )
    return FoundDatasets(some([_dataset(one) for one in found.datasets]), found.token or UNSET)


def experiment_ids(call: Call, _: NamedDataset) -> ExperimentIds:
    """Say which experiments a dataset belongs to."""
    found = llm.datasets.get(call.tx, call.actor, call.parts[0])
    return ExperimentIds(some([str(number) for number in found.experiments]))


def set_tags(call: Call, asked: DatasetTags) -> None:
    """Set tags."""
    llm.datasets.set_tags(call.tx, call.actor, call.parts[0], _tags(asked.tags))


def delete_tag(call: Call, _: NamedDataset) -> None:
    """Remove a tag."""
    llm.datasets.delete_tag(call.tx, call.actor, *call.parts)


def upsert_records(call: Call, asked: DatasetRecords) -> Upserted:
    """Put records in."""
    records = json.decode(asked.records, list[dict[str, Any]], what="records")
    return Upserted(*llm.datasets.upsert(call.tx, call.actor, call.parts[0], records))


def read_records(call: Call, asked: ReadRecords) -> Records:
    """Read a page of records."""
    limit = _limit(asked.max_results)
    dataset, found, token = llm.datasets.records(call.tx, call.actor, call.parts[0], limit=limit, token=asked.page_token)
    return Records(json.encode([_record(dataset.id, one) for one in found]).decode(), token or UNSET)


def delete_records(call: Call, asked: DeleteRecords) -> DeletedRecords:
    """Remove records."""
    return DeletedRecords(llm.datasets.delete_records(call.tx, call.actor, call.parts[0], asked.dataset_record_ids))


def add_experiments(call: Call, asked: DatasetExperiments) -> OneDataset:
    """Say that a dataset belongs to experiments as well."""
    numbers = [experiment_number(identity) for identity in asked.experiment_ids]
    return OneDataset(_dataset(llm.datasets.add_experiments(call.tx, call.actor, call.parts[0], numbers)))


def remove_experiments(call: Call, asked: DatasetExperiments) -> OneDataset:
    """Say that a dataset belongs to experiments no more."""
    numbers = [experiment_number(identity) for identity in asked.experiment_ids]
    return OneDataset(_dataset(llm.datasets.remove_experiments(call.tx, call.actor, call.parts[0], numbers)))


def _limit(given: int | UnsetType) -> int:
    if given is UNSET or given == 0:
        return MOST_RESULTS
    return check_limit(given, MOST_RESULTS)


def _tags(text: str) -> dict[str, str]:
    """Read tags; a value that is no text is kept as one, and one that is null is not set."""
    read = json.decode(text or "{}", dict[str, Any], what="tags")
    return {
        key: value if isinstance(value, str) else json.encode(value).decode() for key, value in read.items() if value is not None
    }


def _dataset(found: "llm.datasets.Dataset", *, places: bool = False) -> Dataset:
    return Dataset(
        found.id,
        found.name,
        json.encode(found.tags).decode(),
        UNSET if found.schema is None else json.encode(found.schema).decode(),
        json.encode({"num_records": found.records}).decode() if found.records else UNSET,
        found.digest,
        found.created,
        found.updated,
        found.created_by or UNSET,
        found.updated_by or UNSET,
        some([str(number) for number in found.experiments]) if places else UNSET,
    )


def _record(dataset: str, one: "llm.datasets.Record") -> dict[str, Any]:
    source = one.body.get("source")
    told: dict[str, Any] = {"dataset_record_id": one.id, "dataset_id": dataset} | one.body
    if isinstance(source, dict):
        kind = str(source.get("source_type", PLAIN)).upper()
        told |= {"source": {"source_type": kind, "source_data": source.get("source_data") or {}}, "source_type": kind}
    told |= {"created_time": one.created, "last_update_time": one.updated}
    return told | {
        name: by for name, by in (("created_by", one.created_by), ("last_updated_by", one.updated_by)) if by is not None
    }


_LOG, _READ, _MAY = Kind.CHANGE, Kind.READ, Action.LOG
_PLACE = "3.0/mlflow/datasets"
ENDPOINTS = [
    Endpoint("POST", f"{_PLACE}/create", _LOG, create_dataset, CreateDataset, _MAY),
    Endpoint("POST", f"{_PLACE}/search", _READ, search_datasets, SearchDatasets),
    Endpoint("GET", f"{_PLACE}/search", _READ, search_datasets, SearchDatasets),
    Endpoint("GET", f"{_PLACE}/{{}}", _READ, get_dataset, NamedDataset),
    Endpoint("DELETE", f"{_PLACE}/{{}}", _LOG, delete_dataset, NamedDataset, Action.EDIT_PROJECT),
    Endpoint("GET", f"{_PLACE}/{{}}/experiment-ids", _READ, experiment_ids, NamedDataset),
    Endpoint("PATCH", f"{_PLACE}/{{}}/tags", _LOG, set_tags, DatasetTags, _MAY),
    Endpoint("DELETE", f"{_PLACE}/{{}}/tags/{{}}", _LOG, delete_tag, NamedDataset, _MAY),
    Endpoint("POST", f"{_PLACE}/{{}}/records", _LOG, upsert_records, DatasetRecords, _MAY),
    Endpoint("GET", f"{_PLACE}/{{}}/records", _READ, read_records, ReadRecords),
    Endpoint("DELETE", f"{_PLACE}/{{}}/records", _LOG, delete_records, DeleteRecords, _MAY),
    Endpoint("POST", f"{_PLACE}/{{}}/add-experiments", _LOG, add_experiments, DatasetExperiments, _MAY),
    Endpoint("POST", f"{_PLACE}/{{}}/remove-experiments", _LOG, remove_experiments, DatasetExperiments, _MAY),
]
WORDS: Words = {
    "dataset.not_found": lambda error: MlflowError(ABSENT, f"Evaluation dataset with id '{error.identity}' not found"),
}
