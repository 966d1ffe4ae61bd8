"""A log file that several processes write and turn over at once: no line is lost, torn or mixed with another."""

import json
import subprocess
import sys
from pathlib import Path

from perenne.telemetry.log_files import LogFile, newest_lines

WRITER = """
import json, sys
from pathlib import Path
from perenne.telemetry.log_files import LogFile
file = LogFile(Path(sys.argv[1]), max_bytes=20_000, kept=100)
for number in range(500):
    file.write(json.dumps({"who": sys.argv[2], "number": number, "pad": "x" * 50}).encode() + b"\\n")
"""


def test_processes_write_and_turn_over_together_and_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    children = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(who)]) for who in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]
    files = sorted(tmp_path.iterdir())
    found = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    assert sorted((line["who"], line["number"]) for line in found) == sorted((str(w), n) for w in range(3) for n in range(500))
    assert len(files) > 5 and all(file.stat().st_size <= 20_000 + 3 * 100 for file in files)


def test_the_oldest_goes_and_a_removed_file_comes_back(tmp_path: Path) -> None:
    file = LogFile(tmp_path / "log", max_bytes=10, kept=2)
    for number in range(9):
        file.write(f"line {number}\n".encode())
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "log": "line 8\n", "log.1": "line 7\n", "log.2": "line 6\n",
    }  # fmt: skip
    (tmp_path / "log").unlink()
    file.write(b"again\n")
    file.close()
    assert (tmp_path / "log").read_text() == "again\n"


def test_the_newest_lines_are_read_from_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("".join(f"line {number}\n" for number in range(1_000)))
    assert newest_lines(path, 2) == [b"line 998", b"line 999"]
    assert newest_lines(path, 10_000, max_bytes=20) == [b"line 998", b"line 999"]
    assert newest_lines(tmp_path / "none", 5) == []
