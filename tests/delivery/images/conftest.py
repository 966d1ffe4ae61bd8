"""Fixtures of images: a version in the registry whose package is real, and the layers that all of them share."""

import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.delivery.images.registry_server import RegistryServer
from tests.delivery.images.strict_registry import StrictRegistry
from tests.serving.packages import made_packages

from perenne import registry
from perenne.auth.principals import Principal
from perenne.delivery.images.layout import Layout
from perenne.registry import GatePolicy, Version
from perenne.storage.trees import put_tree
from perenne.storage.workspace import Workspace

Register = Callable[[str], Version]


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root folder that holds a real Python and little else: enough to be a base, too little to run."""
    folder = tmp_path_factory.mktemp("root")
    place = folder / "usr" / "bin"
    place.mkdir(parents=True)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (place / name).write_bytes(Path(sys.executable).resolve().read_bytes())
    (place / "python3").symlink_to(name)
    status = folder / "var" / "lib" / "dpkg"
    status.mkdir(parents=True)
    (status / "status").write_text("Package: libc6\nStatus: install ok installed\nVersion: 2.36-9\n\n")
    return folder


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Wheels with the names of the libraries and next to nothing in them: what is packed is not run."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in ("click", "httptools", "msgspec", "numpy", "onnxruntime", "pyarrow", "uvloop"):
        write_wheel(folder, name)
    write_wheel(folder, "uvicorn", requires="click")
    return folder


def write_wheel(folder: Path, name: str, version: str = "1.0", tag: str = "py3-none-any", requires: str = "") -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"version = {version!r}\n",
        f"{name}/tests/test_it.py": "",
        f"{name}-{version}.data/scripts/{name}": "",
        f"{info}/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: {version}\nLicense-Expression: MIT\n"
        + (f"Requires-Dist: {requires}\n" if requires else ""),
    }
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD") if ".data/" not in path)
    with zipfile.ZipFile(folder / f"{name}-{version}-{tag}.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


@pytest.fixture
def register(workspace: Workspace, actor: Principal) -> Register:
    """Register a small package."""

    def do(which: str) -> Version:
        folder = made_packages()[which]
        tree = put_tree(workspace.objects, folder)
        return workspace.database.write(
            lambda tx: registry.register(
                tx,
                actor,
                model="late",
                project="delays",
                run="",
                tree=tree,
                reference="",
                snapshot="",
                policy=GatePolicy(),
            )
        )

    return do


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


@pytest.fixture(scope="session")
def registry_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryServer | StrictRegistry]:
    """A real registry, which Debian has as `docker-registry`; where it is not installed, a small strict one."""
    server = StrictRegistry() if real_is_missing() else RegistryServer(tmp_path_factory.mktemp("registry"))
    with server:
        yield server


@pytest.fixture
def real_registry() -> None:
    """Skip a test that only a real registry can answer."""
    if real_is_missing():
        pytest.skip("docker-registry is not installed")


def real_is_missing() -> bool:
    return shutil.which("docker-registry") is None
