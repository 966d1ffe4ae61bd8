"""Clusters as code: modules whose references resolve and whose arguments are documented, and scripts that a shell can read."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from tests.delivery.clusters.tofu import Module

from perenne.cli.deploy import deploy
from perenne.core.errors import Invalid
from perenne.delivery.clusters.infrastructure import KINDS, files_of
from perenne.delivery.clusters.writing import write_files

MODULES = ("gke", "aks")
SCRIPTS = ("kind", "k3s")
TOFU = shutil.which("tofu") or shutil.which("terraform")
PLUGINS = os.environ.get("PERENNE_TOFU_PLUGINS", "")
"""A folder of provider plug-ins (`tofu providers mirror`): validation by OpenTofu itself needs them."""


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def written(kind: str, folder: Path) -> Path:
    write_files(folder / kind, files_of(kind))
    return folder / kind


@pytest.mark.parametrize("kind", MODULES)
def test_every_reference_resolves_and_every_argument_is_documented(kind: str, tmp_path: Path) -> None:
    assert Module(written(kind, tmp_path)).problems() == []


@pytest.mark.parametrize("kind", MODULES)
def test_versions_of_providers_are_pinned(kind: str, tmp_path: Path) -> None:
    providers = Module(written(kind, tmp_path)).providers()
    assert len(providers) == 2
    assert all(said["version"].startswith("~> ") and said["source"].count("/") == 1 for said in providers.values())


@pytest.mark.parametrize("kind", MODULES)
def test_what_is_secret_is_marked_so_and_what_perenne_needs_comes_out(kind: str, tmp_path: Path) -> None:
    outputs = Module(written(kind, tmp_path)).outputs
    assert {"kubeconfig", "registry", "objects", "database_url"} <= set(outputs)
    for name, body in outputs.items():
        assert ("random_password" in str(body["value"])) == (body.get("sensitive") is True), name


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("var.region", "var.regoin", "var.regoin is not declared"),
        ("google_compute_network.main.id", "google_compute_network.mian.id", "google_compute_network.mian is not declared"),
        ("router.main.name", "router.main.nome", "google_compute_router.main.nome is not documented"),
        ("auto_create_subnetworks", "auto_create_subnets", "google_compute_network.main: auto_create_subnets"),
        ("  name    = var.name\n  network", "  network", "google_compute_router.main lacks name"),
        ("range_name    =", "rang_name    =", "secondary_ip_range.rang_name"),
    ],
)
def test_the_checker_finds_mistakes(tmp_path: Path, before: str, after: str, said: str) -> None:
    folder = written("gke", tmp_path)
    text = (folder / "network.tf").read_text()
    assert before in text
    (folder / "network.tf").write_text(text.replace(before, after, 1))
    assert any(said in problem for problem in Module(folder).problems())


@pytest.mark.skipif(TOFU is None, reason="neither tofu nor terraform is on PATH")
@pytest.mark.parametrize("kind", MODULES)
def test_the_files_are_in_canonical_form(kind: str, tmp_path: Path) -> None:
    folder = written(kind, tmp_path)
    done = subprocess.run([str(TOFU), "fmt", "-check", "-diff"], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.long
@pytest.mark.skipif(TOFU is None or not PLUGINS, reason="PERENNE_TOFU_PLUGINS names no folder of provider plug-ins")
@pytest.mark.parametrize("kind", MODULES)
def test_opentofu_itself_finds_them_valid(kind: str, tmp_path: Path) -> None:
    folder = written(kind, tmp_path)
    for arguments in (["init", "-backend=false", f"-plugin-dir={PLUGINS}"], ["validate"]):
        done = subprocess.run([str(TOFU), *arguments], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", SCRIPTS)
def test_scripts_can_be_read_and_run(kind: str, tmp_path: Path) -> None:
    scripts = sorted(written(kind, tmp_path).glob("*.sh"))
    assert scripts
    for script in scripts:
        assert os.access(script, os.X_OK)
        assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
        if shellcheck := shutil.which("shellcheck"):
            done = subprocess.run([shellcheck, str(script)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", SCRIPTS)
def test_configuration_can_be_read(kind: str, tmp_path: Path) -> None:
    for path in written(kind, tmp_path).glob("*.yaml"):
        assert yaml.safe_load(path.read_text())


def test_a_kind_that_is_not_known_is_refused() -> None:
    with pytest.raises(Invalid, match="no kind of cluster"):
        files_of("moon")


def test_files_are_written_compared_and_found_out_of_date(kind: str, tmp_path: Path) -> None:
    def render(*arguments: str) -> int:
        done = CliRunner().invoke(deploy, ["render", "--cluster", kind, "--to", str(tmp_path), *arguments], standalone_mode=False)
        assert done.exception is None
        return int(done.return_value.exit_code)

    assert render("--check") == 6 and not list(tmp_path.iterdir())
    assert render() == 0 and render("--check") == 0
    name = sorted(files_of(kind))[0]
    (tmp_path / name).write_text("changed by hand")
    assert render("--check") == 6
    assert render() == 0 and render("--check") == 0
