"""The whole loop under kill -9, racing, jumping clocks and edited code: one episode, one outcome, and nothing left over."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("loop_kills.py")
DATABASES = pytest.mark.parametrize("database", [(), ("postgresql",)], ids=["sqlite", "postgresql"])


def kill(folder: Path, kills: int, *database: str) -> None:
    """Play rounds until so many processes were killed; set PERENNE_SEED to the printed seed to play them again."""
    first = int(os.environ.get("PERENNE_SEED") or random.SystemRandom().randrange(10**9))
    print(f"PERENNE_SEED={first}")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(PROGRAM), str(folder), str(first), str(kills), *database]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-6_000:]
    assert int(done.stdout.split()[0]) >= kills


@pytest.mark.waits
@DATABASES
def test_killed_at_any_point_the_loop_comes_to_its_end_once(tmp_path: Path, database: tuple[str, ...]) -> None:
    kill(tmp_path, 20, *database)


@pytest.mark.long
@DATABASES
def test_killed_at_any_point_hundreds_of_times(tmp_path: Path, database: tuple[str, ...]) -> None:
    kill(tmp_path, 500, *database)
