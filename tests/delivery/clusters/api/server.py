"""A small API server in the place of a cluster's: enough for real kubectl and for the Python client, honest in what it refuses.

It knows discovery, create, read, update, patch (four kinds, server-side apply among them), delete, list and watch; it checks each
object strictly against the schemas of Kubernetes and of the custom resources, and answers 401, 403, 404, 409 and 422 as the real
one does. It has no controllers, no scheduler and no nodes: what becomes of a Deployment a test says itself, or `settles` does.
"""

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from tests.delivery.clusters.api.discovery import KINDS, Kind, discovered
from tests.delivery.clusters.api.patching import json_patch, merge_patch, strategic_merge
from tests.delivery.clusters.api.state import Object, Refused, State

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_BY_PLACE = {(kind.api_version, kind.plural): kind for kind in KINDS}


class StandIn:
    """The stand-in, while it is entered; listens on 127.0.0.1 at a free port.

    Parameters
    ----------
    tokens : dict
        Who a token stands for; without tokens, everybody is `system:admin`.
    settles : bool
        Whether every Deployment is at once rolled out, as by a controller.
    """

    def __init__(self, *, tokens: dict[str, str] | None = None, settles: bool = True, tls: ssl.SSLContext | None = None) -> None:
        self.state = State()
        self.tokens = tokens or {}
        self.forbidden: set[tuple[str, str]] = set()
        self.calls: list[tuple[str, str]] = []
        if settles:
            self.state.after_write = self.settle
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> "StandIn":
        self._thread.start()
        self.add_namespace("default")
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        with self.state.changed:
            self.state.changed.notify_all()

    def add_namespace(self, name: str) -> None:
        item = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        self.state.create(KINDS[0], "", item, "test", dry_run=False)

    def object(self, plural: str, namespace: str, name: str) -> Object:
        kind = next(kind for kind in KINDS if kind.plural == plural)
        return self.state.get(kind, namespace, name)

    def names(self, namespace: str) -> set[str]:
        return {f"{plural}/{name}" for plural, where, name in self.state.objects if where == namespace}

    def say_status(self, plural: str, namespace: str, name: str, status: Object) -> None:
        kind = next(kind for kind in KINDS if kind.plural == plural)
        self.state.set_status(kind, namespace, name, status)

    def kubeconfig(self, path: Path, user: Object | None = None, cluster: Object | None = None) -> Path:
        """Write a kubeconfig with one context, `stand-in`."""
        token = {"token": next(iter(self.tokens))} if self.tokens else {}
        said = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": {"server": self.url, **(cluster or {})}}],
            "users": [{"name": "me", "user": token if user is None else user}],
            "contexts": [{"name": "stand-in", "context": {"cluster": "here", "user": "me"}}],
            "current-context": "stand-in",
        }
        path.write_text(yaml.safe_dump(said))
        return path

    def settle(self, kind: Kind, item: Object) -> None:
        if kind.kind != "Deployment":
            return
        count, about = item["spec"].get("replicas", 1), item["metadata"]
        status = {
            "observedGeneration": about["generation"],
            "replicas": count,
            "updatedReplicas": count,
            "availableReplicas": count,
        }
        self.state.set_status(kind, about["namespace"], about["name"], {**status, "readyReplicas": count})


def _handler(stand_in: StandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(_Handler):
        api = stand_in

    return Handler


class _Handler(BaseHTTPRequestHandler):
    api: StandIn
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer goes out as a whole

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: pytest shows what matters."""

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.api.calls.append((self.command, self.path))
        try:
            user = self._who()
            found = discovered(parts.path) if self.command == "GET" else None
            if found is not None:
                return self._send(200, found)
            kind, namespace, name, rest = _place(unquote(parts.path))
            self._allow(user, kind, namespace, name, query)
            if query.get("watch") in ("true", "1"):
                return self._watch(kind, namespace, query)
            code, answer = self._do(kind, namespace, name, rest, query, body)
            return self._send(code, answer)
        except Refused as refused:
            return self._send(refused.code, refused.status)

    def _who(self) -> str:
        if not self.api.tokens:
            return "system:admin"
        shown = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if shown not in self.api.tokens:
            raise Refused(401, "Unauthorized", "Unauthorized")
        return self.api.tokens[shown]

    def _allow(self, user: str, kind: Kind, namespace: str, name: str, query: dict[str, str]) -> None:
        verb = _VERBS[self.command]
        verb = "list" if verb == "get" and not name else verb
        if (verb, kind.plural) in self.api.forbidden:
            group = f".{kind.group}" if kind.group else ""
            raise Refused(
                403,
                "Forbidden",
                f'{kind.plural}{group} "{name}" is forbidden: User "{user}" cannot {verb} resource "{kind.plural}" '
                f'in API group "{kind.group}" in the namespace "{namespace}"',
            )

    def _do(self, kind: Kind, namespace: str, name: str, rest: str, query: dict[str, str], body: bytes) -> tuple[int, Object]:
        state, dry_run = self.api.state, query.get("dryRun") == "All"
        manager = query.get("fieldManager") or (self.headers.get("User-Agent") or "unknown").partition("/")[0]
        if self.command == "GET":
            return (200, state.get(kind, namespace, name)) if name else (200, self._list(kind, namespace, query))
        if self.command == "DELETE":
            state.delete(kind, namespace, name)
            return 200, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        item = yaml.safe_load(body)
        if self.command == "POST":
            return 201, state.create(kind, namespace, item, manager, dry_run)
        if self.command == "PUT":
            return 200, state.update(kind, namespace, name, lambda _: item, manager, dry_run)
        content = (self.headers.get("Content-Type") or "").partition(";")[0]
        if content == "application/apply-patch+yaml":
            return 200, state.apply(kind, namespace, item, manager, query.get("force") == "true", dry_run)
        change = {
            "application/merge-patch+json": merge_patch,
            "application/strategic-merge-patch+json": strategic_merge,
            "application/json-patch+json": json_patch,
        }[content]
        return 200, state.update(kind, namespace, name, lambda live: change(live, item), manager, dry_run)

    def _list(self, kind: Kind, namespace: str, query: dict[str, str]) -> Object:
        items = self.api.state.listed(kind, namespace, lambda item: _chosen(item, query))
        about = {"resourceVersion": str(self.api.state.number)}
        return {"kind": f"{kind.kind}List", "apiVersion": kind.api_version, "metadata": about, "items": items}

    def _watch(self, kind: Kind, namespace: str, query: dict[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        try:
            for event in self._events(kind, namespace, query):
                line = json.dumps(event).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True

    def _events(self, kind: Kind, namespace: str, query: dict[str, str]) -> Iterator[Object]:
        """Go through what happened after a version, and wait for what happens, until the time is over."""
        state, seen = self.api.state, int(query.get("resourceVersion") or 0)
        with state.changed:
            while True:
                news = [event for event in state.events if event[0] > seen]
                for number, what, (plural, where, _), item in news:
                    seen = number
                    if plural == kind.plural and where == namespace and _chosen(item, query):
                        yield {"type": what, "object": item}
                if not state.changed.wait(min(float(query.get("timeoutSeconds") or 30), 30)):
                    return

    def _send(self, code: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _place(path: str) -> tuple[Kind, str, str, str]:
    """Read kind, namespace, name and what follows from a path."""
    steps = path.strip("/").split("/")
    version, rest = ("v1", steps[2:]) if steps[0] == "api" else ("/".join(steps[1:3]), steps[3:])
    namespace = ""
    if len(rest) >= 3 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    kind = _BY_PLACE.get((version, rest[0] if rest else ""))
    if kind is None:
        raise Refused(404, "NotFound", "the server could not find the requested resource")
    return kind, namespace, rest[1] if len(rest) > 1 else "", "/".join(rest[2:])


def _chosen(item: Object, query: dict[str, str]) -> bool:
    labels = item["metadata"].get("labels") or {}
    wanted = [part.partition("=") for part in query.get("labelSelector", "").split(",") if part]
    named = query.get("fieldSelector", "")
    if named.startswith("metadata.name=") and item["metadata"]["name"] != named.partition("=")[2]:
        return False
    return all(labels.get(key) == value.lstrip("=") for key, _, value in wanted)
