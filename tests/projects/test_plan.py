"""The plan against what happened: proved by records of the trail, by the day it was due, and by nothing anybody says."""

import click.testing
import pytest
import sqlalchemy as sa

import perenne as pn
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.clock import DAY, SystemClock, format_time
from perenne.core.errors import Invalid
from perenne.projects import Milestone, Objective, Person, PlanState, ProjectRecord, Proof
from perenne.projects.commands import project as project_command
from perenne.projects.plan import standing
from perenne.projects.service import gaps, get_project
from perenne.projects.store import save, table
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link
from perenne.storage.workspace import Workspace

BEFORE, AFTER = (format_time(SystemClock().now() + shift)[:10] for shift in (-9 * DAY, 9 * DAY))


def stated(*plan: Milestone, name: str = "churn") -> ProjectRecord:
    people = (Person("ada", "data scientist"), Person("joe"))
    return ProjectRecord(
        name, "Call in time.", "crm", "", (Objective("roc_auc", at_least=0.7),), (), plan, None, DAY, "/x", "", None, 0, 0, people
    )


def happen(tx: Transaction, actor: Principal, project: str) -> None:
    """Leave what registering, approving, deploying and retraining leave."""
    version, episode = f"{project}@1", f"episode of {project}"
    add_link(tx, (Kind.VERSION, version), "of", (Kind.PROJECT, project))
    add_link(tx, (Kind.DEPLOYMENT, project), "serves", (Kind.VERSION, version))
    add_link(tx, (Kind.EPISODE, episode), "of", (Kind.PROJECT, project))
    for action, identity in (
        ("version.register", version),
        ("version.approve", version),
        ("deployment.deployed", project),
        ("episode.promoted", episode),
        ("version.approve", version),
    ):
        audit.record(tx, actor, action, action.partition(".")[0], identity)


def states(workspace: Workspace, record: ProjectRecord) -> dict[str, PlanState]:
    with workspace.database.read() as tx:
        return {line.title: line.state for line in standing(tx, record)}


def test_a_milestone_is_done_when_a_record_proves_it_and_not_before(workspace: Workspace, actor: Principal) -> None:
    record = stated(*(Milestone(due, f"{proof} {due}", proof) for proof in Proof for due in (BEFORE, AFTER)))
    before = states(workspace, record)
    assert before == {
        f"{proof} {due}": PlanState.OVERDUE if due == BEFORE else PlanState.OPEN for proof in Proof for due in (BEFORE, AFTER)
    }
    workspace.database.write(lambda tx: happen(tx, actor, "other"))
    assert states(workspace, record) == before, "what another project did proves nothing here"
    workspace.database.write(lambda tx: happen(tx, actor, "churn"))
    assert states(workspace, record) == {
        f"{proof} {due}": PlanState.LATE if due == BEFORE else PlanState.DONE for proof in Proof for due in (BEFORE, AFTER)
    }


def test_what_proves_it_is_the_first_record(workspace: Workspace, actor: Principal) -> None:
    workspace.database.write(lambda tx: happen(tx, actor, "churn"))
    with workspace.database.read() as tx:
        (line,) = standing(tx, stated(Milestone(AFTER, "approved", "approved")))
        first = audit.trail(tx)[-2]
    assert line.reached is not None
    assert (line.reached.record, line.reached.thing, line.reached.by, line.reached.time) == (2, "churn@1", actor.name, first.time)


def test_a_plan_that_names_no_proof_or_no_day_is_not_judged(workspace: Workspace, actor: Principal) -> None:
    workspace.database.write(lambda tx: happen(tx, actor, "churn"))
    found = states(workspace, stated(Milestone(BEFORE, "said"), Milestone("in spring", "vague", "deployed")))
    assert set(found.values()) == {PlanState.UNPROVEN}


def test_a_project_from_before_people_and_proofs_reads_as_it_was(workspace: Workspace) -> None:
    workspace.database.write(lambda tx: save(tx, stated()))
    old = '[{"due":"soon","title":"in service"}]'
    statement = sa.text("UPDATE project SET plan = :plan, people = '[]'")
    workspace.database.write(lambda tx: tx.execute(statement, {"plan": old}).rowcount)
    with workspace.database.read() as tx:
        known = get_project(tx, "churn")
        assert known.plan == (Milestone("soon", "in service"),)
        assert known.people == ()
        assert table.c.people.server_default is not None


def test_unknown_proofs_and_things_that_are_no_milestones_are_refused_where_they_are_written() -> None:
    with pytest.raises(Invalid, match="'shipped', which nothing records") as error:
        pn.Project("p", problem="", owner="", plan=[pn.Milestone("2026-01-31", "out", evidence="shipped")])
    assert "version, approved, deployed, retrained" in error.value.hint
    with pytest.raises(Invalid, match="people: 'ada'"):
        pn.Project("p", problem="", owner="", people=["ada"])  # type: ignore[list-item]


def test_show_prints_the_plan_as_it_stands(workspace: Workspace, actor: Principal) -> None:
    workspace.database.write(lambda tx: save(tx, stated(Milestone(AFTER, "in service", "deployed"))))
    workspace.database.write(lambda tx: happen(tx, actor, "churn"))
    answer = click.testing.CliRunner().invoke(project_command, ["show", "churn"], obj=workspace, standalone_mode=False)
    assert answer.exception is None
    result = answer.return_value
    (line,) = result.value["plan"]
    assert (line.state, line.reached.thing) == (PlanState.DONE, "churn")
    assert result.value["people"] == (Person("ada", "data scientist"), Person("joe"))
    assert result.shown["plan"][0]["proved_by"].endswith("audit record 3")
    assert result.shown["objectives"] == ["roc_auc ≥ 0.7"]
    assert result.shown["retraining"] == "no policy"


def test_what_a_plan_leaves_unsaid_is_a_gap() -> None:
    missing = {gap.missing for gap in gaps(stated(Milestone("soon", "in service")))}
    assert "what proves a milestone, and by which day" in missing
    assert not {"who takes part", "a plan", "a model"} & missing
    assert "what proves a milestone, and by which day" not in {
        gap.missing for gap in gaps(stated(Milestone(AFTER, "x", "version")))
    }
