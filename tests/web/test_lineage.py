"""The graph of lineage in the browser, and the same as a list."""

import re
from pathlib import Path

from playwright.sync_api import expect
from tests.web.conftest import Browse, Inspect
from tests.web.control_plane import control_plane

from perenne.core.config import load_settings
from perenne.storage.workspace import Workspace


def test_lineage_starts_from_the_newest_and_leads_on(browse: Browse, inspect: Inspect) -> None:
    page = browse("/lineage")
    expect(page.get_by_role("region", name="Snapshots")).to_contain_text("subscriptions")
    inspect(page, "lineage-start")
    page.get_by_role("link", name="churn@3").click()
    expect(page.get_by_role("heading", name="Lineage of churn@3")).to_be_visible()
    expect(page).to_have_url(re.compile("/lineage/version/churn(@|%40)3$"))


def test_the_graph_has_the_same_links_as_the_list(browse: Browse, inspect: Inspect) -> None:
    page = browse("/lineage/version/churn@1")
    links = page.get_by_role("region", name="Links")
    expect(links.get_by_role("row", name=re.compile(r"subscriptions snapshot\s+trained\s+churn@1"))).to_be_visible()
    graph = page.get_by_role("region", name="Graph")
    expect(graph.get_by_role("link", name=re.compile("subscriptions"))).to_be_visible()
    inspect(page, "lineage")
    graph.get_by_role("link", name=re.compile("subscriptions")).click()
    expect(page.get_by_role("heading", name="Lineage of subscriptions")).to_be_visible()
    page.get_by_role("combobox", name="Depth").select_option("1")
    expect(page).to_have_url(re.compile(r"depth=1$"))
    expect(links.get_by_text("serves in")).to_have_count(0)
    page.get_by_role("link", name="Open snapshot").click()
    expect(page).to_have_url(re.compile("/data/snapshot/"))
    expect(page.get_by_role("heading", name="subscriptions")).to_be_visible()


def test_where_there_is_nothing_yet_it_says_how_to_begin(browse: Browse, tmp_path: Path) -> None:
    settings = load_settings(tmp_path, {})
    settings.home.mkdir(parents=True, exist_ok=True)
    with Workspace(settings) as workspace, control_plane(workspace) as url:
        for path, title in (
            ("/data", "No data yet"),
            ("/why", "Nothing is deployed yet"),
            ("/lineage", "Nothing has come of anything yet"),
        ):
            page = browse(path, url)
            expect(page.get_by_text(title)).to_be_visible()
            expect(page.locator(".empty code").first).to_contain_text("perenne ")
            page.close()
