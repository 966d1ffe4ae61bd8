"""Answer a model where nothing else is installed than Python, numpy and ONNX Runtime: this file, and the three beside it.

    python server.py                      # answer on http://127.0.0.1:8080
    python server.py --host 0.0.0.0 --port 9000
    python server.py --check              # answer the stored example, and compare
    python server.py --score rows.csv answers.csv

It speaks the Open Inference Protocol (`/v2/models/NAME/infer`) and MLflow's scoring protocol (`/invocations`). With MODEL_TOKEN
in the environment, callers must show it as a bearer token. It ends on SIGTERM or Ctrl-C after the answers that are being made.
"""

import argparse
import csv
import datetime
import hashlib
import hmac
import json
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

HERE = Path(__file__).resolve().parent
LARGEST_BODY = 32 << 20
SECONDS = 30
NUMBERS = frozenset({"FP16", "FP32", "FP64", *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))})
TEXT = "application/json"


class RefusedError(Exception):
    """What the caller did wrong, and the status that says so."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


class Model:
    """The graph and what it takes."""

    def __init__(self, folder: Path) -> None:
        self.about: dict[str, Any] = json.loads((folder / "model.json").read_text("utf-8"))
        data = (folder / "model.onnx").read_bytes()
        if hashlib.sha256(data).hexdigest() != self.about["digest"]:
            raise SystemExit("model.onnx is not the file that was packaged")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self.name: str = self.about["name"]
        self.version: str = self.about["version"]
        self.inputs: list[dict[str, Any]] = self.about["inputs"]
        self.classes: list[Any] = self.about["classes"]

    def answer(self, columns: Mapping[str, Sequence[Any]], rows: int) -> tuple[list[Any], list[list[float]] | None]:
        """Answer rows given by column: predictions, and probabilities if there are classes."""
        lacking = [put["name"] for put in self.inputs if put["name"] not in columns]
        if lacking:
            raise RefusedError(f"missing inputs: {', '.join(lacking)}")
        if not rows:
            return [], [] if self.classes else None
        feed = {put["name"]: _tensor(put, columns[put["name"]], rows) for put in self.inputs}
        predictions, *probabilities = self._session.run(None, feed)
        return predictions.tolist(), probabilities[0].tolist() if probabilities else None


def _tensor(put: dict[str, Any], values: Sequence[Any], rows: int) -> Any:
    if len(values) != rows:
        raise RefusedError(f"input {put['name']!r}: has another number of rows than the others")
    read = {"number": _number, "time": _seconds, "category": _text}[put["kind"]]
    found = []
    for row, value in enumerate(values):
        try:
            found.append(read(put, value))
        except (TypeError, ValueError, OverflowError):
            expected = {"number": "a number", "time": "an ISO 8601 time", "category": "text"}[put["kind"]]
            raise RefusedError(f"input {put['name']!r}, row {row}: expected {expected}") from None
    return np.array(found, object if put["kind"] == "category" else np.float64)


def _number(_: dict[str, Any], value: Any) -> float:
    return math.nan if value is None or value == "" else float(value)


def _seconds(_: dict[str, Any], value: Any) -> float:
    """Read a time as seconds since 1970: ISO 8601 text, UTC where it says no zone, or whole nanoseconds."""
    if value is None or value == "":
        return math.nan
    if isinstance(value, int) and not isinstance(value, bool):
        return value / 1e9
    moment = datetime.datetime.fromisoformat(value)
    return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).timestamp()


def _text(put: dict[str, Any], value: Any) -> str:
    if value is None:
        return str(put["missing"])
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if not isinstance(value, str | int):
        raise TypeError
    return str(value)


def read_tensors(model: Model, body: dict[str, Any]) -> tuple[dict[str, Sequence[Any]], int]:
    """Read an inference request: one tensor a column, or one of all columns."""
    tensors = body.get("inputs")
    if not isinstance(tensors, list) or not tensors or not all(isinstance(tensor, dict) for tensor in tensors):
        raise RefusedError("inputs: expected a list of tensors")
    columns: dict[str, Sequence[Any]] = {}
    rows = 0
    for tensor in tensors:
        name, shape, values = _flat(tensor)
        rows = shape[0] if shape else 0
        if len(tensors) == 1 and len(shape) == 2 and name not in {put["name"] for put in model.inputs}:
            if shape[1] != len(model.inputs):
                raise RefusedError(f"input {name!r}: expected shape [n, {len(model.inputs)}]")
            return {put["name"]: values[at :: shape[1]] for at, put in enumerate(model.inputs)}, rows
        columns[name] = values
    return columns, rows


def _flat(tensor: dict[str, Any]) -> tuple[str, list[int], list[Any]]:
    name, shape, kind = str(tensor.get("name"))[:100], tensor.get("shape"), tensor.get("datatype")
    if not isinstance(shape, list) or not shape or not all(type(size) is int and 0 <= size <= 1 << 31 for size in shape):
        raise RefusedError(f"input {name!r}: expected a shape of whole numbers")
    if kind not in NUMBERS | {"BYTES", "BOOL"}:
        raise RefusedError(f"input {name!r}: unknown datatype")
    values: list[Any] = []
    _flatten(tensor.get("data"), values, len(shape) + 1, name)
    if math.prod(shape) != len(values):
        raise RefusedError(f"input {name!r}: the shape has {math.prod(shape)} values, data has {len(values)}")
    return name, shape, values


def _flatten(data: Any, into: list[Any], depth: int, name: str) -> None:
    if not isinstance(data, list) or depth == 0:
        raise RefusedError(f"input {name!r}: data must be a list of values, flat or nested as the shape says")
    if data and isinstance(data[0], list):
        for item in data:
            _flatten(item, into, depth - 1, name)
    elif any(isinstance(item, list | dict) for item in data):
        raise RefusedError(f"input {name!r}: data must be a list of values, flat or nested as the shape says")
    else:
        into.extend(data)


def read_table(model: Model, body: dict[str, Any]) -> tuple[dict[str, Sequence[Any]], int]:
    """Read a scoring request in one of MLflow's four layouts."""
    names = [put["name"] for put in model.inputs]
    given = [key for key in ("dataframe_split", "dataframe_records", "instances", "inputs") if key in body]
    if len(given) != 1:
        raise RefusedError("expected one of dataframe_split, dataframe_records, instances, inputs")
    value = body[given[0]]
    if given[0] == "dataframe_split":
        if not isinstance(value, dict) or not isinstance(value.get("data"), list):
            raise RefusedError("dataframe_split: expected columns and data")
        names, value = value.get("columns", names), value["data"]
    if isinstance(value, dict):
        columns: dict[str, Sequence[Any]] = {
            name: column if isinstance(column, list) else [column] for name, column in value.items()
        }
        return columns, len(next(iter(columns.values()), []))
    if not isinstance(value, list) or not isinstance(names, list):
        raise RefusedError(f"{given[0]}: expected a list of rows")
    return _columns_of(value, names), len(value)


def _columns_of(rows: list[Any], names: list[str]) -> dict[str, Sequence[Any]]:
    if all(isinstance(row, dict) for row in rows):
        known = dict.fromkeys(key for row in rows for key in row)
        return {name: [row.get(name) for row in rows] for name in known}
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        raise RefusedError(f"every row must have {len(names)} values")
    return {name: [row[at] for row in rows] for at, name in enumerate(names)}


class Server(ThreadingHTTPServer):
    """A thread a connection; ends when told to, after what is being answered."""

    daemon_threads = False

    def __init__(self, address: tuple[str, int], model: Model, token: str) -> None:
        super().__init__(address, Handler)
        self.model = model
        self.token = token
        self.answered = 0
        self.failed = 0
        self.counting = threading.Lock()

    def count(self, status: int) -> None:
        """Count an answer for `/metrics`."""
        with self.counting:
            self.answered += 1
            self.failed += status >= 400

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away."""


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server_version = "perenne-edge"
    sys_version = ""
    timeout = SECONDS
    server: Server
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: a request is nothing to write about."""

    def do_GET(self) -> None:
        """Answer what is asked about the model."""
        model = self.server.model
        answers: dict[str, Callable[[], Any]] = {
            "/": lambda: model.about,
            "/ping": dict,
            "/health": dict,
            "/version": lambda: model.version,
            "/v2": lambda: {"name": "perenne-edge", "version": model.about["perenne"], "extensions": []},
            "/v2/health/live": lambda: {"live": True},
            "/v2/health/ready": lambda: {"ready": True},
            "/v2/models": lambda: {"models": [model.name]},
            f"/v2/models/{model.name}": self._metadata,
            f"/v2/models/{model.name}/ready": lambda: {"name": model.name, "ready": True},
        }
        if self.path == "/metrics":
            counts = f"requests_total {self.server.answered}\nrequest_failures_total {self.server.failed}\n"
            self._send(200, counts.encode(), "text/plain; version=0.0.4")
        else:
            self._reply(lambda: self._called(answers))

    def do_POST(self) -> None:
        """Answer rows."""
        model = self.server.model
        infer = (f"/v2/models/{model.name}/infer", f"/v2/models/{model.name}/versions/{model.version}/infer")
        answers = {"/invocations": self._score, **dict.fromkeys(infer, self._infer)}
        try:
            body = self._body()
        except RefusedError as error:
            self.close_connection = True
            self._send(error.status, json.dumps({"error": str(error)}).encode())
            return
        self._reply(lambda: self._known(answers)(self._json(body)))

    def _called(self, answers: Mapping[str, Callable[[], Any]]) -> Any:
        return self._known(answers)()

    def _known(self, answers: Mapping[str, Any]) -> Any:
        found = answers.get(self.path.rstrip("/") or "/")
        if found is None:
            raise RefusedError("there is nothing at this path", 404)
        if self.server.token and self.path not in ("/v2/health/live", "/v2/health/ready", "/ping", "/health"):
            shown = (self.headers.get("authorization") or "").removeprefix("Bearer ").encode()
            if not hmac.compare_digest(shown, self.server.token.encode()):
                raise RefusedError("a token is needed", 401)
        return found

    def _body(self) -> bytes:
        length = self.headers.get("content-length") or ""
        if not length.isdigit() or self.headers.get("transfer-encoding"):
            raise RefusedError("a content-length is needed", 411)
        if int(length) > LARGEST_BODY:
            raise RefusedError("the body is too large", 413)
        return self.rfile.read(int(length))

    def _json(self, body: bytes) -> dict[str, Any]:
        try:
            value = json.loads(body)
        except (ValueError, RecursionError):
            raise RefusedError("the body is not JSON") from None
        if not isinstance(value, dict):
            raise RefusedError("the body must be a JSON object")
        return value

    def _metadata(self) -> dict[str, Any]:
        model = self.server.model
        return {
            "name": model.name,
            "versions": [model.version],
            "platform": "onnx_onnxv1",
            "inputs": [{"name": put["name"], "datatype": put["protocol"], "shape": [-1]} for put in model.inputs],
            "outputs": [{"name": name, "datatype": kind, "shape": shape} for name, kind, shape in _outputs(model)],
        }

    def _infer(self, body: dict[str, Any]) -> dict[str, Any]:
        model = self.server.model
        columns, rows = read_tensors(model, body)
        predictions, probabilities = model.answer(columns, rows)
        data = {"prediction": predictions, "probabilities": [value for row in probabilities or () for value in row]}
        asked = [str(output.get("name")) for output in body.get("outputs") or () if isinstance(output, dict)]
        known = {name: (kind, shape) for name, kind, shape in _outputs(model)}
        if any(name not in known for name in asked):
            raise RefusedError(f"unknown output, this model has {', '.join(known)}")
        outputs = [
            {"name": name, "datatype": known[name][0], "shape": [rows, *known[name][1][1:]], "data": data[name]}
            for name in asked or known
        ]
        answer = {"model_name": model.name, "model_version": model.version, "outputs": outputs}
        return answer | ({"id": body["id"]} if isinstance(body.get("id"), str) else {})

    def _score(self, body: dict[str, Any]) -> dict[str, Any]:
        model = self.server.model
        return {"predictions": model.answer(*read_table(model, body))[0]}

    def _reply(self, work: Callable[[], Any]) -> None:
        try:
            status, value = 200, work()
        except RefusedError as error:
            status, value = error.status, {"error": str(error)}
        except Exception:  # whatever it was, the caller sees no more than that
            status, value = 500, {"error": "model failed"}
        self._send(status, json.dumps(value).encode())

    def _send(self, status: int, body: bytes, kind: str = TEXT) -> None:
        self.server.count(status)
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), "x-content-type-options": "nosniff"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _outputs(model: Model) -> list[tuple[str, str, list[int]]]:
    kinds = {type(label) for label in model.classes}
    kind = "FP64" if kinds <= {int, float} else "BYTES"
    kind = {frozenset({bool}): "BOOL", frozenset({int}): "INT64"}.get(frozenset(kinds), kind)
    outputs = [("prediction", kind, [-1])]
    return [*outputs, ("probabilities", "FP64", [-1, len(model.classes)])] if model.classes else outputs


def check(model: Model, folder: Path) -> dict[str, Any]:
    """Answer the stored example and say how far the answers are from the version's own."""
    example = json.loads((folder / "example.json").read_text("utf-8"))
    times = [put["name"] for put in model.inputs if put["kind"] == "time"]
    columns = dict(example["inputs"])
    for name in times:
        columns[name] = [None if value is None else round(value * 1e9) for value in columns[name]]
    rows = len(example["predictions"])
    predictions, probabilities = model.answer(columns, rows)
    expected = example["predictions"] if probabilities is None else example["probabilities"]
    found = predictions if probabilities is None else probabilities
    apart = float(np.abs(np.array(found, np.float64) - np.array(expected, np.float64)).max(initial=0.0))
    differing = 0 if probabilities is None else sum(a != b for a, b in zip(predictions, example["predictions"], strict=True))
    return {"rows": rows, "differing": differing, "largest_difference": apart}


def score(model: Model, source: Path, target: Path) -> int:
    """Answer the rows of a CSV file into another one, some thousand at a time; return how many."""
    part = target.with_name(f".{target.name}.part")
    try:
        count = _score_into(model, source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return count


def _score_into(model: Model, source: Path, part: Path) -> int:
    count = 0
    with source.open(newline="", encoding="utf-8") as lines, part.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["prediction", *(f"probability_{label}" for label in model.classes)])
        for rows in _parts(csv.DictReader(lines), 4_096):
            columns = {
                put["name"]: [row.get(put["name"]) or None for row in rows] for put in model.inputs if put["name"] in rows[0]
            }
            predictions, probabilities = model.answer(columns, len(rows))
            writer.writerows([a, *p] for a, p in zip(predictions, probabilities or [[]] * len(rows), strict=True))
            count += len(rows)
    return count


def _parts(rows: Iterable[dict[str, str]], size: int) -> Iterable[list[dict[str, str]]]:
    part: list[dict[str, str]] = []
    for row in rows:
        part.append(row)
        if len(part) == size:
            yield part
            part = []
    if part:
        yield part


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description="Answer the model in this folder.")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="8080; 0 takes a free one, and says which")
    parser.add_argument("--check", action="store_true", help="answer the stored example, compare, and end")
    parser.add_argument("--score", nargs=2, type=Path, metavar=("ROWS", "ANSWERS"), help="answer the rows of a CSV file, and end")
    options = parser.parse_args()
    start = time.perf_counter()
    model = Model(HERE)
    if options.check:
        found = check(model, HERE)
        sys.stdout.write(json.dumps(found) + "\n")
        return 0 if found["differing"] <= 0.01 * found["rows"] else 6
    if options.score:
        try:
            rows = score(model, *options.score)
        except (RefusedError, OSError) as error:
            sys.stderr.write(f"error: {error}\n")
            return 1
        sys.stderr.write(f"{rows} rows answered\n")
        return 0
    server = Server((options.host, options.port), model, os.environ.get("MODEL_TOKEN", ""))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    url = f"http://{options.host}:{server.server_address[1]}"
    sys.stderr.write(f"{model.name}@{model.version} answers on {url}/invocations ({time.perf_counter() - start:.2f} s)\n")
    sys.stderr.flush()
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
