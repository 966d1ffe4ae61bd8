"""Review policies and reviews: who must say yes, to what, and that nothing stands in for it."""

from typing import Any

import pytest
from tests.registry.people import (
    ADA,
    ADMIN,
    APPROVER,
    DEPLOYER,
    ELSEWHERE,
    VAL,
    VERA,
    VIEWER,
    logged,
    packaged,
    policy,
    write,
)

from perenne.auth import audit
from perenne.auth.principals import Principal, PrincipalKind
from perenne.auth.roles import Role
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.registry import (
    Evidence,
    GateState,
    ReviewState,
    Verdict,
    VersionState,
    approvals,
    dossier,
    models,
    placing,
    policies,
    registrations,
    reviews,
    summary,
)
from perenne.registry.model import MetricBound, Target
from perenne.storage.workspace import Workspace
from perenne.tracking import Metric, Provenance, RunState, logs, service

CHAMPION = Target("alias", "champion")


def champion(workspace: Workspace, identity: str = "fraud@1") -> None:
    write(workspace, placing.set_alias, DEPLOYER, identity.partition("@")[0], "champion", identity)


def approve(workspace: Workspace, who: Principal, identity: str = "fraud@1", **named: Any) -> None:
    write(workspace, approvals.decide, who, identity, approve=True, **named)


def test_a_policy_closes_what_was_open_and_an_approval_opens_it(workspace: Workspace) -> None:
    logged(workspace)
    write(workspace, policies.state, ADMIN, policy())
    with pytest.raises(Conflict, match=r"approval 1 of 1 by validator \(policy prod\)"):
        champion(workspace)
    with workspace.database.read() as tx:
        assert summary.waiting(tx) == [], "nobody has asked that a client's version becomes champion"
    write(workspace, reviews.open_review, ADA, "fraud@1", CHAMPION)
    with workspace.database.read() as tx:
        assert [found.version.id for found in summary.waiting(tx)] == ["fraud@1"]
    for who in (APPROVER, DEPLOYER, ADA):
        with pytest.raises(Denied):
            approve(workspace, who)
    approve(workspace, VAL)
    champion(workspace)
    with workspace.database.read() as tx:
        found = dossier(tx, "fraud@1")
        assert found.gate.state is GateState.OPEN and found.version.state is VersionState.APPROVED
        assert found.decisions[0].roles == ("validator",) and summary.waiting(tx) == []


def test_who_made_it_may_not_approve_it_under_whatever_hat(workspace: Workspace) -> None:
    run = workspace.database.write(
        lambda tx: service.start_run(tx, VERA, project="fraud", kind="", parameters={}, provenance=Provenance())
    )
    logged(workspace, source=f"runs:/{run.id}/m", run=run.id)
    logged(workspace, who=VERA)
    write(workspace, policies.state, ADMIN, policy())
    for identity in ("fraud@1", "fraud@2"):
        with pytest.raises(Denied, match="vera made"):
            approve(workspace, VERA, identity)
    solo = Principal("vera", roles=frozenset(Role), solo=True)
    approve(workspace, solo, "fraud@1")
    with workspace.database.read() as tx:
        assert dossier(tx, "fraud@1").decisions[0].solo, "there was nobody else, and it says so"
    write(workspace, policies.state, ADMIN, policy(own=True))
    approve(workspace, VERA, "fraud@2")


def test_several_must_approve_and_each_counts_once(workspace: Workspace) -> None:
    logged(workspace)
    write(workspace, policies.state, ADMIN, policy(approvals=2, approvers=("validator", "abe")))
    approve(workspace, VAL)
    with pytest.raises(Conflict, match="decided already"):
        approve(workspace, VAL)
    with pytest.raises(Conflict, match="approval 2 of 2"):
        champion(workspace)
    approve(workspace, APPROVER)
    champion(workspace)


def test_policies_add_up_and_a_changed_one_is_to_be_approved_anew(workspace: Workspace) -> None:
    logged(workspace)
    write(workspace, policies.state, ADMIN, policy())
    write(workspace, policies.state, ADMIN, policy(name="business", approvers=("approver",)))
    approve(workspace, VAL)
    with pytest.raises(Conflict, match="policy business"):
        champion(workspace)
    approve(workspace, APPROVER)
    write(workspace, policies.state, ADMIN, policy(own=True))
    with pytest.raises(Conflict, match="policy prod"):
        champion(workspace)
    approve(workspace, VAL)
    champion(workspace)
    write(workspace, policies.remove, ADMIN, "business", reason="one is enough")
    with workspace.database.read() as tx:
        assert [kept.policy.name for kept in policies.stated(tx)] == ["prod"]
        assert [record.action for record in audit.trail(tx, entity="review_policy")] == [
            "policy.remove", "policy.state", "policy.state", "policy.state",
        ]  # fmt: skip


def test_approvals_hold_for_these_files_only(workspace: Workspace) -> None:
    said = {models.IS_PROMPT: "true", registrations.TEXT: "Hello"}
    write(workspace, models.create, ADA, "greeting", tags={models.IS_PROMPT: "true"})
    write(workspace, registrations.create, ADA, "greeting", "prompt-template", tags=said)
    write(workspace, policies.state, ADMIN, policy(aliases=("prod*",)))
    approve(workspace, VAL, "greeting@1")
    write(workspace, registrations.set_tag, ADA, "greeting", 1, registrations.TEXT, "Bye")
    with pytest.raises(Conflict, match="approval 1 of 1"):
        write(workspace, placing.set_alias, DEPLOYER, "greeting", "production", "greeting@1")
    write(workspace, placing.set_alias, DEPLOYER, "greeting", "draft", "greeting@1")


def test_a_rejection_is_not_shaken_off_by_registering_the_same_again(workspace: Workspace) -> None:
    said = {models.IS_PROMPT: "true", registrations.TEXT: "Hello"}
    write(workspace, models.create, ADA, "greeting", tags={models.IS_PROMPT: "true"})
    write(workspace, registrations.create, ADA, "greeting", "prompt-template", tags=said)
    write(workspace, approvals.decide, APPROVER, "greeting@1", approve=False, reason="rude")
    write(workspace, registrations.create, ADA, "greeting", "prompt-template", tags=said)
    write(workspace, registrations.delete, ADA, "greeting", 1)
    with pytest.raises(Conflict, match="the very files of greeting@1"):
        write(workspace, placing.set_alias, DEPLOYER, "greeting", "champion", "greeting@2")
    write(workspace, registrations.set_tag, ADA, "greeting", 2, registrations.TEXT, "Good day")
    write(workspace, placing.set_alias, DEPLOYER, "greeting", "champion", "greeting@2")


def test_files_nobody_can_vouch_for_need_a_policy_that_says_so(workspace: Workspace) -> None:
    logged(workspace)
    write(workspace, policies.state, ADMIN, policy(outside=False))
    with pytest.raises(Conflict, match="do not lie in this installation's store"):
        approve(workspace, VAL)


def test_evidence_and_metrics_are_asked_for(workspace: Workspace) -> None:
    run = workspace.database.write(
        lambda tx: service.start_run(tx, ADA, project="fraud", kind="", parameters={}, provenance=Provenance())
    )
    logged(workspace, source=f"runs:/{run.id}/m", run=run.id)
    bounds = (MetricBound("auc", at_least=0.8), MetricBound("latency", at_most=10))
    asked = policy(checks=("bias: *",), metrics=bounds, approvals=0)
    write(workspace, policies.state, ADMIN, asked)
    with pytest.raises(Conflict, match=r"bias: \*: no evidence .*metric auc ≥ 0.8: not measured"):
        champion(workspace)
    write(workspace, logs.log_metric, ADA, run.id, Metric("auc", 0.7, 1))
    write(workspace, logs.log_metric, ADA, run.id, Metric("latency", 3.0, 1))
    write(workspace, approvals.testify, VAL, "fraud@1", [Evidence(check="bias: age", verdict=Verdict.FAIL, detail="older")])
    with pytest.raises(Conflict, match=r"bias: age: fail \(older\).*metric auc ≥ 0.8: it is 0.7"):
        champion(workspace)
    write(workspace, logs.log_metric, ADA, run.id, Metric("auc", 0.9, 2, 1))
    write(workspace, approvals.testify, VAL, "fraud@1", [Evidence(check="bias: age", verdict=Verdict.PASS)])
    champion(workspace)
    for who in (ADA, VIEWER):
        with pytest.raises(Denied):
            write(workspace, approvals.testify, who, "fraud@1", [])
    write(workspace, service.end_run, ADA, run.id, state=RunState.FINISHED, outcome="")


def test_objectives_must_be_measured_and_met(workspace: Workspace) -> None:
    packaged(workspace)
    packaged(workspace, tree="d", verdict=Verdict.UNKNOWN)
    logged(workspace)
    write(workspace, policies.state, ADMIN, policy(objectives=True, approvals=0, aliases=("best",)))
    write(workspace, placing.set_alias, DEPLOYER, "late", "best", "late@1")
    for identity, said in (("late@2", "unknown"), ("fraud@1", "none was measured")):
        with pytest.raises(Conflict, match=said):
            write(workspace, placing.set_alias, DEPLOYER, identity.partition("@")[0], "best", identity)


def test_stages_are_guarded_like_aliases(workspace: Workspace) -> None:
    for _ in range(2):
        logged(workspace)
    write(workspace, placing.move_to_stage, DEPLOYER, "fraud@1", "Production")
    write(workspace, policies.state, ADMIN, policy(aliases=(), stages=("Production", "Staging")))
    for stage in ("production", "STAGING"):
        with pytest.raises(Conflict, match="stage"):
            write(workspace, placing.move_to_stage, DEPLOYER, "fraud@2", stage, archive_others=True)
    with workspace.database.read() as tx:
        assert dossier(tx, "fraud@1").version.stage == "Production", "nothing was archived for one that was refused"
    approve(workspace, VAL, "fraud@2")
    write(workspace, placing.move_to_stage, DEPLOYER, "fraud@2", "Production", archive_others=True)
    with workspace.database.read() as tx:
        assert [version.stage for version in placing.latest(tx, "fraud")] == ["Archived", "Production"]
    with pytest.raises(Invalid, match="is not an Active stage"):
        write(workspace, placing.move_to_stage, DEPLOYER, "fraud@2", "Archived", archive_others=True)
    with pytest.raises(Conflict, match="stage Production"):
        write(workspace, registrations.delete, ADA, "fraud", 2)


def test_a_review_is_opened_decided_and_closed(workspace: Workspace) -> None:
    logged(workspace)
    write(workspace, policies.state, ADMIN, policy(approvals=2))
    opened = write(workspace, reviews.open_review, ADA, "fraud@1", CHAMPION, reason="better")
    with pytest.raises(Conflict, match="already"):
        write(workspace, reviews.open_review, DEPLOYER, "fraud@1", CHAMPION)
    with pytest.raises(Denied):
        write(workspace, reviews.open_review, VIEWER, "fraud@1", Target("alias", "other"))
    with pytest.raises(NotFound):
        write(workspace, reviews.get, ELSEWHERE, opened.id)
    assert write(workspace, reviews.decide, VAL, opened.id, approve=True).state is ReviewState.OPEN
    valery = Principal("valery", roles=VAL.roles)
    closed = write(workspace, reviews.decide, valery, opened.id, approve=True, reason="fine")
    assert (closed.state, closed.closed_by, closed.note) == (ReviewState.APPROVED, "valery", "fine")
    with pytest.raises(Conflict, match="is approved"):
        write(workspace, reviews.decide, VAL, opened.id, approve=True)
    with pytest.raises(Conflict, match="is open"):
        write(workspace, reviews.open_review, ADA, "fraud@1", CHAMPION)
    with workspace.database.read() as tx:
        assert [review.state for review in reviews.listed(tx, ADA, model="fraud")] == [ReviewState.APPROVED]
        assert reviews.listed(tx, ADA, state=ReviewState.OPEN) == [] == reviews.listed(tx, ELSEWHERE)
        actions = [record.action for record in audit.trail(tx, entity="version", entity_id="fraud@1")][::-1]
        assert actions == ["version.register", "review.open", "version.approve", "version.approve", "review.approved"]


def test_an_approval_in_a_review_counts_for_what_was_asked_only(workspace: Workspace) -> None:
    logged(workspace)
    write(workspace, policies.state, ADMIN, policy(aliases=("staging",), name="low"))
    write(workspace, policies.state, ADMIN, policy())
    opened = write(workspace, reviews.open_review, ADA, "fraud@1", Target("alias", "staging"))
    assert write(workspace, reviews.decide, VAL, opened.id, approve=True).state is ReviewState.APPROVED
    write(workspace, placing.set_alias, DEPLOYER, "fraud", "staging", "fraud@1")
    with pytest.raises(Conflict, match="policy prod"):
        champion(workspace)
    approve(workspace, VAL)
    champion(workspace)


def test_a_rejection_closes_and_a_review_can_be_withdrawn(workspace: Workspace) -> None:
    for _ in range(2):
        logged(workspace)
    write(workspace, policies.state, ADMIN, policy())
    first = write(workspace, reviews.open_review, ADA, "fraud@1", CHAMPION)
    assert write(workspace, reviews.decide, VAL, first.id, approve=False, reason="biased").state is ReviewState.REJECTED
    for who in (VAL, ADMIN):
        with pytest.raises(Conflict, match="decided already"):
            approve(workspace, who)
    with pytest.raises(Conflict, match="rejected by val: biased"):
        champion(workspace)
    second = write(workspace, reviews.open_review, DEPLOYER, "fraud@2", CHAMPION)
    with pytest.raises(Denied):
        write(workspace, reviews.withdraw, VAL, second.id)
    assert write(workspace, reviews.withdraw, DEPLOYER, second.id, reason="later").state is ReviewState.WITHDRAWN
    third = write(workspace, reviews.open_review, DEPLOYER, "fraud@2", CHAMPION)
    write(workspace, registrations.delete, ADA, "fraud", 2)
    with workspace.database.read() as tx:
        assert reviews.get(tx, ADA, third.id).state is ReviewState.WITHDRAWN


def test_only_people_decide_and_only_an_administrator_states(workspace: Workspace) -> None:
    logged(workspace)
    write(workspace, policies.state, ADMIN, policy())
    service_account = Principal("service:ci", PrincipalKind.SERVICE, VAL.roles)
    with pytest.raises(Denied, match="no person"):
        approve(workspace, service_account)
    for who in (ADA, VAL, DEPLOYER):
        with pytest.raises(Denied):
            write(workspace, policies.state, who, policy(name="mine"))
        with pytest.raises(Denied):
            write(workspace, policies.remove, who, "prod")
    with pytest.raises(NotFound):
        write(workspace, policies.remove, ADMIN, "nobody's")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": ""}, {"models": ()}, {"aliases": ()}, {"stages": ("prod",)}, {"approvals": -1}, {"approvals": 0},
        {"checks": ("",)},
        {"metrics": (MetricBound("auc"),)}, {"approvers": ("x" * 300,)}, {"models": ("m",) * 201},
    ],
)  # fmt: skip
def test_a_policy_that_makes_no_sense_is_refused(workspace: Workspace, wrong: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        write(workspace, policies.state, ADMIN, policy(**wrong))
    with workspace.database.read() as tx:
        assert policies.stated(tx) == []


def test_what_once_answered_may_come_back_without_new_approval(workspace: Workspace) -> None:
    from perenne.serving import service as serving

    first, second = packaged(workspace), packaged(workspace, tree="d")
    for version in (first, second):
        write(workspace, serving.deploy, ADMIN, "late", version.id)
        write(workspace, placing.set_alias, DEPLOYER, "late", "champion", version.id)
    write(workspace, policies.state, ADMIN, policy())
    write(workspace, serving.roll_back, ADMIN, "late", reason="it drifted")
    write(workspace, placing.set_alias, DEPLOYER, "late", "champion", first.id)
    third = packaged(workspace, tree="e")
    with pytest.raises(Conflict, match="policy prod"):
        write(workspace, serving.deploy, ADMIN, "late", third.id)
    write(workspace, approvals.bar, DEPLOYER, second.id, reason="it drifted")
    with pytest.raises(Conflict, match="barred"):
        write(workspace, placing.set_alias, DEPLOYER, "late", "champion", second.id)
