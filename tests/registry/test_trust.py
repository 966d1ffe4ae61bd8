"""Trust in packages: signed when registered, judged before they are served, pickles only with leave."""

import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.asked import ask, seen
from tests.registry.people import ADA, ADMIN, DEPLOYER, VIEWER, logged, write

from perenne.auth import audit
from perenne.auth.wording import told
from perenne.core.errors import Conflict, Denied, Invalid, NotFound, PerenneError
from perenne.core.results import EXIT_FINDINGS, EXIT_UNKNOWN, Result
from perenne.inference import SignatureState
from perenne.inference.signing import SigningKey, folder_files
from perenne.registry import Evidence, GatePolicy, Verdict, Version, approvals, keys, placing, policies, service, trust
from perenne.registry.commands import model
from perenne.registry.model import ReviewPolicy
from perenne.storage.trees import fetch_tree, put_tree
from perenne.storage.workspace import Workspace


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "late"
    (folder / "monitor").mkdir(parents=True)
    (folder / "package.json").write_text("{}")
    (folder / "monitor" / "reference.npz").write_bytes(b"reference")
    return folder


def registered(workspace: Workspace, package: Path, *, signed: bool = True) -> Version:
    """Register a package as a round does."""
    tree = put_tree(workspace.objects, package)
    made = trust.make(workspace, "late", tree) if signed else None

    def work(tx: Any) -> Version:
        version = service.register(
            tx, ADA, model="late", project="flights", run="run", tree=tree, reference="b" * 64, snapshot="c" * 64,
            policy=GatePolicy(("auc",)), evidence=[Evidence(check="auc", verdict=Verdict.PASS)],
        )  # fmt: skip
        trust.keep_new(tx, ADA, version, made)
        return version

    return workspace.database.write(work)


def verdict(workspace: Workspace, identity: str) -> tuple[Verdict, str]:
    """Return the newest evidence about a version's signature."""
    with workspace.database.read() as tx:
        found = {item.check: item for item in service.dossier(tx, identity).evidence}[trust.CHECK]
    return found.verdict, found.detail


def run(workspace: Workspace, *words: str) -> tuple[Any, int]:
    """Type `perenne model …`; return what it answers and its exit code."""
    done = CliRunner().invoke(model, list(words), obj=workspace, standalone_mode=False)
    if done.exception is not None:
        raise done.exception
    result = done.return_value
    return (result.value, result.exit_code) if isinstance(result, Result) else (result, 0)


def test_what_is_registered_is_signed_and_everybody_can_see_it(workspace: Workspace, package: Path) -> None:
    version = registered(workspace, package)
    found = trust.verify(workspace, version.id)
    assert found.valid and found.own and "2 files" in found.detail
    assert verdict(workspace, version.id) == (Verdict.PASS, f"signed with this registry's key {found.key[:16]}")
    path = workspace.settings.home / keys.FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.signing_key(workspace.settings.home, {}).id == found.key
    with workspace.database.read() as tx:
        rows = {row.action: told(row).sentence for row in audit.trail(tx)}
    assert rows["version.sign"] == "ada signed late@1" and rows["key.make"].startswith("ada made signing key")


@pytest.mark.long
def test_the_bundle_verifies_with_the_real_command(workspace: Workspace, package: Path, tmp_path: Path) -> None:
    version = registered(workspace, package)
    fetch_tree(workspace.objects, version.tree, tmp_path / "fetched")
    run(workspace, "sign", version.id, "--to", str(tmp_path / "late.sig"))
    (key,) = run(workspace, "keys")[0]
    (tmp_path / "key.pub").write_text(run(workspace, "keys", "--show", key["key"])[0]["pem"])
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(tmp_path / "fetched")]
    command += ["--signature", str(tmp_path / "late.sig"), "--public_key", str(tmp_path / "key.pub")]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    (tmp_path / "fetched" / "package.json").write_text("[]")
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode != 0 and "package.json" in done.stdout + done.stderr


def test_a_rotated_key_stays_valid_until_it_is_withdrawn(workspace: Workspace, package: Path) -> None:
    first = registered(workspace, package)
    old = trust.verify(workspace, first.id).key
    trust.rotate(workspace, ADMIN, reason="yearly")
    assert trust.verify(workspace, first.id).key == old and trust.verify(workspace, first.id).valid
    (package / "more.json").write_text("{}")
    second = registered(workspace, package)
    assert trust.verify(workspace, second.id).key != old
    assert write(workspace, trust.withdraw, ADMIN, old[:12], reason="the laptop was stolen") == [first.id]
    assert trust.verify(workspace, first.id).state is SignatureState.UNTRUSTED
    assert verdict(workspace, first.id)[0] is Verdict.FAIL and trust.verify(workspace, second.id).valid
    with pytest.raises(Conflict, match="withdrawn before"):
        write(workspace, trust.withdraw, ADMIN, old, reason="again")
    assert trust.sign(workspace, ADA, first.id).valid and verdict(workspace, first.id)[0] is Verdict.PASS


def test_a_withdrawn_key_does_not_sign(workspace: Workspace, package: Path) -> None:
    version = registered(workspace, package)
    write(workspace, trust.withdraw, ADMIN, trust.verify(workspace, version.id).key, reason="lost")
    with pytest.raises(Conflict, match="was withdrawn"):
        trust.sign(workspace, ADA, version.id)


def test_what_was_changed_behind_the_store_is_told_by_name(workspace: Workspace, package: Path) -> None:
    version = registered(workspace, package)
    with workspace.database.read() as tx:
        bundle = trust.bundle_of(tx, version.id)
    (package / "package.json").write_text('{"another": 1}')
    other = put_tree(workspace.objects, package)
    with workspace.database.read() as tx:
        trusted = trust.trusted_keys(tx)
    from perenne.inference import signing

    fetch_tree(workspace.objects, other, package.parent / "other")
    found = signing.verify(bundle, folder_files(package.parent / "other"), trusted)
    assert found.state is SignatureState.BROKEN and "package.json was changed" in found.detail


def test_others_keys_count_once_they_are_trusted(workspace: Workspace, package: Path, tmp_path: Path) -> None:
    version = registered(workspace, package, signed=False)
    assert verdict(workspace, version.id)[0] is Verdict.UNKNOWN
    partner = SigningKey.make()
    (tmp_path / "partner.pub").write_text(partner.pem)
    (tmp_path / "late.sig").write_bytes(partner.sign("late", folder_files(package)))
    with pytest.raises(Conflict, match="untrusted"):
        run(workspace, "sign", version.id, "--bundle", str(tmp_path / "late.sig"))
    run(workspace, "keys", "--trust", str(tmp_path / "partner.pub"), "--name", "the partner")
    run(workspace, "sign", version.id, "--bundle", str(tmp_path / "late.sig"))
    found, code = run(workspace, "verify", version.id)
    assert code == 0 and found.valid and not found.own and found.signer == "the partner"
    (tmp_path / "wrong.sig").write_bytes(partner.sign("late", {"package.json": "0" * 64}))
    with pytest.raises(Conflict, match=r"monitor/reference\.npz was added"):
        run(workspace, "sign", version.id, "--bundle", str(tmp_path / "wrong.sig"))
    with pytest.raises(Conflict, match="counts already"):
        run(workspace, "keys", "--trust", str(tmp_path / "partner.pub"), "--name", "the partner")


def test_exit_codes_say_whether_a_signature_is_good(workspace: Workspace, package: Path) -> None:
    version = registered(workspace, package, signed=False)
    assert run(workspace, "verify", version.id)[1] == EXIT_UNKNOWN
    run(workspace, "sign", version.id)
    assert run(workspace, "verify", version.id)[1] == 0
    (key,) = run(workspace, "keys")[0]
    run(workspace, "keys", "--withdraw", key["key"], "--reason", "lost")
    assert run(workspace, "verify", version.id)[1] == EXIT_FINDINGS
    assert run(workspace, "keys")[0][0]["state"] == "withdrawn"


def test_a_folder_is_verified_against_a_signature_beside_it(workspace: Workspace, package: Path, tmp_path: Path) -> None:
    version = registered(workspace, package)
    run(workspace, "sign", version.id, "--to", str(tmp_path / "late.sig"))
    assert run(workspace, "verify", str(package), "--signature", str(tmp_path / "late.sig"))[1] == 0
    (package / "package.json").write_text("[]")
    found, code = run(workspace, "verify", str(package), "--signature", str(tmp_path / "late.sig"))
    assert code == EXIT_FINDINGS and "package.json was changed" in found.detail


def test_where_signatures_are_required_nothing_else_is_deployed(workspace: Workspace, package: Path) -> None:
    version = registered(workspace, package, signed=False)
    with workspace.database.read() as tx:
        assert placing.require_deployable(tx, version.id)
    write(workspace, trust.state_policy, ADMIN, demand="on")
    with workspace.database.read() as tx, pytest.raises(Conflict, match="unsigned"):
        placing.require_deployable(tx, version.id)
    trust.sign(workspace, ADA, version.id)
    with workspace.database.read() as tx:
        assert placing.require_deployable(tx, version.id)


def test_a_project_may_ask_for_more_and_never_for_less(workspace: Workspace) -> None:
    asked, _ = run(workspace, "trust", "--project", "flights", "--require", "on", "--pickles", "signed")
    assert (asked.require, asked.pickles) == ("on", "never")
    assert run(workspace, "trust")[0].require == "warn"
    run(workspace, "trust", "--pickles", "signed")
    assert run(workspace, "trust", "--project", "flights")[0].pickles == "signed"
    run(workspace, "trust", "--require", "on")
    run(workspace, "trust", "--project", "flights", "--require", "off")
    assert run(workspace, "trust", "--project", "flights")[0].require == "on"


def test_a_policy_on_the_check_holds_for_signatures_too(workspace: Workspace, package: Path) -> None:
    version = registered(workspace, package, signed=False)
    write(workspace, policies.state, ADMIN, ReviewPolicy(name="signed", aliases=("champion",), checks=(trust.CHECK,)))
    with pytest.raises(Conflict, match="signature: unknown"):
        write(workspace, placing.set_alias, DEPLOYER, "late", "champion", version.id)
    trust.sign(workspace, ADA, version.id)
    write(workspace, placing.set_alias, DEPLOYER, "late", "champion", version.id)


def test_pickles_are_loaded_only_with_leave(workspace: Workspace, package: Path, tmp_path: Path) -> None:
    version = registered(workspace, package, signed=False)
    assert not trust.may_unpickle(workspace, version.tree).allowed
    trust.sign(workspace, ADA, version.id)
    assert "nothing is unpickled" in trust.may_unpickle(workspace, version.tree).reason
    write(workspace, trust.state_policy, ADMIN, pickles="signed")
    assert trust.may_unpickle(workspace, version.tree).allowed
    write(workspace, trust.withdraw, ADMIN, trust.verify(workspace, version.id).key, reason="lost")
    assert not trust.may_unpickle(workspace, version.tree).allowed
    run(workspace, "trust", version.tree, "--reason", "from our own team")
    assert "from our own team" in trust.may_unpickle(workspace, version.tree).reason
    run(workspace, "trust", version.tree, "--drop")
    assert not trust.may_unpickle(workspace, version.tree).allowed
    with pytest.raises(NotFound):
        run(workspace, "trust", version.tree, "--drop")
    with pytest.raises(Invalid, match="no digest"):
        run(workspace, "trust", "late@1", "--reason", "x")


def test_a_partners_signature_is_no_leave_to_unpickle(workspace: Workspace, package: Path) -> None:
    version = registered(workspace, package, signed=False)
    partner = SigningKey.make()
    write(workspace, trust.trust_key, ADMIN, partner.pem.encode(), "the partner")
    trust.sign(workspace, ADMIN, version.id, bundle=partner.sign("late", folder_files(package)))
    write(workspace, trust.state_policy, ADMIN, pickles="signed")
    assert "not this registry's" in trust.may_unpickle(workspace, version.tree).reason


def test_who_may_do_what(workspace: Workspace, package: Path) -> None:
    version = registered(workspace, package)
    refusals: list[Any] = [
        lambda: trust.rotate(workspace, ADA),
        lambda: trust.sign(workspace, VIEWER, version.id),
        lambda: write(workspace, trust.withdraw, ADA, "0" * 64, reason="x"),
        lambda: write(workspace, trust.vouch, ADA, version.tree, reason="x"),
        lambda: write(workspace, trust.state_policy, ADA, demand="off"),
        lambda: write(workspace, trust.trust_key, ADA, b"", "x"),
    ]
    for refused in refusals:
        with pytest.raises(Denied):
            refused()


def test_what_a_client_logged_is_no_package(workspace: Workspace) -> None:
    version = logged(workspace)
    works: list[Any] = [lambda: trust.sign(workspace, ADMIN, version.id), lambda: trust.verify(workspace, version.id)]
    for work in works:
        with pytest.raises(Conflict, match="no package"):
            work()


def test_the_key_may_be_given(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = SigningKey.make()
    (tmp_path / "given.pem").write_bytes(key.to_pem())
    home = workspace.settings.home
    assert keys.signing_key(home, {keys.VARIABLE: str(tmp_path / "given.pem")}).id == key.id
    assert keys.signing_key(home, {keys.VARIABLE: key.to_pem().decode()}).id == key.id
    assert not (home / keys.FILE).exists()
    with pytest.raises(PerenneError, match="cannot be used"):
        keys.signing_key(home, {keys.VARIABLE: str(tmp_path / "absent.pem")})
    with pytest.raises(Conflict, match="given by"):
        keys.make_another(home, {keys.VARIABLE: "x"})
    monkeypatch.setenv(keys.VARIABLE, "-----BEGIN NONSENSE-----")
    with pytest.raises(Invalid):
        keys.signing_key(home)


def test_two_processes_that_need_the_key_first_make_one(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from perenne.registry import keys\n"
    program += "print(keys.signing_key(Path(sys.argv[1]), {}).id)"
    both = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert len({process.communicate()[0] for process in both}) == 1


def test_a_backup_of_the_key_signs_on(workspace: Workspace, package: Path, tmp_path: Path) -> None:
    version = registered(workspace, package)
    shutil.copy(workspace.settings.home / keys.FILE, tmp_path / "kept.pem")
    assert keys.signing_key(tmp_path, {keys.VARIABLE: str(tmp_path / "kept.pem")}).id == trust.verify(workspace, version.id).key
    with workspace.database.read() as tx:
        assert approvals.authors(version) and trust.recorded(tx, [version.tree])[version.tree].own


def test_over_rest(workspace: Workspace, package: Path) -> None:
    version = registered(workspace, package)
    path = f"/api/model/version/{version.id}/signature"
    found = seen(workspace, VIEWER, path)
    assert (found["state"], found["own"]) == ("valid", True)
    assert seen(workspace, VIEWER, f"{path}?form=bundle")["mediaType"].endswith("bundle.v0.3+json")
    assert ask(workspace, VIEWER, "GET", f"{path}?form=odd").status_code == 400
    assert ask(workspace, VIEWER, "POST", path, json={}).status_code == 403
    assert ask(workspace, ADA, "POST", path, json={}).status_code == 201
    partner = {"pem": SigningKey.make().pem, "name": "partner"}
    assert ask(workspace, ADA, "POST", "/api/model/trust/keys", json=partner).status_code == 403
    assert ask(workspace, ADMIN, "POST", "/api/model/trust/keys", json=partner).status_code == 200
    assert ask(workspace, ADMIN, "POST", "/api/model/trust/keys", json=partner | {"pem": "x"}).status_code == 400
    keys_ = {key["name"]: key["id"] for key in seen(workspace, VIEWER, "/api/model/trust/keys")}
    withdrawn = ask(
        workspace, ADMIN, "POST", f"/api/model/trust/keys/{keys_['this installation']}/withdraw", json={"reason": "lost"}
    )
    assert withdrawn.json()["versions"] == [version.id] and seen(workspace, VIEWER, path)["state"] == "untrusted"
    assert ask(workspace, ADA, "PUT", "/api/model/trust/policy", json={"require": "on"}).status_code == 403
    assert ask(workspace, ADMIN, "PUT", "/api/model/trust/policy", json={"require": "sometimes"}).status_code == 400
    assert ask(workspace, ADMIN, "PUT", "/api/model/trust/policy", json={"require": "on"}).json()["require"] == "on"
    assert seen(workspace, VIEWER, "/api/model/trust/policy?project=flights") == {"require": "on", "pickles": "never"}
