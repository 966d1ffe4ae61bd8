"""Logging of a real process: every line of its standard error is JSON of the schema, whatever it logs and however it ends."""

import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from perenne.core.errors import Invalid
from perenne.telemetry import logs

HEAD = "import logging, threading, warnings\nfrom perenne.telemetry import logs\nlogs.configure('perenne-test')\n"
OURS, THEIRS = "logging.getLogger('perenne.x')", "logging.getLogger('library')"


def run(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {name: text for name, text in os.environ.items() if not name.startswith(("PERENNE_", "OTEL_"))}
    given |= {"PYTHONPATH": str(Path("src").resolve()), **environment}
    return subprocess.run([sys.executable, "-c", HEAD + program], env=given, capture_output=True, text=True, check=False)


def lines(program: str, **environment: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run(program, **environment).stderr.splitlines()]


def test_a_line_says_who_where_and_when() -> None:
    (line,) = lines(f"{OURS}.info('%d rows', 3)")
    assert line["message"] == "3 rows" and line["log.level"] == "info" and line["log.logger"] == "perenne.x"
    assert line["service.name"] == "perenne-test" and line["event.dataset"] == "perenne-test.log"
    assert {"@timestamp", "ecs.version", "service.version", "process.pid", "host.hostname", "process.thread.name"} <= set(line)
    assert "." not in line["process.thread.name"] and isinstance(line["process.pid"], int)


def test_how_much_is_said_is_chosen_for_ours_and_bounded_for_libraries() -> None:
    both = f"{OURS}.debug('a'); {OURS}.info('b'); {THEIRS}.info('c'); {THEIRS}.warning('d')"
    assert [line["message"] for line in lines(both)] == ["b", "d"]
    assert [line["message"] for line in lines(both, PERENNE_LOG_LEVEL="debug")] == ["a", "b", "d"]
    assert [line["message"] for line in lines(both, PERENNE_LOG_LEVEL="error")] == []


def test_whatever_is_not_caught_or_warned_of_is_one_line_too() -> None:
    program = (
        "warnings.warn('old\\nway')\n"
        "def work():\n    raise KeyError('in a thread')\n"
        "thread = threading.Thread(target=work); thread.start(); thread.join()\n"
        "raise ValueError('secret=hunter2\\nsecond line \\x1b[2J')"
    )
    done = run(program)
    found = [json.loads(line) for line in done.stderr.splitlines()]
    assert done.returncode == 1
    assert [line.get("error.type") for line in found] == [None, "KeyError", "ValueError"]
    assert "Traceback" in found[2]["error.stack_trace"] and "hunter2" not in done.stderr and "\x1b" not in done.stderr


def test_arguments_that_do_not_fit_are_no_traceback() -> None:
    (line,) = lines(f"{OURS}.warning('%d rows', 'three', 4)")
    assert "%d rows" in line["message"] and "three" in line["message"]


def test_text_is_for_people_and_as_safe() -> None:
    program = f"{OURS}.error('token=hunter2 \\x1b[2J\\nfake line')\ntry:\n    1/0\nexcept Exception:\n    {OURS}.exception('x')"
    shown = run(program, PERENNE_LOG="text").stderr.splitlines()
    assert "error   perenne.x: token=[redacted] \\u001b[2J\\u000afake line" in shown[0]
    assert shown[-1] == "ZeroDivisionError: division by zero"


def test_on_a_terminal_it_is_text_and_elsewhere_json() -> None:
    """A real terminal: the far end of a pair of pseudo-terminals."""
    ours, theirs = os.openpty()
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("PERENNE_", "OTEL_"))}
    environment |= {"PYTHONPATH": str(Path("src").resolve())}
    program = HEAD + f"{OURS}.info('hello')"
    subprocess.run([sys.executable, "-c", program], env=environment, stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 10_000).decode()
    os.close(ours)
    assert shown.endswith("info    perenne.x: hello\r\n") and "{" not in shown


def test_a_file_gets_json_as_well_as_what_the_screen_gets(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "perenne.json"
    done = run(f"{OURS}.info('kept')", PERENNE_LOG="text", PERENNE_LOG_FILE=str(path))
    assert json.loads(path.read_text())["message"] == "kept" and "perenne.x: kept" in done.stderr
    assert path.stat().st_mode & 0o777 & ~0o640 == 0


@pytest.mark.parametrize("name", ["PERENNE_LOG", "PERENNE_LOG_LEVEL"])
def test_a_value_that_means_nothing_is_refused_by_name(name: str) -> None:
    with pytest.raises(Invalid, match=name):
        logs.configure("x", stream=StringIO(), environment={name: "loud"})
