"""Images of a version: the same bytes for the same input, one changed layer for one changed input, kept and told."""

import json
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner
from tests.delivery.images.conftest import Register, write_wheel

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.wording import told
from perenne.cli.package import package
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.delivery.images import building, facts, libraries, making, records
from perenne.delivery.images.layout import Layout, manifests_of, referrers_of
from perenne.delivery.images.making import Choice
from perenne.delivery.images.model import Component, Image, LayerRole
from perenne.formats import oci
from perenne.registry import Version, dossier
from perenne.serving import service
from perenne.storage.links import Kind, links_to
from perenne.storage.workspace import Workspace

Packing: TypeAlias = tuple[str, ...]
Make: TypeAlias = Callable[[Version], building.Built]


@pytest.fixture
def packing(root: Path, wheels: Path) -> Packing:
    """The options of a small image."""
    return ("--base", str(root), "--wheels", str(wheels))


def no_pull(*_: object) -> oci.Descriptor:
    raise AssertionError("nothing is to be pulled")


@pytest.fixture
def make(workspace: Workspace, root: Path, wheels: Path) -> Callable[[Version], building.Built]:
    choice = Choice((str(root),), wheels)
    return lambda version: making.make(workspace, version, choice, no_pull, lambda _: None)


def invoke(workspace: Workspace, *arguments: str) -> Any:
    return CliRunner().invoke(package, list(arguments), obj=workspace, standalone_mode=False, catch_exceptions=False).return_value


def test_the_same_input_is_the_same_image_and_a_changed_model_is_one_changed_layer(
    workspace: Workspace, register: Register, make: Make
) -> None:
    first, second = register("first"), register("second")
    one, other = make(first), make(second)
    assert make(first).found == one.found
    changed = [a.role for a, b in zip(one.layers[0], other.layers[0], strict=True) if a.diff_id != b.diff_id]
    assert changed == [LayerRole.MODEL]
    assert [layer.role for layer in one.layers[0]] == ["runtime", "dependencies", "application", "model"]
    assert one.found != other.found


def test_what_is_in_an_image(workspace: Workspace, register: Register, make: Make) -> None:
    version = register("first")
    built = make(version)
    layout = making.kept_images(workspace)
    ((_, manifest),) = manifests_of(layout, built.found)
    config = oci.read(layout.get(manifest.config.digest), oci.Config, "configuration")
    process = config.config
    assert process.user == "65532:65532" and process.healthcheck is not None and process.exposed_ports == {"8080/tcp": {}}
    assert process.entrypoint == (
        f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}",
        "-P",
        "-m",
        "perenne.app.container",
    )
    assert process.labels is not None and process.labels["dev.perenne.model.tree"] == version.tree
    names = {layer.role: names_in(layout.blob(layer.digest)) for layer in built.layers[0]}
    assert "model/current.json" in names[LayerRole.MODEL]
    assert "opt/perenne/application/perenne/app/container.py" in names[LayerRole.APPLICATION]
    assert {"opt/perenne/libraries/onnxruntime/__init__.py", facts.LIBRARIES_PATH} <= set(names[LayerRole.DEPENDENCIES])
    everything = [name for found in names.values() for name in found]
    assert not [name for name in everything if "__pycache__" in name or "/tests/" in name]


def names_in(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


def test_the_bill_of_materials_is_attached(workspace: Workspace, register: Register, make: Make) -> None:
    built = make(register("first"))
    layout = making.kept_images(workspace)
    ((found, manifest),) = referrers_of(layout, built.found)
    assert found.artifact_type == oci.BOM and manifest.subject is not None and manifest.subject.digest == built.found.digest
    bill = json.loads(layout.get(manifest.layers[0].digest))
    known = {part["name"]: part for part in bill["components"]}
    assert known["libc6"]["purl"] == "pkg:deb/debian/libc6@2.36-9" and known["numpy"]["licenses"]
    assert known["delays"]["type"] == "machine-learning-model"


def test_an_image_is_kept_with_evidence_lineage_audit_and_event(
    workspace: Workspace, register: Register, packing: Packing, tmp_path: Path
) -> None:
    version = register("first")
    answer = invoke(workspace, version.id, *packing, "--to", str(tmp_path / "out"), "--tag", "v1")
    assert answer["place"] == f"{tmp_path / 'out'}:v1" and answer["build"] == 1
    again = invoke(workspace, "image", version.id, *packing)
    assert again["digest"] == answer["digest"] and again["build"] == 1
    assert Layout(tmp_path / "out").find("v1").digest == answer["digest"]
    with workspace.database.read() as tx:
        (image,) = records.images_of(tx, [version.id])
        assert links_to(tx, Kind.VERSION, version.id)[0].source == image.digest
        assert [item.check for item in dossier(tx, version.id).evidence] == [records.CHECK]
        (record,) = audit.trail(tx, entity="image", entity_id=image.digest)
    assert told(record).sentence == f"{record.actor} made an image of late@1: build 1"
    (row,) = invoke(workspace, "list", "late")
    assert row["digest"] == image.digest and row["mb"] > 0


def test_a_deployment_is_given_the_image_of_its_champion_only(
    workspace: Workspace, register: Register, make: Make, actor: Principal
) -> None:
    first, second = register("first"), register("second")

    def kept(version: Any) -> Image:
        return workspace.database.write(lambda tx: records.keep(tx, actor, version, make(version)))

    images = [kept(first), kept(second)]
    workspace.database.write(lambda tx: service.deploy(tx, actor, "delays", first.id))
    with pytest.raises(Conflict):
        workspace.database.write(lambda tx: records.roll_out(tx, actor, images[1].digest, "delays"))
    workspace.database.write(lambda tx: records.roll_out(tx, actor, images[0].digest, "delays", reason="newer libraries"))
    with workspace.database.read() as tx:
        assert [one.digest for one in records.rolled_out(tx, "delays")] == [images[0].digest]
    caller = Principal("eve", roles=frozenset())
    with pytest.raises(Denied):
        workspace.database.write(lambda tx: records.roll_out(tx, caller, images[0].digest, "delays"))


def test_an_archive_is_the_same_file_each_time(
    workspace: Workspace, register: Register, packing: Packing, tmp_path: Path
) -> None:
    version = register("first")
    for name in ("a.tar", "b.tar"):
        invoke(workspace, version.id, *packing, "--to", str(tmp_path / name))
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "a.tar") as archive:
        assert {"oci-layout", "index.json", "blobs/sha256"} <= set(archive.getnames())
        index = archive.extractfile("index.json")
        assert index is not None and len(oci.read(index.read(), oci.Index, "index").manifests) == 1


@pytest.mark.parametrize(
    ("base", "message"), [("./nothing", "there is no"), ("nowhere", "is not where an image"), ("{folder}", "has no Python 3")]
)
def test_a_base_that_is_none_is_refused(
    workspace: Workspace, register: Register, tmp_path: Path, base: str, message: str
) -> None:
    version = register("first")
    (tmp_path / "empty").mkdir()
    with pytest.raises((Invalid, NotFound), match=message):
        invoke(workspace, version.id, "--base", base.format(folder=tmp_path / "empty"))
    with workspace.database.read() as tx:
        assert records.images_of(tx, [version.id]) == []


def test_a_folder_with_something_else_is_left_alone(
    workspace: Workspace, register: Register, packing: Packing, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("do not touch")
    with pytest.raises(Conflict):
        invoke(workspace, register("first").id, *packing, "--to", str(tmp_path / "mine"))
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_only_what_a_form_needs_is_taken() -> None:
    here = libraries.here()

    def names(*forms: str) -> set[str]:
        return {one.name for one in libraries.closure(libraries.roots(forms), here)}

    assert "onnxruntime" not in names("linear") and "onnxruntime" in names("onnx")
    assert {"scikit-learn", "scipy"} <= names("sklearn")
    assert not names("onnx") & {"protobuf", "scikit-learn", "scipy", "SQLAlchemy", "duckdb", "starlette", "pandas"}
    with pytest.raises(Invalid):
        libraries.roots(["python"])
    with pytest.raises(NotFound):
        libraries.closure(["no-such-library"], here)
    with pytest.raises(Conflict):
        libraries.closure(["numpy<1"], here)
    assert [one.name for one in libraries.closure(["msgspec"], here, also=["click", "no-such-library"])] == ["click", "msgspec"]


def test_wheels_are_chosen_for_a_machine_and_unpacked(tmp_path: Path) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    write_wheel(wheels, "tiny", "1", "cp311-cp311-manylinux_2_28_aarch64")
    place = libraries.unpack_wheels(wheels, tmp_path / "out", "3.11", "arm64")
    (found,) = libraries.closure(["tiny"], place)
    contents = libraries.contents([found], "lib")
    paths = sorted(content.entry.path for content in contents)
    assert paths == ["lib/tiny-1.dist-info/METADATA", "lib/tiny-1.dist-info/WHEEL", "lib/tiny/__init__.py"]
    assert libraries.component(found) == Component("tiny", "1", "pypi", "MIT")
    with pytest.raises(NotFound):
        libraries.unpack_wheels(wheels, tmp_path / "other", "3.12", "amd64")
