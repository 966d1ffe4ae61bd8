"""Signatures at load: verified by the parent before a process may load a package, and bound to what is loaded."""

import os
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from perenne.auth.principals import Principal
from perenne.core.clock import ManualClock
from perenne.core.config import Settings
from perenne.core.errors import Conflict, Invalid, PerenneError, Unavailable
from perenne.core.hashing import digest_bytes
from perenne.inference import load
from perenne.inference.signing import SigningKey
from perenne.registry import Evidence, GatePolicy, Verdict, Version, trust
from perenne.registry.service import register
from perenne.serving import Deployment, ModelServer, read_statuses, release, service
from perenne.serving.admission import KEYS, REQUIRE, Admission, Board, Pinned, Verdicts, Verifier
from perenne.serving.commands import show
from perenne.serving.lineup import Lineup, load_lineup
from perenne.serving.releases import package_folder, read_release, signature_file
from perenne.storage.trees import put_tree
from perenne.storage.workspace import Workspace


@pytest.fixture
def workspace(settings: Settings, clock: ManualClock, empty_database: Path) -> Iterator[Workspace]:
    """Open a workspace on files: what a server admits is the same whatever the database."""
    settings.home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(empty_database, settings.home / "perenne.db")
    with Workspace(settings, clock) as opened:
        yield opened


@pytest.fixture
def add(workspace: Workspace, actor: Principal, packages: dict[str, Path]) -> Callable[..., Version]:
    """Register a package as a round does, signed or not."""

    def added(name: str, *, signed: bool = True) -> Version:
        tree = put_tree(workspace.objects, packages[name])
        made = trust.make(workspace, "late", tree) if signed else None

        def work(tx: Any) -> Version:
            version = register(
                tx, actor, model="late", project="flights", run="run", tree=tree, reference="b" * 64, snapshot="c" * 64,
                policy=GatePolicy(("auc",)), evidence=[Evidence(check="auc", verdict=Verdict.PASS)],
            )  # fmt: skip
            trust.keep_new(tx, actor, version, made)
            return version

        return workspace.database.write(work)

    return added


def require(workspace: Workspace, actor: Principal, demand: Any) -> None:
    workspace.database.write(lambda tx: trust.state_policy(tx, actor, demand=demand))


def deploy(workspace: Workspace, actor: Principal, version: str) -> tuple[Path, Deployment]:
    deployment = workspace.database.write(lambda tx: service.deploy(tx, actor, "delays", version))
    return release(workspace, deployment), deployment


def loaded(folder: Path, present: Lineup | None = None) -> Lineup:
    """Do what parent and worker do: verify, then load what was admitted."""
    board = Board.create()
    try:
        Verifier(folder, board).refresh()
        return load_lineup(folder, read_release(folder), present, Admission(board))
    finally:
        board.close()


def test_a_signed_version_is_admitted_and_the_verdict_is_kept(
    workspace: Workspace, actor: Principal, add: Callable[..., Version]
) -> None:
    require(workspace, actor, "on")
    version = add("first")
    folder, _ = deploy(workspace, actor, version.id)
    found = read_release(folder).trust.packages[version.tree]
    assert found.signed.valid and found.signed.own and found.manifest and not found.unpickle
    assert signature_file(folder, version.tree).exists()
    assert loaded(folder).champion.version == version.id


@pytest.mark.parametrize("name", ["model.onnx", "package.json", "monitor/reference.npz"])
def test_what_was_changed_in_the_folder_is_refused_by_name(
    workspace: Workspace, actor: Principal, add: Callable[..., Version], name: str
) -> None:
    require(workspace, actor, "on")
    version = add("first")
    folder, _ = deploy(workspace, actor, version.id)
    path = package_folder(folder, version.tree) / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Conflict, match=f"broken: not as signed: {name} was changed"):
        loaded(folder)


def test_one_signed_package_does_not_stand_for_another(
    workspace: Workspace, actor: Principal, add: Callable[..., Version]
) -> None:
    require(workspace, actor, "on")
    old, new = add("second"), add("first")
    folder, _ = deploy(workspace, actor, old.id)
    shutil.copytree(package_folder(folder, old.tree), folder / "kept")
    shutil.copy(signature_file(folder, old.tree), folder / "kept.sig")
    folder, _ = deploy(workspace, actor, new.id)
    shutil.rmtree(package_folder(folder, new.tree))
    (folder / "kept").rename(package_folder(folder, new.tree))
    (folder / "kept.sig").rename(signature_file(folder, new.tree))
    board = Board.create()
    Verifier(folder, board).refresh()
    with pytest.raises(Conflict, match="another package than the one released"):
        Admission(board).admit(read_release(folder), new.tree)


def test_without_a_requirement_the_manifest_is_still_that_of_the_release(
    workspace: Workspace, actor: Principal, add: Callable[..., Version]
) -> None:
    version = add("first", signed=False)
    folder, _ = deploy(workspace, actor, version.id)
    assert read_release(folder).trust.require == "warn" and loaded(folder).champion.version == version.id
    path = package_folder(folder, version.tree) / "package.json"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Invalid, match="not the one that was released"):
        loaded(folder)


def test_what_is_exchanged_after_the_verdict_is_not_loaded(
    workspace: Workspace, actor: Principal, add: Callable[..., Version]
) -> None:
    require(workspace, actor, "on")
    version = add("first")
    folder, _ = deploy(workspace, actor, version.id)
    board = Board.create()
    Verifier(folder, board).refresh()
    path = package_folder(folder, version.tree) / "package.json"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(Invalid, match="not the one that was released"):
        load_lineup(folder, read_release(folder), None, Admission(board))


def test_a_server_may_ask_for_more_than_the_release(
    workspace: Workspace, actor: Principal, add: Callable[..., Version], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    version = add("first", signed=False)
    folder, _ = deploy(workspace, actor, version.id)
    monkeypatch.setenv(REQUIRE, "on")
    with pytest.raises(Conflict, match="unsigned"):
        loaded(folder)
    trust.sign(workspace, actor, version.id)
    with workspace.database.read() as tx:
        release(workspace, service.get_deployment(tx, "delays"))
    assert loaded(folder).champion.version == version.id, "signed since: released anew without another generation"
    (tmp_path / "stranger.pub").write_text(SigningKey.make().pem)
    monkeypatch.setenv(KEYS, str(tmp_path / "stranger.pub"))
    with pytest.raises(Conflict, match="not trusted here"):
        loaded(folder)


def test_settings_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="not known"):
        Pinned.read({REQUIRE: "maybe"})
    with pytest.raises(Invalid, match=r"absent\.pub cannot be read"):
        Pinned.read({KEYS: str(tmp_path / "absent.pub")})
    (tmp_path / "empty.pub").touch()
    with pytest.raises(Invalid, match="public key"):
        Pinned.read({KEYS: str(tmp_path / "empty.pub")})


def test_a_withdrawn_key_does_not_cut_callers_off_and_does_not_start_again(
    workspace: Workspace, actor: Principal, add: Callable[..., Version], tmp_path: Path
) -> None:
    require(workspace, actor, "on")
    version = add("first")
    folder, deployment = deploy(workspace, actor, version.id)
    with ModelServer(folder, workspace.settings.logs, workspace.settings.spool) as server:
        server.wait_ready()
        key = trust.verify(workspace, version.id).key
        workspace.database.write(lambda tx: trust.withdraw(tx, actor, key, reason="lost"))
        release(workspace, deployment)
        until(lambda: "untrusted" in server.problem())
        with urllib.request.urlopen(f"{server.url}/v2/health/ready") as answer:
            assert answer.status == 200
    again = ModelServer(folder, tmp_path / "logs", tmp_path / "spool")
    with again, pytest.raises(Unavailable, match="untrusted"):
        again.wait_ready()
    with pytest.raises(PerenneError, match="withdrawn"):
        workspace.database.write(lambda tx: service.deploy(tx, actor, "elsewhere", version.id))


def test_what_servers_found_is_told(workspace: Workspace, actor: Principal, add: Callable[..., Version]) -> None:
    version = add("first")
    folder, _ = deploy(workspace, actor, version.id)
    with ModelServer(folder, workspace.settings.logs, workspace.settings.spool) as server:
        server.wait_ready()
        spool = workspace.settings.spool
        until(lambda: any(status.signatures for status in read_statuses(spool, "delays", 0)))
        (status,) = read_statuses(spool, "delays", 0)
        assert "signed with this registry's key" in status.signatures[version.tree]


def test_nothing_is_read_from_the_board_while_it_is_written() -> None:
    board = Board.create()
    assert board.read() == Verdicts()
    board.write(Verdicts("on", 3, "m"))
    assert board.read() == Verdicts("on", 3, "m")
    os.pwrite(board.handle, b"torn", 100)
    assert board.read() is None
    with pytest.raises(Invalid, match="too many"):
        board.write(Verdicts(mark="x" * (1 << 18)))
    board.close()


def test_nobody_vouches_where_no_parent_looks(workspace: Workspace, actor: Principal, add: Callable[..., Version]) -> None:
    require(workspace, actor, "on")
    folder, _ = deploy(workspace, actor, add("first").id)
    with pytest.raises(Conflict, match="nobody has verified"):
        load_lineup(folder, read_release(folder), None)


def test_releases_from_before_are_loaded(workspace: Workspace, actor: Principal, add: Callable[..., Version]) -> None:
    version = add("first", signed=False)
    folder, _ = deploy(workspace, actor, version.id)
    before = msgspec.json.decode((folder / "current.json").read_bytes())
    del before["trust"]
    (folder / "current.json").write_bytes(msgspec.json.encode(before))
    assert loaded(folder).champion.version == version.id


def test_code_in_a_package_is_loaded_only_with_leave(packages: dict[str, Path], tmp_path: Path) -> None:
    made = shutil.copytree(packages["first"], tmp_path / "made")
    guest = msgspec.json.encode({"kind": "estimator", "path": "source/model.pkl", "form": "pickle", "trust": "signed"})
    (made / "guest.json").write_bytes(guest)
    manifest = msgspec.json.decode((made / "package.json").read_bytes())
    manifest["files"]["guest.json"] = {"size": len(guest), "digest": digest_bytes(guest)}
    (made / "package.json").write_bytes(msgspec.json.encode(manifest))
    with pytest.raises(Invalid, match="holds code, such as a pickle, that nobody allows here"):
        load(made, code=False)
    assert load(made).manifest.form


def test_what_is_shown_of_a_deployment_has_the_verdicts(
    workspace: Workspace, actor: Principal, add: Callable[..., Version]
) -> None:
    signed = add("first")
    deploy(workspace, actor, signed.id)
    done = CliRunner().invoke(show, ["delays"], obj=workspace, standalone_mode=False)
    assert "valid: signed with this registry's key" in done.return_value["signatures"][signed.id]


def until(what: Callable[[], bool]) -> None:
    """Wait until something holds."""
    while not what():
        time.sleep(0.02)
