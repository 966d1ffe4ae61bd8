"""Pipelines of forges: as the forges' own schemas want them, short, never overwritten; and what they call really runs."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pyarrow.csv as csv
import pytest
import yaml
from tests.automation.conftest import PROJECT
from tests.delivery.gates.conftest import table

from perenne.cli.root import invoke
from perenne.core import json
from perenne.core.config import load_settings
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.delivery.gates.workflows import FORGES, LONGEST, write_workflow
from perenne.registry import placing
from perenne.storage.workspace import Workspace

SCHEMAS = Path(__file__).parent / "schemas"
CHECKSUMS = {
    "github-workflows.json": "d10c9f4656e1bd5bc6727e9b35080e017dc167154726fca93da33c7a6bd1c4f3",
    "gitlab-ci.json": "1c6eeb7d3a34c39996afbfe1ade220480eb05bbeae674e86d3c745dfeeded7fd",
}
NAMES = {"github": "github-workflows.json", "gitlab": "gitlab-ci.json"}


def schema(forge: str) -> dict[str, Any]:
    data = (SCHEMAS / NAMES[forge]).read_bytes()
    assert hashlib.sha256(data).hexdigest() == CHECKSUMS[NAMES[forge]]
    return json.decode(data, dict)


def written(folder: Path, forge: str, dependencies: str = "requirements.txt") -> Any:
    (folder / dependencies).parent.mkdir(parents=True, exist_ok=True)
    (folder / dependencies).touch()
    assert write_workflow(folder, forge, dependencies=dependencies).state == "written"
    text = (folder / FORGES[forge].path).read_text()
    assert len(text.splitlines()) <= LONGEST
    # YAML 1.1 reads the key `on` as true; forges do not.
    return {("on" if key is True else key): value for key, value in yaml.safe_load(text).items()}


def steps(forge: str, read: Any) -> list[str]:
    return (
        [step["run"] for step in read["jobs"]["gates"]["steps"] if "run" in step]
        if forge == "github"
        else read["gates"]["script"]
    )


@pytest.mark.parametrize("forge", list(FORGES))
def test_the_forges_own_schema_takes_it(tmp_path: Path, forge: str) -> None:
    read = written(tmp_path, forge)
    validator = jsonschema.Draft7Validator(schema(forge))
    assert [error.message for error in validator.iter_errors(read)] == []
    job = read["jobs"]["gates"] if forge == "github" else read["gates"]
    job["timeout-minuets" if forge == "github" else "scirpt"] = ["x"]
    assert list(validator.iter_errors(read)), "the schema is strict: a misspelt word is refused"


@pytest.mark.parametrize("forge", list(FORGES))
@pytest.mark.parametrize("dependencies", ["requirements.txt", "pyproject.toml", "locks/run.lock"])
def test_it_only_calls_the_command_and_names_what_the_cache_rests_on(tmp_path: Path, forge: str, dependencies: str) -> None:
    read = written(tmp_path, forge, dependencies)
    called = [line for line in steps(forge, read) if not line.startswith((". ./", "pip install"))]
    assert all("perenne" in line for line in called)
    assert any(line.startswith("perenne gate") for line in called)
    assert dependencies in (tmp_path / FORGES[forge].path).read_text()
    if forge == "github":
        assert read["permissions"] == {"contents": "read", "id-token": "write", "packages": "write"}
        assert {step.get("uses", "").split("@")[0] for step in read["jobs"]["gates"]["steps"]} >= {"actions/upload-artifact"}
    else:
        assert read["gates"]["id_tokens"]["PERENNE_ID_TOKEN"]["aud"]
        assert read["gates"]["cache"]["key"] == {"files": [dependencies]}
        assert read["gates"]["artifacts"]["reports"] == {"junit": "gates.xml"}


@pytest.mark.parametrize("forge", list(FORGES))
def test_doing_it_again_changes_nothing_and_what_is_there_is_not_overwritten(tmp_path: Path, forge: str) -> None:
    written(tmp_path, forge)
    assert write_workflow(tmp_path, forge).state == "unchanged"
    file = tmp_path / FORGES[forge].path
    file.write_text("mine: true\n")
    with pytest.raises(Conflict, match="there already"):
        write_workflow(tmp_path, forge)
    assert file.read_text() == "mine: true\n"
    assert write_workflow(tmp_path, forge, force=True).state == "written"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x.txt", "a b.txt", "x.txt; rm -rf .", "-r", "${{ x }}", "a\nb"])
def test_a_path_that_would_say_more_than_a_path_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="cannot stand in a pipeline"):
        write_workflow(tmp_path, "github", dependencies=name)
    assert list(tmp_path.iterdir()) == []


def test_without_a_file_of_dependencies_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(NotFound, match=r"requirements\.txt"):
        write_workflow(tmp_path, "gitlab")
    assert invoke(["ci", "init", "--folder", str(tmp_path)]) == 2
    assert invoke(["ci", "init", "--github", "--folder", str(tmp_path)]) == 3
    (tmp_path / "requirements.txt").touch()
    assert invoke(["ci", "init", "--github", "--gitlab", "--folder", str(tmp_path), "--json"]) == 0
    assert [row["state"] for row in json.decode(capsys.readouterr().out, list)] == ["written", "written"]
    (tmp_path / ".gitlab-ci.yml").write_text("x: 1")
    assert invoke(["ci", "init", "--gitlab", "--folder", str(tmp_path)]) == 5


@pytest.mark.waits
def test_what_a_workflow_calls_runs_in_a_fresh_project(tmp_path: Path) -> None:
    """The steps of GitHub's workflow as its shell runs them, without installing and without pushing."""
    project = tmp_path / "lumps"
    project.mkdir()
    (project / "project.py").write_text(PROJECT)
    csv.write_csv(table(), project / "samples.csv")
    (project / "gates.yaml").write_text("gates: {parity: {required: true}}\n")
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "perenne").write_text(f'#!/bin/sh\nexec {sys.executable} -m perenne "$@"\n')
    (programs / "perenne").chmod(0o755)
    source = str(Path(__file__).parents[3] / "src")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PERENNE_")}
    said = {"PERENNE_DATABASE": "", "PERENNE_OBJECTS": "", "CI": "true", "PYTHONPATH": source}
    files = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"), "GITHUB_OUTPUT": str(tmp_path / "output")}
    environment = kept | said | files | {"PATH": f"{programs}:{os.environ['PATH']}"}
    for line in steps("github", written(project, "github")):
        if line.startswith("perenne") and "steps." not in line:
            done = subprocess.run(
                ["bash", "-e", "-o", "pipefail", "-c", line],
                cwd=project,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
    assert "latency: pass" in done.stderr, "progress is told where nobody watches a terminal"
    assert '<testcase classname="perenne.gate" name="latency"' in (project / "gates.xml").read_text()
    assert (tmp_path / "summary.md").read_text() == (project / "gates.md").read_text()
    with Workspace(load_settings(project, {})) as workspace, workspace.database.read() as tx:
        first = placing.aliased(tx, "lumps", "champion")
    assert first is not None and first.id == "lumps@1", "it was put in service once its required gate had passed"
    assert (tmp_path / "output").read_text() == "version=lumps@1\nverdict=pass\n"
