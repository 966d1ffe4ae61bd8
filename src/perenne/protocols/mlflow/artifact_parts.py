"""Uploads in parts: begun, each part by itself, completed or given up. MLflow's client sends files of 500 MiB and more so."""

import asyncio
from urllib.parse import quote

import msgspec

from perenne import tracking
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.net.asgi import JSON, Receive, Reply, Scope, Send, send_reply
from perenne.net.inbound import read_body
from perenne.net.streaming import arriving
from perenne.protocols.mlflow.artifacts import PROXY, actor_of, changing, no_such, reading
from perenne.protocols.mlflow.decoding import Decoder, Message
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.wire import encode, wrong
from perenne.storage.blobs import owned
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

_MESSAGE_LIMIT = 4 << 20


class BeginParts(Message):
    """An upload in parts."""

    required = ("path",)
    path: str = ""
    num_parts: int = 1


class Part(Message):
    """A part that was uploaded."""

    part_number: int = 0
    etag: str = ""
    url: str = ""


class EndParts(Message):
    """The end of an upload in parts."""

    required = ("path", "upload_id")
    path: str = ""
    upload_id: str = ""
    parts: list[Part] = []


class Credential(msgspec.Struct):
    """Where a part goes."""

    url: str
    part_number: int
    headers: dict[str, str]


class BegunParts(msgspec.Struct):
    """An upload in parts that was begun."""

    upload_id: str
    credentials: list[Credential]


async def begin_parts(scope: Scope, receive: Receive, send: Send, workspace: Workspace, parts: tuple[str, ...]) -> None:
    """Begin an upload in parts; they come to this server as well, each small enough for whatever lies between."""
    actor = actor_of(scope)
    asked = _BEGIN.body(await read_body(receive, _MESSAGE_LIMIT))
    folder = parts[0]

    def begin(tx: Transaction) -> str:
        return tracking.artifacts.begin_upload(tx, actor, _target(tx, actor, folder, asked.path), asked.num_parts)

    identity = await changing(workspace, begin)
    headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
    own = {"Authorization": headers["authorization"]} if "authorization" in headers else {}
    prefix = scope["path"].partition("/mpu/create/")[0]
    address = f"{scope.get('scheme', 'http')}://{headers['host']}{quote(prefix)}/mpu/part/{identity}"
    begun = BegunParts(identity, [Credential(f"{address}/{n}", n, own) for n in range(1, asked.num_parts + 1)])
    await send_reply(send, Reply(200, encode(begun), JSON))


def _target(tx: Transaction, actor: Principal, folder: str, file: str) -> tracking.artifacts.Place:
    """Return where a file goes that a client calls by its own path."""
    place = tracking.artifacts.place_of(tx, actor, f"{folder}/{file.replace(chr(92), '/').rpartition('/')[2]}", writes=True)
    if place is None:
        raise no_such(folder)
    return place


async def put_part(scope: Scope, receive: Receive, send: Send, workspace: Workspace, parts: tuple[str, ...]) -> None:
    """Take a part."""
    actor, identity = actor_of(scope), parts[0]
    if not (parts[1].isascii() and parts[1].isdecimal() and len(parts[1]) <= 6):
        raise wrong("The number of a part must be an integer.")
    number = int(parts[1])
    await reading(workspace, lambda tx: tracking.artifacts.expects_part(tx, actor, identity, number))
    limit = workspace.settings.artifact_limit
    async with arriving(scope, receive, workspace.blobs, limit=limit) as incoming:
        await changing(workspace, lambda tx: tracking.artifacts.put_part(tx, actor, identity, number, incoming))
        await send_reply(send, Reply(200, b"", headers=((b"etag", f'"{incoming.id}"'.encode()),)))


async def end_parts(scope: Scope, receive: Receive, send: Send, workspace: Workspace, parts: tuple[str, ...]) -> None:
    """Join the parts: the file is there whole from then on."""
    actor = actor_of(scope)
    asked = _END.body(await read_body(receive, _MESSAGE_LIMIT))

    def join() -> None:
        with workspace.database.read() as tx:
            place = _target(tx, actor, parts[0], asked.path)
            blobs = tracking.artifacts.parts_of(tx, actor, asked.upload_id, place)
        with workspace.blobs.receive() as incoming:
            workspace.blobs.join(blobs, incoming)
            workspace.blobs.keep(incoming)
            with owned(workspace.blobs, incoming):
                workspace.database.write(lambda tx: tracking.artifacts.end_upload(tx, actor, asked.upload_id, place, incoming))

    await asyncio.to_thread(join)
    await send_reply(send, Reply(200, b"{}", JSON))


def abort_parts(call: Call, asked: EndParts) -> None:
    """Give an upload up."""
    place = _target(call.tx, call.actor, call.parts[0], asked.path)
    tracking.artifacts.end_upload(call.tx, call.actor, asked.upload_id, place)


_BEGIN, _END = Decoder(BeginParts), Decoder(EndParts)

ENDPOINTS = [
    Endpoint("POST", f"{PROXY}/mpu/create/{{*}}", Kind.STREAM, begin_parts, action=Action.LOG),
    Endpoint("PUT", f"{PROXY}/mpu/part/{{}}/{{}}", Kind.STREAM, put_part, action=Action.LOG),
    Endpoint("POST", f"{PROXY}/mpu/complete/{{*}}", Kind.STREAM, end_parts, action=Action.LOG),
    Endpoint("POST", f"{PROXY}/mpu/abort/{{*}}", Kind.CHANGE, abort_parts, EndParts, Action.LOG),
]
