"""Small servers on loopback, over real sockets: files by HTTP, and a stand-in for Azure's Blob Storage."""

import re
import threading
from collections.abc import Callable
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class WebServer:
    """Files by path, with etags; read-only, as a plain web server is.

    Attributes
    ----------
    files : dict
        Path -> bytes.
    answers : list of int
        Statuses to answer with before anything is answered well.
    seen : list of dict
        The headers of each request.
    """

    handler: type["_Quiet"]

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.answers: list[int] = []
        self.seen: list[dict[str, str]] = []
        self.password = ""
        self.lock = threading.Lock()
        made = type("Handler", (self.handler,), {"owner": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), made)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    owner: Any

    def log_message(self, *arguments: Any) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def dispatch(self, work: Callable[[], None]) -> None:
        body_first = self.command in ("PUT", "POST")
        self.taken = self.body() if body_first else b""
        with self.owner.lock:
            self.owner.seen.append(dict(self.headers))
            status = self.owner.answers.pop(0) if self.owner.answers else 0
            if status:
                self.answer(status)
            elif self.owner.password and self.headers.get("Authorization", self.headers.get("X-Pass", "")) != self.owner.password:
                self.answer(401)
            else:
                work()


class _FilesHandler(_Quiet):
    def do_GET(self) -> None:
        self.dispatch(self._get)

    do_HEAD = do_GET  # noqa: N815

    def _get(self) -> None:
        data = self.owner.files.get(unquote(urlsplit(self.path).path))
        if data is None:
            self.answer(404)
        else:
            self.answer(200, data, ETag=f'"{md5(data).hexdigest()}"', Content_Length=str(len(data)))


WebServer.handler = _FilesHandler


class AzureServer(WebServer):
    """As much of Blob Storage as a remote needs: put, get, head, delete, copy, list, and blobs of several blocks."""

    def __init__(self) -> None:
        self.blocks: dict[str, dict[str, bytes]] = {}
        super().__init__()


class _AzureHandler(_Quiet):
    def do_GET(self) -> None:
        self.dispatch(self._get)

    do_HEAD = do_GET  # noqa: N815

    def do_PUT(self) -> None:
        self.dispatch(self._put)

    def do_DELETE(self) -> None:
        self.dispatch(self._delete)

    def do_POST(self) -> None:
        self.dispatch(self._batch)

    def _batch(self) -> None:
        """Remove many at once: one part of the body, and of the answer, for each."""
        boundary = "batchresponse"
        answers = []
        for number, path in enumerate(re.findall(r"^DELETE (\S+) HTTP", self.taken.decode(), re.MULTILINE)):
            gone = self.owner.files.pop(unquote(urlsplit(path).path), None)
            said = "202 Accepted" if gone is not None else "404 Not Found"
            code = "" if gone is not None else "x-ms-error-code: BlobNotFound\r\n"
            answers.append(
                f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: {number}\r\n\r\n"
                f"HTTP/1.1 {said}\r\n{code}x-ms-request-id: 1\r\nx-ms-version: 2023-11-03\r\n\r\n\r\n"
            )
        body = f"{''.join(answers)}--{boundary}--\r\n".encode()
        self.answer(202, body, Content_Type=f"multipart/mixed; boundary={boundary}")

    def _split(self) -> tuple[str, dict[str, str]]:
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
        return unquote(parts.path), query

    def _get(self) -> None:
        path, query = self._split()
        if query.get("comp") == "list":
            self.answer(200, self._listed(path, query), Content_Type="application/xml")
            return
        data = self.owner.files.get(path)
        if data is None:
            self.answer(404, b"<?xml version='1.0'?><Error><Code>BlobNotFound</Code></Error>", x_ms_error_code="BlobNotFound")
            return
        headers = {"ETag": f'"0x{md5(data).hexdigest()[:15]}"', "Last_Modified": "Sat, 28 Nov 2026 12:00:00 GMT"}
        self.answer(200, data, Content_Length=str(len(data)), x_ms_blob_type="BlockBlob", **headers)

    def _listed(self, container: str, query: dict[str, str]) -> bytes:
        start = f"{container}/"
        names = sorted(path.removeprefix(start) for path in self.owner.files if path.startswith(start))
        blobs = "".join(
            f"<Blob><Name>{escape(name)}</Name><Properties><Last-Modified>Sat, 28 Nov 2026 12:00:00 GMT</Last-Modified>"
            f"<Etag>0x{md5(self.owner.files[start + name]).hexdigest()[:15]}</Etag><BlobType>BlockBlob</BlobType>"
            f"<Content-Length>{len(self.owner.files[start + name])}</Content-Length>"
            "<Content-Type>application/octet-stream</Content-Type></Properties></Blob>"
            for name in names
            if name.startswith(query.get("prefix", ""))
        )
        return f"<?xml version='1.0'?><EnumerationResults><Blobs>{blobs}</Blobs><NextMarker/></EnumerationResults>".encode()

    def _put(self) -> None:
        path, query = self._split()
        if query.get("comp") == "block":
            self.owner.blocks.setdefault(path, {})[query["blockid"]] = self.taken
        elif query.get("comp") == "blocklist":
            blocks = self.owner.blocks.pop(path, {})
            self.owner.files[path] = b"".join(blocks[name] for name in re.findall(r">([^<>]+)</(?:Unc|L|C)", self.taken.decode()))
        elif copied := self.headers.get("x-ms-copy-source"):
            source = unquote(urlsplit(copied).path)
            if source not in self.owner.files:
                self.answer(404, b"<?xml version='1.0'?><Error><Code>BlobNotFound</Code></Error>")
                return
            self.owner.files[path] = self.owner.files[source]
        else:
            self.owner.files[path] = self.taken
        self.answer(201, ETag='"0x1"', Last_Modified="Sat, 28 Nov 2026 12:00:00 GMT", x_ms_copy_status="success")

    def _delete(self) -> None:
        path, _ = self._split()
        if self.owner.files.pop(path, None) is None:
            self.answer(404, b"<?xml version='1.0'?><Error><Code>BlobNotFound</Code></Error>")
        else:
            self.answer(202)


AzureServer.handler = _AzureHandler
