"""The page of a model server, in a real browser: a form from the signature, the answer, calls, a token where one is asked for."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.app import servers
from tests.serving.packages import ReleaseFolder, made_packages
from tests.web.conftest import Browse, Inspect

from perenne.auth import tokens
from perenne.auth.principals import local_principal
from perenne.auth.publishing import publish
from perenne.auth.roles import Role
from perenne.core.config import load_settings
from perenne.storage.workspace import Workspace


@pytest.fixture
def release(tmp_path: Path) -> ReleaseFolder:
    release = ReleaseFolder(tmp_path / "release")
    release.write(release.add(made_packages()["first"], 1))
    return release


@pytest.fixture
def url(release: ReleaseFolder, tmp_path: Path) -> Iterator[str]:
    with servers.model_server(release, tmp_path) as running:
        yield running.url


def test_somebody_tries_a_model_and_copies_a_call(browse: Browse, inspect: Inspect, url: str) -> None:
    page = browse("/", url)
    expect(page.get_by_role("heading", name="delays")).to_be_visible()
    expect(page.get_by_label("distance")).not_to_have_value("")
    page.get_by_label("carrier").select_option("UA")
    page.get_by_label("weekend").select_option("missing")
    page.get_by_role("button", name="Predict").click()
    answer = page.get_by_role("region", name="Answer")
    expect(answer.locator(".tryout-label")).to_have_text(re.compile("^(on time|late)$"))
    expect(answer.get_by_text("champion", exact=True)).to_be_visible()
    expect(page.locator(".copy.block code")).to_contain_text(f"curl -s {url}/v2/models/delays/infer")
    page.get_by_role("tab", name="tritonclient").click()
    expect(page.locator(".copy.block code")).to_contain_text("cannot send a text")
    page.get_by_label("weekend").select_option("true")
    expect(page.locator(".copy.block code")).to_contain_text("('carrier', 'BYTES', np.array(['UA'], \"object\"))")
    expect(page.get_by_role("row", name="POST /invocations")).to_contain_text("MLflow scoring")
    inspect(page, "model-server")


def test_a_number_that_is_none_is_said_before_anything_is_asked(browse: Browse, url: str) -> None:
    page = browse("/docs", url)
    page.get_by_label("distance").fill("far")
    expect(page.get_by_text("not a number")).to_be_visible()
    expect(page.get_by_role("button", name="Predict")).to_be_disabled()
    page.get_by_role("button", name="Example").click()
    expect(page.get_by_role("button", name="Predict")).to_be_enabled()


def test_with_tokens_the_page_asks_for_one(browse: Browse, inspect: Inspect, release: ReleaseFolder, tmp_path: Path) -> None:
    with Workspace(load_settings(tmp_path / "home", {"PERENNE_AUTH": "tokens"})) as workspace:
        keyring = workspace.settings.keyring
        keyring.parent.mkdir(parents=True, exist_ok=True)
        now, roles = workspace.clock.now(), frozenset({Role.CALLER})
        text = workspace.database.write(lambda tx: tokens.create_token(tx, local_principal(), "shop", roles, now=now))[1]
        publish(workspace.database, keyring, now)
        with servers.model_server(release, tmp_path, tokens=keyring) as running:
            page = browse("/docs", running.url)
            expect(page.get_by_role("heading", name="A token is asked for")).to_be_visible()
            inspect(page, "model-server-token")
            page.get_by_role("textbox", name="Token").fill(text)
            page.get_by_role("button", name="Go on").click()
            expect(page.get_by_role("heading", name="delays")).to_be_visible()
            page.get_by_role("button", name="Predict").click()
            expect(page.get_by_role("region", name="Answer").get_by_text("champion", exact=True)).to_be_visible()
            expect(page.locator(".copy.block code")).to_contain_text("Bearer $PERENNE_TOKEN")
