"""Logging of every process, configured in one place: ECS JSON, one line a record, or plain text for a person at a terminal.

`PERENNE_LOG` says `json` or `text` (if not set: text on a terminal, JSON elsewhere), `PERENNE_LOG_LEVEL` how much (`info` if not
set), and `PERENNE_LOG_FILE` names a file that gets the JSON lines as well. Secrets are blackened in either form.
"""

import contextlib
import logging
import os
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import perenne
from perenne.core.errors import Invalid, PerenneError
from perenne.core.redaction import redact_text
from perenne.formats import ecs
from perenne.telemetry.context import current
from perenne.telemetry.log_files import LogFile

FIELDS = "ecs"
"""The name under which a call of a logger passes ECS fields: `log.info("…", extra={FIELDS: {…}})`."""

LEVELS = ("debug", "info", "warning", "error")
FORMS = ("json", "text")
_QUIET = logging.WARNING
"""From which level on the libraries are heard; ours from `PERENNE_LOG_LEVEL` on."""


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, so that configuring again takes the place of what was configured before."""


class _FileHandler(logging.Handler):
    """Writes to a file that is turned over when it is large."""

    def __init__(self, file: LogFile) -> None:
        super().__init__()
        self._file = file

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record; a full disk costs the line, not the process."""
        with contextlib.suppress(OSError):
            self._file.write(self.format(record).encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class JsonFormatter(logging.Formatter):
    """Writes records as ECS JSON.

    Parameters
    ----------
    service : str
        Which process this is, such as ``perenne-control-plane``.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._own = {
            "service.name": service,
            "service.version": perenne.__version__,
            "event.dataset": f"{service}.log",
            "process.pid": os.getpid(),
            "host.hostname": socket.gethostname(),
        }

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its line break."""
        given = getattr(record, FIELDS, None) or {}
        fields = {**current().fields(), **given}
        source = {**self._own, "process.thread.name": record.threadName}
        at, level = int(record.created * 1e6), record.levelname.lower()
        found = ecs.record(at, level, record.name, _message(record), fields, _failure(record), source)
        return ecs.encode(found).decode().rstrip("\n")


class TextFormatter(logging.Formatter):
    """Writes records for a person: time, level, logger and message, then the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text."""
        at = time.strftime("%H:%M:%S", time.localtime(record.created))
        message = ecs.plain_text(redact_text(ecs.cut(_message(record), ecs.MAX_MESSAGE)))
        line = f"{at} {record.levelname.lower():<7} {record.name}: {message}"
        failure = _failure(record)
        if failure is None or not failure.stack:
            return line
        return "\n".join([line, *(ecs.plain_text(redact_text(text)) for text in failure.stack.rstrip().split("\n"))])


def configure(
    service: str,
    *,
    level: str = "info",
    stream: TextIO | None = None,
    file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """Configure logging in this process; doing it again replaces what was configured before.

    Parameters
    ----------
    service : str
        What the process is called in its lines; `OTEL_SERVICE_NAME` overrules it.
    level : str
        The lowest level that is written, if the environment does not say.
    stream : text stream, optional
        Where lines go; standard error if not given.
    file : Path, optional
        A file that gets the lines instead of the stream, for a command whose screen belongs to something else.

    Raises
    ------
    Invalid
        If a variable has a value that means nothing; the message names it.
    """
    service = environment.get("OTEL_SERVICE_NAME") or service
    stream = stream or sys.stderr
    form = _choice(environment, "PERENNE_LOG", FORMS, "text" if _is_terminal(stream) else "json")
    lowest = _choice(environment, "PERENNE_LOG_LEVEL", LEVELS, level)
    kept = environment.get("PERENNE_LOG_FILE", "")
    handlers: list[logging.Handler] = [_FileHandler(LogFile(Path(kept)))] if kept else []
    handlers.append(_Handler(stream) if file is None else _FileHandler(LogFile(file)))
    for handler in handlers:
        is_text = form == "text" and isinstance(handler, _Handler)
        handler.setFormatter(TextFormatter() if is_text else JsonFormatter(service))
    _take_over(handlers, getattr(logging, lowest.upper()))


def _take_over(handlers: list[logging.Handler], lowest: int) -> None:
    root = logging.getLogger()
    for before in [item for item in root.handlers if isinstance(item, _Handler | _FileHandler)]:
        root.removeHandler(before)
        before.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(max(lowest, _QUIET))
    logging.getLogger("perenne").setLevel(lowest)
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = lambda found: _log_uncaught(found.exc_type, found.exc_value, found.exc_traceback)


def _log_uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    """Log what ends a process or thread; an interrupt by a person is no failure."""
    if error is None or issubclass(kind, KeyboardInterrupt | SystemExit):
        return
    logging.getLogger("perenne").critical("%s was not caught", kind.__name__, exc_info=(kind, error, trace))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # the arguments do not fit the text: better half a message than none
        return f"{record.msg} {record.args!r}"


def _failure(record: logging.LogRecord) -> ecs.Failure | None:
    if not record.exc_info or record.exc_info[1] is None:
        return None
    error = record.exc_info[1]
    code = error.code if isinstance(error, PerenneError) else ""
    return ecs.Failure(type(error).__qualname__, str(error), "".join(traceback.format_exception(error)), code)


def _choice(environment: Mapping[str, str], name: str, choices: tuple[str, ...], otherwise: str) -> str:
    given = environment.get(name, "").strip().lower() or otherwise
    if given not in choices:
        raise Invalid(f"{name} is {given[:40]!r}", code="config.log", hint=f"it can be {', '.join(choices)}")
    return given


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):
        return False
