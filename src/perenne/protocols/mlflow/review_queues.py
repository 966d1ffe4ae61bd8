"""MLflow's review queues: traces that wait for people."""

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from perenne import llm
from perenne.auth.roles import Action
from perenne.protocols.mlflow.decoding import Message, ProtoEnum
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.experiments import experiment_number
from perenne.protocols.mlflow.messages import Int32, some
from perenne.protocols.mlflow.wire import MlflowError, Words, wrong
from perenne.protocols.mlflow.words import ABSENT

MOST_RESULTS = 50_000


class QueueType(ProtoEnum):
    """Whose a queue is."""

    REVIEW_QUEUE_TYPE_UNSPECIFIED = ("REVIEW_QUEUE_TYPE_UNSPECIFIED", 0)
    USER = ("USER", 1)
    CUSTOM = ("CUSTOM", 2)


class ItemType(ProtoEnum):
    """What waits in a queue."""

    REVIEW_ITEM_TYPE_UNSPECIFIED = ("REVIEW_ITEM_TYPE_UNSPECIFIED", 0)
    TRACE = ("TRACE", 1)


class Status(ProtoEnum):
    """How far a review is."""

    REVIEW_STATUS_UNSPECIFIED = ("REVIEW_STATUS_UNSPECIFIED", 0)
    PENDING = ("PENDING", 1)
    COMPLETE = ("COMPLETE", 2)
    DECLINED = ("DECLINED", 3)


class CreateQueue(Message):
    """A new queue."""

    required = ("experiment_id", "name")
    experiment_id: str = ""
    name: str = ""
    queue_type: QueueType = QueueType.REVIEW_QUEUE_TYPE_UNSPECIFIED
    created_by: str = ""
    users: list[str] = []
    schema_ids: list[str] = []


class UserQueue(Message):
    """A user's own queue."""

    required = ("experiment_id", "user")
    experiment_id: str = ""
    user: str = ""


class NamedQueue(Message):
    """A queue by its id."""

    required = ("queue_id",)
    queue_id: str = ""


class QueueByName(Message):
    """A queue by its name."""

    required = ("experiment_id", "name")
    experiment_id: str = ""
    name: str = ""


class ListQueues(Message):
    """Which queues are listed."""

    required = ("experiment_id",)
    experiment_id: str = ""
    user: str = ""
    item_id: str = ""
    max_results: Int32 | UnsetType = UNSET
    page_token: str = ""


class UpdateQueue(Message):
    """What is changed of a queue."""

    required = ("queue_id",)
    queue_id: str = ""
    update_users: bool = False
    users: list[str] = []
    update_schema_ids: bool = False
    schema_ids: list[str] = []
    name: str | UnsetType = UNSET
    new_owner: str | UnsetType = UNSET


class Items(Message):
    """Traces of a queue."""

    required = ("queue_id",)
    queue_id: str = ""
    item_type: ItemType = ItemType.TRACE
    item_ids: list[str] = []


class ListItems(Message):
    """Which items are listed."""

    required = ("queue_id",)
    queue_id: str = ""
    status: Status = Status.REVIEW_STATUS_UNSPECIFIED
    max_results: Int32 | UnsetType = UNSET
    page_token: str = ""


class ItemStatus(Message):
    """How far a review is."""

    required = ("queue_id", "item_id")
    queue_id: str = ""
    item_id: str = ""
    status: Status = Status.REVIEW_STATUS_UNSPECIFIED
    completed_by: str | UnsetType = UNSET


class Queue(msgspec.Struct):
    """A queue."""

    queue_id: str
    experiment_id: str
    name: str
    queue_type: str
    created_by: Any
    creation_time_ms: int
    last_update_time_ms: int
    users: Any
    schema_ids: Any


class Item(msgspec.Struct):
    """A trace in a queue."""

    queue_id: str
    item_type: str
    item_id: str
    status: str
    completed_by: Any
    completed_time_ms: Any
    creation_time_ms: int
    last_update_time_ms: int


class OneQueue(msgspec.Struct):
    """A queue."""

    review_queue: Queue


class Queues(msgspec.Struct):
    """A page of queues."""

    review_queues: Any
    next_page_token: Any


class OneItem(msgspec.Struct):
    """An item."""

    item: Item


class FoundItems(msgspec.Struct):
    """A page of items."""

    items: Any
    next_page_token: Any = UNSET


def create_queue(call: Call, asked: CreateQueue) -> OneQueue:
    """Make a queue."""
    given = llm.review_queues.ReviewQueue(
        id="",
        experiment=experiment_number(asked.experiment_id),
        name=asked.name,
        type=asked.queue_type.value,
        users=asked.users,
        schemas=asked.schema_ids,
        created_by=None if call.actor.solo else call.actor.name,
    )
    return OneQueue(_queue(llm.review_queues.create(call.tx, call.actor, given)))


def user_queue(call: Call, asked: UserQueue) -> OneQueue:
    """Return a user's own queue."""
    number = experiment_number(asked.experiment_id)
    return OneQueue(_queue(llm.review_queues.of_user(call.tx, call.actor, number, asked.user)))


def get_queue(call: Call, asked: NamedQueue) -> OneQueue:
    """Read a queue."""
    return OneQueue(_queue(llm.review_queues.get(call.tx, call.actor, asked.queue_id)))


def queue_by_name(call: Call, asked: QueueByName) -> OneQueue:
    """Read a queue by its name."""
    number = experiment_number(asked.experiment_id)
    return OneQueue(_queue(llm.review_queues.by_name(call.tx, call.actor, number, asked.name)))


def list_queues(call: Call, asked: ListQueues) -> Queues:
    """List the queues of an experiment."""
    found = llm.review_queues.list_(
        call.tx,
        call.actor,
        experiment_number(asked.experiment_id),
        user=asked.user,
        item=asked.item_id,
        limit=_limit(asked.max_results),
        token=asked.page_token,
    )
    return Queues(some([_queue(one) for one in found.queues]), found.token or UNSET)


def update_queue(call: Call, asked: UpdateQueue) -> OneQueue:
    """Change a queue."""
    after = llm.review_queues.update(
        call.tx,
        call.actor,
        asked.queue_id,
        name=None if asked.name is UNSET else asked.name,
        users=asked.users if asked.update_users else None,
        schemas=asked.schema_ids if asked.update_schema_ids else None,
        owner=None if asked.new_owner is UNSET else asked.new_owner,
    )
    return OneQueue(_queue(after))


def delete_queue(call: Call, asked: NamedQueue) -> None:
    """Remove a queue."""
    llm.review_queues.delete(call.tx, call.actor, asked.queue_id)


def add_items(call: Call, asked: Items) -> FoundItems:
    """Put traces into a queue."""
    return FoundItems(some([_item(one) for one in llm.review_queues.add(call.tx, call.actor, asked.queue_id, asked.item_ids)]))


def remove_items(call: Call, asked: Items) -> None:
    """Take traces out of a queue."""
    llm.review_queues.remove(call.tx, call.actor, asked.queue_id, asked.item_ids)


def list_items(call: Call, asked: ListItems) -> FoundItems:
    """List the items of a queue."""
    status = "" if asked.status is Status.REVIEW_STATUS_UNSPECIFIED else asked.status.value
    limit = _limit(asked.max_results)
    found = llm.review_queues.items(call.tx, call.actor, asked.queue_id, status=status, limit=limit, token=asked.page_token)
    return FoundItems(some([_item(one) for one in found.items]), found.token or UNSET)


def set_status(call: Call, asked: ItemStatus) -> OneItem:
    """Say how far a review is. Who is known is taken for who did it, whatever the request says."""
    by = None if asked.completed_by is UNSET else asked.completed_by
    if not call.actor.solo:
        by = None if asked.status is Status.PENDING else call.actor.name
    return OneItem(
        _item(llm.review_queues.set_status(call.tx, call.actor, asked.queue_id, asked.item_id, asked.status.value, by))
    )


def _limit(given: int | UnsetType) -> int:
    limit = 1_000 if given is UNSET else given
    if not 1 <= limit <= MOST_RESULTS:
        raise wrong(f"max_results must be between 1 and {MOST_RESULTS}.")
    return limit


def _queue(one: "llm.review_queues.ReviewQueue") -> Queue:
    return Queue(
        one.id,
        str(one.experiment),
        one.name,
        one.type,
        one.created_by or UNSET,
        one.created,
        one.updated,
        some(one.users),
        some(one.schemas),
    )


def _item(one: "llm.review_queues.ReviewItem") -> Item:
    return Item(
        one.queue,
        one.type,
        one.item,
        one.status,
        one.completed_by or UNSET,
        UNSET if one.completed is None else one.completed,
        one.created,
        one.updated,
    )


_CHANGE, _READ, _LOG, _SAY = Kind.CHANGE, Kind.READ, Action.LOG, Action.COMMENT
_PLACE = "3.0/mlflow/review-queues"
ENDPOINTS = [
    Endpoint("POST", f"{_PLACE}/create", _CHANGE, create_queue, CreateQueue, _LOG),
    Endpoint("POST", f"{_PLACE}/get-or-create-user", _CHANGE, user_queue, UserQueue, _LOG),
    Endpoint("GET", f"{_PLACE}/get", _READ, get_queue, NamedQueue),
    Endpoint("GET", f"{_PLACE}/get-by-name", _READ, queue_by_name, QueueByName),
    Endpoint("GET", f"{_PLACE}/list", _READ, list_queues, ListQueues),
    Endpoint("POST", f"{_PLACE}/update", _CHANGE, update_queue, UpdateQueue, _LOG),
    Endpoint("POST", f"{_PLACE}/delete", _CHANGE, delete_queue, NamedQueue, _LOG),
    Endpoint("POST", f"{_PLACE}/items/add", _CHANGE, add_items, Items, _SAY),
    Endpoint("POST", f"{_PLACE}/items/remove", _CHANGE, remove_items, Items, _SAY),
    Endpoint("GET", f"{_PLACE}/items/list", _READ, list_items, ListItems),
    Endpoint("POST", f"{_PLACE}/items/set-status", _CHANGE, set_status, ItemStatus, _SAY),
]


def _unknown(error: "llm.review_queues.UnknownQueue") -> MlflowError:
    if error.experiment is None:
        return MlflowError(ABSENT, f"Review queue with id '{error.identity}' not found.")
    return MlflowError(ABSENT, f"Review queue with name '{error.identity}' not found for experiment '{error.experiment}'.")


WORDS: Words = {
    "review_queue.not_found": _unknown,
    "review_queue.exists": lambda error: MlflowError("RESOURCE_ALREADY_EXISTS", error.message),
}
