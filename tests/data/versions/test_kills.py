"""Killed at any step, run again: the same end as if never killed, no byte lost on the way, nothing half written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

VERBS = ("add", "commit", "checkout", "force", "move", "remove")


def killed(verb: str, every: int) -> dict[str, object]:
    command = [sys.executable, str(Path(__file__).with_name("killing.py")), verb, str(every)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("verb", VERBS)
def test_a_killed_command_is_finished_by_the_next(verb: str) -> None:
    found = killed(verb, 3)
    assert found["wrong"] == [] and int(str(found["steps"])) > 3


@pytest.mark.long
@pytest.mark.parametrize("verb", VERBS)
def test_the_same_at_every_step(verb: str) -> None:
    assert killed(verb, 1)["wrong"] == []
