"""The gate: a pure function, and no way round it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from perenne.auth import audit
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Role
from perenne.core.config import load_settings
from perenne.core.errors import Conflict, Denied, NotFound, PerenneError
from perenne.registry import Evidence, GatePolicy, Verdict, Version, approvals, placing, service
from perenne.registry.model import Decision, GateState, VersionState, gate
from perenne.storage.links import Kind, links_from
from perenne.storage.workspace import Workspace

ADA = Principal("ada", roles=frozenset(Role), solo=True)
POLICY = Principal("policy:p", PrincipalKind.POLICY, frozenset({Role.CONTRIBUTOR, Role.DEPLOYER}), "ada")
CHECKS = ("parity", "auc")


def version(state: VersionState = VersionState.CANDIDATE, approve_by: str = "") -> Version:
    return Version("m@1", "m", 1, "p", "run", "t" * 64, "r" * 64, "s" * 64, state, GatePolicy(CHECKS, approve_by), None, 0, "ada")


def fact(check: str, verdict: Verdict) -> Evidence:
    return Evidence(check=check, verdict=verdict)


PASSED = [fact(check, Verdict.PASS) for check in CHECKS]


def test_it_opens_only_when_every_required_check_has_passed() -> None:
    assert gate(version(), PASSED, ()).state is GateState.OPEN
    assert gate(version(), PASSED[:1], ()).reasons == ("auc: no evidence",)


@given(st.lists(st.tuples(st.sampled_from((*CHECKS, "other")), st.sampled_from(list(Verdict))), max_size=8))
def test_unknown_and_missing_never_pass_and_the_newest_evidence_counts(facts: list[tuple[str, Verdict]]) -> None:
    newest = dict(facts)
    expected = all(newest.get(check) is Verdict.PASS for check in CHECKS)
    assert (gate(version(), [fact(*item) for item in facts], ()).state is GateState.OPEN) is expected


def test_an_approval_holds_for_one_tree_only() -> None:
    waiting = version(approve_by="ops")
    yes = Decision("m@1", waiting.tree, True, "ada", True, "", 0)
    elsewhere = Decision("m@1", "x" * 64, True, "ada", True, "", 0)
    assert gate(waiting, PASSED, ()).state is GateState.WAITING
    assert gate(waiting, PASSED, [elsewhere]).state is GateState.WAITING
    assert gate(waiting, PASSED, [yes]).state is GateState.OPEN


def test_a_rejection_and_a_bar_close_it_for_good() -> None:
    no = Decision("m@1", version().tree, False, "ada", True, "biased", 0)
    assert gate(version(), PASSED, [no]).reasons == ("rejected by ada: biased",)
    assert gate(version(VersionState.BARRED), PASSED, ()).state is GateState.CLOSED


def register(workspace: Workspace, *, verdict: Verdict = Verdict.PASS, approve_by: str = "ops", tree: str = "a") -> Version:
    return workspace.database.write(
        lambda tx: service.register(
            tx, ADA, model="m", project="p", run="run", tree=tree * 64, reference="b" * 64, snapshot="c" * 64,
            policy=GatePolicy(CHECKS, approve_by), evidence=[fact("parity", Verdict.PASS), fact("auc", verdict)],
        )
    )  # fmt: skip


def test_registering_is_whole_audited_linked_and_idempotent(workspace: Workspace) -> None:
    first, again = register(workspace), register(workspace)
    assert (first.id, again.id) == ("m@1", "m@1")
    with workspace.database.read() as tx:
        assert [record.action for record in audit.trail(tx, entity="version")] == ["version.register"]
        assert {(link.relation, link.target_kind) for link in links_from(tx, Kind.VERSION, "m@1")} == {
            ("made_by", "run"), ("trained_on", "snapshot"), ("of", "project"),
        }  # fmt: skip
    assert register(workspace, tree="d").number == 2


def test_an_approval_cannot_stand_in_for_evidence(workspace: Workspace) -> None:
    failed = register(workspace, verdict=Verdict.FAIL)
    with pytest.raises(Conflict, match="cannot be approved"):
        workspace.database.write(lambda tx: approvals.decide(tx, ADA, failed.id, approve=True))
    workspace.database.write(
        lambda tx: approvals.add_evidence(tx, ADA, failed.id, [fact("auc", Verdict.PASS)], produced_by="rerun")
    )
    workspace.database.write(lambda tx: approvals.decide(tx, ADA, failed.id, approve=True))
    with workspace.database.read() as tx:
        assert placing.require_deployable(tx, failed.id).state is VersionState.APPROVED


def test_only_people_with_the_role_decide_and_only_once(workspace: Workspace) -> None:
    made = register(workspace)
    for actor in (POLICY, Principal("eve", roles=frozenset({Role.VIEWER, Role.ADMIN}))):
        with pytest.raises(Denied):
            workspace.database.write(lambda tx, actor=actor: approvals.decide(tx, actor, made.id, approve=True))  # type: ignore[misc]
    decision = workspace.database.write(lambda tx: approvals.decide(tx, ADA, made.id, approve=False, reason="no"))
    assert decision.solo
    with pytest.raises(Conflict, match="decided already"):
        workspace.database.write(lambda tx: approvals.decide(tx, ADA, made.id, approve=True))


def test_an_unknown_version_is_named(workspace: Workspace) -> None:
    with workspace.database.read() as tx, pytest.raises(NotFound, match="m@9"):
        placing.require_deployable(tx, "m@9")


class NoWayRound(RuleBasedStateMachine):
    """Whatever is called in whatever order: an alias never points to a version whose gate is not open."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile
        from pathlib import Path

        self.folder = tempfile.TemporaryDirectory()
        self.workspace = Workspace(load_settings(Path(self.folder.name), {}))
        self.moved: str | None = None

    @rule(tree=st.sampled_from("abc"), verdict=st.sampled_from(list(Verdict)), approve_by=st.sampled_from(["", "ops"]))
    def register(self, tree: str, verdict: Verdict, approve_by: str) -> None:
        register(self.workspace, verdict=verdict, approve_by=approve_by, tree=tree)

    @rule(number=st.integers(1, 3), approve=st.booleans(), actor=st.sampled_from([ADA, POLICY]))
    def decide(self, number: int, approve: bool, actor: Principal) -> None:
        self._try(lambda tx: approvals.decide(tx, actor, f"m@{number}", approve=approve))

    @rule(number=st.integers(1, 3), verdict=st.sampled_from(list(Verdict)))
    def evidence(self, number: int, verdict: Verdict) -> None:
        self._try(lambda tx: approvals.add_evidence(tx, ADA, f"m@{number}", [fact("auc", verdict)], produced_by="x"))

    @rule(number=st.integers(1, 3))
    def bar(self, number: int) -> None:
        self._try(lambda tx: approvals.bar(tx, ADA, f"m@{number}", reason="x"))

    @rule(number=st.integers(1, 3), actor=st.sampled_from([ADA, POLICY]))
    def promote(self, number: int, actor: Principal) -> None:
        identity = f"m@{number}"
        with self.workspace.database.read() as tx:
            try:
                is_open = service.dossier(tx, identity).gate.state is GateState.OPEN
            except NotFound:
                is_open = False
        done = self._try(lambda tx: placing.set_alias(tx, actor, "m", "champion", identity))
        assert done is is_open
        if done:
            self.moved = identity

    @invariant()
    def the_alias_is_where_it_was_last_let(self) -> None:
        with self.workspace.database.read() as tx:
            found = placing.aliased(tx, "m", "champion")
            assert audit.verify(tx).bad_seq is None
        assert (found.id if found else None) == self.moved

    def _try(self, work: object) -> bool:
        try:
            self.workspace.database.write(work)  # type: ignore[arg-type]
        except PerenneError:
            return False
        return True

    def teardown(self) -> None:
        self.workspace.close()
        self.folder.cleanup()


TestNoWayRound = NoWayRound.TestCase
TestNoWayRound.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
