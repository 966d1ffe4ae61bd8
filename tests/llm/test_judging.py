"""Judging: datasets, scorers, issues, questions and queues; who may, and what is made of what people said."""

import json
from typing import Any

import click
import pytest
from click.testing import CliRunner
from tests.llm.spans import BEGAN, SECOND, TRACE, arrived, span

from perenne import tracking
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import ManualClock
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.core.results import Result
from perenne.llm import (
    assessments,
    commands,
    datasets,
    feedback,
    ingest,
    issues,
    label_schemas,
    on_removed,
    review_queues,
    scorers,
    traces,
)
from perenne.llm.commands import trace as trace_command
from perenne.llm.model import Assessment, AssessmentKind
from perenne.storage.database import Database
from perenne.storage.workspace import Workspace

OTHER = "cd" * 16


class Judge:
    """Calls functions that take a transaction and somebody: `judge(datasets.get, "d-1")`."""

    def __init__(self, database: Database, actor: Principal) -> None:
        self.database, self.actor = database, actor

    def __call__(self, function: Any, *arguments: Any, **named: Any) -> Any:
        return self.database.write(lambda tx: function(tx, self.actor, *arguments, **named))


@pytest.fixture
def judge(database: Database, actor: Principal) -> Judge:
    return Judge(database, actor)


@pytest.fixture
def reader(database: Database) -> Judge:
    """Somebody who may read everything, and no more."""
    return Judge(database, Principal("bob", roles=frozenset({Role.VIEWER})))


@pytest.fixture
def outsider(database: Database, stranger: Principal) -> Judge:
    return Judge(database, stranger)


@pytest.fixture
def traced(judge: Judge, experiment: int) -> int:
    """An experiment with two traces: a question with an answer each."""
    for number, identity in enumerate((TRACE, OTHER)):
        root = span(1, trace=identity)
        root.attributes |= {"mlflow.spanInputs": f"question {number}", "mlflow.spanOutputs": f"answer {number}"}
        judge(ingest.take_spans, experiment, arrived(root))
    return experiment


def said(value: Any, kind: AssessmentKind = AssessmentKind.FEEDBACK, **changes: Any) -> Assessment:
    told: dict[str, Any] = {"id": "", "trace_id": f"tr-{TRACE}", "name": "good", "source_kind": "HUMAN", "source": "ada"}
    return Assessment(kind=kind, value=value, **(told | changes))


def test_a_record_put_in_again_is_added_to(judge: Judge, experiment: int) -> None:
    made = judge(datasets.create, "golden", experiments=[experiment], tags={"stage": "one"})
    first = [{"inputs": {"q": 1, "r": [1.5]}, "expectations": {"a": 1}}, {"inputs": {"q": 2}, "tags": {"mlflow.user": "eve"}}]
    assert judge(datasets.upsert, made.id, first) == (2, 0)
    again = {"inputs": {"r": [1.5], "q": 1}, "outputs": "text", "expectations": {"b": 2}, "source": {"source_type": "HUMAN"}}
    assert judge(datasets.upsert, made.id, [again, {"inputs": {"q": 3}}, {"inputs": {"q": 3}}]) == (1, 2)
    found, rows, token = judge(datasets.records, made.id, limit=2)
    assert (found.records, [row.body["inputs"]["q"] for row in rows]) == (3, [1, 2])
    assert rows[0].body["expectations"] == {"a": 1, "b": 2}
    assert rows[0].body["outputs"] == "text"
    assert rows[1].created_by == "eve"
    assert found.schema["inputs"] == {"q": "integer", "r": "array"}
    assert found.schema["expectations"] == {"a": "integer", "b": "integer"}
    assert found.digest != made.digest
    [last] = judge(datasets.records, made.id, token=token)[1]
    assert judge(datasets.delete_records, made.id, [last.id, "dr-none"]) == 1
    assert judge(datasets.get, made.id).records == 2


@pytest.mark.parametrize(
    "given",
    [{"inputs": [1]}, {"inputs": {}, "source": {"source_type": "DREAM"}}, {"inputs": {"q": "x" * (1 << 20)}}, {"tags": "no"}],
)
def test_of_records_that_do_not_fit_none_is_kept(judge: Judge, given: dict[str, Any]) -> None:
    made = judge(datasets.create, "golden")
    with pytest.raises(Invalid):
        judge(datasets.upsert, made.id, [{"inputs": {"q": 1}}, given])
    assert judge(datasets.get, made.id).records == 0


def test_a_dataset_is_seen_by_whoever_sees_one_of_its_experiments(
    judge: Judge, outsider: Judge, reader: Judge, experiment: int
) -> None:
    made = judge(datasets.create, "golden", experiments=[experiment], tags={"stage": "one"})
    unseen: list[Any] = [(datasets.get, ()), (datasets.upsert, ([{}],)), (datasets.records, ()), (datasets.set_tags, ({},))]
    for function, more in unseen:
        with pytest.raises(NotFound):
            outsider(function, made.id, *more)
    assert outsider(datasets.search).datasets == []
    outsider(datasets.delete, made.id)
    assert reader(datasets.get, made.id).tags == {"stage": "one"}
    written: list[Any] = [(datasets.upsert, ([{}],)), (datasets.delete, ()), (datasets.delete_records, (["x"],))]
    for function, more in written:
        with pytest.raises(Denied):
            reader(function, made.id, *more)
    theirs = outsider(tracking.experiments.create, "theirs", project="other").id
    judge(datasets.add_experiments, made.id, [theirs])
    assert [one.id for one in outsider(datasets.search).datasets] == [made.id]
    assert judge(datasets.search, experiments=[theirs], text="tags.stage = 'one' AND name LIKE 'gold%'").datasets
    judge(datasets.remove_experiments, made.id, [theirs])
    assert outsider(datasets.search).datasets == []
    judge(datasets.delete, made.id)
    with pytest.raises(datasets.UnknownDataset):
        judge(datasets.get, made.id)


def test_scorers_have_versions_and_bring_no_code(judge: Judge, reader: Judge, outsider: Judge, experiment: int) -> None:
    for number in range(3):
        judge(scorers.register, experiment, "safe", json.dumps({"name": "safe", "number": number}))
    judge(scorers.register, experiment, "tone", '{"name": "tone"}')
    assert [one.version for one in judge(scorers.versions, experiment, "safe")] == [1, 2, 3]
    assert [(one.name, one.version) for one in reader(scorers.newest)] == [("safe", 3), ("tone", 1)]
    assert outsider(scorers.newest) == []
    judge(scorers.delete, experiment, "safe", 2)
    assert json.loads(judge(scorers.get, experiment, "safe").body)["number"] == 2
    with pytest.raises(NotFound):
        judge(scorers.get, experiment, "safe", 2)
    with pytest.raises(Denied):
        reader(scorers.register, experiment, "safe", "{}")
    for body in ('{"call_source": "import os"}', '{"all": [{"deep": {"call_source": "x"}}]}', "[", "[]"):
        with pytest.raises(Invalid):
            judge(scorers.register, experiment, "custom", body)
    judge(scorers.delete, experiment, "safe")
    with pytest.raises(NotFound):
        judge(scorers.versions, experiment, "safe")


def test_issues_come_with_the_severest_first(judge: Judge, outsider: Judge, reader: Judge, traced: int) -> None:
    made = [
        judge(issues.create, issues.Issue(id="", experiment=traced, name=name, description="d", severity=severity))
        for name, severity in (("a", "low"), ("b", "high"), ("c", None), ("d", "low"))
    ]
    judge(assessments.create, said(True, AssessmentKind.ISSUE, name=made[0].id))
    found = judge(issues.search, experiment=traced, counting=True, limit=3)
    assert [(one.name, one.traces) for one in found.issues] == [("b", 0), ("a", 1), ("d", 0)]
    assert [one.name for one in judge(issues.search, experiment=traced, counting=True, token=found.token).issues] == ["c"]
    judge(issues.update, made[1].id, status="resolved")
    assert [one.name for one in judge(issues.search, text="status = 'resolved'").issues] == ["b"]
    assert outsider(issues.search).issues == []
    with pytest.raises(NotFound):
        outsider(issues.get, made[0].id)
    with pytest.raises(Denied):
        reader(issues.update, made[0].id, status="rejected")
    for change in ({"status": "odd"}, {"severity": "odd"}, {"name": ""}):
        with pytest.raises(Invalid):
            judge(issues.update, made[0].id, **change)


def test_a_queue_asks_questions_about_traces(judge: Judge, outsider: Judge, traced: int) -> None:
    asked = label_schemas.LabelSchema(id="", experiment=traced, name="fine?", type="FEEDBACK", input={"text": {}})
    schema = judge(label_schemas.create, asked)
    with pytest.raises(Conflict):
        judge(label_schemas.create, asked)
    assert {one.name for one in judge(label_schemas.list_, traced).schemas} == {"fine?", "Feedback"}
    given = review_queues.ReviewQueue(id="", experiment=traced, name="Week", type="CUSTOM", users=["Ada "], schemas=[schema.id])
    queue = judge(review_queues.create, given)
    assert queue.users == ["ada"]
    with pytest.raises(NotFound):
        outsider(review_queues.get, queue.id)
    ids = [f"tr-{TRACE}", f"tr-{OTHER}"]
    judge(review_queues.add, queue.id, ids)
    with pytest.raises(NotFound):
        judge(review_queues.add, queue.id, ["tr-none"])
    judge(review_queues.set_status, queue.id, ids[0], "COMPLETE", "ada")
    assert judge(review_queues.set_status, queue.id, ids[0], "COMPLETE", "eve").completed_by == "ada"
    assert [one.status for one in judge(review_queues.add, queue.id, ids)] == ["COMPLETE", "PENDING"]
    assert [one.item for one in judge(review_queues.items, queue.id, status="PENDING").items] == ids[1:]
    judge(traces.delete, traced, ids=ids[1:])
    assert [one.item for one in judge(review_queues.items, queue.id).items] == ids[:1]
    judge(review_queues.delete, queue.id)
    with pytest.raises(NotFound):
        judge(review_queues.items, queue.id)


def test_what_people_said_becomes_rows_to_train_on(judge: Judge, outsider: Judge, traced: int) -> None:
    expected = AssessmentKind.EXPECTATION
    for one in (
        said(True), said(5, name="stars"), said(3, name="stars"), said("no", trace_id=f"tr-{OTHER}"),
        said(False, source_kind="LLM_JUDGE", name="judge"), said("better", expected, name="right"),
        said("answer 1", expected, name="right", trace_id=f"tr-{OTHER}"),
    ):  # fmt: skip
        judge(assessments.create, one)

    def rows(form: str, who: Judge = judge, **named: Any) -> list[feedback.Row]:
        return list(judge(lambda tx, _: list(feedback.rows(tx, who.actor, [traced], form, **named))))

    assert len(rows("assessments")) == 7
    # Twice liked is one row: a trainer would count it twice.
    assert [(row.prompt, row.completion, row.label) for row in rows("unpaired")] == [
        ("question 0", "answer 0", True),
        ("question 1", "answer 1", False),
    ]
    assert [(row.prompt, row.completion) for row in rows("completion")] == [("question 0", "better"), ("question 1", "answer 1")]
    # What was right already is no pair.
    assert [(row.chosen, row.rejected) for row in rows("preference")] == [("better", "answer 0")]
    assert {row.split for row in rows("assessments", holdout=100)} == {"holdout"}
    assert {row.split for row in rows("assessments", holdout=0)} == {"train"}
    assert rows("assessments", outsider) == []
    with pytest.raises(Invalid):
        rows("odd")


def test_a_correction_takes_the_place_of_what_it_overrides(judge: Judge, traced: int) -> None:
    first = judge(assessments.create, said(True))
    second = judge(assessments.create, said(False, overrides=first.id))
    valid = {one.id: one.valid for one in judge(traces.get, f"tr-{TRACE}").assessments}
    assert valid == {first.id: False, second.id: True}
    judge(assessments.delete, f"tr-{TRACE}", second.id)
    assert [one.valid for one in judge(traces.get, f"tr-{TRACE}").assessments] == [True]
    with pytest.raises(assessments.UnknownAssessment):
        judge(assessments.create, said(False, overrides="a-none"))
    with pytest.raises(Invalid):
        judge(assessments.update, f"tr-{TRACE}", first.id, assessments.Change(kind=AssessmentKind.EXPECTATION, value=1))


def test_what_was_removed_for_good_leaves_nothing_here(database: Database, judge: Judge, traced: int) -> None:
    judge(assessments.create, said(True, metadata={"mlflow.assessment.sourceRunId": "r1"}))
    judge(assessments.create, said(False))
    judge(scorers.register, traced, "safe", "{}")
    dataset = judge(datasets.create, "golden", experiments=[traced])
    judge(review_queues.of_user, traced, "ada")
    database.write(lambda tx: on_removed(tx, tracking.Removed(kind="run", identity="r1")))
    assert [one.value for one in judge(traces.get, f"tr-{TRACE}").assessments] == [False]
    database.write(lambda tx: on_removed(tx, tracking.Removed(kind="experiment", identity=str(traced))))
    for identity in (TRACE, OTHER):
        with pytest.raises(NotFound):
            judge(traces.get, f"tr-{identity}")
    assert judge(scorers.newest) == []
    assert judge(datasets.get, dataset.id).experiments == ()
    assert judge(review_queues.list_, traced).queues == []


def command(workspace: Workspace, *arguments: str) -> Any:
    runner = CliRunner()
    return runner.invoke(
        trace_command, list(arguments), obj=workspace, standalone_mode=False, catch_exceptions=False
    ).return_value


def test_traces_at_the_command_line(workspace: Workspace, judge: Judge, traced: int) -> None:
    judge(ingest.take_spans, traced, arrived(span(2, 1, name="tool", status=2)))
    judge(assessments.create, said(True))
    listed = command(workspace, "list", "--experiment", "chat")
    assert {one["trace"] for one in listed} == {f"tr-{TRACE}", f"tr-{OTHER}"}
    assert command(workspace, "list", "--experiment", str(traced)) == listed
    [found] = command(workspace, "search", "feedback.good = 'true'", "--experiment", "chat")
    assert (found["trace"], found["said"], found["request"]) == (f"tr-{TRACE}", 1, "question 0")
    shown = command(workspace, "show", f"tr-{TRACE}")
    assert isinstance(shown, Result)
    assert [one["span"] for one in shown.shown["spans"]] == ["span 1", "  tool"]
    lines = command(workspace, "export", "--experiment", "chat", "--form", "unpaired").splitlines()
    assert [json.loads(line)["label"] for line in lines] == [True]
    assert command(workspace, "delete", f"tr-{TRACE}", "tr-none", "--experiment", "chat").value == {"deleted": 1}
    with pytest.raises(NotFound):
        command(workspace, "show", f"tr-{TRACE}")
    with pytest.raises(click.BadParameter):
        command(workspace, "list", "--limit", "0")
    with pytest.raises(Invalid):
        command(workspace, "delete", "--experiment", "chat")


def test_old_traces_are_deleted_at_the_command_line(
    workspace: Workspace, clock: ManualClock, judge: Judge, traced: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "AT_ONCE", 1)
    judge(ingest.take_spans, traced, arrived(span(1, trace="ef" * 16, start=BEGAN + 86_400 * SECOND)))
    clock.advance_to((BEGAN + 2 * 86_400 * SECOND) // 1_000)
    assert command(workspace, "delete", "--older-than", "36h", "--experiment", "chat").value == {"deleted": 2}
    [left] = command(workspace, "list", "--experiment", "chat")
    assert left["trace"] == f"tr-{'ef' * 16}"
