"""A package for the edge: one folder with the graph, a server of one file, and no perenne.

The folder is proven before it is handed over: its own server is started and asked, in an interpreter that cannot find perenne.
"""

import http.client
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from perenne.core import json as canonical
from perenne.core.errors import Unavailable
from perenne.delivery.portable.model import Limits, PortableReport
from perenne.delivery.portable.preparing import Prepared, Source, prepare
from perenne.delivery.portable.writing import finished, package_bytes
from perenne.stats.columns import Columns

SERVER = Path(__file__).with_name("edge_server.py")
_LIBRARIES = ("numpy", "onnxruntime")
_CALLS = 300
_PATIENCE = 60


def write_edge(target: Path, source: Source, *, rows: Columns | None, limits: Limits | None, with_rows: bool) -> PortableReport:
    """Write the folder. Parameters and errors as for `prepare`; Conflict if the folder holds something already.

    Raises
    ------
    Unavailable
        If the server of the folder does not start, or answers otherwise than the version.
    """
    prepared = prepare(source, rows, limits, with_rows=with_rows)
    with finished(target) as folder:
        (folder / "model.onnx").write_bytes(prepared.data)
        (folder / "model.json").write_bytes(canonical.canonical(prepared.about))
        (folder / "example.json").write_bytes(canonical.canonical(prepared.example))
        shutil.copyfile(SERVER, folder / "server.py")
        (folder / "requirements.txt").write_text("".join(f"{name}=={version(name)}\n" for name in _LIBRARIES))
        (folder / "README.md").write_text(_readme(prepared))
        measured = _measured(folder, prepared)
        report = PortableReport(
            model=source.version,
            kind="edge",
            precision=prepared.about.precision,
            graph_bytes=len(prepared.data),
            package_bytes=package_bytes(folder),
            tried=prepared.tried,
            **measured._asdict(),
        )
        (folder / "report.json").write_bytes(canonical.canonical(report))
    return report


class _Measured(NamedTuple):
    p50_us: float
    p99_us: float
    start_seconds: float
    memory_mb: float | None


def _measured(folder: Path, prepared: Prepared) -> _Measured:
    """Start the folder's server, ask it the example's rows, and let it check itself."""
    start = time.perf_counter()
    with _server(folder) as (process, port):
        started = time.perf_counter() - start
        times = _asked(port, prepared)
        memory = _memory_mb(process.pid)
    checked = subprocess.run(
        [sys.executable, "-I", str(folder / "server.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )
    if checked.returncode:
        raise _broken(checked.stderr or checked.stdout)
    return _Measured(float(np.percentile(times, 50)), float(np.percentile(times, 99)), started, memory)


@contextmanager
def _server(folder: Path) -> "Iterator[tuple[subprocess.Popen[str], int]]":
    command = [sys.executable, "-I", str(folder / "server.py"), "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None, "it was asked for"
            line = process.stderr.readline()
            if "answers on http://127.0.0.1:" not in line:
                raise _broken(line + process.stderr.read())
            yield process, int(line.partition("http://127.0.0.1:")[2].partition("/")[0])
        finally:
            process.terminate()


def _asked(port: int, prepared: Prepared) -> list[float]:
    """Ask one row after the other over one connection; return the microseconds each took."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    rows = len(prepared.example.predictions)
    bodies = [json.dumps({"dataframe_records": [_record(prepared, row)]}) for row in range(rows)]
    times = []
    for call in range(_CALLS):
        start = time.perf_counter_ns()
        connection.request("POST", "/invocations", bodies[call % rows], {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        times.append((time.perf_counter_ns() - start) / 1e3)
        if answer.status != 200:
            raise _broken(text.decode(errors="replace"))
    connection.close()
    return times[_CALLS // 10 :]


def _record(prepared: Prepared, row: int) -> dict[str, Any]:
    record: dict[str, Any] = {name: values[row] for name, values in prepared.example.inputs.items()}
    for put in prepared.about.inputs:
        if put.kind == "time" and record[put.name] is not None:
            record[put.name] = round(record[put.name] * 1e9)
    return record


def _memory_mb(pid: int) -> float | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # not on Linux
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), None)


def _broken(said: str) -> Unavailable:
    last = said.strip().rpartition("\n")[2][:300]
    return Unavailable(
        f"the server of the folder does not answer: {last}",
        code="package.edge",
        hint="`perenne doctor` tells whether numpy and onnxruntime are as they should be",
    )


def _readme(prepared: Prepared) -> str:
    about = prepared.about
    record = json.dumps({"dataframe_records": [_record(prepared, 0)]}, ensure_ascii=False).replace("'", "'\\''")
    return f"""# {about.name}@{about.version}

Answers `{about.target}` ({about.task}) with Python 3.11 or newer, numpy and ONNX Runtime; nothing else.

    python -m pip install -r requirements.txt
    python server.py --check          # the stored example, answered here
    python server.py                  # http://127.0.0.1:8080

    curl -s http://127.0.0.1:8080/invocations -H 'content-type: application/json' \\
      -d '{record}'

`python server.py --score rows.csv answers.csv` answers a file. `report.json` says what was measured when this was made.
"""
