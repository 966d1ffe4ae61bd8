"""Log-in and log-out in a browser, against a control plane that asks for tokens; the settings and jobs screens behind it."""

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect
from tests.app import servers
from tests.web.conftest import Browse, Inspect
from tests.web.control_plane import control_plane

from perenne.auth.roles import Role
from perenne.auth.tokens import revoke_token, tokens
from perenne.storage import jobs
from perenne.storage.workspace import Workspace

REFUSAL = re.compile(r"status of 40[01]")


def is_problem(said: ConsoleMessage) -> bool:
    """Tell whether the browser complains of anything but that the server refused something."""
    return said.type == "error" and REFUSAL.search(said.text) is None


class Nothing(msgspec.Struct):
    """What a job gets that gets nothing."""


@pytest.fixture
def home(tmp_path: Path, empty_database: Path) -> Iterator[Workspace]:
    """An installation whose control plane asks for tokens on loopback too."""
    with servers.open_workspace(tmp_path, empty_database, auth="tokens") as workspace:
        servers.fill(workspace)
        yield workspace


@pytest.fixture
def url(home: Workspace) -> Iterator[str]:
    with control_plane(home) as url:
        yield url


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page on whose console what was refused is no failure, and anything else is."""
    problems: list[str] = []
    page = context.new_page()
    page.on(
        "console", lambda said: problems.append(said.text) if said.type == "error" and not REFUSAL.search(said.text) else None
    )
    page.on("pageerror", lambda error: problems.append(str(error)))
    yield page
    assert problems == []


def log_in(page: Page, text: str) -> None:
    page.get_by_label("Token", exact=True).fill(text)
    page.get_by_role("button", name="Log in").click()


def test_a_token_opens_the_page_that_was_asked_for_and_log_out_closes_it(home: Workspace, url: str, page: Page) -> None:
    token, text = servers.token(home, Role.VIEWER, Role.DEPLOYER, person="ada.lovelace")
    page.goto(f"{url}/settings?tab=about")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    expect(page.get_by_label("Token", exact=True)).to_be_focused()
    log_in(page, text[:-1] + ("0" if text[-1] != "0" else "1"))
    expect(page.get_by_role("alert")).to_contain_text("not valid")
    log_in(page, text)
    expect(page.get_by_text("asks for a token or a session")).to_be_visible()
    assert page.evaluate("document.cookie") == "", "no script reads the session"
    page.reload()
    expect(page.get_by_text("asks for a token or a session")).to_be_visible()
    page.get_by_label("You are ada.lovelace").click()
    expect(page.locator(".auth-menu")).to_contain_text("deployer, viewer")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    log_in(page, text)
    expect(page.get_by_text("asks for a token or a session")).to_be_visible()
    home.database.write(lambda tx: revoke_token(tx, servers.ROOT, token.id, now=home.clock.now()))
    page.reload()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_the_log_in_looks_as_it_should(home: Workspace, url: str, page: Page, inspect: Inspect) -> None:
    page.goto(f"{url}/settings")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    inspect(page, "log-in")


def test_tokens_are_made_rotated_and_revoked_on_the_page(home: Workspace, url: str, page: Page, inspect: Inspect) -> None:
    _, text = servers.token(home, Role.ADMIN, Role.VIEWER, Role.OWNER, name="root")
    page.goto(f"{url}/settings")
    log_in(page, text)
    page.get_by_label("Name").fill("checkout")
    page.get_by_role("checkbox", name="viewer", exact=True).check()
    page.get_by_label("Projects").fill("churn, flights")
    page.get_by_label("Counts for").select_option("7d")
    page.get_by_role("button", name="Make it").click()
    secret = page.get_by_label("The new secret")
    expect(secret).to_contain_text("shown this once")
    shown = secret.locator("code").first.inner_text()
    assert servers.ask("GET", "/api/session", int(url.rpartition(":")[2]), authorization=f"Bearer {shown}").json["projects"] == [
        "churn",
        "flights",
    ]
    secret.get_by_role("button", name="I have kept it").click()
    row = page.get_by_role("row").filter(has_text="checkout")
    expect(row).to_contain_text("in churn, flights")
    inspect(page, "settings-tokens")
    row.get_by_role("button", name="Rotate").click()
    row.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    expect(secret).to_be_visible()
    expect(row).to_contain_text("two secrets until")
    row.get_by_role("button", name="Revoke").click()
    row.get_by_role("dialog").get_by_label("Why").fill("test is over")
    row.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row).to_contain_text("revoked")
    with home.database.read() as tx:
        assert {item.name: item.state(home.clock.now()) for item in tokens(tx, servers.ROOT)}["checkout"] == "revoked"


def test_a_bad_token_is_named_and_nothing_is_made(home: Workspace, url: str, page: Page) -> None:
    _, text = servers.token(home, Role.ADMIN, name="root")
    page.goto(f"{url}/settings")
    log_in(page, text)
    page.get_by_label("Name").fill("nothing")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("alert")).to_contain_text("at least one role")
    with home.database.read() as tx:
        assert [item.name for item in tokens(tx, servers.ROOT)] == ["root"]


def test_settings_of_the_world(browse: Browse, inspect: Inspect) -> None:
    page = browse("/settings?tab=processes")
    expect(page.get_by_text("No process gives a sign of life")).to_be_visible()
    inspect(page, "settings-processes")
    page.get_by_role("tab", name="About").click()
    expect(page.get_by_text("preact", exact=True)).to_be_visible()
    inspect(page, "settings-about")
    page.get_by_role("tab", name="Tokens").click()
    expect(page.get_by_text("No token yet")).to_be_visible()
    inspect(page, "settings-tokens-none")


def test_a_viewer_sees_the_queue_and_changes_nothing(home: Workspace, url: str, page: Page) -> None:
    home.database.write(lambda tx: jobs.enqueue(tx, "round.run", Nothing()))
    _, text = servers.token(home, Role.VIEWER)
    page.goto(f"{url}/job")
    log_in(page, text)
    expect(page.get_by_role("link", name="round.run")).to_be_visible()
    expect(page.get_by_role("button", name="Stop")).to_have_count(0)
