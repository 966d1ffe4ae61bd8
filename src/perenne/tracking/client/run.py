"""A run as its process has it: what is logged returns at once, and is kept whatever happens then."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from perenne.core.errors import Conflict, Invalid
from perenne.tracking.client import contents, records, session
from perenne.tracking.client.names import checked_key, checked_path
from perenne.tracking.client.records import Artifact, Begin, Close, End, Input, Metrics, Params, Tags
from perenne.tracking.client.spool import Spool

END_SECONDS = 10.0


class ActiveRun:
    """A run that goes on; ends with the `with` block it is used in, or by `end`.

    Parameters
    ----------
    begin : Begin
        Which run.
    folder : Path
        Where its spool lies.

    Attributes
    ----------
    id : str
        Under which it is found, also before anybody else knows of it.
    """

    def __init__(self, begin: Begin, folder: Path) -> None:
        self.id = begin.run
        self.experiment = begin.experiment
        self.name = begin.name
        self._begin = begin
        self._folder = folder
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._spool: Spool | None = None
        self._ended = False
        self._warned = False
        self._params: dict[str, str] = {}
        self._stop: Callable[[], None] | None = None
        self._opened()

    def __repr__(self) -> str:
        return f"<perenne run {self.id} of {self.experiment!r}>"

    def __enter__(self) -> "ActiveRun":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.end(_state_after(kind))

    def log_metric(self, key: str, value: float, step: int = 0, *, time: int | None = None) -> None:
        """Log one value of a metric.

        Parameters
        ----------
        time : int, optional
            Milliseconds since 1970; now, if not given.

        Raises
        ------
        Invalid
            If the name or the value cannot be kept.
        Conflict
            If the run has ended.
        """
        self._append(Metrics(_now() if time is None else time, step, {checked_key(key): _float(key, value)}))

    def log_metrics(self, values: Mapping[str, float], step: int = 0, *, time: int | None = None) -> None:
        """Log values of several metrics at one step; see `log_metric`."""
        checked = {checked_key(key): _float(key, value) for key, value in values.items()}
        if checked:
            self._append(Metrics(_now() if time is None else time, step, checked))

    def log_param(self, key: str, value: object) -> None:
        """Log a parameter. It never changes: the same value again is fine, another raises Conflict."""
        self.log_params({key: value})

    def log_params(self, values: Mapping[str, object]) -> None:
        """Log several parameters: all or none; see `log_param`."""
        texts = {checked_key(key): str(value)[: contents.MAX_PARAM] for key, value in values.items()}
        with self._lock:
            for key, text in texts.items():
                if self._params.get(key, text) != text:
                    raise Conflict(
                        f"parameter {key!r} is {self._params[key][:100]!r} already", code="run.param", hint="begin another run"
                    )
            fresh = {key: text for key, text in texts.items() if key not in self._params}
            self._params |= fresh
        if fresh:
            self._append(Params(fresh))

    def set_tag(self, key: str, value: object) -> None:
        """Set a tag; the last value wins."""
        self.set_tags({key: value})

    def set_tags(self, values: Mapping[str, object]) -> None:
        """Set several tags."""
        texts = {checked_key(key): str(value)[: contents.MAX_TAG] for key, value in values.items()}
        if texts:
            self._append(Tags(texts))

    def log_input(self, source: str | Path, *, name: str = "", context: str = "training") -> str:
        """Note a file or folder as data the run read, by its content; return its digest."""
        path = Path(source)
        digest = contents.digest_of(path)
        self._append(Input(name or path.name, digest[:36], "local", str(path), context))
        return digest

    def log_artifact(self, path: str | Path, folder: str = "") -> None:
        """Keep a file, or a folder with all that is in it; it is copied before this returns, and may be changed then.

        Parameters
        ----------
        folder : str
            Where in the run's artifacts it goes; at their top, if empty.
        """
        source = Path(path)
        if not source.exists():
            raise Invalid(f"there is no file {str(path)[:200]!r}", code="client.artifact", hint="nothing was logged")
        for file, name in contents.files_of(source, folder):
            self._keep(checked_path(name), lambda spool, file=file: spool.keep_file(file))  # type: ignore[misc]

    def log_bytes(self, data: bytes, path: str) -> None:
        """Keep bytes as an artifact."""
        self._keep(checked_path(path), lambda spool: spool.keep_bytes(data))

    def log_text(self, text: str, path: str) -> None:
        """Keep a text as an artifact, in UTF-8."""
        self.log_bytes(text.encode(), path)

    def log_dict(self, value: Any, path: str) -> None:
        """Keep a dictionary or list as an artifact: YAML if the name ends so, else JSON."""
        self.log_bytes(contents.dumped(value, path), path)

    def log_figure(self, figure: Any, path: str) -> None:
        """Keep a figure of matplotlib (PNG, SVG, PDF by the name) or Plotly (HTML, JSON) as an artifact."""
        self.log_bytes(contents.drawn(figure, path), path)

    def log_table(self, table: Any, path: str) -> None:
        """Keep a table as an artifact: CSV or Parquet by the name, else JSON as MLflow writes tables.

        Parameters
        ----------
        table
            Columns as a dictionary of lists, rows as a list of dictionaries, or a data frame of pandas, Polars or Arrow.
        """
        self.log_bytes(contents.tabled(table, path), path)

    def flush(self, seconds: float = 60.0) -> bool:
        """Wait until everything is delivered; see `perenne.flush`."""
        return session.flush(seconds)

    def end(self, state: str = "finished", *, wait: float = END_SECONDS) -> None:
        """End the run, and wait for its delivery for some seconds at most; what is not delivered then stays in the spool.

        Parameters
        ----------
        state : str
            ``finished``, ``failed`` or ``killed``.
        """
        if state not in ("finished", "failed", "killed"):
            raise Invalid(f"state is {state[:40]!r}", code="run.state", hint="finished, failed or killed")
        session.leave(self)
        if self._stop is not None and self._is_owner:
            self._stop()
        with self._lock:
            if self._ended:
                return
            if self._is_owner:
                self._write(records.encode(End(state, time.time_ns() // 1_000)))
            elif self._spool is not None:
                self._write(records.encode(Close()))
            self._ended = True
        if wait > 0:
            session.flush(wait)
        else:
            session.sender().wake()

    def let_go(self) -> None:
        """Forget the parent's spool, in a process that was forked off; the first record opens another."""
        self._lock = threading.Lock()
        self._spool = None

    def watch(self, start: Callable[["ActiveRun"], Callable[[], None]]) -> None:
        """Start something that logs by itself; what it returns stops it, when the run ends."""
        self._stop = start(self)

    @property
    def _is_owner(self) -> bool:
        return self._pid == os.getpid()

    def _append(self, record: records.Record) -> None:
        body = records.encode(record)
        with self._lock:
            if self._ended:
                raise Conflict(f"run {self.id} has ended", code="run.ended", hint="begin another, or go on with `run_id=`")
            self._write(body)

    def _write(self, body: bytes) -> None:
        spool = self._spool or self._opened()
        if spool is None:
            return
        spool.append(body)
        if spool.full and not self._warned:
            self._warned = True
            session.log.warning("the disk of %s is full: what is logged waits in memory until it is delivered", self._folder)

    def _opened(self) -> Spool | None:
        """Open a spool; where that cannot be, say so once, and let the training go on."""
        try:
            self._spool = Spool.create(self._folder, self._begin)
        except OSError as error:
            if not self._warned:
                self._warned = True
                session.log.warning("nothing can be logged: %s cannot be written: %s", self._folder, error)
            return None
        session.sender().add(self._spool)
        return self._spool

    def _keep(self, path: str, keep: Callable[[Spool], str]) -> None:
        spool = self._spool or self._opened()
        if spool is None:
            return
        try:
            name = keep(spool)
        except OSError as error:
            session.log.warning("artifact %s could not be kept: %s", path, error)
            return
        self._append(Artifact(path, name))


def _state_after(kind: type[BaseException] | None) -> str:
    if kind is None:
        return "finished"
    return "killed" if issubclass(kind, KeyboardInterrupt) else "failed"


def _now() -> int:
    return time.time_ns() // 1_000_000


def _float(key: str, value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise Invalid(
            f"metric {key!r} is {str(value)[:60]!r}, which is no number", code="run.metric", hint="nothing was logged"
        ) from None
