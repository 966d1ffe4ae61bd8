"""The Dockerfile: what it says, and that real buildah builds from it what answers like our own image."""

import json
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.delivery.images.conftest import Register
from tests.delivery.images.containers import need, run_with_runc
from tests.serving.packages import as_tensors, flights

from perenne.cli.package import package
from perenne.core.errors import Conflict
from perenne.delivery.images import bases, building, host, libraries, recipe
from perenne.delivery.images.layering import from_file, write_layer
from perenne.delivery.images.layout import Layout
from perenne.delivery.images.model import LayerRole
from perenne.formats import oci
from perenne.stats.columns import take
from perenne.storage.workspace import Workspace

on_sqlite = pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)


def write(workspace: Workspace, *arguments: str) -> None:
    CliRunner().invoke(package, list(arguments), obj=workspace, standalone_mode=False, catch_exceptions=False)


@on_sqlite
def test_what_a_dockerfile_says(workspace: Workspace, register: Register, wheels: Path, tmp_path: Path) -> None:
    version = register("first")
    folder = tmp_path / "context"
    write(
        workspace,
        version.id,
        "--dockerfile",
        str(folder),
        "--wheels",
        str(wheels),
        "--base",
        "r.example/python@sha256:" + "0" * 64,
    )
    lines = (folder / "Dockerfile").read_text().splitlines()
    stages = [line for line in lines if line.startswith("FROM")]
    assert stages == ["FROM ${BUILDER} AS libraries", "FROM ${BASE}"]
    last = lines[lines.index(stages[-1]) :]
    for wanted in ("USER 65532:65532", "EXPOSE 8080", "STOPSIGNAL SIGTERM", "WORKDIR /tmp"):
        assert wanted in last
    assert any(line.startswith("HEALTHCHECK") and '"health"' in line for line in last)
    assert not any(line.startswith("RUN") for line in last) and not any("latest" in line for line in lines)
    assert {f"ENV {text.split('=')[0]}" for text in building.environment()} - {"ENV PATH"} == {
        line.split("=")[0] for line in last if line.startswith("ENV")
    }
    assert "numpy==1.0" in (folder / "requirements.txt").read_text().splitlines()
    copied = [line.split()[1] for line in last if line.startswith("COPY") and "--from" not in line]
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*")} == {0o755, 0o644}
    assert all((folder / name).is_dir() for name in copied) and (folder / "model" / "current.json").is_file()
    with pytest.raises(Conflict):
        write(workspace, version.id, "--dockerfile", str(folder))


def test_nothing_in_a_label_is_a_command() -> None:
    assert json.loads(recipe._quoted('a "b" \\ c\nUSER root').replace("\\$", "$")) == 'a "b" \\ c\nUSER root'
    assert "\n" not in recipe._quoted("a\nUSER root") and "\\$(id)" in recipe._quoted("$(id)")


def repack(one: Distribution, folder: Path) -> None:
    """Make a wheel of an installed library."""
    tag = "py3-none-any"
    with zipfile.ZipFile(folder / f"{one.name}-{one.version}-{tag}.whl", "w") as wheel:
        for file in one.files or ():
            if not libraries.is_unused(str(file)):
                wheel.write(str(one.locate_file(file)), str(file))
        info = next(str(file).partition("/")[0] for file in one.files or () if ".dist-info/" in str(file))
        wheel.writestr(f"{info}/RECORD", "")


def python_with_pip(layout: Layout) -> None:
    """Put an image into a layout that has this machine's Python and pip, and nothing else: not even a shell."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    import pip

    root = Path(pip.__file__).parent
    files = [from_file(f"usr/local/lib/{name}/site-packages/pip/{path.relative_to(root)}", path) for path in root.rglob("*") if path.is_file() and path.suffix != ".pyc"]  # fmt: skip  # noqa: E501
    layer = write_layer(layout, LayerRole.RUNTIME, [*host.runtime().contents, *files], compressed=False)
    process = oci.Process(env=("PATH=/usr/local/bin", "PYTHONDONTWRITEBYTECODE=1"))
    config = oci.write(
        oci.Config(architecture=libraries.machine(), os="linux", config=process, rootfs=oci.RootFiles("layers", (layer.diff_id,)))
    )
    layout.put(config)
    pointer = oci.Descriptor(media_type=layer.media_type, digest=layer.digest, size=layer.size)
    manifest = oci.write(
        oci.Manifest(schema_version=2, media_type=oci.MANIFEST, config=oci.describe(oci.CONFIG, config), layers=(pointer,))
    )
    layout.put(manifest)
    layout.name(oci.describe(oci.MANIFEST, manifest), "base")


@pytest.mark.long
@on_sqlite
def test_buildah_builds_what_answers(workspace: Workspace, register: Register, tmp_path: Path) -> None:
    need("buildah", "umoci", "runc")
    base = Layout(tmp_path / "base")
    python_with_pip(base)
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for one in libraries.closure(libraries.roots(["onnx"]), libraries.here()):
        repack(one, wheels)
    folder = tmp_path / "context"
    write(
        workspace, register("first").id, "--dockerfile", str(folder), "--wheels", str(wheels), "--base", f"oci:{base.folder}:base"
    )
    store = ["buildah", "--root", str(tmp_path / "root"), "--runroot", str(tmp_path / "run"), "--storage-driver", "vfs"]
    built = subprocess.run(
        [*store, "bud", "--isolation", "chroot", "--format", "docker", "-t", "it", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr[-2_000:]
    subprocess.run([*store, "push", "it", f"oci:{tmp_path / 'out'}:it"], check=True, capture_output=True)
    shutil.rmtree(tmp_path / "root", ignore_errors=True)
    (made,) = bases.resolve(Layout(tmp_path / "own"), str(tmp_path / "out"), _nothing, lambda _: None)
    assert made.program.endswith(f"python{made.python}")
    with run_with_runc(tmp_path / "out", "it", tmp_path / "bundle") as container:
        answer = container.ask("/v2/models/delays/infer", {"inputs": as_tensors(take(flights(9), slice(0, 2)))})
    assert len(answer["outputs"][0]["data"]) == 2


def _nothing(*_: object) -> oci.Descriptor:
    raise AssertionError("nothing is to be pulled")
