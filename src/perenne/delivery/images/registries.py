"""Registries, by the OCI distribution API: images pushed there, and runtimes pulled from there.

A blob that is there already is not sent again; one that lies in a neighbouring repository is mounted; a large one goes in chunks,
and on from where it was cut off. What comes is checked against its digest before it is kept.
"""

import re
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

import msgspec

from perenne.core.errors import Denied, Invalid, NotFound, PerenneError, Unavailable
from perenne.delivery.images import credentials
from perenne.formats import oci
from perenne.net.egress import Egress

CHUNK = 16 << 20
_SECONDS = 60.0
_BLOB_SECONDS = 1_800.0
_TRIES = 5
_PAUSE = 0.1
_LONGEST_PAUSE = 10.0
_REDIRECTS = 5
_PIECE = 1 << 20
_HUB_API = "registry-1.docker.io"
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]"})
_RANGE = re.compile(r"(?:bytes=)?0-([0-9]+)")


class Answer(NamedTuple):
    """What a registry said: status, headers by their names in lower case, and the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Way(NamedTuple):
    """How registries are reached.

    Attributes
    ----------
    plain : bool
        Whether one elsewhere than on this machine may be asked without TLS.
    ca : Path, optional
        The certificate of the authority that theirs are signed by, if it is none that this machine knows.
    """

    plain: bool = False
    ca: Path | None = None


class Registry:
    """One repository of a registry.

    Parameters
    ----------
    reference : Reference
        Which.
    way : Way
        How it is reached.
    """

    def __init__(self, reference: oci.Reference, way: Way = Way()) -> None:  # noqa: B008
        self.reference = reference
        host = _HUB_API if reference.registry == credentials.DOCKER_HUB else reference.registry
        loopback = re.sub(r":[0-9]+$", "", host) in _LOOPBACK
        self._scheme = "http" if way.plain or (loopback and way.ca is None) else "https"
        self._url = f"{self._scheme}://{host}"
        place = urlsplit(self._url)
        port = place.port or (80 if self._scheme == "http" else 443)
        named = f"[{place.hostname}]" if place.hostname and ":" in place.hostname else place.hostname
        self._host = f"{named}:{port}"
        self._egress = Egress(frozenset({self._host}), _context(way.ca))
        self._credentials = credentials.find(reference.registry, reference.name)
        self._authorization = ""

    def ask(
        self,
        method: str,
        path: str,
        expected: Sequence[int],
        *,
        body: bytes = b"",
        headers: Mapping[str, str] = {},
        also: str = "",
    ) -> Answer:
        """Ask something, with who we are if that is wanted, again if the registry is busy.

        Parameters
        ----------
        path : str
            Below the repository, or the whole URL that the registry named.
        expected : sequence of int
            The statuses that are an answer.
        also : str
            Another repository that must be read for it.

        Raises
        ------
        Denied
            If we may not.
        NotFound, Unavailable
            If it is not there, or answers otherwise.
        """
        url = self._absolute(path)
        for attempt in range(_TRIES):
            try:
                answer = self._once(method, url, body, headers)
                if answer.status == 401 and self._authorize(answer, method, also):
                    answer = self._once(method, url, body, headers)
            except Unavailable:
                if attempt == _TRIES - 1:
                    raise
                answer = Answer(503, {}, b"")
            if answer.status not in _AGAIN or attempt == _TRIES - 1:
                break
            _pause(answer, attempt)
        if answer.status not in expected:
            raise self._refused(method, answer)
        return answer

    def blob(self, digest: str, size: int) -> Iterator[bytes]:
        """Get a blob in pieces, wherever the registry keeps it. Raises Unavailable if it is longer than it should be."""
        url, headers = self._absolute(f"blobs/{digest}"), dict(self._known())
        for _ in range(_REDIRECTS):
            with self._egress.exchange("GET", url, b"", headers, seconds=_BLOB_SECONDS) as (_, answer):
                if answer.status == 401 and self._authorize(Answer(401, _lower(answer.getheaders()), b""), "GET", ""):
                    headers = dict(self._known())
                    continue
                if answer.status in (301, 302, 303, 307, 308):
                    before, url = url, self._absolute(urljoin(url, answer.headers.get("Location", "")))
                    headers = headers if urlsplit(before).netloc == urlsplit(url).netloc else {}
                    continue
                if answer.status != 200:
                    raise self._refused("GET", Answer(answer.status, {}, answer.read(_PIECE)))
                left = size
                while piece := answer.read(min(_PIECE, left + 1)):
                    left -= len(piece)
                    if left < 0:
                        break
                    yield piece
                if left:
                    raise Unavailable(
                        f"{self.reference.registry} sends another blob than it should", code="registry.blob", hint="try again"
                    )
                return
        raise Unavailable(f"{self.reference.registry} leads nowhere", code="registry.redirect", hint="is the address right?")

    def _absolute(self, path: str) -> str:
        """Return the URL of a path; what the registry itself names must not lead from TLS to none."""
        if not path.startswith(("/", "http://", "https://")):
            return f"{self._url}/v2/{self.reference.name}/{path}"
        url = urljoin(self._url, path)
        if urlsplit(url).scheme not in (self._scheme, "https"):
            raise Invalid(
                f"{self.reference.registry} names an address without TLS",
                code="registry.downgrade",
                hint="tell the registry its own address, with https",
            )
        return url

    def _known(self) -> dict[str, str]:
        return {"Authorization": self._authorization} if self._authorization else {}

    def _once(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        own = {} if urlsplit(url).netloc != urlsplit(self._url).netloc else self._known()
        length = {"Content-Length": str(len(body))} if method in ("POST", "PUT", "PATCH") else {}
        seconds = _SECONDS + len(body) / 50_000
        with self._egress.exchange(method, url, body, {**own, **length, **headers}, seconds=seconds) as (_, answer):
            data = b"" if method == "HEAD" else answer.read(oci.MAX_DOCUMENT + 1)
            return Answer(answer.status, _lower(answer.getheaders()), data)

    def _authorize(self, answer: Answer, method: str, also: str) -> bool:
        """Take in how the registry wants to know us; False if there is nothing to be shown that was not shown."""
        challenge = oci.parse_challenge(answer.headers.get("www-authenticate", ""))
        before = self._authorization
        if challenge is None:
            return False
        if challenge.scheme == "basic":
            self._authorization = self._credentials.basic if self._credentials and self._credentials.user else ""
        else:
            self._authorization = f"Bearer {self._token(challenge.parameters, method, also)}"
        return self._authorization not in ("", before)

    def _token(self, parameters: Mapping[str, str], method: str, also: str) -> str:
        """Get a token from where the registry says; who we are goes there by TLS, or to the registry itself."""
        realm, known = parameters.get("realm", ""), self._credentials
        own = f"repository:{self.reference.name}:{'pull' if method == 'GET' else 'pull,push'}"
        wanted = [*(parameters.get("scope") or own).split(), *([f"repository:{also}:pull"] if also else [])]
        scopes = list(dict.fromkeys(wanted))
        asked = [("service", parameters.get("service", "")), *(("scope", scope) for scope in scopes)]
        url = self._absolute(realm)
        if known is not None and known.identity_token:
            form = [("grant_type", "refresh_token"), ("refresh_token", known.identity_token), ("client_id", "perenne"), *asked]
            body = urlencode([*form[:4], ("scope", " ".join(scopes))]).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            told = self._answer("POST", url, body, headers)
        else:
            told = self._answer("GET", f"{url}?{urlencode(asked)}", b"", {"Authorization": known.basic} if known else {})
        try:
            given = msgspec.json.decode(told.body, type=dict[str, object])
        except msgspec.DecodeError:
            given = {}
        token = given.get("token") or given.get("access_token")
        if told.status != 200 or not isinstance(token, str):
            raise self._refused("GET", Answer(401, {}, b""))
        return token

    def _answer(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        with self._egress.exchange(method, url, body, headers, seconds=_SECONDS) as (_, answer):
            return Answer(answer.status, _lower(answer.getheaders()), answer.read(oci.MAX_DOCUMENT))

    def _refused(self, method: str, answer: Answer) -> PerenneError:
        """Make an error of what a registry said; what it says is quoted, for registries say why."""
        said = _reason(answer.body)
        where = f"{self.reference.registry}/{self.reference.name}"
        if answer.status in (401, 403):
            hint = f"log in with `podman login {self.reference.registry}` or `docker login {self.reference.registry}`"
            return Denied(
                f"{where} may not be {'read' if method in ('GET', 'HEAD') else 'written'}{said}",
                code="registry.denied",
                hint=hint,
            )
        if answer.status == 404:
            return NotFound(f"{self.reference} is not there{said}", code="registry.not_found", hint="are name and tag right?")
        return Unavailable(f"{where} answered with status {answer.status}{said}", code="registry.status", hint="try again later")


def _context(ca: Path | None) -> ssl.SSLContext | None:
    if ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError):
        raise Invalid(f"{ca.name} holds no certificate", code="registry.ca", hint="--ca names a file in PEM") from None


def _lower(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def _pause(answer: Answer, attempt: int) -> None:
    asked = answer.headers.get("retry-after", "")
    time.sleep(min(_LONGEST_PAUSE, float(asked)) if asked.isdigit() else _PAUSE * 2**attempt)


def _reason(body: bytes) -> str:
    try:
        errors = msgspec.json.decode(body, type=dict[str, list[dict[str, object]]]).get("errors") or [{}]
    except msgspec.DecodeError:
        return ""
    said = str(errors[0].get("message") or errors[0].get("code") or "")[:200]
    return f": {said}" if said.isprintable() and said else ""
