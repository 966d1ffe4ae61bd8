"""The story of `scenario` as perenne tells it is the one that the real DVC told: same metafiles, same objects, same workspace."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.data.versions import scenario

GOLDEN = Path(__file__).with_name("golden") / "story.json"
DVC = os.environ.get("PERENNE_DVC", "")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("ours")
    return scenario.tell(folder, scenario.by_perenne)


@pytest.mark.parametrize("step", [name for name, _, _ in scenario.STEPS])
@pytest.mark.parametrize("what", ["metafiles", "objects", "workspace"])
def test_perenne_leaves_what_dvc_leaves(told: dict[str, Any], step: str, what: str) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert told[step][what] == golden[step][what]


@pytest.mark.long
@pytest.mark.skipif(not DVC, reason="PERENNE_DVC names no DVC")
@pytest.mark.parametrize("ours_first", [True, False])
def test_both_take_turns_in_one_repository(tmp_path: Path, ours_first: bool) -> None:
    """Neither notices the other: every other step is DVC's, and after each DVC finds nothing to do."""
    dvc = scenario.by_dvc(DVC, tmp_path)
    turn = [ours_first]
    folder = tmp_path / "work"
    folder.mkdir()

    def run(words: list[str]) -> None:
        (scenario.by_perenne if turn[0] else dvc)(words)
        turn[0] = not turn[0]
        if words[0] != "init":
            done = subprocess.run([DVC, "status", "--json"], capture_output=True, text=True, check=True)
            stray = {"tree.dvc"} if words == ["add", "tree/sub/one"] else set()
            assert set(json.loads(done.stdout)) <= stray, words

    golden = json.loads(GOLDEN.read_text())
    for step, seen in scenario.tell(folder, run).items():
        assert seen == golden[step], step


@pytest.mark.long
@pytest.mark.skipif(not DVC, reason="PERENNE_DVC names no DVC")
def test_what_is_golden_is_still_what_dvc_does(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    assert scenario.tell(folder, scenario.by_dvc(DVC, tmp_path)) == json.loads(GOLDEN.read_text())
