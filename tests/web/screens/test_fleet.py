"""The home page's payload: what asking each domain for each thing gives, the worst first, in as many statements as for few."""

import pytest
from tests.automation.fleet import Fleet
from tests.automation.test_overview import counted, needs_of_one

from perenne import monitoring, registry, serving
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.automation import WORST_FIRST
from perenne.core.clock import HOUR
from perenne.core.errors import NotFound
from perenne.core.stages import Stage
from perenne.monitoring import alert_store, row_store, store
from perenne.monitoring.model import (
    CHAMPION,
    Alert,
    AlertState,
    Severity,
    Stream,
    Window,
    WindowKey,
    WindowMetric,
    WindowState,
    WindowVerdict,
)
from perenne.projects import Objective
from perenne.registry import Evidence, Verdict
from perenne.storage import outbox
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace
from perenne.web.screens.fleet import DeploymentRow, FleetView, first_objective, fleet_view
from perenne.web.screens.needs import SHOWN, evidence_sentence

MANY = 30


@pytest.fixture
def fleet(workspace: Workspace, actor: Principal) -> Fleet:
    return Fleet(workspace, actor, seed=21)


def seen(workspace: Workspace, actor: Principal, **window: int) -> FleetView:
    with workspace.database.read() as tx:
        return fleet_view(tx, actor, **window)


def state_of_one(tx: Transaction, name: str) -> str:
    """Say how a deployment stands, asked for it alone."""
    stopped = serving.service.get_deployment(tx, name).stop is not None
    firing = any(line.fired is not None for line in monitoring.summary.open_lines(tx, [name]))
    if firing:
        return "alarm"
    if stopped:
        return "stopped"
    try:
        return monitoring.service.deployment_health(tx, name).state
    except NotFound:
        return "warn" if monitoring.summary.open_lines(tx, [name]) else "none"


def test_every_deployment_is_there_the_worst_first(workspace: Workspace, actor: Principal, fleet: Fleet) -> None:
    fleet.build(MANY)
    found = seen(workspace, actor)
    with workspace.database.read() as tx:
        expected = {item.name: state_of_one(tx, item.name) for item in serving.service.deployments(tx)}
    assert len(set(expected.values())) >= 4, "the fleet is mixed"
    assert {row.name: row.state for row in found.rows} == expected
    assert [row.name for row in found.rows] == sorted(expected, key=lambda name: (WORST_FIRST.index(expected[name]), name))
    assert found.total == len(expected) == sum(found.states.values())
    assert all(row.tone == "crit" for row in found.rows if row.state in ("alarm", "stopped"))
    assert all(row.why for row in found.rows if row.state in ("alarm", "stopped"))


def test_windows_of_deployments_make_the_whole(workspace: Workspace, actor: Principal, fleet: Fleet) -> None:
    fleet.build(MANY)
    whole = seen(workspace, actor).rows
    assert len(whole) > 4
    parts = [seen(workspace, actor, offset=place, limit=3).rows for place in range(0, len(whole) + 3, 3)]
    assert [row for part in parts for row in part] == list(whole)


def test_a_row_says_who_answers_since_when_and_what_was_asked(workspace: Workspace, actor: Principal, fleet: Fleet) -> None:
    fleet.build(MANY)
    with workspace.database.read() as tx:
        for row in seen(workspace, actor).rows:
            deployment = serving.service.get_deployment(tx, row.name)
            assert row.champion.version == deployment.champion.version
            assert row.champion.created == registry.get_version(tx, row.champion.version).created
            verdicts = monitoring.summary.champion_verdicts(tx, row.name, 24)
            if row.recently is None:
                assert not verdicts
                continue
            starts = [row.recently.start - back * row.recently.length for back in row.recently.back]
            assert list(zip(starts, row.recently.states, strict=True)) == [
                (item.window_start, item.state.value) for item in reversed(verdicts)
            ]
            assert row.recently.rows == (7,) * len(verdicts)


def test_what_needs_somebody_is_what_each_domain_says_and_carries_its_request(
    workspace: Workspace, actor: Principal, fleet: Fleet
) -> None:
    names = fleet.build(5)
    found = seen(workspace, actor)
    assert 0 < len(found.needs) < SHOWN, "all are shown"
    with workspace.database.read() as tx:
        deployed = {item.name for item in serving.service.deployments(tx)}
        expected = {command.rsplit(" ", 1)[1] for name in names for _, command in needs_of_one(tx, name)}
    assert {need.id for need in found.needs} == expected
    assert found.more_needs == 0
    assert [need.urgency for need in found.needs] == sorted(need.urgency for need in found.needs)
    for need in found.needs:
        assert need.project in ({need.id.partition("@")[0]} if need.kind == "version" else {need.title, ""})
        assert need.kind == "version" or (need.project != "") == (need.title in deployed)
        labels = [button.label for button in need.buttons]
        assert labels == {"version": ["Approve", "Reject"], "alert": ["Acknowledge", "Silence 1 h"]}[need.kind]
        assert all(need.id in button.path for button in need.buttons)


def test_more_projects_need_no_more_statements(workspace: Workspace, actor: Principal, fleet: Fleet) -> None:
    def statements() -> int:
        with counted(workspace) as sent:
            seen(workspace, actor)
        return len(sent)

    fleet.build(MANY)
    few = statements()
    fleet.build(MANY, first=MANY)
    assert statements() == few
    assert 10 < few <= 40


def test_who_is_limited_to_projects_sees_no_other_and_no_trail(workspace: Workspace, actor: Principal, fleet: Fleet) -> None:
    fleet.build(MANY)
    whole = seen(workspace, actor)
    mine = whole.rows[0].project
    limited = Principal("eve", roles=frozenset(Role), projects=frozenset({mine}))
    workspace.database.write(lambda tx: tx.execute(outbox.table.insert(), SET_ASIDE).rowcount)
    found = seen(workspace, limited)
    assert {row.project for row in found.rows} == {mine}
    assert {need.project for need in found.needs} <= {mine}
    assert (found.projects, found.audit) == (1, None)
    assert found.stages[0].figure == 1
    assert sum(part.count for part in next(s for s in found.stages if s.stage is Stage.SERVE).parts) == len(found.rows)
    assert next(row for row in whole.rows if row.project == mine) in found.rows


SET_ASIDE = {"name": "drift.found", "payload": "{}", "created": 1, "due": 1, "state": "set_aside", "attempts": 8, "error": "no"}


def test_an_event_that_was_set_aside_can_be_tried_again(workspace: Workspace, actor: Principal) -> None:
    workspace.database.write(lambda tx: tx.execute(outbox.table.insert(), SET_ASIDE).rowcount)
    (need,) = seen(workspace, actor).needs
    assert (need.kind, [button.path for button in need.buttons]) == ("event", ["/api/events/1/retry", "/api/events/1/drop"])
    viewer = Principal("vic", roles=frozenset({Role.VIEWER}))
    (need,) = seen(workspace, viewer).needs
    assert not any(button.allowed for button in need.buttons)


def test_the_trail_is_for_who_may_read_it(workspace: Workspace, actor: Principal) -> None:
    workspace.database.write(lambda tx: audit.record(tx, actor, "version.approve", "version", "p@1", reason="good"))
    found = seen(workspace, actor).audit
    assert found is not None and [row.told.sentence for row in found] == [f"{actor.name} approved p@1: good"]
    assert seen(workspace, Principal("vic", roles=frozenset({Role.VIEWER}))).audit is None


def test_nothing_at_all_is_all_zeroes(workspace: Workspace, actor: Principal) -> None:
    found = seen(workspace, actor)
    assert (found.rows, found.total, found.needs, found.audit) == ((), 0, (), ())
    assert [stage.figure for stage in found.stages] == [0] * len(found.stages)
    assert not any(stage.parts for stage in found.stages)


def test_the_parts_of_a_stage_are_counts_of_what_there_is(workspace: Workspace, actor: Principal, fleet: Fleet) -> None:
    names = fleet.build(MANY)
    found = seen(workspace, actor)
    stages = {item.stage: item for item in found.stages}
    with workspace.database.read() as tx:
        versions = [item for name in names for item in registry.versions(tx, name)]
    assert sum(part.count for part in stages[Stage.ORIGINATE].parts) == found.projects == MANY
    assert sum(part.count for part in stages[Stage.REVIEW].parts) == len(versions)
    assert stages[Stage.REVIEW].figure == sum(need.kind == "version" for need in found.needs)
    for stage in (Stage.SERVE, Stage.MONITOR):
        assert sum(part.count for part in stages[stage].parts) == found.total


# --- one deployment, followed through its windows


def serve(workspace: Workspace, actor: Principal, fleet: Fleet) -> str:
    """Return a project that serves and is watched, with an objective on the area under the curve."""
    fleet.build(MANY)
    with workspace.database.read() as tx:
        watched = set(monitoring.summary.watched(tx))
        return next(item.name for item in serving.service.deployments(tx) if item.name in watched and item.stop is None)


def judged(workspace: Workspace, name: str, start: int, *, rows: int, labelled: int, value: float) -> None:
    """Let a window be judged, with what its labels say."""

    def work(tx: Transaction) -> None:
        version = serving.service.get_deployment(tx, name).champion.version
        key = WindowKey(Stream(name, CHAMPION, version), start, HOUR)
        latency = (0,) * 20 + (95, 5) + (0,) * 20
        window = monitoring_window(key, rows, latency)
        store.save_window(tx, window)
        store.mark_judged(tx, key, 1)
        store.save_verdict(
            tx,
            WindowVerdict(
                deployment=name, variant=CHAMPION, version=version, window_start=start, window_length=HOUR, span_start=start,
                revision=1, state=WindowState.WARN, rows=rows, needed_rows=1, dropped_share=0.0,
            ),
        )  # fmt: skip
        metric = WindowMetric(
            deployment=name, variant=CHAMPION, version=version, window_start=start, window_length=HOUR, metric="roc_auc",
            n_labelled=labelled, rows_labelled=labelled, watermark=0, value=value, low=value - 0.1, high=value + 0.1,
        )  # fmt: skip
        row_store.replace_metrics(tx, key, [metric])

    workspace.database.write(work)


def monitoring_window(key: WindowKey, rows: int, latency: tuple[int, ...]) -> Window:
    return Window(
        deployment=key.stream.deployment, variant=CHAMPION, version=key.stream.version, window_start=key.start,
        window_length=HOUR, reference="", rows=rows, dropped=0, errors=25, first=0, last=0, latency=latency, agreed=0, compared=0,
        profile=b"", revision=1,
    )  # fmt: skip


def row_of(workspace: Workspace, actor: Principal, name: str) -> DeploymentRow:
    return next(row for row in seen(workspace, actor).rows if row.name == name)


def test_quality_is_what_labels_said_last_where_enough_of_them_came(workspace: Workspace, actor: Principal, fleet: Fleet) -> None:
    name = serve(workspace, actor, fleet)
    first = 100 * HOUR
    for place in range(30):
        judged(workspace, name, first + place * HOUR, rows=75, labelled=60 if place < 28 else 3, value=0.5 + place / 100)
    row = row_of(workspace, actor, name)
    assert row.quality is not None and row.recently is not None
    assert (row.quality.source, row.quality.start, round(row.quality.value, 3)) == ("realised", first + 27 * HOUR, 0.77)
    assert round(row.quality.margin, 3) == 0.17, "0.6 is asked for"
    assert (len(row.recently.back), row.recently.back[0], row.recently.start) == (24, 23, first + 29 * HOUR)
    assert row.recently.error_rate == 0.25
    assert row.recently.per_second == 100 / 3600
    assert row.recently.p95_ms is not None and 7 < row.recently.p95_ms <= 10.24


def test_without_labels_in_recent_windows_nothing_is_claimed(workspace: Workspace, actor: Principal, fleet: Fleet) -> None:
    name = serve(workspace, actor, fleet)
    for place in range(30):
        judged(workspace, name, (100 + place) * HOUR, rows=75, labelled=60 if place < 5 else 0, value=0.9)
    assert row_of(workspace, actor, name).quality is None


def test_an_alarm_is_called_by_what_fires(workspace: Workspace, actor: Principal, fleet: Fleet) -> None:
    name = serve(workspace, actor, fleet)

    def fire(rule: str) -> None:
        row = Alert(
            id=f"01{rule.upper():0<24.24}", deployment=name, version=f"{name}@1", rule=rule, state=AlertState.FIRING,
            severity=Severity.CRITICAL, since=0, latest=0, summary=f"{rule} is wrong", opened=1, fired=2,
        )  # fmt: skip
        workspace.database.write(lambda tx: alert_store.save_alert(tx, row))

    fire("drift")
    assert row_of(workspace, actor, name).word == "drifting"
    fire("objective:roc_auc:realised")
    assert row_of(workspace, actor, name).word == "missed"
    fire("guardrail:loss:measured")
    assert row_of(workspace, actor, name).word == "breached"


def test_the_objective_shown_is_the_first_on_all_answers() -> None:
    latency, slice_, whole = (
        Objective("latency_p99_ms", at_most=9),
        Objective("f1", at_least=0.1, by="x"),
        Objective("f1", at_least=0.2),
    )
    assert first_objective((latency, slice_, whole)) == whole
    assert first_objective((latency, slice_)) == latency
    assert first_objective(()) is None


def test_evidence_is_told_in_a_sentence(workspace: Workspace, actor: Principal) -> None:
    items = [
        Evidence(check="parity: x", verdict=Verdict.PASS),
        Evidence(check="objective: auc ≥ 0.7", verdict=Verdict.PASS, value=0.9123),
    ]
    against = Evidence(
        check="compare: better than p@1", verdict=Verdict.PASS, detail="auc 0.91 against 0.90 on the same 480 rows"
    )

    def sentence(required: tuple[str, ...], *evidence: Evidence) -> str:
        policy = registry.GatePolicy(required, "ops")

        def work(tx: Transaction) -> str:
            number = len(registry.versions(tx, "p"))
            version = registry.register(
                tx, actor, model="p", project="p", run="r", tree=f"{number}", reference="", snapshot="", policy=policy,
                evidence=evidence,
            )  # fmt: skip
            return evidence_sentence(registry.dossier(tx, version.id))

        return workspace.database.write(work)

    checks = tuple(item.check for item in items)
    assert sentence(checks, *items) == "2 of 2 checks passed; auc ≥ 0.7 came to 0.912."
    assert (
        sentence((*checks, against.check), *items, against) == "3 of 3 checks passed; auc 0.91 against 0.90 on the same 480 rows."
    )
    assert sentence(checks) == "0 of 2 checks passed."
    assert sentence(()) == "no check was asked for."
