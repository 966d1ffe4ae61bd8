"""REST of images: those of a version, which one a deployment runs, and who may say so."""

from pathlib import Path

import pytest
from tests.asked import ask, seen
from tests.delivery.images.conftest import Register

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.delivery.images import making, records
from perenne.delivery.images.making import Choice
from perenne.formats import oci
from perenne.serving import service
from perenne.storage.workspace import Workspace


@pytest.mark.parametrize("workspace", ["sqlite"], indirect=True)
def test_images_are_listed_and_rolled_out(
    workspace: Workspace, register: Register, root: Path, wheels: Path, actor: Principal
) -> None:
    version = register("first")
    assert seen(workspace, actor, f"/api/package/{version.id}") == []
    built = making.make(workspace, version, Choice((str(root),), wheels), _nothing, lambda _: None)
    workspace.database.write(lambda tx: records.keep(tx, actor, version, built))
    workspace.database.write(lambda tx: service.deploy(tx, actor, "delays", version.id))
    (image,) = seen(workspace, actor, f"/api/package/{version.id}")
    assert image["digest"] == built.found.digest and image["deployment"] == ""
    body = {"digest": image["digest"], "reason": "newer libraries"}
    viewer = Principal("vera", roles=frozenset({Role.VIEWER}))
    assert ask(workspace, viewer, "POST", "/api/deploy/delays/image", json=body).status_code == 403
    assert ask(workspace, actor, "POST", "/api/deploy/delays/image", json={**body, "digest": "sha256:1"}).status_code == 404
    answer = ask(workspace, actor, "POST", "/api/deploy/delays/image", json=body)
    assert answer.status_code == 200 and answer.json()["deployment"] == "delays"
    elsewhere = Principal("elle", roles=frozenset(Role), projects=frozenset({"other"}))
    assert ask(workspace, elsewhere, "GET", f"/api/package/{version.id}").status_code in (403, 404)


def _nothing(*_: object) -> oci.Descriptor:
    raise AssertionError("nothing is to be pulled")
