"""A small registry that holds to the letter of the distribution specification, where Debian's is not installed."""

import json
import re
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TypeAlias
from urllib.parse import parse_qs, urlsplit

from perenne.formats import oci

Told: TypeAlias = tuple[int, dict[str, str], bytes]

_PATH = re.compile(r"/v2/(?P<name>[a-z0-9/._-]+?)/(?P<kind>blobs|manifests|tags)/(?P<rest>.*)")


class StrictRegistry:
    """Keeps blobs by repository; refuses chunks out of order, wrong digests, and manifests that point to what is not there."""

    def __init__(self) -> None:
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, bytes] = {}
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                status, headers, body = owner.answer(self.command, self.path, dict(self.headers), self.rfile.read(length))
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        for method in ("GET", "HEAD", "POST", "PUT", "PATCH"):
            setattr(Handler, f"do_{method}", Handler.handle_any)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_port
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> Told:
        match, query = _PATH.fullmatch(urlsplit(path).path), parse_qs(urlsplit(path).query)
        if match is None:
            return (200 if urlsplit(path).path == "/v2/" else 404), {}, b"{}"
        name, rest = match["name"], match["rest"]
        if match["kind"] == "tags":
            tags = [tag for place, tag in self.manifests if place == name and not oci.is_digest(tag)]
            return 200, {"Content-Type": "application/json"}, json.dumps({"name": name, "tags": tags}).encode()
        if match["kind"] == "manifests":
            return self._manifest(method, name, rest, headers, body)
        if rest == "uploads/" and method == "POST":
            return self._start(name, query)
        if rest.startswith("uploads/"):
            return self._upload(method, name, rest.removeprefix("uploads/"), query, headers, body)
        found = self.blobs.get((name, rest))
        return (404, {}, b"") if found is None else (200, {"Content-Type": "application/octet-stream"}, found)

    def _start(self, name: str, query: dict[str, list[str]]) -> Told:
        digest, source = query.get("mount", [""])[0], query.get("from", [""])[0]
        if (source, digest) in self.blobs:
            self.blobs[name, digest] = self.blobs[source, digest]
            return 201, {"Location": f"/v2/{name}/blobs/{digest}"}, b""
        upload = uuid.uuid4().hex
        self.uploads[upload] = b""
        return 202, {"Location": f"/v2/{name}/blobs/uploads/{upload}", "Range": "0-0"}, b""

    def _upload(
        self, method: str, name: str, upload: str, query: dict[str, list[str]], headers: dict[str, str], body: bytes
    ) -> Told:
        if upload not in self.uploads:
            return 404, {}, b""
        before = self.uploads[upload]
        if method == "PATCH":
            first = headers.get("Content-Range", "").partition("-")[0]
            if first != str(len(before)) or headers.get("Content-Type") != "application/octet-stream":
                return 416, {}, b""
            self.uploads[upload] = before = before + body
        where = {"Location": f"/v2/{name}/blobs/uploads/{upload}", "Range": f"0-{max(0, len(before) - 1)}"}
        if method != "PUT":
            return (202 if method == "PATCH" else 204), where, b""
        digest = query.get("digest", [""])[0]
        if oci.digest_of(before + body) != digest:
            return 400, {}, b'{"errors": [{"code": "DIGEST_INVALID"}]}'
        self.blobs[name, digest] = before + self.uploads.pop(upload)[len(before) :] + body
        return 201, {"Location": f"/v2/{name}/blobs/{digest}"}, b""

    def _manifest(self, method: str, name: str, rest: str, headers: dict[str, str], body: bytes) -> Told:
        if method == "PUT":
            return self._keep(name, rest, headers.get("Content-Type", ""), body)
        found = self.manifests.get((name, rest))
        if found is None:
            return 404, {}, b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'
        return 200, {"Content-Type": found[0], "Docker-Content-Digest": oci.digest_of(found[1])}, found[1]

    def _keep(self, name: str, rest: str, kind: str, body: bytes) -> Told:
        digest = oci.digest_of(body)
        if oci.is_digest(rest) and rest != digest:
            return 400, {}, b'{"errors": [{"code": "DIGEST_INVALID"}]}'
        if kind == oci.INDEX:
            missing = [one for one in oci.read(body, oci.Index, "index").manifests if (name, one.digest) not in self.manifests]
        else:
            manifest = oci.read(body, oci.Manifest, "manifest")
            missing = [one for one in (manifest.config, *manifest.layers) if (name, one.digest) not in self.blobs]
        if missing:
            return 404, {}, b'{"errors": [{"code": "MANIFEST_BLOB_UNKNOWN"}]}'
        for key in (rest, digest):
            self.manifests[name, key] = (kind, body)
        return 201, {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": digest}, b""

    def __enter__(self) -> "StrictRegistry":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
