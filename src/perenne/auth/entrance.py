"""The entrance of the control plane: who comes in with a token, who with a session, and how one becomes the other.

A browser's changes need more than its cookie, which it also sends along when a page of somebody else asks: the token of the page
(`perenne.auth.sessions.page_token`) in a header, which only a page of this server can know.
"""

import functools
import hashlib
import hmac
import threading
from collections.abc import Mapping

from perenne.auth import sessions
from perenne.auth.doorman import Doorman
from perenne.auth.principals import Principal
from perenne.auth.sessions import Session, page_token
from perenne.auth.tokens import authenticate, note_refusal, verify_token
from perenne.core.errors import Denied, Invalid
from perenne.storage.workspace import Workspace

COOKIE = "perenne-session"
PAGE_TOKEN = "x-perenne-page"  # noqa: S105
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_ID = 128


class Entrance:
    """Asks everybody who they are. A token that was revoked, and what was opened with it, is refused with the next request.

    Parameters
    ----------
    workspace : Workspace
        Whose tokens and sessions count.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._database = workspace.database
        self._clock = workspace.clock
        self._lock = threading.Lock()
        self._doorman = Doorman(self._verify, self._refuse, workspace.settings.token_rate)

    def admit(self, method: str, headers: Mapping[str, str], scheme: str, address: str) -> Principal:
        """Return who calls: by the header `Authorization`, else by the cookie of a session.

        Parameters
        ----------
        method, headers, scheme : str, mapping, str
            Of the request; names of headers in lower case.
        address : str
            Where it comes from.

        Raises
        ------
        Unauthenticated
            If there is neither, or none that is valid.
        TooManyFailures, TooFast
            If the address has tried, or the token is used, too often.
        Denied
            If a browser asks for a change without the token of a page of ours.
        """
        authorization = headers.get("authorization")
        identity = None if authorization is not None else session_in(headers, scheme)
        if identity is None:
            with self._lock:
                return self._doorman.admit(authorization, address)
        session = self.resume(identity, address)
        if method not in _HARMLESS:
            _check_page(headers, identity)
        return session.principal

    def resume(self, identity: str, address: str) -> Session:
        """Return the session of an id. Raises Unauthenticated, TooManyFailures, TooFast."""
        with self._lock:
            verify = functools.partial(sessions.resume, self._database, identity, self._clock.now())
            return self._doorman.let_in(_digest(identity), address, verify)

    def log_in(self, text: str, address: str, before: str = "") -> tuple[Session, str]:
        """Open a session with a token; return it and its id. Raises as `sessions.open_session`, and TooManyFailures."""

        def verify() -> tuple[Session, str]:
            now = self._clock.now()
            with self._database.read() as tx:  # guesses do not queue for the one writer
                verify_token(tx, text, now)
            return self._database.write(lambda tx: sessions.open_session(tx, text, now=now, address=address, before=before))

        with self._lock:
            session, identity = self._doorman.let_in(_digest(f"Bearer {text}"), address, verify)
            self._doorman.remember(_digest(identity))
        return session, identity

    def log_out(self, actor: Principal, identity: str) -> None:
        """End a session."""
        self._database.write(lambda tx: sessions.log_out(tx, actor, identity))

    def _verify(self, text: str, address: str) -> Principal:
        return authenticate(self._database, text, self._clock.now(), address)

    def _refuse(self, address: str, failures: int) -> None:
        self._database.submit(lambda tx: note_refusal(tx, address, failures), durable=False)


def _check_page(headers: Mapping[str, str], identity: str) -> None:
    """Refuse a change that comes with a cookie alone; that its origin is ours was seen before, if it has one."""
    shown = headers.get(PAGE_TOKEN, "").encode("utf-8", "surrogatepass")
    from_a_page = "origin" in headers or "sec-fetch-site" in headers
    if not (from_a_page and hmac.compare_digest(shown, page_token(identity).encode())):
        hint = f"`GET /api/session` gives what to send as `{PAGE_TOKEN}`; programs send a token instead of a cookie"
        raise Denied("a session changes something only from a page of its own", code="session.page", hint=hint)


def cookie_name(headers: Mapping[str, str], scheme: str) -> str:
    """Return what the cookie is called: by the port, for browsers keep one jar for all ports of a host.

    >>> cookie_name({"host": "localhost:7373"}, "http"), cookie_name({"host": "models.example.org"}, "https")
    ('perenne-session-7373', '__Host-perenne-session')
    """
    _, _, port = headers.get("host", "").rpartition(":")
    name = f"{COOKIE}-{port}" if port.isascii() and port.isdecimal() else COOKIE
    return f"__Host-{name}" if scheme == "https" else name


def session_in(headers: Mapping[str, str], scheme: str) -> str | None:
    """Return the id of the session in the header `Cookie`; None if there is none.

    Raises
    ------
    Invalid
        If there are two, of which one was put there by somebody else.
    """
    name = cookie_name(headers, scheme)
    pairs = [part.strip().partition("=") for part in headers.get("cookie", "").split(";")]
    found = [value for key, _, value in pairs if key == name]
    if len(found) > 1:
        raise Invalid("there are two cookies of a session", code="session.cookie", hint="clear this site's cookies")
    return found[0] if found and 0 < len(found[0]) <= _MAX_ID else None


def set_cookie(headers: Mapping[str, str], scheme: str, identity: str, seconds: int) -> str:
    """Return the header `Set-Cookie` that keeps a session in the browser; with 0 seconds it takes it away.

    No script reads it, and no other site's page makes the browser send it, links to a page of ours included: the pages
    themselves are public, and ask for what they show from here.
    """
    secure = "; Secure" if scheme == "https" else ""
    name = cookie_name(headers, scheme)
    return f"{name}={identity}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
