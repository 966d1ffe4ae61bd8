"""Runtimes: from an image in a registry, pinned; from archives and tars; for several machines at once."""

import gzip
import io
import shutil
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.delivery.images.conftest import Register
from tests.delivery.images.registry_server import RegistryServer
from tests.delivery.images.strict_registry import StrictRegistry

from perenne.auth import audit
from perenne.cli.package import package
from perenne.core.errors import Invalid
from perenne.delivery.images import bases, records
from perenne.delivery.images.layout import Layout, manifests_of
from perenne.formats import oci
from perenne.storage.workspace import Workspace

on_sqlite = pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)


def invoke(workspace: Workspace, *arguments: str) -> Any:
    return CliRunner().invoke(package, list(arguments), obj=workspace, standalone_mode=False, catch_exceptions=False).return_value


def nothing(*_: object) -> oci.Descriptor:
    raise AssertionError("nothing is to be pulled")


@on_sqlite
def test_a_base_is_pulled_and_pinned_and_an_image_pushed(
    workspace: Workspace, register: Register, root: Path, wheels: Path, registry_server: RegistryServer | StrictRegistry
) -> None:
    version = register("first")
    place = f"{registry_server.address}/bases/python:3"
    based = invoke(workspace, version.id, "--base", str(root), "--wheels", str(wheels), "--to", place)
    target = f"{registry_server.address}/models/late:1"
    shutil.rmtree(workspace.settings.home / "images")
    made = invoke(workspace, version.id, "--base", place, "--wheels", str(wheels), "--to", target)
    assert made["place"] == f"{target}@{made['digest']}" and made["base_digest"] == based["digest"]
    with workspace.database.read() as tx:
        newest = records.newest(tx, version.id)
        assert newest is not None and newest.reference == made["place"] and newest.base == place
        actions = {record.action for record in audit.trail(tx, entity="image", entity_id=newest.digest)}
    assert actions == {"image.make", "image.push"}
    found = invoke(workspace, "--outdated")
    assert found.value == []  # nothing is deployed


@on_sqlite
def test_several_machines_are_one_index(
    workspace: Workspace, register: Register, root: Path, wheels: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(root, other, symlinks=True)
    program = next(path for path in (other / "usr" / "bin").iterdir() if not path.is_symlink())
    head = bytearray(program.read_bytes())
    head[18:20] = (0xB7).to_bytes(2, "little")  # as if it were for ARM
    program.write_bytes(head)
    options = ("--base", str(root), "--base", str(other), "--wheels", str(wheels), "--to", str(tmp_path / "out"), "--tag", "x")
    made = invoke(workspace, register("first").id, *options)
    assert sorted(made["platforms"]) == ["linux/amd64", "linux/arm64"]
    layout = Layout(tmp_path / "out")
    found = layout.find("x")
    assert found.media_type == oci.INDEX and found.digest == made["digest"]
    configs = [oci.read(layout.get(manifest.config.digest), oci.Config, "c") for _, manifest in manifests_of(layout, found)]
    assert {config.architecture for config in configs} == {"amd64", "arm64"}
    shared = [set(config.rootfs.diff_ids[-2:]) for config in configs]
    assert shared[0] == shared[1], "perenne and the model are the same on each"
    with pytest.raises(Invalid, match="two bases"):
        invoke(workspace, register("first").id, "--base", str(root), "--base", str(root), "--wheels", str(wheels))


def as_tar(root: Path) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.add(root, ".")
    return stream.getvalue()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_root_tar_is_taken_as_it_is(root: Path, tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    data = as_tar(root)
    path = tmp_path / "root.tar"
    path.write_bytes(pack(data))
    (base,) = bases.resolve(Layout(tmp_path / "layout"), str(path), nothing, lambda _: None)
    assert base.python == f"{sys.version_info.major}.{sys.version_info.minor}" and base.program.startswith("/usr/bin/python3")
    assert base.digest == oci.digest_of(data) and [one.name for one in base.components] == ["python", "libc6"]


@on_sqlite
def test_an_archive_is_a_base_too(workspace: Workspace, register: Register, root: Path, wheels: Path, tmp_path: Path) -> None:
    version = register("first")
    made = invoke(workspace, version.id, "--base", str(root), "--wheels", str(wheels), "--to", str(tmp_path / "a.tar"))
    (base,) = bases.resolve(Layout(tmp_path / "layout"), str(tmp_path / "a.tar"), nothing, lambda _: None)
    assert base.digest == made["digest"] and len(base.layers) == 4


@pytest.mark.parametrize("data", [b"", b"no tar", b"\x1f\x8bnothing"])
def test_what_is_no_base_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(data)
    with pytest.raises(Invalid):
        bases.resolve(Layout(tmp_path / "layout"), str(tmp_path / "x.tar"), nothing, lambda _: None)


def test_an_archive_that_leaves_its_folder_or_is_damaged_is_refused(tmp_path: Path) -> None:
    for name, data in (("../evil", b"x"), (f"blobs/sha256/{'0' * 64}", b"other")):
        with tarfile.open(tmp_path / "x.tar", "w") as archive:
            for member, content in ((oci.LAYOUT_FILE, oci.LAYOUT), (name, data)):
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
        with pytest.raises(Invalid):
            bases.resolve(Layout(tmp_path / "layout"), str(tmp_path / "x.tar"), nothing, lambda _: None)
    assert not (tmp_path.parent / "evil").exists()
