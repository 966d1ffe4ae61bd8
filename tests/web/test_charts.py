"""The charts of runs, each by itself, in the browser: smoothed curves that are pointed at together, two figures, many axes."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.web.conftest import SCREENSHOTS, Browse, Inspect, serious

DRAW = """
async (base) => {
  const load = (name) => import(base + name);
  const names = ["dom.js", "parts.js", "charts/curves.js", "charts/scatter.js", "charts/parallel.js", "charts/scales.js",
    "prose.js", "patch.js", "../tracking/filter.js", "../tracking/columns.js"];
  const [dom, parts, curves, scatter, parallel, scales, prose, patch, filter, columns] = await Promise.all(names.map(load));
  const { html, useState } = dom, { Card } = parts, { Curves, ema } = curves, { Scatter } = scatter, { Parallel } = parallel;
  const { scaleOf } = scales, { Prose } = prose, { Patch } = patch, { FilterField, complete, suggest } = filter;
  const { ColumnsDialog, readColumns, writeColumns, moved } = columns;
  const calls = (window.calls = []);
  Object.assign(window, { ema, scaleOf, complete, suggest, readColumns, writeColumns, moved });
  const place = document.getElementById("main");
  place.replaceChildren();
  dom.render(SOURCE, place);
}
"""
STEPS = "Array.from({length: 200}, (_, i) => i)"


@pytest.fixture
def draw(browse: Browse) -> Any:
    """Draw an expression of `html` in the place of the screen."""

    def draw(source: str = "null") -> Page:
        page = browse("/settings/none")
        base = page.evaluate("document.querySelector('script[type=module]').getAttribute('src').replace('main.js', '')")
        page.evaluate(DRAW.replace("SOURCE", source), base)
        return page

    return draw


def test_curves_are_smoothed_and_pointed_at_together(draw: Any, inspect: Inspect) -> None:
    series = f"""["one", "two"].map((id, at) => ({{id, label: id, color: `var(--c${{at + 1}})`, dash: at > 0,
      x: {STEPS}.map((i) => i + at / 2), y: {STEPS}.map((i) => 1 / (1 + i / 20) + 0.05 * Math.sin(i * (7 + at)))}}))"""
    page = draw(
        f"""html`<div class="half">
        <${{Card}} title="loss"><${{Curves}} label="loss" sync="s" smooth=${{0.9}} series=${{{series}}} /><//>
        <${{Card}} title="again"><${{Curves}} label="again" sync="s" logX=${{true}} logY=${{true}}
        series=${{{series}}} /><//></div>`"""
    )
    first, second = (page.get_by_role("figure", name=name, exact=True) for name in ("loss", "again"))
    expect(first.locator("canvas")).to_be_visible()
    first.locator(".u-over").hover(position={"x": 200, "y": 60})
    expect(first.locator(".tip")).to_contain_text("two")
    expect(second.locator(".tip")).to_contain_text("two")
    first.get_by_text("As a table").click()
    expect(first.get_by_role("row", name=re.compile("^one 200"))).to_be_visible()
    inspect(page, "charts-curves")


def test_an_average_is_right_from_its_beginning(draw: Any) -> None:
    page = draw()
    assert page.evaluate("ema([4, 4, 4], 0.9)") == pytest.approx([4, 4, 4])
    assert page.evaluate("ema([1, null, 3], 0.5)") == [1, None, pytest.approx((0.25 + 1.5) / 0.75)]


def test_scales_bend_where_numbers_span_powers_of_ten(draw: Any) -> None:
    page = draw()
    assert page.evaluate("scaleOf([0.001, 1, 1000]).at(1)") == pytest.approx(0.5)
    assert page.evaluate("scaleOf([0, 1, 1000]).at(1)") == pytest.approx(0.001)
    assert page.evaluate("scaleOf(['b', 'a', null]).at('b')") == 1
    assert page.evaluate("scaleOf([0.1, 0.9]).ticks.map(([at, text]) => text)") == ["0.200", "0.400", "0.600", "0.800"]


def test_two_figures_are_coloured_by_a_third(draw: Any, inspect: Inspect) -> None:
    rows = """Array.from({length: 40}, (_, i) => ({id: `r${i}`, label: `run ${i}`, x: 10 ** (i / 10), y: i === 3 ? null : i % 7,
      shade: SHADE, strong: i === 5}))"""
    page = draw(
        f"""html`<div class="half"><${{Card}} title="A"><${{Scatter}} label="figures" rows=${{{rows.replace("SHADE", "i")}}}
        across="lr" up="auc" shade="depth" logX=${{true}} onPick=${{(id) => calls.push(id)}} /><//>
        <${{Card}} title="B"><${{Scatter}} label="words" rows=${{{rows.replace("SHADE", "['adam', 'sgd'][i % 2]")}}}
        across="lr" up="auc" shade="optimizer" /><//></div>`"""
    )
    figure = page.get_by_role("figure", name="figures")
    expect(figure.locator("circle")).to_have_count(39)
    expect(figure).to_contain_text("1 without both figures")
    figure.get_by_role("img", name=re.compile("^run 5:")).focus()
    page.keyboard.press("Enter")
    assert page.evaluate("calls") == ["r5"]
    expect(page.get_by_role("figure", name="words")).to_contain_text("adam")
    inspect(page, "charts-scatter")


def test_what_people_write_is_drawn_and_never_run(draw: Any, inspect: Inspect) -> None:
    page = draw(
        r"""html`<${Card} title="Prose"><${Prose} text=${"# Head\n\nSome **bold** and `code`, [a link](https://example.org)" +
        " and [bad](javascript:alert(1)).\n\n- one\n- two <img src=x onerror=alert(1)>\n\n```\nx = 1\n```"} /><//>
        <${Card} title="Patch" flush><${Patch} label="patch" text=${"--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\n same"} /><//>`"""
    )
    prose = page.locator(".prose")
    expect(prose.get_by_role("link", name="a link")).to_have_attribute("href", "https://example.org")
    expect(prose.locator("img")).to_have_count(0)
    expect(prose.get_by_role("link")).to_have_count(1)
    expect(page.locator(".patch .added")).to_contain_text("+new")
    inspect(page, "prose")


KEYS = '{metrics: ["auc", "val loss"], params: ["depth"], tags: ["team"]}'


def offered(page: Page, text: str) -> list[str]:
    found: list[str] = page.evaluate(f"([text]) => suggest(text, {KEYS}).options.map(([option]) => option)", [text])
    return found


def test_a_filter_is_completed_by_what_may_stand_there(draw: Any) -> None:
    page = draw()
    assert offered(page, "")[:3] == ["metrics.auc", "metrics.`val loss`", "params.depth"]
    assert offered(page, "au") == ["metrics.auc"]
    assert offered(page, "metrics.auc ")[0] == ">"
    assert "LIKE" in offered(page, "tags.team ") and "BETWEEN" not in offered(page, "tags.team ")
    assert offered(page, "metrics.auc > 0.9 ") == ["AND", "OR"]
    assert offered(page, "metrics.auc > 0.9 AND dep") == ["params.depth"]
    assert offered(page, "attributes.status = ")[0] == "'RUNNING'"
    assert offered(page, "metrics.`val loss` < 1 or (NOT te")[0] == "tags.team"


def test_what_is_still_being_written_is_not_asked_for(draw: Any) -> None:
    page = draw()
    for text, whole in (
        ("some words", True), ("metrics.auc", False), ("metrics.auc >", False), ("metrics.auc > 0.9", True),
        ("tags.a = 'x", False), ("tags.a = 'x'", True), ("metrics.auc > 0.9 AND", False), ("metrics.a BETWEEN 1 AND 2", True),
        ("params.a IS NULL", True), ("params.a IN (", False), ("params.a IN ('x')", True), ("", True),
    ):  # fmt: skip
        assert page.evaluate("([text]) => complete(text)", [text]) is whole, text


def test_the_field_is_filled_by_keyboard(draw: Any, inspect: Inspect) -> None:
    page = draw(
        f"""html`<${{() => {{ const [value, setValue] = useState("");
        const error = value.includes("!") ? {{message: "that is no comparison at column 9", hint: "write ="}} : null;
        return html`<${{FilterField}} value=${{value}} keys=${{{KEYS}}} placeholder="name" error=${{error}}
        onChange=${{(text) => (calls.push(text), setValue(text))}} />`; }}}} />`"""
    )
    field = page.get_by_role("combobox", name="Find runs")
    field.click()
    field.type("au")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(field).to_have_value("metrics.auc ")
    field.type("> 0.9")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.wait_for_function("calls.at(-1) === 'metrics.auc > 0.9'")
    field.fill("metrics !")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("column 9")
    inspect(page, "filter")


def test_columns_are_moved_by_keyboard(draw: Any) -> None:
    page = draw(
        f"""html`<${{() => {{ const [shown, setShown] = useState(["attributes.status", "metrics.auc"]);
        return html`<${{ColumnsDialog}} shown=${{shown}} keys=${{{KEYS}}}
        onChange=${{(ids) => (calls.push(ids), setShown(ids ?? []))}} onClose=${{() => calls.push("closed")}} />`; }}}} />`"""
    )
    dialog = page.get_by_role("dialog", name="Columns")
    dialog.get_by_role("checkbox", name="depth").check()
    dialog.get_by_role("button", name="Move depth to the left").press("Alt+ArrowUp")
    assert page.evaluate("calls.at(-1)") == ["attributes.status", "params.depth", "metrics.auc"]
    dialog.get_by_role("button", name="Hide state").click()
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "columns-wide-light.png")
    assert serious(page) == []
    dialog.get_by_role("button", name="Done").click()
    page.wait_for_function("calls.at(-1) === 'closed'")
    assert page.evaluate("readColumns(writeColumns(['metrics.a,b%', 'params.c']))") == ["metrics.a,b%", "params.c"]
