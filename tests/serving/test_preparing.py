"""What clients registered is deployed: packaged once by content, signed, proven; code only if somebody vouched for it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.registry.people import ADA, ADMIN, VIEWER, logged, write

from perenne import registry, serving, tracking
from perenne.auth import audit
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.inference import load
from perenne.inference.foreign import find
from perenne.registry import Version
from perenne.serving import service
from perenne.serving.releases import package_folder, read_release, release
from perenne.storage.workspace import Workspace
from perenne.tracking import Provenance

LOGGED = Path(__file__).parents[1] / "inference" / "foreign" / "logged"
Register = Callable[..., Version]


@pytest.fixture
def register(workspace: Workspace) -> Register:
    """Log a recorded model to a run, and register it, as a client does."""

    def work(name: str, model: bytes = b"") -> Version:
        run = workspace.database.write(
            lambda tx: tracking.service.start_run(tx, ADMIN, project="fraud", kind="", parameters={}, provenance=Provenance())
        )
        for path in sorted(LOGGED.joinpath(name).iterdir()):
            place = write(workspace, tracking.artifacts.place_of_run, ADMIN, run.id, f"model/{path.name}", writes=True)
            replaced = model and path.suffix == ".pkl"
            tracking.artifacts.save(workspace, ADMIN, place, [model if replaced else path.read_bytes()])
        return logged(workspace, who=ADMIN, source=f"runs:/{run.id}/model", run=run.id)

    return work


def test_a_registered_model_is_packaged_once_and_served(workspace: Workspace, register: Register) -> None:
    version, said = register("xgboost"), list[str]()
    with pytest.raises(Conflict, match="is not packaged yet"):
        workspace.database.write(lambda tx: service.deploy(tx, ADMIN, "fraud", version.id))
    with pytest.raises(Denied):
        service.prepare(workspace, VIEWER, version.id)
    packaged = service.prepare(workspace, ADMIN, version.id, on_progress=said.append)
    assert packaged is not None and packaged.parity.form == "onnx" and said
    assert service.prepare(workspace, ADMIN, version.id, on_progress=said.append) is None, "it is done once"
    deployment = workspace.database.write(lambda tx: service.deploy(tx, ADMIN, "fraud", version.id))
    folder = release(workspace, deployment)
    assert load(package_folder(folder, deployment.champion.tree)).signature.names == ("height", "weight", "age")
    with workspace.database.read() as tx:
        (proof,) = [item for item in registry.dossier(tx, version.id).evidence if item.check.startswith("parity")]
        assert proof.detail == packaged.parity.sentence
        assert "version.package" in {row.action for row in audit.trail(tx, entity="version", entity_id=version.id)}
        made = registry.placing.package_of(tx, version)
        assert made is not None and registry.trust.recorded(tx, [made.tree])[made.tree].valid
    again = register("xgboost")
    assert again.tree != version.tree, "other files, by the registry's account, though the bytes are the same"


def test_a_registered_pickle_is_refused_until_somebody_vouches_for_it(workspace: Workspace, register: Register) -> None:
    version = register("sklearn_pickle")
    with pytest.raises(Denied, match="nobody vouches"):
        service.prepare(workspace, ADMIN, version.id)
    digest = find(LOGGED / "sklearn_pickle").digest
    workspace.database.write(lambda tx: registry.trust.vouch(tx, ADMIN, digest, reason="built by us"))
    packaged = service.prepare(workspace, ADMIN, version.id)
    assert packaged is not None and packaged.trust == f"digest {digest}" and packaged.parity.form == "linear"
    workspace.database.write(lambda tx: serving.service.deploy(tx, ADMIN, "fraud", version.id))


def test_files_that_lie_elsewhere_are_not_packaged(workspace: Workspace) -> None:
    version = logged(workspace, who=ADMIN)
    with pytest.raises(NotFound, match="do not lie in this installation"):
        service.prepare(workspace, ADMIN, version.id)


@pytest.mark.long
def test_code_that_serves_is_vouched_for_in_its_package(workspace: Workspace, register: Register, tmp_path: Path) -> None:
    import pickle

    from sklearn.svm import LinearSVC

    X = np.random.default_rng(0).normal(size=(60, 3))
    version = register("sklearn_pickle", pickle.dumps(LinearSVC().fit(X, X[:, 0] > 0)))
    (tmp_path / "model.pkl").write_bytes(pickle.dumps(LinearSVC().fit(X, X[:, 0] > 0)))
    digest = find(tmp_path / "model.pkl").digest
    with pytest.raises(Denied):
        service.prepare(workspace, ADA, version.id, trusted=frozenset({digest}))
    workspace.database.write(lambda tx: registry.trust.vouch(tx, ADMIN, digest, reason="ours"))
    packaged = service.prepare(workspace, ADA, version.id)
    assert packaged is not None and (packaged.parity.form, packaged.parity.converter) == ("sklearn", "source")
    deployment = workspace.database.write(lambda tx: service.deploy(tx, ADMIN, "fraud", version.id))
    folder = release(workspace, deployment)
    tree = deployment.champion.tree
    assert read_release(folder).trust.packages[tree].unpickle, "whoever loads it may"
    with pytest.raises(Invalid, match="holds code"):
        load(package_folder(folder, tree), code=False)
