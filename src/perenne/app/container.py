"""What an image runs: the model server, from the release that lies in the image or is mounted into it, until told to stop.

====================== ================================================================================
`PERENNE_RELEASE`      the release folder; only read
`PERENNE_HOME`         where the row log and profiles of windows are written; a folder in `/tmp` or a volume
`PERENNE_SERVE_PORT`   where it listens
`PERENNE_WORKERS`      processes that answer
`PERENNE_NAMES`        further values of `Host` it answers to, such as those of a service in a cluster
`PERENNE_TOKENS`       a file of tokens, one of which callers must show
`PERENNE_DRAIN`        seconds for which, once told to stop, it says that it is not ready before it stops accepting
====================== ================================================================================

A container has a network of its own: who runs it decides who reaches it. So it listens on every address of the container, without
tokens unless there are some. `health` as argument asks the running server, for health checks of container engines.
"""

import contextlib
import logging
import os
import queue
import signal
import socket
import sys
from pathlib import Path

from perenne.core.config import load_settings
from perenne.core.errors import Invalid, PerenneError
from perenne.net.asking import ask
from perenne.net.listening import Listening
from perenne.serving import ModelServer
from perenne.telemetry import logs

RELEASE = "/model"
_HEALTH_SECONDS = 3.0
_STOP, _RESTART = "stop", "restart"
log = logging.getLogger("perenne.serving")


def main(arguments: list[str]) -> int:
    """Serve, or ask the running server how it is; return the exit code."""
    try:
        return _ask_health() if arguments == ["health"] else _serve()
    except PerenneError as error:
        log.error("%s; %s", error.message, error.hint)
        return error.exit_code


def _serve() -> int:
    logs.configure("perenne-model-server")
    settings = load_settings()
    tokens = os.environ.get("PERENNE_TOKENS", "")
    orders: queue.SimpleQueue[str] = queue.SimpleQueue()
    for number, order in ((signal.SIGTERM, _STOP), (signal.SIGINT, _STOP), (signal.SIGHUP, _RESTART)):
        signal.signal(number, lambda *_, order=order: orders.put(order))
    server = ModelServer(
        Path(os.environ.get("PERENNE_RELEASE", RELEASE)),
        settings.logs,
        settings.spool,
        port=settings.serve_port,
        workers=_number("PERENNE_WORKERS", 1, 64),
        where=_where(),
        tokens=Path(tokens) if tokens else None,
        token_rate=settings.token_rate,
        drain_seconds=_number("PERENNE_DRAIN", 0, 600),
    )
    server.start()
    try:
        server.wait_ready()
        log.info("answers on port %d", server.port)
        while orders.get() == _RESTART:
            server.restart_workers()
    finally:
        server.stop()
    return 0


def _where() -> Listening:
    settings = load_settings()
    names = (*settings.names, *_own_names())
    return Listening(
        host=os.environ.get("PERENNE_HOST", "0.0.0.0"),  # noqa: S104
        names=tuple(dict.fromkeys(names)),
        tls_cert=settings.tls_cert,
        tls_key=settings.tls_key,
        trusted_proxies=settings.trusted_proxies,
        contained=True,
    )


def _own_names() -> list[str]:
    """Name the container as those beside it do: by its host name and its addresses."""
    name = socket.gethostname()
    found = [name]
    with contextlib.suppress(OSError):
        for _, _, _, _, address in socket.getaddrinfo(name, None, type=socket.SOCK_STREAM):
            host = str(address[0])
            found.append(f"[{host}]" if ":" in host else host)
    return found


def _ask_health() -> int:
    settings = load_settings()
    scheme = "https" if settings.tls_cert else "http"
    try:
        status, _ = ask(f"{scheme}://127.0.0.1:{settings.serve_port}", "/v2/health/ready", _HEALTH_SECONDS)
    except OSError:
        return 1
    return 0 if status == 200 else 1


def _number(name: str, least: int, most: int) -> int:
    text = os.environ.get(name, str(least))
    if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= most:
        raise Invalid(f"{name} is {text[:40]!r}", code="config.number", hint=f"a number from {least} to {most}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
