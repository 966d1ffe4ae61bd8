"""The parts screens are made of, each by itself, in the browser."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect
from tests.web.conftest import Browse, Inspect

DRAW = """
async (base) => {
  const load = (name) => import(base + name);
  const names = ["dom.js", "parts.js", "grid.js", "charts/lines.js", "charts/sparkline.js", "charts/strip.js"];
  const [dom, parts, grid, lines, sparkline, strip] = await Promise.all(names.map(load));
  const { html } = dom, { Grid } = grid, { Lines } = lines, { Sparkline } = sparkline, { Strip } = strip;
  const { Action, Bound, Card, Chip, State, Table, Tabs } = parts;
  const calls = (window.calls = []);
  const place = document.getElementById("main");
  place.replaceChildren();
  dom.render(SOURCE, place);
}
"""


@pytest.fixture
def draw(browse: Browse) -> Any:
    """Draw an expression of `html` in the place of the screen."""

    def draw(source: str, routes: dict[str, Any] | None = None) -> Page:
        page = browse("/settings/none")
        for path, answer in (routes or {}).items():
            page.route(path, answer)
        base = page.evaluate("document.querySelector('script[type=module]').getAttribute('src').replace('main.js', '')")
        page.evaluate(DRAW.replace("SOURCE", source), base)
        return page

    return draw


def test_a_table_leads_where_its_rows_lead(draw: Any, inspect: Inspect) -> None:
    page = draw(
        """html`<${Card} title="Table" flush=${true}><${Table} label="things" columns=${[{key: "name", title: "name"},
        {key: "size", title: "size", num: true}]} rows=${[{name: "one", size: 1.5}, {name: "two", size: null}]}
        rowHref=${(row) => "/settings/" + row.name} /><//>`"""
    )
    expect(page.get_by_role("row", name="two –")).to_be_visible()
    page.get_by_text("1.50").click()
    expect(page).to_have_url(re.compile(r"/settings/one$"))


def test_an_action_asks_says_what_went_wrong_and_is_busy_meanwhile(draw: Any) -> None:
    page = draw(
        """html`<${Action} label="Roll back" confirm="Roll back to version 1?" reason="Why" required=${true}
        run=${async (why) => { calls.push(why);
          if (why === "bad") throw Object.assign(new Error("it is not there"), {hint: "look"}); }} />`"""
    )
    page.get_by_role("button", name="Roll back").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Roll back").click()
    expect(dialog).to_be_visible()
    dialog.get_by_label("Why").fill("bad")
    dialog.get_by_role("button", name="Roll back").click()
    expect(page.get_by_text("it is not there (look)")).to_be_visible()
    page.get_by_role("button", name="Roll back").click()
    dialog.get_by_label("Why").fill("good")
    dialog.get_by_label("Why").press("Tab")
    dialog.get_by_role("button", name="Cancel").click()
    assert page.evaluate("calls") == ["bad"]


def rows(route: Route) -> None:
    query = dict(part.split("=") for part in route.request.url.split("?")[1].split("&"))
    start, limit = int(query["offset"]), int(query["limit"])
    route.fulfill(json={"total": 100_000, "rows": [{"id": n, "name": f"row {n}"} for n in range(start, start + limit)]})


def test_a_grid_of_a_hundred_thousand_rows_holds_those_in_sight(draw: Any, inspect: Inspect) -> None:
    page = draw(
        """html`<${Card} className="fill" flush=${true} title="Grid"><${Grid} label="rows" source="/api/view/many" height=${400}
        columns=${[{key: "id", num: true, width: 80}, {key: "name", width: 200}]}
        rowHref=${(row) => "/settings/" + row.id} /><//>`""",
        {"**/api/view/many*": rows},
    )
    grid = page.get_by_role("grid")
    expect(grid.get_by_text("row 5", exact=True)).to_be_visible()
    expect(page.get_by_text("100 k rows")).to_be_visible()
    grid.evaluate("element => { element.scrollTop = 50000 * 28 }")
    expect(grid.get_by_text("row 50000", exact=True)).to_be_visible()
    assert grid.get_by_role("row").count() < 60
    grid.focus()
    page.keyboard.press("End")
    expect(grid.get_by_text("row 99999", exact=True)).to_be_visible()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/settings/99998$"))


def test_lines_are_drawn_and_can_be_read_as_a_table(draw: Any, inspect: Inspect) -> None:
    page = draw(
        """html`<${Card} title="Lines"><${Lines} label="quality" time=${true} x=${[1, 2, 3, 4].map((d) => 1.77e15 + d * 864e8)}
        limit=${{value: 0.6, label: "objective"}} marks=${[{at: 1.77e15 + 2.5 * 864e8, label: "retrained", tone: "info"}]}
        series=${[{label: "realised", values: [0.7, 0.65, null, 0.5], low: [0.66, 0.6, null, 0.4], high: [0.75, 0.7, null, 0.6]},
        {label: "estimated", values: [0.69, 0.68, 0.66, 0.66], dash: true}]} />
        <div class="row"><${Sparkline} values=${[1, 3, 2, null, 5, 4]} label="shape" /><${Strip} label="drift"
        cells=${[{value: 0}, {value: 0.3}, {value: 0.5}, {value: 0.9}, {}, {tone: "crit"}]} />
        <${Bound} limit=${0.6} value=${0.65} low=${0.58} high=${0.7} /><${State} tone="warn" word="watch" />
        <${Chip} tone="ok">champion<//></div><//>`"""
    )
    expect(page.locator(".plot canvas")).to_be_visible()
    page.get_by_text("As a table").click()
    expect(page.get_by_role("cell", name="0.700 (0.660–0.750)")).to_be_visible()
    inspect(page, "parts")


def test_a_tab_is_chosen_by_arrow_and_kept_in_the_address(draw: Any) -> None:
    page = draw("""html`<${Tabs} name="tab" value="one" label="views" options=${[["one", "One"], ["two", "Two"]]} />`""")
    page.get_by_role("tab", name="One").focus()
    page.keyboard.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"\?tab=two$"))
