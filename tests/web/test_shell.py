"""What stands around every screen."""

import re

from playwright.sync_api import expect
from tests.web.conftest import Browse, World


def test_an_address_without_a_screen_says_so(browse: Browse) -> None:
    page = browse("/model/a/b/c/d")
    expect(page.get_by_text("There is no such page")).to_be_visible()


def test_the_page_is_live_and_notices_when_the_server_goes_quiet(browse: Browse) -> None:
    page = browse("/audit/none/such")
    expect(page.locator(".connection")).to_have_text("live")


def test_the_theme_is_kept(browse: Browse, world: World) -> None:
    page = browse("/settings/none")
    page.get_by_role("button", name="Switch to dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto(f"{world.url}/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_palette_opens_by_key_and_closes_by_escape(browse: Browse) -> None:
    page = browse("/audit/none/such")
    expect(page.locator(".connection")).to_have_text("live")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("combobox", name="Go to")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("combobox", name="Go to")).to_have_count(0)


def test_no_script_is_inline(browse: Browse) -> None:
    page = browse("/")
    policy = page.request.get(page.url).headers["content-security-policy"]
    assert "unsafe" not in policy
    assert not re.search(r"<script(?![^>]*src=)", page.request.get(page.url).text())


def test_what_the_first_screen_loads_was_named_in_its_shell(browse: Browse) -> None:
    page = browse("/")
    expect(page.locator("main tbody tr").first).to_be_visible()
    loaded = page.evaluate("performance.getEntriesByType('resource').map(entry => new URL(entry.name).pathname)")
    named = page.request.get(page.url).text()
    assert [path for path in loaded if path.endswith((".js", ".css")) and path not in named] == []
