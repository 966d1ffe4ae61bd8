"""What an endpoint of MLflow's REST is: a method and path, the Struct its request is read into, and who answers.

A group of endpoints is a module with its request and answer Structs, its handlers and a list `ENDPOINTS`::

    def get_experiment(call: Call, asked: GetExperiment) -> Answer: ...

    ENDPOINTS = [Endpoint("GET", "2.0/mlflow/experiments/get", Kind.READ, get_experiment, GetExperiment, Action.READ)]
"""

from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

import msgspec

from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.net.asgi import Headers
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace


class Kind(Enum):
    """How a handler is run.

    READ: in a thread, in one snapshot of the database. LOG: as a change that is committed together with those of others and
    survives the end of this process, though perhaps not a power cut. CHANGE: as a change that survives that as well. STREAM: as
    an ASGI application, `handler(scope, receive, send, workspace, parts)`, for bodies that are not held in memory.
    """

    READ = "read"
    LOG = "log"
    CHANGE = "change"
    STREAM = "stream"


class Call(NamedTuple):
    """What a handler works with.

    Attributes
    ----------
    tx : Transaction
        The snapshot it reads, or the change it is part of.
    actor : Principal
        Who calls.
    workspace : Workspace
        For objects and the clock.
    parts : tuple of str
        What stood in the places of the path's `{}`, decoded.
    """

    tx: Transaction
    actor: Principal
    workspace: Workspace
    parts: tuple[str, ...]


class Empty(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request or an answer without fields: `{}`."""


class Answer(NamedTuple):
    """An answer that is no JSON object, or comes with headers of its own; otherwise handlers return just a Struct."""

    body: bytes
    content_type: bytes
    headers: Headers = ()


class Endpoint(NamedTuple):
    """A method and path, and who answers.

    Attributes
    ----------
    method, path : str
        The path below `/api/` and `/ajax-api/`, or with a leading slash as it is. `{}` stands for one segment, `{*}` at the end
        for all that follow.
    kind : Kind
        How the handler is run.
    handler : callable
        `handler(call, asked)`, which returns a Struct, an `Answer`, or None for `{}`; of a STREAM an ASGI application.
    asked : type
        The Struct that body or query are read into.
    action : Action or None
        What the caller must be allowed to do at least somewhere; None lets everybody in.
    loose : callable or None
        Of a LOG, tells of a request whether it may be kept statement by statement, and twice; see `Database.submit`.
    """

    method: str
    path: str
    kind: Kind
    handler: Callable[..., Any]
    asked: Any = Empty
    action: Action | None = Action.READ
    loose: Callable[[Any], bool] | None = None
