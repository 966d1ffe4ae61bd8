"""What is handed on, in a real browser: pages that are files, and the screens that lead to them."""

import re
import subprocess
from pathlib import Path

import httpx
import msgspec
import numpy as np
import pyarrow as pa
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.data.explore.test_page import HOSTILE, sides
from tests.data.test_views import keep
from tests.web.conftest import NARROW, SCREENSHOTS, WIDE, Browse, Inspect, World, serious

from perenne.auth.principals import local_principal
from perenne.data import profile_table
from perenne.data.explore.comparison import comparison_page
from perenne.data.explore.page import profile_page
from perenne.data.personal import masked
from perenne.data.versions import init_repository
from perenne.storage import links


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A profile's page, a comparison's, and one whose names would like to be code."""
    folder = tmp_path_factory.mktemp("pages")
    before, after = sides()
    hostile = profile_table(pa.table({name: [name, "b", None] for name in HOSTILE}), dataset=HOSTILE[0])
    pages = {
        "profile": profile_page(masked(before), source="rows.parquet"),
        "compared": comparison_page(before, after, labels=("train", "test")),
        "hostile": profile_page(hostile),
    }
    for name, page in pages.items():
        (folder / f"{name}.html").write_text(page, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in pages}


def opened(browser: Browser, path: Path, *, scripts: bool = True, dark: bool = False) -> Page:
    context = browser.new_context(viewport=WIDE, java_script_enabled=scripts, color_scheme="dark" if dark else "light")
    page = context.new_page()
    page.on("console", lambda said: pytest.fail(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.on("dialog", lambda dialog: pytest.fail(f"it ran: {dialog.message}"))
    page.on("request", lambda asked: None if asked.url.startswith(("file:", "data:")) else pytest.fail(f"it loads {asked.url}"))
    page.goto(path.as_uri())
    return page


@pytest.mark.parametrize("name", ["profile", "compared"])
def test_a_file_can_be_read_by_everybody(browser: Browser, files: dict[str, Path], name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    for dark in (False, True):
        page = opened(browser, files[name], dark=dark)
        page.get_by_role("button", name="Open or close all").click()
        expect(page.locator("details.column:not([open])")).to_have_count(0)
        theme = "dark" if dark else "light"
        for width, size in (("wide", WIDE), ("narrow", NARROW)):
            page.set_viewport_size(size)
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            page.screenshot(path=SCREENSHOTS / f"explore-{name}-{width}-{theme}.png")
        page.set_viewport_size(WIDE)
        if dark is (name == "profile"):
            assert unrestrained(page) == []
        page.context.close()


def unrestrained(page: Page) -> list[str]:
    """Hold the page to axe in a window without the page's own policy, which lets no other script in."""
    context = page.context.browser.new_context(viewport=WIDE, bypass_csp=True)  # type: ignore[union-attr]
    free = context.new_page()
    free.set_content(page.content())
    free.emulate_media(color_scheme="dark" if page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") else "light")
    found = serious(free)
    context.close()
    return found


def test_columns_are_found_ordered_and_opened_by_keyboard(browser: Browser, files: dict[str, Path]) -> None:
    page = opened(browser, files["profile"])
    page.get_by_role("searchbox", name="Find a column").fill("pl")
    expect(page.locator("details.column:visible")).to_have_count(1)
    expect(page.get_by_role("status")).to_have_text("1 of 12")
    page.get_by_role("searchbox", name="Find a column").fill("")
    page.get_by_role("combobox", name="Order").select_option("missing")
    assert page.locator("details.column").first.get_attribute("data-name") in ("x", "plan")
    page.locator("details.column summary").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("details.column").first).to_have_attribute("open", "")
    page.get_by_role("link", name="mail").first.click()
    expect(page.locator("details.column[open][data-name=mail]")).to_be_visible()
    expect(page.get_by_text("the values are hidden")).to_be_visible()
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate(background) != light
    page.context.close()


def test_a_file_can_be_read_without_its_script(browser: Browser, files: dict[str, Path]) -> None:
    page = opened(browser, files["profile"], scripts=False)
    expect(page.get_by_role("button")).to_have_count(0)
    page.locator("details.column summary").first.click()
    expect(page.get_by_role("img", name="histogram of x")).to_be_visible()
    page.context.close()


def test_names_that_would_like_to_be_code_do_nothing_in_a_file(browser: Browser, files: dict[str, Path]) -> None:
    page = opened(browser, files["hostile"])
    page.get_by_role("button", name="Open or close all").click()
    expect(page.get_by_role("heading", name=HOSTILE[0])).to_be_visible()
    expect(page.locator("details.column")).to_have_count(len(HOSTILE))
    page.context.close()


def table(rows: int, first: int = 0) -> pa.Table:
    number = np.arange(first, first + rows)
    mail = [f"user{item}@example.org" for item in number]
    return pa.table({"order_id": number, "amount": (number * 7919 % 1000) / 7, "mail": mail})


def test_a_dataset_tells_what_changed_and_hands_its_profile_on(browse: Browse, world: World, inspect: Inspect) -> None:
    first = keep(world.workspace, local_principal(), table(300), "orders")
    second = keep(world.workspace, local_principal(), table(320, 10).append_column("fresh", pa.array(range(320))), "orders")
    page = browse("/data/orders")
    row = page.get_by_role("region", name="Snapshots").get_by_role("row", name=re.compile(second.id[:12]))
    expect(row).to_contain_text("+20 rows")
    expect(row).to_contain_text("new fresh")
    expect(page.get_by_role("img", name=re.compile("validations of 2 snapshots"))).to_be_visible()
    card = page.locator("section", has=page.get_by_role("heading", name="Rows that came and went"))
    expect(card).to_contain_text("by order_id")
    expect(card.get_by_role("definition").nth(0)).to_have_text("30")
    expect(card.get_by_role("definition").nth(1)).to_have_text("10")
    page.get_by_role("combobox", name="Compare with").select_option(first.id)
    expect(page.get_by_role("link", name="Open both side by side")).to_be_visible()
    inspect(page, "dataset-handed")
    with page.expect_popup() as popup:
        page.get_by_role("link", name="Open the profile as a page").click()
    handed = popup.value
    expect(handed.get_by_role("heading", name="orders")).to_be_visible()
    handed.get_by_role("button", name="Open or close all").click()
    expect(handed.locator("details.column[open]")).to_have_count(4)
    with page.expect_download() as download:
        page.get_by_role("link", name="Notebook").click()
    assert re.fullmatch(r"orders-[0-9a-f]{12}\.ipynb", download.value.suggested_filename)


def test_what_is_handed_out_is_shut_in_and_hides_personal_data(world: World) -> None:
    taken = keep(world.workspace, local_principal(), table(200), "people/of <mine>")
    base = f"{world.url}/api/data/snapshot/{taken.id}"
    page = httpx.get(f"{base}/profile.html")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "sandbox allow-scripts" in policy and "unsafe-inline" not in policy
    assert page.headers["content-disposition"].startswith("inline")
    for path, kind in (
        ("profile.html?download=1", "text/html"), ("profile.ipynb", "application/x-ipynb+json"),
        ("profile.json", "application/json"),
        (f"compare.html?against={taken.id}&download=1", "text/html"),
    ):  # fmt: skip
        answer = httpx.get(f"{base}/{path}")
        assert answer.status_code == 200 and answer.headers["content-type"].startswith(kind)
        assert answer.headers["content-disposition"].startswith('attachment; filename="people_of__mine_-')
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "user12@" not in answer.text and "example.org" not in answer.text
    changes = httpx.get(f"{base}/changes", params={"against": taken.id}).json()
    assert (changes["key"], changes["same"], changes["added"]) == (["order_id"], 200, 0)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/data/snapshot/ffff/profile.html", 404, "data.snapshot_not_found"),
        ("/api/data/snapshot/{plain}/profile.html", 404, "data.no_profile"),
        ("/api/data/snapshot/{plain}/compare.html?against=zz", 404, "data.snapshot_not_found"),
        ("/api/data/snapshot/{plain}/changes?against={plain}&key=nothing", 400, "data.key"),
        ("/api/data/snapshot/{plain}/changes", 404, "data.snapshot_not_found"),
    ],
)
def test_what_cannot_be_handed_out_says_why(world: World, path: str, status: int, code: str) -> None:
    taken = keep(world.workspace, local_principal(), pa.table({"x": [1, 2]}), "plain", look=False)
    answer = httpx.get(world.url + path.format(plain=taken.id))
    assert (answer.status_code, answer.json()["error_code"]) == (status, code)


def test_files_under_versions_are_listed_with_what_git_remembers(browse: Browse, world: World, inspect: Inspect) -> None:
    root = world.workspace.settings.home.parent
    page = browse("/data?show=files")
    expect(page.get_by_text("No repository here")).to_be_visible()

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)

    git("init", "-q")
    init_repository(root)
    for number, size in enumerate((10, 2_000_000)):
        meta = f"outs:\n- md5: {number}0b725f10c9c85c70d97880dfe8191b3\n  size: {size}\n  hash: md5\n  path: rows.csv\n"
        (root / "rows.csv.dvc").write_text(meta)
        git("add", "rows.csv.dvc")
        git("commit", "-qm", f"Rows of week {number} <b>")
    (root / "rows.csv.dvc").write_text(meta.replace("10b725", "20b725"))
    link = {"source_kind": "snapshot", "source": "ab" * 32, "relation": "read_from"}
    link |= {"target_kind": "data version", "target": "10b725f10c9c85c70d97880dfe8191b3@rows.csv"}
    world.workspace.database.write(lambda tx: tx.execute(links.table.insert(), link))
    page = browse("/data")
    page.get_by_role("tab", name="Files under versions").click()
    rows = page.get_by_role("region", name="Files under versions").get_by_role("row")
    expect(rows).to_have_count(4)
    expect(rows.nth(1)).to_contain_text("not committed")
    expect(rows.nth(2)).to_contain_text("Rows of week 1 <b>")
    expect(rows.nth(2)).to_contain_text("1.91 MiB")
    expect(rows.nth(2).get_by_role("link")).to_have_text("snapshot abababababab")
    expect(rows.nth(3)).to_contain_text("Ada")
    expect(rows.nth(3)).to_contain_text("nobody yet")
    inspect(page, "tracked")
    answer = httpx.get(f"{world.url}/api/data/tracked")
    assert msgspec.json.decode(answer.content)["total"] == 1
