"""MLflow's artifacts: uploads and downloads as streams, listings, and files by run, version, logged model and trace."""

import asyncio
import mimetypes
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import parse_qsl

import msgspec

from perenne import registry, tracking
from perenne.auth.principals import Principal
from perenne.auth.roles import Action, sees
from perenne.net.asgi import Receive, Reply, Scope, Send, send_reply
from perenne.net.streaming import Download, arriving, length_of, send_blob
from perenne.protocols.mlflow import trace_files
from perenne.protocols.mlflow.decoding import Message
from perenne.protocols.mlflow.endpoint import Call, Endpoint, Kind
from perenne.protocols.mlflow.messages import FileInfo
from perenne.protocols.mlflow.wire import MlflowError, missing, wrong
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace

T = TypeVar("T")
UPLOAD_LIMIT = 10 * 1024 * 1024
"""Of the route by which MLflow's page uploads; artifacts have a limit of their own."""

SIGNED_SECONDS = 900
LONGEST_SIGNED = 604_800
_TEXT = {"txt", "log", "err", "cfg", "conf", "cnf", "cf", "ini", "properties", "prop", "hocon", "toml", "yaml", "yml", "xml"}
_TEXT |= {"json", "js", "py", "py3", "csv", "tsv", "md", "rst", "ipynb", "MLmodel", "MLproject"}


class ListArtifacts(Message):
    """A folder of a run."""

    required = ("run_id",)
    run_id: str = ""
    run_uuid: str = ""
    path: str = ""
    page_token: str = ""


class ListModelArtifacts(Message):
    """A folder of a logged model."""

    artifact_directory_path: str = ""
    page_token: str = ""


class ListPath(Message):
    """A folder by its whole path."""

    path: str = ""


class Listed(msgspec.Struct, omit_defaults=True):
    """What a folder holds."""

    root_uri: str = ""
    files: list[FileInfo] = []


class PresignUpload(Message):
    """A file to be uploaded past the server."""

    required = ("path",)
    run_id: str = ""
    model_id: str = ""
    path: str = ""
    expiration: int = SIGNED_SECONDS


class PresignDownload(Message):
    """A file to be downloaded past the server."""

    required = ("run_id", "path")
    run_id: str = ""
    path: str = ""
    expiration: int = SIGNED_SECONDS


class Presigned(msgspec.Struct):
    """Where to download it."""

    presigned_url: str
    headers: dict[str, str]
    file_size: int


class SignedUrl(msgspec.Struct):
    """Where to download it, as the proxy says it."""

    url: str
    headers: dict[str, str]
    file_size: int


def list_artifacts(call: Call, asked: ListArtifacts) -> Listed:
    """List a folder of a run; paths are those below its root."""
    place = tracking.artifacts.place_of_run(call.tx, call.actor, asked.run_id or asked.run_uuid, asked.path)
    return _listed(call, place)


def list_model_artifacts(call: Call, asked: ListModelArtifacts) -> Listed:
    """List a folder of a logged model; paths are those below its root."""
    place = tracking.artifacts.place_of_model(call.tx, call.actor, call.parts[0], asked.artifact_directory_path)
    return _listed(call, place)


def _listed(call: Call, place: tracking.artifacts.Place) -> Listed:
    found = tracking.artifacts.entries(call.tx, call.actor, place)
    return Listed(f"mlflow-artifacts:/{place.root}", [_file_info(entry, entry.path) for entry in found])


def list_path(call: Call, asked: ListPath) -> Listed:
    """List a folder by its whole path; of each entry only the name is told."""
    if not asked.path.strip("/"):
        return Listed()
    place = tracking.artifacts.place_of(call.tx, call.actor, asked.path)
    found = [] if place is None else tracking.artifacts.entries(call.tx, call.actor, place)
    return Listed(files=[_file_info(entry, entry.name) for entry in found])


def _file_info(entry: tracking.artifacts.Entry, path: str) -> FileInfo:
    return FileInfo(path, is_dir=True) if entry.is_dir else FileInfo(path, is_dir=False, file_size=entry.size or 0)


def delete(call: Call, _: ListPath) -> None:
    """Delete a file, or all below a folder."""
    place = tracking.artifacts.place_of(call.tx, call.actor, call.parts[0], writes=True)
    if place is None:
        raise no_such(call.parts[0])
    tracking.artifacts.remove(call.tx, call.actor, place)


def presign_upload(call: Call, asked: PresignUpload) -> None:
    """Refuse: whatever is uploaded comes through this server, so that it is there whole or not at all."""
    if bool(asked.run_id) == bool(asked.model_id):
        raise wrong("Exactly one of run_id and model_id must be provided.")
    if asked.run_id:
        tracking.artifacts.place_of_run(call.tx, call.actor, asked.run_id, asked.path)
    else:
        tracking.artifacts.place_of_model(call.tx, call.actor, asked.model_id, asked.path)
    raise wrong(
        "Presigned upload is not supported for proxied artifact storage (artifact URI scheme: mlflow-artifacts). "
        "This endpoint requires a direct cloud storage artifact URI."
    )


def presign_download(call: Call, asked: PresignDownload) -> Presigned:
    """Say where a run's file is downloaded past the server, if the store can do that."""
    if not 1 <= asked.expiration <= LONGEST_SIGNED:
        raise wrong(f"expiration must be between 1 and {LONGEST_SIGNED} seconds (got {asked.expiration}).")
    place = tracking.artifacts.place_of_run(call.tx, call.actor, asked.run_id, asked.path)
    found = tracking.artifacts.find(call.tx, call.actor, place)
    url = call.workspace.blobs.sign(found.blob, asked.expiration)
    if url is None:
        raise wrong(
            "Presigned download is not supported for runs with proxied artifact storage (artifact URI scheme: mlflow-artifacts). "
            "This endpoint requires a run with a direct cloud storage artifact URI."
        )
    return Presigned(url, {}, found.size)


def presign_path(call: Call, _: ListPath) -> SignedUrl:
    """Say where a file is downloaded past the server, if the store can do that."""
    found = _find(call.tx, call.actor, call.parts[0])
    url = call.workspace.blobs.sign(found.blob, SIGNED_SECONDS)
    if url is None:
        raise MlflowError("NOT_IMPLEMENTED", "Multipart download is not supported for the current artifact repository")
    return SignedUrl(url, {}, found.size)


def _find(tx: Transaction, actor: Principal, path: str) -> tracking.artifacts.Artifact:
    place = tracking.artifacts.place_of(tx, actor, path)
    if place is None:
        raise no_such(path)
    return tracking.artifacts.find(tx, actor, place)


def no_such(path: str) -> MlflowError:
    """Return the error of a file that is not there."""
    return MlflowError("RESOURCE_DOES_NOT_EXIST", f"No such artifact: '{path[:1_000]}'")


async def upload(scope: Scope, receive: Receive, send: Send, workspace: Workspace, parts: tuple[str, ...]) -> None:
    """Take a file."""
    actor, path = actor_of(scope), parts[0]
    place = await reading(workspace, lambda tx: tracking.artifacts.place_of(tx, actor, path, writes=True))
    if place is None:
        raise no_such(path)
    await _take(scope, receive, workspace, place)
    await send_reply(send, Reply(200, b""))


async def _take(
    scope: Scope, receive: Receive, workspace: Workspace, place: tracking.artifacts.Place, limit: int | None = None
) -> None:
    actor = actor_of(scope)
    await reading(workspace, lambda tx: tracking.artifacts.check(tx, actor, place))
    most = workspace.settings.artifact_limit if limit is None else limit
    async with arriving(scope, receive, workspace.blobs, limit=most) as incoming:
        await changing(workspace, lambda tx: tracking.artifacts.put(tx, actor, place, incoming))


async def download(scope: Scope, receive: Receive, send: Send, workspace: Workspace, parts: tuple[str, ...]) -> None:
    """Give a file."""
    actor, path = actor_of(scope), parts[0]
    await _give(scope, send, workspace, await reading(workspace, lambda tx: _find(tx, actor, path)))


async def _give(scope: Scope, send: Send, workspace: Workspace, found: tracking.artifacts.Artifact) -> None:
    name = found.path.rpartition("/")[2]
    file = Download(found.blob, found.size, found.modified, name, content_type(name))
    await send_blob(scope, send, workspace.blobs, file)


def content_type(name: str) -> str:
    """Return the type of a file by its name, as MLflow guesses it: what people read is plain text.

    >>> content_type("MLmodel"), content_type("conda.yaml"), content_type("plot.png"), content_type("model.pkl")
    ('text/plain', 'text/plain', 'image/png', 'application/octet-stream')
    """
    if (name.rpartition(".")[2] or name) in _TEXT:
        return "text/plain"
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


async def get_artifact(scope: Scope, receive: Receive, send: Send, workspace: Workspace, parts: tuple[str, ...]) -> None:
    """Give a file of a run."""
    actor, query = actor_of(scope), _query(scope)
    run, path = query.get("run_id") or query.get("run_uuid") or _lacks("run_id"), query.get("path") or _lacks("path")

    def find(tx: Transaction) -> tracking.artifacts.Artifact:
        return tracking.artifacts.find(tx, actor, tracking.artifacts.place_of_run(tx, actor, run, path))

    await _give(scope, send, workspace, await reading(workspace, find))


async def get_model_artifact(scope: Scope, receive: Receive, send: Send, workspace: Workspace, parts: tuple[str, ...]) -> None:
    """Give a file of a logged model."""
    actor, path = actor_of(scope), _query(scope).get("artifact_file_path")
    if not path:
        raise MlflowError("BAD_REQUEST", 'Request must include the "artifact_file_path" query parameter.')

    def find(tx: Transaction) -> tracking.artifacts.Artifact:
        return tracking.artifacts.find(tx, actor, tracking.artifacts.place_of_model(tx, actor, parts[0], path))

    await _give(scope, send, workspace, await reading(workspace, find))


async def get_version_artifact(scope: Scope, receive: Receive, send: Send, workspace: Workspace, parts: tuple[str, ...]) -> None:
    """Give a file of a model version, from where it was registered."""
    actor, query = actor_of(scope), _query(scope)
    name, number = query.get("name") or _lacks("name"), query.get("version") or _lacks("version")
    path = tracking.artifacts.clean_path(query.get("path") or _lacks("path"))

    def find(tx: Transaction) -> tracking.artifacts.Artifact:
        version = registry.get_version(tx, f"{name}@{number}")
        root = tracking.artifacts.root_of(version.root)
        if not sees(actor, version.project) or root is None:
            raise no_such(path)
        return _find(tx, actor, f"{root}/{path}")

    await _give(scope, send, workspace, await reading(workspace, find))


async def get_trace_artifact(scope: Scope, receive: Receive, send: Send, workspace: Workspace, parts: tuple[str, ...]) -> None:
    """Give the spans of a trace, or one of its attachments."""
    actor, query = actor_of(scope), _query(scope)
    identity = query.get("request_id")
    if not identity:
        raise MlflowError("BAD_REQUEST", 'Request must include the "request_id" query parameter.')
    path = f"attachments/{query['path']}" if query.get("path") else trace_files.FILE

    def find(tx: Transaction) -> tracking.artifacts.Artifact | bytes:
        place = tracking.artifacts.place_of_trace(tx, actor, identity, path)
        if place is None and path == trace_files.FILE:
            return trace_files.body_of(tx, actor, identity)
        if place is None:
            raise no_such(path)
        return tracking.artifacts.find(tx, actor, place)

    found = await reading(workspace, find)
    if isinstance(found, bytes):
        headers = ((b"content-disposition", b'attachment; filename="traces.json"'),)
        await send_reply(send, Reply(200, found, b"application/octet-stream", headers))
    else:
        await _give(scope, send, workspace, found)


async def upload_artifact(scope: Scope, receive: Receive, send: Send, workspace: Workspace, parts: tuple[str, ...]) -> None:
    """Take a file of a run, as MLflow's page sends it."""
    actor, query = actor_of(scope), _query(scope)
    run, path = query.get("run_uuid"), query.get("path")
    if not run or not path:
        raise wrong(f"Request must specify {'path' if run else 'run_uuid'}.")
    length = length_of(scope)
    if length is not None and length > UPLOAD_LIMIT:
        raise wrong("Artifact size is too large. Max size is 10MB.")
    if length == 0:
        raise wrong("Request must specify data.")
    place = await reading(workspace, lambda tx: tracking.artifacts.place_of_run(tx, actor, run, path, writes=True))
    await _take(scope, receive, workspace, place, UPLOAD_LIMIT)
    await send_reply(send, Reply(200, b""))


def actor_of(scope: Scope) -> Principal:
    """Return who calls."""
    actor: Principal = scope["state"]["actor"]
    return actor


def _query(scope: Scope) -> dict[str, str]:
    try:
        return dict(
            parse_qsl(scope.get("query_string", b"").decode(), keep_blank_values=True, max_num_fields=20, errors="strict")
        )
    except ValueError:
        raise MlflowError("BAD_REQUEST", "The query is not UTF-8, or has too many fields.") from None


def _lacks(name: str) -> str:
    raise missing(name)


async def reading(workspace: Workspace, work: Callable[[Transaction], T]) -> T:
    """Read one snapshot of the database, in a thread."""

    def work_on_snapshot() -> T:
        with workspace.database.read() as tx:
            return work(tx)

    return await asyncio.to_thread(work_on_snapshot)


async def changing(workspace: Workspace, work: Callable[[Transaction], T]) -> T:
    """Make a change, and wait until it is kept."""
    return await asyncio.wrap_future(workspace.database.submit(work))


PROXY = "2.0/mlflow-artifacts"

ENDPOINTS = [
    Endpoint("GET", "2.0/mlflow/artifacts/list", Kind.READ, list_artifacts, ListArtifacts),
    Endpoint("POST", "2.0/mlflow/artifacts/presigned-upload-url", Kind.READ, presign_upload, PresignUpload, Action.LOG),
    Endpoint("POST", "2.0/mlflow/artifacts/presigned-download-url", Kind.READ, presign_download, PresignDownload),
    Endpoint("GET", f"{PROXY}/artifacts", Kind.READ, list_path, ListPath),
    Endpoint("GET", f"{PROXY}/artifacts/{{*}}", Kind.STREAM, download),
    Endpoint("PUT", f"{PROXY}/artifacts/{{*}}", Kind.STREAM, upload, action=Action.LOG),
    Endpoint("DELETE", f"{PROXY}/artifacts/{{*}}", Kind.CHANGE, delete, ListPath, Action.LOG),
    Endpoint("GET", f"{PROXY}/presigned/{{*}}", Kind.READ, presign_path, ListPath),
    Endpoint("GET", "/get-artifact", Kind.STREAM, get_artifact),
    Endpoint("GET", "/model-versions/get-artifact", Kind.STREAM, get_version_artifact),
    Endpoint("GET", "/ajax-api/2.0/mlflow/logged-models/{}/artifacts/files", Kind.STREAM, get_model_artifact),
    Endpoint("GET", "2.0/mlflow/logged-models/{}/artifacts/directories", Kind.READ, list_model_artifacts, ListModelArtifacts),
    Endpoint("POST", "/ajax-api/2.0/mlflow/upload-artifact", Kind.STREAM, upload_artifact, action=Action.LOG),
    Endpoint("GET", "/ajax-api/2.0/mlflow/get-trace-artifact", Kind.STREAM, get_trace_artifact),
    Endpoint("GET", "/ajax-api/3.0/mlflow/get-trace-artifact", Kind.STREAM, get_trace_artifact),
]
