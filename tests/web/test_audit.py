"""The page of the audit trail in the browser."""

import re

from playwright.sync_api import expect
from tests.web.conftest import Browse, Inspect, World

from perenne.auth import audit


def test_the_trail_is_a_grid_of_sentences_over_a_verified_chain(browse: Browse, inspect: Inspect, world: World) -> None:
    with world.workspace.database.read() as tx:
        last = audit.head(tx)
    assert last is not None
    page = browse("/audit")
    expect(page.get_by_text(f"chain verified up to record {last.seq}")).to_be_visible()
    grid = page.get_by_role("grid", name="Audit records")
    expect(grid).to_have_attribute("aria-rowcount", str(last.seq + 1))
    expect(grid.get_by_role("row").nth(1)).to_contain_text(str(last.seq))
    inspect(page, "audit")


def test_filters_are_in_the_address(browse: Browse) -> None:
    page = browse("/audit?entity=version&text=approve")
    rows = page.get_by_role("grid", name="Audit records").get_by_role("row")
    expect(rows).to_have_count(2)
    expect(rows.nth(1)).to_contain_text(re.compile("approved churn@1.*looks right"))
    page.get_by_role("combobox", name="Kind of thing").select_option("alert")
    expect(page).to_have_url(re.compile("entity=alert"))
    expect(page.get_by_text("No record fits")).to_be_visible()
    page.get_by_role("searchbox", name="Filter by action, id or reason").fill("firing")
    expect(rows.nth(1)).to_contain_text("raised the alert on churn")


def test_a_record_opens_beside_the_grid_by_its_address(browse: Browse, inspect: Inspect) -> None:
    page = browse("/audit?entity=version&text=approve")
    grid = page.get_by_role("grid", name="Audit records")
    expect(grid.get_by_role("row")).to_have_count(2)
    grid.focus()
    page.keyboard.press("Enter")
    panel = page.get_by_role("complementary", name=re.compile("^Record"))
    expect(panel).to_contain_text(re.compile("approved churn@1: looks right"))
    expect(panel).to_contain_text("verified")
    expect(page).to_have_url(re.compile(r"entity=version&text=approve&record=\d+$"))
    inspect(page, "audit-record")
    expect(panel.get_by_role("link", name="churn@1")).to_have_attribute("href", "/model/churn?version=1")
    panel.get_by_role("link", name="Close the record").click()
    expect(panel).to_have_count(0)
    expect(page).to_have_url(re.compile(r"/audit\?entity=version&text=approve$"))
