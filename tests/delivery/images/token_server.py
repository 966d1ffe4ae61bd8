"""Who gives out tokens for a registry: a small server that signs them as the registry's specification says."""

import base64
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import trustme
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from perenne.net.egress import Egress


class TokenServer:
    """Gives tokens to one person, by password; `scopes` are those that were asked for."""

    def __init__(self, folder: Path, user: str, password: str) -> None:
        authority = trustme.CA()
        issued = authority.issue_cert("tokens.example", key_type=trustme.KeyType.RSA)
        authority.cert_pem.write_to_path(str(folder / "tokens.pem"))
        key = serialization.load_pem_private_key(issued.private_key_pem.bytes(), None)
        assert isinstance(key, RSAPrivateKey)
        self._key = key
        self._chain = [_body(blob.bytes()) for blob in issued.cert_chain_pems]
        self._wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        self._user = user
        self.scopes: list[list[str]] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        realm = f"http://127.0.0.1:{self._server.server_port}/token"
        bundle = folder / "tokens.pem"
        self.settings = f"auth: {{token: {{realm: {realm}, service: tests, issuer: tests, rootcertbundle: {bundle}}}}}\n"

    def reachable(self, allow: frozenset[str], context: Any) -> Egress:
        """Return a client that may also ask this server, which lies on loopback and speaks no TLS."""
        return Egress(allow | {f"127.0.0.1:{self._server.server_port}"}, context)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = parse_qs(urlsplit(request.path).query)
        self.scopes.append(asked.get("scope", []))
        allowed = request.headers.get("Authorization") == self._wanted
        body = json.dumps({"token": self._token(asked)} if allowed else {"errors": [{"code": "UNAUTHORIZED"}]}).encode()
        request.send_response(200 if allowed else 401)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _token(self, asked: dict[str, list[str]]) -> str:
        now = int(time.time())
        access = []
        for scope in asked.get("scope", []):
            kind, name, actions = scope.split(":", 2)
            access.append({"type": kind, "name": name, "actions": actions.split(",")})
        claims = {"iss": "tests", "sub": self._user, "aud": asked["service"][0], "exp": now + 300, "nbf": now - 10, "iat": now,
                  "jti": "1", "access": access}  # fmt: skip
        header = {"typ": "JWT", "alg": "RS256", "x5c": self._chain}
        text = f"{_coded(json.dumps(header).encode())}.{_coded(json.dumps(claims).encode())}"
        return f"{text}.{_coded(self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    def __enter__(self) -> "TokenServer":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _body(pem: bytes) -> str:
    return "".join(line for line in pem.decode().splitlines() if "-----" not in line)


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
