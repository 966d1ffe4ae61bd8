"""The graph of lineage in the browser, and the same as a list."""

import re

from playwright.sync_api import expect
from tests.web.conftest import Browse, Inspect


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
