"""What stages make is tracked as dvc.yaml says: where it lies, and whether it is in the cache at all."""

from pathlib import Path

import pytest

from perenne.core.errors import Invalid
from perenne.data.versions.staged import outputs_of_stages

PIPELINE = """stages:
  a:
    foreach: [x]
    do:
      wdir: ${where}
      cmd: x
      outs:
      - o: {push: false, remote: r}
      - later
      metrics:
      - m.json: {cache: false}
"""
LOCK = """schema: '2.0'
stages:
  a@x:
    cmd: x
    outs:
    - path: o
      hash: md5
      md5: 60b725f10c9c85c70d97880dfe8191b3
      size: 2
    - path: m.json
      hash: md5
      md5: 60b725f10c9c85c70d97880dfe8191b3
      size: 2
  gone:
    cmd: x
    outs:
    - path: p
      hash: md5
      md5: 60b725f10c9c85c70d97880dfe8191b3
      size: 2
"""


def test_flags_and_working_directory_are_those_of_the_stage(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("where: w\n")
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "dvc.lock").write_text(LOCK)
    found = {staged.entry.path: staged for staged in outputs_of_stages(tmp_path / "dvc.yaml", "dvc.yaml")}
    assert set(found) == {"o", "m.json"}
    assert found["o"].path == tmp_path / "w" / "o"
    assert (found["o"].stage, found["o"].entry.push, found["o"].entry.remote, found["o"].entry.cache) == ("a@x", False, "r", True)
    assert (found["m.json"].entry.cache, found["m.json"].entry.metric) == (False, True)


def test_what_never_ran_tracks_nothing(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages:\n  a: {cmd: x, outs: [o]}\n")
    assert outputs_of_stages(tmp_path / "dvc.yaml", "dvc.yaml") == []


def test_a_broken_dvc_yaml_is_named(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/dvc.yaml").write_text("stages:\n  a: {outs: [o]}\n")
    (tmp_path / "sub/dvc.lock").write_text(LOCK)
    with pytest.raises(Invalid, match=r"sub/dvc.yaml.*stages.a.cmd"):
        outputs_of_stages(tmp_path / "sub/dvc.yaml", "sub/dvc.yaml")
