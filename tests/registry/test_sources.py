"""Sources that a client may not name, in the words that clients know, and places that it may."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.registry.people import ADA, DEPLOYER, ELSEWHERE, logged, write

from perenne import tracking
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.registry import models, placing, registrations, sources
from perenne.storage.workspace import Workspace
from perenne.tracking import Provenance, Run, service

RELATIVE = "an absolute path must be provided without relative path references present. Please provide an absolute path."
EVE = Principal("eve", roles=frozenset({Role.CONTRIBUTOR}))


@pytest.fixture
def run(workspace: Workspace) -> Run:
    """A run of another's, with a place for artifacts."""
    return workspace.database.write(
        lambda tx: service.start_run(tx, EVE, project="checkout", kind="", parameters={}, provenance=Provenance())
    )


def refuse(workspace: Workspace, source: str, message: str, **named: Any) -> None:
    with pytest.raises(Invalid) as caught:
        logged(workspace, source=source, **named)
    assert message in caught.value.message, caught.value.message
    with workspace.database.read() as tx:
        assert models.some(tx, ["fraud"]) == {}, "nothing was changed"


def test_relative_parts_are_found_however_they_are_written(workspace: Workspace, run: Run) -> None:
    for source in (
        "mlflow-artifacts:/1/../../etc", "mlflow-artifacts://host/../../etc", "s3://bucket/a/../b",
        "mlflow-artifacts:/1/..%2f..%2fetc",
        "mlflow-artifacts:/%252e%252e/etc", "https://h/api/2.0/mlflow-artifacts/artifacts/../../..", "s3://bucket/a%00", "s3://b/./c",
        f"runs:/{run.id}/../x", "s3://b/a\\..\\c", "s3://[x",
    ):  # fmt: skip
        refuse(workspace, source, RELATIVE, run=run.id)


def test_files_of_a_machine_are_never_a_source(workspace: Workspace, run: Run) -> None:
    for source in ("/etc/passwd", "file:///etc/passwd", "etc/passwd", "file://localhost/etc", "file://host/etc", "../x"):
        refuse(
            workspace, source, "the run_id request parameter has to be specified and the local path has to be contained within "
            "the artifact directory of the run specified by the run_id.", run=run.id,
        )  # fmt: skip
    refuse(workspace, "ftp://host/model", "'source' cannot use the 'ftp' scheme")


def test_a_place_of_ours_belongs_to_what_is_named_with_it(workspace: Workspace, run: Run) -> None:
    said = "The run_id request parameter must identify the resource that contains the source."
    for source in (
        f"runs:/{run.id}/model", f"runs:/{'0' * 32}/model", f"{run.artifact_uri}/model", "mlflow-artifacts:/0/x/artifacts/model",
        f"https://h/api/2.0/mlflow-artifacts/artifacts/1/{run.id}/artifacts/m",
    ):  # fmt: skip
        refuse(workspace, source, said)
    for source in (f"{run.artifact_uri}-others/model", "mlflow-artifacts:/1", f"runs://host/{run.id}/m", f"runs:/{'0' * 32}/m"):
        refuse(workspace, source, said, run=run.id)
    refuse(workspace, f"runs:/{run.id}/m", said, run="0" * 32)
    refuse(workspace, "models:/m-0123", "The model_id request parameter must identify the resource")
    refuse(workspace, "models://host/m-0123", "model_id", logged_model="m-0123")
    refuse(workspace, f"runs:/{run.id}/m", "The model_id request parameter must identify", logged_model="m-0123", run=run.id)


def test_what_may_be_named_is_resolved(workspace: Workspace, run: Run) -> None:
    first = logged(workspace, source=f"runs:/{run.id}/some/model", run=run.id)
    assert first.root == f"{run.artifact_uri}/some/model" and first.storage == first.source == f"runs:/{run.id}/some/model"
    assert (first.run, first.author, first.project) == (run.id, "eve", "checkout"), "an empty model goes to the run's project"
    second = logged(workspace, source=f"{run.artifact_uri}/some/model", run=run.id)
    assert registrations.download_uri(second) == second.source == second.root
    third = logged(workspace, source="s3://bucket/some/model")
    assert (third.storage, third.tree, third.run) == ("s3://bucket/some/model", "", "")


def test_a_version_of_another_model_is_followed_to_its_files(workspace: Workspace, run: Run) -> None:
    logged(workspace, "base", source=f"runs:/{run.id}/m", run=run.id)
    write(workspace, models.update, ADA, "base", description="x")
    for source in ("models:/base/1", "models:/base/latest"):
        copied = logged(workspace, "copy", source=source)
        assert (copied.source, copied.storage, copied.run) == ("models:/base/1", f"runs:/{run.id}/m", run.id)
        assert copied.root == f"{run.artifact_uri}/m"
    refused = "The run_id and model_id request parameters must match the referenced model version."
    refuse(workspace, "models:/base/1", refused, run="0" * 32)
    refuse(workspace, "models://host/base/1", "Registered model sources must use the active model registry.")
    for source in ("models:/base/7", "models:/base@nobody", "models:/nothing/1", "models:/base/Production"):
        with pytest.raises(NotFound):
            logged(workspace, "fraud", source=source)
    with pytest.raises(NotFound):
        logged(workspace, "mine", ELSEWHERE, source="models:/base/1")
    prompt = {models.IS_PROMPT: "true"}
    write(workspace, models.create, ADA, "greeting", tags=prompt)
    write(workspace, registrations.create, ADA, "greeting", "dummy-source", tags=prompt)
    refuse(workspace, "models:/greeting/1", "Prompt versions cannot be used as model version sources.")


def test_a_version_of_a_logged_model_is_told_to_it(workspace: Workspace, run: Run) -> None:
    model = write(workspace, tracking.models.create, ADA, run.experiment, name="m", run=run.id)
    for number in (1, 2):
        made = logged(workspace, source=f"models:/{model.id}", logged_model=model.id)
        assert (made.number, made.run, made.logged_model, made.author) == (number, run.id, model.id, "eve")
        assert made.root == made.storage == model.artifact_uri
    inside = logged(workspace, source=f"{model.artifact_uri}/sub", logged_model=model.id)
    assert inside.root == f"{model.artifact_uri}/sub"
    with workspace.database.read() as tx:
        (tag,) = tracking.models.get(tx, ADA, model.id).tags
    assert tag.key == "mlflow.modelVersions" and tag.value.count('"name":"fraud"') == 3
    refuse_known = "The model_id request parameter must identify the resource that contains the source."
    for source in ("models:/m-0123", f"{model.artifact_uri}s/sub", f"runs:/{run.id}/m", run.artifact_uri):
        with pytest.raises(Invalid, match=refuse_known):
            logged(workspace, source=source, logged_model=model.id)


def test_files_are_what_they_were_when_they_were_registered(workspace: Workspace, run: Run) -> None:
    place = write(workspace, tracking.artifacts.place_of_run, EVE, run.id, "model/MLmodel", writes=True)
    tracking.artifacts.save(workspace, EVE, place, [b"flavors: {}"])
    first = logged(workspace, source=f"runs:/{run.id}/model", run=run.id)
    assert len(first.tree) == 64
    write(workspace, placing.set_alias, DEPLOYER, "fraud", "champion", first.id)
    write(workspace, placing.set_alias, DEPLOYER, "fraud", "free", first.id)
    tracking.artifacts.save(workspace, EVE, place, [b"flavors: {other: 1}"])
    second = logged(workspace, source=f"runs:/{run.id}/model", run=run.id)
    assert second.tree != first.tree
    write(workspace, placing.set_alias, DEPLOYER, "fraud", "champion", second.id)
    with pytest.raises(Conflict, match="no longer those that were registered"):
        write(workspace, placing.set_alias, DEPLOYER, "fraud", "champion", first.id)


PIECES = st.sampled_from(["..", ".", "", "%2e%2e", "%252e%252e", "a", "%2f", "\\", "%00", "1", "artifacts", "runs:", "etc"])
PREFIX = st.sampled_from(
    ["mlflow-artifacts:/", "mlflow-artifacts://h/", "", "/", "file://", "https://h/api/2.0/mlflow-artifacts/artifacts/"]
)


@given(PREFIX, st.lists(PIECES, max_size=6))
def test_no_spelling_leads_out_of_a_place(prefix: str, pieces: list[str]) -> None:
    root, source = "mlflow-artifacts:/1/a/artifacts", prefix + "/".join(pieces)
    if not sources._within(source, root):
        return
    try:
        sources._check_relative(source)
    except Invalid:
        return
    assert ".." not in source and source.startswith("mlflow-artifacts:")
