"""The home page in the browser: what it tells, and the decisions that are made on it."""

import json
import re

from playwright.sync_api import Page, expect
from tests.web.conftest import Browse, Inspect, World

from perenne import registry
from perenne.auth import audit
from perenne.monitoring.service import open_alerts
from perenne.registry import GateState


def row(page: Page, name: str) -> str:
    found = page.get_by_role("region", name="Deployments, worst first").get_by_role("row").filter(has_text=name)
    return found.inner_text()


def test_the_home_page_tells_how_everything_stands(browse: Browse, inspect: Inspect) -> None:
    page = browse("/")
    expect(page.get_by_role("heading", name="Fleet")).to_be_visible()
    expect(page.get_by_text("2 models in service: 1 in alarm")).to_be_visible()
    stages = page.get_by_role("navigation", name="The loop").get_by_role("link")
    expect(stages).to_have_count(7)
    expect(stages.nth(0)).to_contain_text(re.compile(r"Originate\s*3"))
    told = row(page, "churn")
    assert "missed" in told and "240" in told and "v1" in told and re.search(r"p95|ms", told), told
    expect(page.get_by_role("img", name=re.compile("^drift of churn: .* drifted"))).to_be_visible()
    assert "no data yet" in row(page, "rents"), "what nobody asks is not called healthy"
    inspect(page, "fleet")


def test_a_deployment_and_a_stage_lead_on(browse: Browse) -> None:
    page = browse("/")
    page.get_by_role("link", name="Originate").click()
    expect(page).to_have_url(re.compile("/project$"))
    page.go_back()
    page.get_by_role("region", name="Deployments, worst first").get_by_role("link", name="churn crm").click()
    expect(page).to_have_url(re.compile("/monitor/churn$"))


def test_newest_audit_records_stand_in_words(browse: Browse) -> None:
    page = browse("/")
    trail = page.get_by_role("region", name="Audit")
    expect(trail.get_by_role("listitem")).to_have_count(10)
    trail.get_by_role("link", name=re.compile("^record ")).first.click()
    expect(page.get_by_role("complementary", name=re.compile("^Record "))).to_be_visible()


def need(page: Page, title: str) -> "Page":
    return page.get_by_role("listitem").filter(has=page.get_by_role("link", name=title))  # type: ignore[return-value]


def test_an_alert_is_acknowledged_in_place(browse: Browse, world: World) -> None:
    with world.workspace.database.read() as tx:
        alerts = [alert for alert in open_alerts(tx) if alert.fired and not alert.acknowledged_by]
    page = browse("/")
    buttons = page.get_by_role("button", name="Acknowledge")
    expect(buttons).to_have_count(len(alerts))
    buttons.first.click()
    expect(buttons).to_have_count(len(alerts) - 1)
    with world.workspace.database.read() as tx:
        left = [alert for alert in open_alerts(tx) if alert.fired and not alert.acknowledged_by]
        assert len(left) == len(alerts) - 1
        assert audit.trail(tx, limit=1)[0].action == "alert.acknowledge"


def test_silencing_asks_why_first(browse: Browse, world: World) -> None:
    page = browse("/")
    page.get_by_role("button", name="Silence 1 h").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Silence 1 h").click()
    expect(dialog).to_be_visible()
    dialog.get_by_role("textbox").fill("we know")
    dialog.get_by_role("button", name="Silence 1 h").click()
    expect(dialog).to_have_count(0)
    expect(page.get_by_role("status").filter(has_text="is done")).to_be_visible()
    with world.workspace.database.read() as tx:
        newest = audit.trail(tx, limit=1)[0]
    assert (newest.action, newest.reason) == ("alert.silence", "we know")


def test_a_waiting_version_is_approved_in_place_and_the_page_follows(browse: Browse, world: World) -> None:
    page = browse("/")
    needs = page.get_by_role("region", name="Needs you")
    waiting = needs.get_by_role("listitem").filter(has_text="churn@3")
    expect(waiting).to_contain_text(re.compile(r"7 of 7 checks passed; roc_auc 0\.\d+ against 0\.\d+ on the same \d+ rows"))
    waiting.get_by_role("button", name="Approve").click()
    page.get_by_role("dialog").get_by_role("textbox").fill("better on the same rows")
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(waiting).to_have_count(0)
    expect(page.get_by_role("region", name="Audit").get_by_text("approved").first).to_be_visible()
    with world.workspace.database.read() as tx:
        found = registry.dossier(tx, "churn@3")
    assert (found.gate.state, found.decisions[0].reason) == (GateState.OPEN, "better on the same rows")


def test_many_deployments_come_in_windows(browse: Browse, world: World) -> None:
    page = browse("/settings/none")
    answer = page.request.get(f"{world.url}/api/view/").json()
    more = {**answer, "total": 451, "rows": [{**answer["rows"][0], "name": f"m{place}"} for place in range(200)]}
    page.route(
        re.compile(r"/api/view/(\?.*)?$"), lambda route: route.fulfill(body=json.dumps(more), content_type="application/json")
    )
    page.goto(f"{world.url}/")
    expect(page.get_by_text("1–200 of 451")).to_be_visible()
    with page.expect_request(re.compile(r"/api/view/\?offset=200$")):
        page.get_by_role("link", name="Better").click()
    expect(page.get_by_text("201–400 of 451")).to_be_visible()


def test_the_palette_finds_things_by_a_piece_of_their_name(browse: Browse) -> None:
    page = browse("/")
    expect(page.get_by_role("heading", name="Fleet")).to_be_visible()
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Go to").fill("churn@")
    results = page.get_by_role("listbox", name="Results").get_by_role("option")
    expect(results).to_have_text([re.compile(rf"churn@{number}version") for number in (1, 2, 3)])
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/model/churn\?version=2$"))
