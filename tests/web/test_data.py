"""The screens of data in the browser: the list, a dataset, its columns opened in place, and names that would like to be code."""

import re

import pyarrow as pa
import pytest
from playwright.sync_api import Page, expect
from tests.data.test_views import HOSTILE, keep
from tests.web.conftest import Browse, Inspect, World

from perenne.auth.principals import local_principal
from perenne.data import summary


def snapshots(world: World) -> list[str]:
    with world.workspace.database.read() as tx:
        return [item.id for item in summary.newest(tx, "subscriptions", limit=9)]


def column(page: Page, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def test_datasets_lead_to_their_pages(browse: Browse, inspect: Inspect) -> None:
    page = browse("/data")
    row = page.get_by_role("row", name=re.compile("subscriptions"))
    expect(row).to_contain_text("1 warning")
    expect(row).to_contain_text("churn")
    expect(row).to_contain_text("13.2 k")
    inspect(page, "datasets")
    row.get_by_role("link").click()
    expect(page).to_have_url(re.compile("/data/subscriptions$"))
    expect(page.get_by_role("heading", name="subscriptions")).to_be_visible()


def test_a_dataset_is_found_by_a_part_of_its_name(browse: Browse) -> None:
    page = browse("/data")
    page.get_by_role("searchbox", name="Find a dataset").fill("flat")
    expect(page.get_by_text("1 dataset", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(r"find=flat$"))
    page.get_by_role("searchbox", name="Find a dataset").fill("nothing at all")
    expect(page.get_by_text("No dataset is called so")).to_be_visible()


def test_a_column_opens_in_place_and_has_an_address(browse: Browse, inspect: Inspect) -> None:
    page = browse("/data/subscriptions")
    column(page, "monthly_fee")
    expect(page).to_have_url(re.compile(r"column=monthly_fee$"))
    figure = page.get_by_role("figure", name="histogram of monthly_fee")
    expect(figure).to_be_visible()
    page.reload()
    expect(figure).to_be_visible()
    expect(page.get_by_text("such as row")).to_be_visible()
    figure.get_by_text("As a table").click()
    expect(figure.get_by_role("row")).not_to_have_count(0)
    column(page, "monthly_fee")
    expect(figure).to_have_count(0)
    column(page, "plan")
    expect(page.get_by_role("figure", name="histogram of plan").get_by_text("basic", exact=True).first).to_be_visible()
    inspect(page, "dataset")


def test_another_snapshot_beside_it_shows_what_differs_most_first(browse: Browse, world: World, inspect: Inspect) -> None:
    first = snapshots(world)[-1]
    page = browse("/data/subscriptions")
    page.get_by_role("combobox", name="Compare with").select_option(first)
    expect(page).to_have_url(re.compile(f"against={first}"))
    opens = page.locator(".data-opens")
    expect(opens.first).to_contain_text("monthly_fee")
    expect(page.get_by_text("median", exact=False).first).to_be_visible()
    opens.first.click()
    figure = page.get_by_role("figure", name="histogram of monthly_fee")
    expect(figure.locator("path.before")).to_have_count(1)
    bars = figure.get_by_role("img")
    bars.hover(position={"x": 40, "y": 40})
    expect(figure.locator(".overlay-here")).to_contain_text(f"snapshot {first[:12]}")
    inspect(page, "dataset-compared")


@pytest.mark.parametrize("name", HOSTILE, ids=["code", "empty", "long", "emoji", "sql", "lines"])
def test_hostile_names_are_shown_as_they_are(browse: Browse, world: World, name: str) -> None:
    dataset = "<img src=x onerror=alert(1)>/and?more#1"
    keep(world.workspace, local_principal(), pa.table({text: [1.5, 2.5, None] for text in HOSTILE}), dataset)
    page = browse("/data")
    page.on("dialog", lambda dialog: pytest.fail(f"it ran: {dialog.message}"))
    page.get_by_role("link", name=dataset).click()
    expect(page.get_by_role("heading", name=dataset)).to_be_visible()
    opens = page.locator(".data-opens").nth(HOSTILE.index(name))
    opens.click()
    expect(page.locator(".data-detail figure")).to_be_visible()
    shown = {"": "empty name", "a\nb": "a␊b"}.get(name, name[:300])
    expect(opens).to_contain_text(shown)


def test_thousands_of_columns_come_a_page_at_a_time(browse: Browse, world: World) -> None:
    keep(world.workspace, local_principal(), pa.table({f"c{number}": [number, 2] for number in range(2_000)}), "wide")
    page = browse("/data/wide")
    expect(page.get_by_text("1 – 200 of 2,000 columns")).to_be_visible()
    expect(page.locator(".data-opens")).to_have_count(200)
    page.get_by_role("button", name="Further").click()
    expect(page.get_by_text("201 – 400 of 2,000 columns")).to_be_visible()
    page.get_by_role("searchbox", name="Find a column").fill("c1999")
    expect(page.locator(".data-opens")).to_have_count(1)


def test_a_snapshot_nobody_looked_into_says_what_to_do(browse: Browse, world: World) -> None:
    taken = keep(world.workspace, local_principal(), pa.table({"x": [1, 2]}), "plain", look=False)
    page = browse(f"/data/snapshot/{taken.id}")
    expect(page.get_by_text("Nobody has looked into these rows yet")).to_be_visible()
    expect(page.get_by_text(f"perenne data profile {taken.id[:12]}")).to_be_visible()
