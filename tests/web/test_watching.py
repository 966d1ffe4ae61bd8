"""What runs and how it is watched, in a real browser: deployments, monitors, alerts, episodes."""

import re
from collections.abc import Callable

from playwright.sync_api import expect
from tests.automation.test_learning import keep as keep_labels
from tests.web.conftest import Browse, Inspect, World

from perenne import registry, serving
from perenne.auth.principals import Principal, local_principal
from perenne.auth.sealing import seal_of
from perenne.automation import list_episodes
from perenne.core.clock import HOUR, MINUTE
from perenne.monitoring import alert_store
from perenne.monitoring.alerting import channels, silences, store
from perenne.monitoring.alerting.model import Options, Told, ToldState
from perenne.monitoring.alerting.targets import Target
from perenne.monitoring.model import Severity
from perenne.monitoring.silencing import read_matcher
from perenne.monitoring.store import window_labels
from perenne.serving import Deployment, ModelServer, Variant, rollouts
from perenne.serving.keeping import keep
from perenne.serving.model import Role as ServedAs
from perenne.serving.model import changed
from perenne.storage.database import Database, Transaction
from perenne.telemetry.heartbeats import Heartbeat


def test_the_deployments(browse: Browse, inspect: Inspect) -> None:
    page = browse("/deploy")
    expect(page.get_by_role("heading", name="Deployments", exact=True)).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("churn"))).to_contain_text("churn@1")
    inspect(page, "deployments")
    page.get_by_role("link", name=re.compile("churn")).first.click()
    expect(page).to_have_url(re.compile("/deploy/churn$"))


def test_a_deployment_with_its_traffic_and_how_to_call_it(browse: Browse, inspect: Inspect) -> None:
    page = browse("/deploy/churn")
    expect(page.get_by_role("table", name=None).first).to_contain_text("answers people")
    expect(page.get_by_role("img", name=re.compile("Latency by window"))).to_be_visible()
    expect(page.get_by_text("objective: at most 250 ms")).to_be_visible()
    expect(page.get_by_text("No model server of this deployment runs")).to_be_visible()
    expect(page.locator(".copy.block code")).to_contain_text('"monthly_fee"')
    page.get_by_role("tab", name="Python").click()
    expect(page).to_have_url(re.compile("call=python"))
    expect(page.locator(".copy.block code")).to_contain_text("urllib.request")
    expect(page.get_by_text("put in service")).to_be_visible()
    inspect(page, "deployment")


def test_a_running_model_server_gives_live_figures(browse: Browse, inspect: Inspect, world: World) -> None:
    settings = world.workspace.settings
    with (
        ModelServer(settings.releases / "churn", settings.logs, settings.spool, port=0) as server,
        Heartbeat(settings.home, "model-server", "churn", server.url, server.state),
    ):
        server.wait_ready()
        page = browse("/deploy/churn")
        row = page.get_by_role("row").filter(has_text=server.url)
        expect(row).to_contain_text("alive")
        expect(page.locator(".copy.block code")).to_contain_text(server.url)
        expect(page.get_by_role("link", name="the model server's own page")).to_have_attribute("href", f"{server.url}/docs")
        body = {"dataframe_records": [{"plan": "pro", "monthly_fee": 20.0, "calls": 3, "tenure_months": 9}]}
        assert page.request.post(f"{server.url}/invocations", data=body).status == 200
        expect(row).to_contain_text("1 answered")
        inspect(page, "deployment-live")


def test_a_person_stops_a_deployment_and_lets_it_go_on(browse: Browse, inspect: Inspect) -> None:
    page = browse("/deploy/churn")
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("textbox").fill("odd answers since the new prices")
    page.get_by_role("dialog").get_by_role("button", name="Stop").click()
    expect(page.get_by_role("region", name="Stopped")).to_contain_text("odd answers since the new prices")
    inspect(page, "deployment-stopped")
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(page.get_by_role("region", name="Stopped")).to_have_count(0)
    expect(page.get_by_role("region", name="History").get_by_role("listitem").first).to_contain_text("resumed")


def test_monitors_and_a_monitor(browse: Browse, inspect: Inspect) -> None:
    page = browse("/monitor")
    expect(page.get_by_role("row", name=re.compile("churn"))).to_contain_text("monthly_fee")
    inspect(page, "monitors")
    page.get_by_role("link", name=re.compile("churn")).first.click()
    expect(page.get_by_role("heading", name="Drift by feature")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("Drift over time"))).to_be_visible()
    expect(page.get_by_role("region", name="Features by drift and importance").get_by_role("row").nth(1)).to_contain_text(
        "monthly_fee"
    )
    page.get_by_role("combobox", name="Laid over").select_option("previous")
    expect(page.get_by_text("beside the window before")).to_be_visible()
    expect(page.get_by_role("img", name=re.compile("roc_auc by window"))).to_be_visible()
    expect(page.get_by_text("realised, from labels").first).to_be_visible()
    expect(page.get_by_text("estimated, from scores alone").first).to_be_visible()
    expect(page.get_by_role("heading", name="monthly_fee")).to_be_visible()
    inspect(page, "monitor")


def test_another_window_and_another_feature_have_an_address(browse: Browse) -> None:
    page = browse("/monitor/churn")
    page.get_by_label("Window", exact=True).select_option(index=12)
    expect(page).to_have_url(re.compile(r"window=\d+"))
    expect(page.get_by_role("heading", name="Window from 2026-03-05 00:00 UTC")).to_be_visible()
    page.get_by_label("Feature", exact=True).select_option("calls")
    expect(page).to_have_url(re.compile("feature=calls"))
    expect(page.get_by_role("heading", name="calls: Jensen–Shannon")).to_be_visible()


def test_alerts_are_answered_in_place(browse: Browse, inspect: Inspect, world: World) -> None:
    page = browse("/alert")
    drift = page.get_by_role("article", name="drift of churn")
    expect(drift).to_contain_text("median")
    expect(drift.get_by_role("link", name="the retraining it led to")).to_be_visible()
    inspect(page, "alerts")
    drift.get_by_role("button", name="Acknowledge").click()
    expect(drift).to_contain_text("is on it")
    drift.get_by_label("For how long").select_option("1d")
    drift.get_by_role("button", name="Silence").click()
    page.get_by_role("textbox").fill("the price list changed")
    page.get_by_role("dialog").get_by_role("button", name="Silence").click()
    expect(drift).to_contain_text("silent until 2026-03-19")
    page.get_by_label("State").select_option("ended")
    expect(page.get_by_text("No alert is like that")).to_be_visible()


def test_one_alert_in_full_with_who_was_told_and_what_people_wrote(browse: Browse, inspect: Inspect, world: World) -> None:
    workspace = world.workspace
    tell(world)
    with workspace.database.read() as tx:
        drift = next(alert for alert in alert_store.list_alerts(tx, "churn") if alert.rule == "drift")
    page = browse(f"/alert/{drift.id}")
    expect(page.get_by_role("heading", name="Drift · churn")).to_be_visible()
    expect(page.get_by_role("region", name="Who was told").first).to_contain_text("delivered")
    expect(page.get_by_role("region", name="Who was told").first).to_contain_text("given up")
    page.get_by_role("textbox", name="Comment").fill("the price list changed")
    page.get_by_role("button", name="Comment").click()
    expect(page.get_by_role("region", name="Comments")).to_contain_text("the price list changed")
    expect(page.get_by_role("region", name="What happened").first).to_contain_text("wrote to alert")
    inspect(page, "alert")
    page = browse("/alert?group=deployment")
    expect(page.get_by_role("heading", name=re.compile("^churn"))).to_be_visible()
    expect(page.get_by_role("region", name="Channels").first).to_contain_text("ops")
    inspect(page, "alerts-grouped")


def tell(world: World) -> None:
    """Declare channels, and tell them of the drift: one takes it, one does not."""
    workspace, now = world.workspace, world.workspace.clock.now()
    targets = {
        "pager": "log:",
        "ops": "https://hooks.example.org/T0/secret",
        "post": "smtp://mail.example.org?to=ops@example.org",
    }
    options = {
        "pager": Options(escalations_only=True),
        "ops": Options(escalate_to="pager", escalate_after=30 * MINUTE, at_least=Severity.WARNING),
        "post": Options(digest="daily", digest_below=Severity.CRITICAL, quiet="22:00-07:00", zone="Europe/Berlin"),
    }
    seal = seal_of(workspace.settings.home)

    def work(tx: Transaction) -> None:
        for name, url in targets.items():
            channels.add(tx, local_principal(), name, Target(url), options[name], seal=seal, now=now)
        drift = next(alert for alert in alert_store.list_alerts(tx, "churn") if alert.rule == "drift")
        refused = "hooks.example.org answered with status 500"
        for name, state, tries, error in (("ops", ToldState.FAILED, 5, refused), ("log", ToldState.DELIVERED, 1, "")):
            row = Told(
                alert=drift.id, key="k", channel=name, what="firing", queued=now - 2 * HOUR, state=state, attempts=tries,
                changed=now - HOUR, error=error,
            )  # fmt: skip
            store.add_told(tx, [row])
        matchers = [read_matcher("project=late")]
        silences.add(tx, local_principal(), until=now + HOUR, reason="the feed moves", now=now, matchers=matchers)

    workspace.database.write(work)


def test_episodes_and_policies(browse: Browse, inspect: Inspect) -> None:
    page = browse("/policy")
    expect(page.get_by_role("row", name=re.compile("awaiting approval"))).to_contain_text("churn@3")
    expect(page.get_by_text("crm-leads must approve.")).to_be_visible()
    inspect(page, "policies")
    page.get_by_label("State").select_option("rejected")
    expect(page.get_by_role("row", name=re.compile("churn@2"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("awaiting approval"))).to_have_count(0)


def test_a_rejected_episode_shows_where_it_left_the_line(browse: Browse, inspect: Inspect, world: World) -> None:
    with world.workspace.database.read() as tx:
        rejected = next(item for item in list_episodes(tx, "churn") if item.state == "rejected")
    page = browse(f"/policy/{rejected.id}")
    expect(page.locator(".states-branch")).to_contain_text("rejected")
    expect(page.get_by_role("link", name=re.compile("Alert: drift"))).to_be_visible()
    inspect(page, "episode-rejected")


def test_a_person_approves_and_the_page_follows(browse: Browse, inspect: Inspect, world: World) -> None:
    with world.workspace.database.read() as tx:
        waiting = next(item for item in list_episodes(tx, "churn") if item.open)
    page = browse(f"/policy/{waiting.id}")
    expect(page.locator("[aria-current=step]")).to_contain_text("awaiting approval")
    expect(page.get_by_text("better", exact=True).first).to_be_visible()
    inspect(page, "episode")
    page.get_by_role("button", name="Approve").click()
    page.get_by_role("textbox").fill("the new price list is in it")
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(page.get_by_text("the new price list is in it")).to_be_visible()
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)


def test_a_rollout_step_by_step(browse: Browse, inspect: Inspect, world: World) -> None:
    """A canary on the page: its share is changed with a reason, it is parked by the rules, compared by labels, and taken out."""
    database, person = world.workspace.database, local_principal()
    with database.read() as tx:
        versions = [version.id for version in registry.versions(tx, "churn", limit=10)]
        champion = serving.service.get_deployment(tx, "churn").champion.version
    crown = next(version for version in versions if version != champion)  # its gate is closed, the other one's is open
    made = Variant("champion", ServedAs.CHAMPION, crown, "a" * 64), Variant("", ServedAs.CANARY, champion, "b" * 64)
    before = change_deployment(
        database,
        person,
        lambda old: rollouts.following(old, rollouts.canaried(changed(old, variants=made[:1]), made[1], 0.1)),
        champion,
    )
    champion, other = crown, champion
    keep_labels(world.workspace, champion, "champion", [True] * 300, window=1, deployment="churn", reason="")
    keep_labels(
        world.workspace, other, "challenger", [True, True, True, True, False] * 60, window=1, deployment="churn", reason=""
    )
    try:
        page = browse("/deploy/churn")
        row = page.get_by_role("region", name="Versions of this deployment").get_by_role("row").filter(has_text="answers a share")
        expect(row).to_contain_text(re.compile("10.?%"))
        expect(page.get_by_role("row").filter(has_text="answers people")).to_contain_text(re.compile("90.?%"))
        expect(page.get_by_text("each request by weight")).to_be_visible()
        expect(page.get_by_text("Taken back by itself from 50 requests on")).to_be_visible()
        compared = page.get_by_role("region", name="Against the champion")
        expect(compared.get_by_role("img", name=re.compile(f"{other} on same rows: .20\\.0"))).to_be_visible()
        expect(compared).to_contain_text("worse")
        inspect(page, "deployment-canary")
        row.get_by_label(f"Share of callers for {other}").select_option("0.25")
        row.get_by_role("button", name="Set").click()
        page.get_by_role("dialog").get_by_role("textbox").fill("a quiet day")
        page.get_by_role("dialog").get_by_role("button", name="Set").click()
        expect(row).to_contain_text(re.compile("25.?%"))
        expect(page.get_by_role("region", name="History").get_by_role("listitem").first).to_contain_text("a quiet day")
        change_deployment(database, person, lambda made: rollouts.parked(made, other, "60 of 60 requests failed"), other)
        page = browse("/deploy/churn")
        expect(page.get_by_text("60 of 60 requests failed").first).to_be_visible()
        inspect(page, "deployment-parked")
        page.get_by_role("region", name="Versions of this deployment").get_by_role("button", name="Remove").click()
        page.get_by_role("dialog").get_by_role("textbox").fill("it failed")
        page.get_by_role("dialog").get_by_role("button", name="Remove").click()
        expect(page.get_by_text("answers a share of the callers")).to_have_count(0)
    finally:
        database.write(lambda tx: tx.execute(window_labels.delete().where(window_labels.c.window_start == HOUR)))
        change_deployment(database, person, lambda made: rollouts.undone(made, before), champion)


def change_deployment(
    database: Database, person: Principal, rule: Callable[[Deployment], Deployment], version: str
) -> Deployment:
    """Change the deployment by a rule; return what it was."""

    def work(tx: Transaction) -> Deployment:
        present = serving.service.get_deployment(tx, "churn")
        keep(tx, person, present, rule(present), "canary_set", version, "for the test")
        return present

    return database.write(work)
