"""A model kept alive: made again on newer libraries once it has answered as before, rolled out, and told when it is old."""

import json
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from tests.delivery.images.conftest import Register, write_wheel

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.wording import told
from perenne.cli.package import package
from perenne.core.errors import Conflict, Invalid, Unavailable
from perenne.core.results import Result
from perenne.delivery.images import ageing, proving, records
from perenne.registry import dossier
from perenne.serving import service
from perenne.storage.workspace import Workspace

on_sqlite = pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)


def newer_click(folder: Path) -> Path:
    """Write a wheel of the click that is installed, as if it were of a later version."""
    folder.mkdir(exist_ok=True)
    known = distribution("click")
    with zipfile.ZipFile(folder / "click-99.0-py3-none-any.whl", "w") as wheel:
        names = []
        for file in known.files or ():
            path = str(file)
            if path.startswith("click/") and path.endswith(".py"):
                wheel.write(str(known.locate_file(file)), path)
                names.append(path)
        wheel.writestr("click-99.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: click\nVersion: 99.0\n")
        wheel.writestr("click-99.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        names += ["click-99.0.dist-info/METADATA", "click-99.0.dist-info/WHEEL", "click-99.0.dist-info/RECORD"]
        wheel.writestr("click-99.0.dist-info/RECORD", "".join(f"{name},,\n" for name in names))
    return folder


def invoke(workspace: Workspace, *arguments: str) -> Any:
    command = list(arguments)
    return CliRunner().invoke(package, command, obj=workspace, standalone_mode=False, catch_exceptions=False).return_value


@on_sqlite
def test_a_newer_library_is_one_changed_layer_and_a_further_build(
    workspace: Workspace, register: Register, root: Path, wheels: Path, tmp_path: Path, actor: Principal
) -> None:
    version = register("first")
    packing = ("--base", str(root), "--wheels", str(wheels))
    first = invoke(workspace, version.id, *packing)
    workspace.database.write(lambda tx: service.deploy(tx, actor, "delays", version.id))
    newer = newer_click(tmp_path / "newer")
    options = (*packing, "--no-gate", "--reason", "a fix in click", "--roll-out", "delays")
    made = invoke(workspace, "--rebuild", version.id, "--upgrade", "click=99.0", "--upgrade-from", str(newer), *options)
    assert isinstance(made, Result) and made.exit_code == 0
    value = made.value
    assert value["build"] == 2 and value["before"] == first["digest"] and value["deployment"] == "delays"
    assert [(one["name"], one["after"]) for one in value["changes"]] == [("click", "99.0")]
    changed = [a["layer"] for a, b in zip(first["layers"], value["layers"], strict=True) if a["diff_id"] != b["diff_id"]]
    assert changed == ["dependencies"]
    with workspace.database.read() as tx:
        checks = {item.check: item.verdict.value for item in dossier(tx, version.id).evidence}
        assert [one.digest for one in records.rolled_out(tx, "delays")] == [value["digest"]]
        told_ = {record.action: told(record).sentence for record in audit.trail(tx, entity="image", entity_id=value["digest"])}
    assert checks[proving.EXAMPLE] == "pass" and checks[proving.PARITY] == "pass"
    assert told_["image.rebuild"].endswith("made again, on something newer, the image of late@1: build 2; a fix in click")
    assert "image.roll_out" in told_


@on_sqlite
def test_what_no_longer_answers_is_not_made(workspace: Workspace, register: Register, root: Path, tmp_path: Path) -> None:
    version = register("first")
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    write_wheel(wheels, "onnxruntime", "99.0")
    arguments = ("--upgrade", "onnxruntime=99.0", "--upgrade-from", str(wheels), "--base", str(root), "--no-gate")
    made = invoke(workspace, "--rebuild", version.id, *arguments)
    assert made.exit_code == 6 and "no image was made" in made.note
    with workspace.database.read() as tx:
        assert records.images_of(tx, [version.id]) == []
        assert {item.check: item.verdict.value for item in dossier(tx, version.id).evidence}[proving.EXAMPLE] == "fail"


@on_sqlite
@pytest.mark.parametrize("text", ["numpy", "numpy>=2", "numpy==2.*,<3", "--index-url=http://evil", "x @ http://evil/x.whl", ""])
def test_only_a_library_with_its_version_is_installed(workspace: Workspace, register: Register, text: str) -> None:
    with pytest.raises(Invalid):
        invoke(workspace, "--rebuild", register("first").id, "--upgrade", text)


@on_sqlite
def test_what_cannot_be_had_or_does_not_go_together_is_told(
    workspace: Workspace, register: Register, root: Path, tmp_path: Path
) -> None:
    version = register("first")
    wheels = newer_click(tmp_path / "wheels")
    with pytest.raises(Unavailable, match="cannot be installed"):
        invoke(workspace, "--rebuild", version.id, "--upgrade", "click=100", "--upgrade-from", str(wheels), "--no-gate")
    with zipfile.ZipFile(wheels / "uvicorn-99.0-py3-none-any.whl", "w") as wheel:
        known = distribution("uvicorn")
        for file in known.files or ():
            if str(file).startswith("uvicorn/") and str(file).endswith(".py"):
                wheel.write(str(known.locate_file(file)), str(file))
        said = "Metadata-Version: 2.1\nName: uvicorn\nVersion: 99.0\nRequires-Dist: click>=1000\n"
        wheel.writestr("uvicorn-99.0.dist-info/METADATA", said)
        wheel.writestr("uvicorn-99.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("uvicorn-99.0.dist-info/RECORD", "uvicorn/__init__.py,,\n")
    arguments = ("--upgrade", "uvicorn=99.0", "--upgrade-from", str(wheels), "--base", str(root), "--no-gate")
    with pytest.raises(Conflict, match="click"):
        invoke(workspace, "--rebuild", version.id, *arguments)


def test_answers_are_compared_by_value_and_by_name() -> None:
    assert proving.difference(np.array([1.0, np.nan]), np.array([1.0, np.nan])) == 0
    assert proving.difference(np.array([1.0]), np.array([np.nan])) == float("inf")
    assert proving.difference(np.array(["a"]), np.array(["a"])) == 0
    assert proving.difference(np.array([1]), None) == float("inf") == proving.difference(np.array([1]), np.array([1, 2]))


@on_sqlite
def test_what_is_out_of_date_is_told(
    workspace: Workspace,
    register: Register,
    root: Path,
    wheels: Path,
    tmp_path: Path,
    actor: Principal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    version = register("first")
    invoke(workspace, version.id, "--base", str(root), "--wheels", str(wheels))
    workspace.database.write(lambda tx: service.deploy(tx, actor, "delays", version.id))
    found = invoke(workspace, "--outdated", "--than", "numpy=1.0")
    assert found.exit_code == 0 and found.shown[0]["base"] == "unknown" and "no source" in found.shown[0]["detail"]
    lock = tmp_path / "run.lock"
    lock.write_text("numpy==2.4.6 \\\n    --hash=sha256:aa\nuvicorn==1.0 ; sys_platform != 'x'\n")
    found = invoke(workspace, "--outdated", "--lock", str(lock))
    assert found.exit_code == 6 and found.shown[0]["older"] == "numpy 1.0 < 2.4.6"
    advisories = tmp_path / "osv"
    advisories.mkdir()
    affected = [{"package": {"name": "msgspec", "ecosystem": "PyPI"}, "versions": ["1.0"]}]
    (advisories / "x.json").write_text(json.dumps({"id": "PYSEC-1", "modified": "2026-01-01T00:00:00Z", "affected": affected}))
    monkeypatch.setenv("PERENNE_ADVISORIES", str(advisories))
    found = invoke(workspace, "--outdated", "--than", "numpy=1.0")
    assert found.exit_code == 6 and found.shown[0]["vulnerabilities"] == "fail" and "PYSEC-1" in found.shown[0]["detail"]
    assert ageing.read_lock(lock) == {"numpy": "2.4.6", "uvicorn": "1.0"}
