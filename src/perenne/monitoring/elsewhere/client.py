"""`perenne.watch`: two lines in somebody else's server, and its answers are watched.

What is logged lies in a journal on this machine when the call returns, so that neither a killed process nor a server that is down
loses it; a thread brings it there. Nothing is ever raised into the caller's request: what cannot be kept is counted.
"""

import atexit
import contextlib
import functools
import hashlib
import logging
import os
import struct
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from perenne.core.config import load_settings
from perenne.core.errors import Invalid, PerenneError, Unavailable
from perenne.core.ids import new_id
from perenne.net.peer import Peer, checked_url
from perenne.storage.journal import Journal, is_over, journals, records

log = logging.getLogger("perenne.watch")

F = TypeVar("F", bound=Callable[..., Any])
KIND = "rows"
MOST = 512 << 20
"""Bytes that may wait on this machine."""

AT_ONCE = 4 << 20
IDLE, FIRST_PAUSE, LONGEST_PAUSE = 0.5, 1.0, 60.0
LAST_SECONDS = 2.0
_POSITION = struct.Struct("<Q")


def _plain(value: Any) -> Any:
    """Return a value of some library as a plain one."""
    if hasattr(value, "item"):
        return value.item()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return str(value)


_json = msgspec.json.Encoder(enc_hook=_plain)
_pack = msgspec.msgpack.Encoder(enc_hook=_plain)


def watch(name: str, url: str | None = None, *, token: str | None = None, home: str | Path | None = None) -> "Watcher":
    """Watch the answers of a model that perenne does not serve.

    Parameters
    ----------
    name : str
        What the deployment is called; it is made if nobody has heard of it.
    url : str, optional
        Of perenne's server; `PERENNE_URL` if not given, and the workspace of this folder if there is none.
    token : str, optional
        `PERENNE_TOKEN` if not given.
    home : path, optional
        Where a workspace is, and where rows wait; `.perenne` beside this program if not given.

    Raises
    ------
    Invalid
        If the URL is none.

    Examples
    --------
    >>> import tempfile
    >>> churn = watch("churn", url="http://127.0.0.1:9", home=tempfile.mkdtemp())
    >>> len(churn.log({"age": 31, "plan": "basic"}, "stays", score=0.2))
    26
    """
    settings = load_settings() if home is None else load_settings(None, {"PERENNE_HOME": str(home)})
    where = url if url is not None else os.environ.get("PERENNE_URL", "")
    if not where:
        return Watcher(name, settings.spool / "elsewhere", None)
    where = checked_url(where)
    mark = hashlib.sha256(f"{where}\0{name}".encode()).hexdigest()[:16]
    secret = token if token is not None else os.environ.get("PERENNE_TOKEN", "")
    return Watcher(name, settings.home / "outgoing" / "watch" / mark, Peer(where, secret))


class Watcher:
    """Logs answers of one deployment.

    Parameters
    ----------
    name : str
        The deployment.
    folder : Path
        Where its journals are.
    peer : Peer or None
        The server they are brought to; None if perenne reads the folder itself.

    Attributes
    ----------
    dropped : int
        Rows that could not be read or had no room.
    refused : int
        Batches that the server does not take.
    """

    def __init__(self, name: str, folder: Path, peer: Peer | None) -> None:
        self.name = name
        self.dropped = self.refused = 0
        self._folder = folder
        self._peer = peer
        self._pid = 0
        self._wake = threading.Event()
        self._turn = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        """Begin to write and to send, also in a process that was forked."""
        self._pid = os.getpid()
        self._journal = Journal(self._folder, KIND, most=MOST)
        self._wake = threading.Event()
        self._turn = threading.Lock()
        if self._peer is not None:
            threading.Thread(target=self._send, name="perenne-watch", daemon=True).start()
            atexit.register(self.flush, LAST_SECONDS)

    def log(self, features: Any, prediction: Any, score: Any = None, id: Any = None) -> Any:
        """Log what was asked and answered: one row or many.

        Parameters
        ----------
        features : dict, list, array or data frame
            Of one row, or of many: names to values, names to columns, rows, or a table.
        prediction : value or sequence
            What was answered.
        score : number or sequence, optional
            The score of the positive class, or of each class.
        id : str or sequence, optional
            What names the rows; made if not given. Labels find them by it.

        Returns
        -------
        str, or list of str
            The ids; of one row one. Empty if it could not be kept.
        """
        try:
            if os.getpid() != self._pid:
                self._begin()
            if isinstance(features, dict) and not _is_many(prediction):
                return self._keep_one(features, prediction, score, id)
            return self._keep(features, prediction, score, id)
        except Exception as error:  # whatever it is, the request goes on
            self._drop(1, error)
            return ""

    def _keep_one(self, features: dict[str, Any], prediction: Any, score: Any, identity: Any) -> str:
        name = new_id() if identity is None else str(identity)
        row = {
            "time": [time.time_ns() // 1_000],
            "id": [name],
            "features": {key: [value] for key, value in features.items()},
            "prediction": [prediction],
            "score": None if score is None else [_scores(score)],
        }
        self._write(row)
        return name

    def _keep(self, features: Any, prediction: Any, score: Any, identity: Any) -> Any:
        many = _is_many(prediction)
        answers = _listed(prediction) if many else [prediction]
        count = len(answers)
        given = None if identity is None else [str(name) for name in (_listed(identity) if _is_many(identity) else [identity])]
        names = given or [new_id() for _ in range(count)]
        columns = _features(features, count)
        lengths = {len(column) for column in columns.values()} if isinstance(columns, dict) else {len(columns)}
        if lengths != {count} or len(names) != count:
            raise ValueError(f"{count} answers, {len(names)} ids and features of {sorted(lengths)} rows")
        scores = None if score is None else [_scores(one) for one in (_listed(score) if many else [score])]
        now = time.time_ns() // 1_000
        self._write({"time": [now] * count, "id": names, "features": columns, "prediction": answers, "score": scores})
        return names if many else names[0]

    def _write(self, rows: dict[str, Any]) -> None:
        if self._peer is None:
            body = _pack.encode({"deployment": self.name, "received": rows["time"][0], "rows": [rows]})
        else:
            body = _json.encode(rows)
        self._journal.append(body)

    def _drop(self, rows: int, error: Exception) -> None:
        if not self.dropped:
            log.warning("answers of %s cannot be kept, and are counted: %s", self.name, error)
        self.dropped += rows

    def __call__(self, function: F) -> F:
        """Watch a function that takes features first and returns what it answers."""

        @functools.wraps(function)
        def watched(features: Any, *args: Any, **options: Any) -> Any:
            answered = function(features, *args, **options)
            self.log(features, answered)
            return answered

        return watched  # type: ignore[return-value]

    def flush(self, seconds: float = 10.0) -> bool:
        """Bring what waits to the server; tell whether all of it is there. Nothing is lost if not."""
        if self._peer is None:
            return True
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self._deliver() == 0:
                    return True
            except (PerenneError, OSError):
                time.sleep(0.1)
        return False

    def _send(self) -> None:
        pause = IDLE
        while self._pid == os.getpid():
            self._wake.wait(pause)
            try:
                sent = self._deliver()
                pause = IDLE if not sent else 0.0
            except Exception as error:
                if pause <= IDLE:
                    log.warning("answers of %s wait on this machine: %s", self.name, error)
                pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, pause * 2))

    def _deliver(self) -> int:
        """Send some of what waits, this process's own and what dead ones left; return how many records that were."""
        with self._turn:
            return sum(self._deliver_from(path) for path in journals(self._folder, KIND))

    def _deliver_from(self, path: Path) -> int:
        mark = path.with_suffix(".sent")
        position = _read_mark(mark)
        found = list(records(path, position, AT_ONCE))
        if not found:
            if is_over(path) and path.exists():
                path.unlink(missing_ok=True)
                mark.unlink(missing_ok=True)
            return 0
        self._post([body for body, _ in found])
        beside = mark.with_suffix(".making")
        beside.write_bytes(_POSITION.pack(found[-1][1]))
        beside.replace(mark)
        return len(found)

    def _post(self, bodies: Sequence[bytes]) -> None:
        """Send records in one request; what is refused is looked for by halves, so that one bad record keeps no other back."""
        assert self._peer is not None
        try:
            self._peer.post(f"/api/monitor/foreign/{self.name}/rows", b'{"rows":[' + b",".join(bodies) + b"]}")
        except Unavailable:
            raise
        except Invalid as error:
            if len(bodies) == 1:
                if not self.refused:
                    log.warning("the server does not take answers of %s, and they are counted: %s", self.name, error)
                self.refused += 1
                return
            half = len(bodies) // 2
            self._post(bodies[:half])
            self._post(bodies[half:])


def _read_mark(path: Path) -> int:
    with contextlib.suppress(OSError, struct.error):
        return int(_POSITION.unpack(path.read_bytes())[0])
    return 0


def _is_many(value: Any) -> bool:
    return not isinstance(value, str | bytes) and hasattr(value, "__len__") and getattr(value, "shape", None) != ()


def _listed(values: Any) -> list[Any]:
    plain = values.to_pylist() if hasattr(values, "to_pylist") else values.tolist() if hasattr(values, "tolist") else values
    return list(plain.to_list() if hasattr(plain, "to_list") else plain)


def _scores(score: Any) -> list[float]:
    return [float(value) for value in _listed(score)] if _is_many(score) else [float(score)]


def _features(features: Any, rows: int) -> dict[str, list[Any]] | list[list[Any]]:
    """Return features by column, or row by row where they have no names."""
    if isinstance(features, Mapping):
        return {str(name): _listed(values) if _is_many(values) else [values] for name, values in features.items()}
    if hasattr(features, "columns") and hasattr(features, "__getitem__") and not hasattr(features, "to_pydict"):
        return {str(name): _listed(features[name]) for name in features.columns}
    if hasattr(features, "to_pydict"):
        return {str(name): values for name, values in features.to_pydict().items()}
    table = _listed(features)
    if table and all(isinstance(row, Mapping) for row in table):
        names = dict.fromkeys(str(name) for row in table for name in row)
        return {name: [row.get(name) for row in table] for name in names}
    return [_listed(row) for row in table] if table and all(_is_many(row) for row in table) else [table] * rows
