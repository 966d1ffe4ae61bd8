"""kill -9 at random points: whoever runs the pipeline next gets what a clean run gives, and does nothing twice without need."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("crash_rounds.py")


def crash(folder: Path, rounds: int, *database: str) -> None:
    """Play rounds of random kills; set PERENNE_SEED to the printed seed to play them again."""
    first = int(os.environ.get("PERENNE_SEED") or random.SystemRandom().randrange(10**9))
    print(f"PERENNE_SEED={first}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "TMPDIR": str(folder)}
    command = [sys.executable, str(PROGRAM), str(folder), str(first), str(rounds), *database]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4_000:]
    assert done.stdout.startswith(f"{rounds} rounds")


DATABASES = pytest.mark.parametrize("database", [(), ("postgresql",)], ids=["sqlite", "postgresql"])


@pytest.mark.waits
@DATABASES
def test_killed_at_any_point_a_run_is_finished_by_the_next(tmp_path: Path, database: tuple[str, ...]) -> None:
    crash(tmp_path, 20, *database)


@pytest.mark.long
@DATABASES
def test_killed_at_any_point_hundreds_of_times(tmp_path: Path, database: tuple[str, ...]) -> None:
    crash(tmp_path, 500, *database)
