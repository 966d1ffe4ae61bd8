"""The pages of delivery, in the browser: versions on their way, what each gate said, and running them from the page."""

import re
import shutil
from collections.abc import Iterator
from typing import NamedTuple

import httpx
import pytest
from playwright.sync_api import expect
from tests.delivery.gates.conftest import ADA, Done, made
from tests.web.conftest import Browse, Inspect
from tests.web.control_plane import control_plane

from perenne.app.wiring import Platform
from perenne.core.clock import DAY, SystemClock, format_time
from perenne.delivery.gates import Wish, run_gates
from perenne.projects import load_project


class Delivered(NamedTuple):
    """A small installation with two versions, and where it is served."""

    url: str
    done: Done


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivered]:
    home = tmp_path_factory.mktemp("delivered") / "home"
    shutil.copytree(made(), home)
    done = Done(home)
    tomorrow = format_time(SystemClock().now() + 2 * DAY)[:10]
    done.state(
        "gates: {size: {at_most: 0.01}, fairness: {required: true}, "
        f"tests: {{waive: written next week, until: {tomorrow}}}}}"
    )
    with done.workspace, control_plane(done.workspace) as url:
        run_gates(done.workspace, ADA, "lumps@2", Wish(skip={"not-worse"}), project=load_project(done.folder))
        yield Delivered(url, done)


def test_versions_on_their_way_lead_to_their_gates(browse: Browse, inspect: Inspect, delivered: Delivered) -> None:
    page = browse("/gate", delivered.url)
    rows = page.get_by_role("region", name="Versions on their way").last.get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.nth(1)).to_contain_text("lumps@2")
    expect(rows.nth(1)).to_contain_text("1 failed")
    expect(rows.nth(1)).to_contain_text("gate closed")
    expect(rows.nth(2)).to_contain_text("not run")
    expect(rows.nth(2)).to_contain_text("@champion")
    inspect(page, "delivery")
    page.get_by_role("link", name="lumps@2").click()
    expect(page).to_have_url(re.compile("/gate/lumps%402$"))
    expect(page.get_by_role("heading", name="lumps@2", level=1)).to_be_visible()


def test_a_version_shows_each_gate_with_its_limit_its_evidence_and_what_was_not_checked(
    browse: Browse, inspect: Inspect, delivered: Delivered
) -> None:
    page = browse("/gate/lumps@2", delivered.url)
    gates = page.get_by_role("region", name="Gates of lumps@2")
    size = gates.get_by_role("row", name=re.compile("^size"))
    expect(size).to_contain_text("fail")
    expect(size).to_contain_text("MB")
    expect(size).to_contain_text("0.01")
    expect(gates.get_by_role("row", name=re.compile("^fairness"))).to_contain_text("required")
    missing = page.get_by_role("region", name="Not checked")
    expect(missing).to_contain_text("fairness: no measure of fairness could be measured")
    expect(missing).to_contain_text("not-worse: skipped")
    inspect(page, "delivery-version")
    with page.expect_navigation():
        gates.get_by_role("link", name="Evidence of size").click()
    expect(page.locator("body")).to_contain_text('"gate":"size"')


def test_the_gates_are_run_from_the_page(browse: Browse, delivered: Delivered) -> None:
    page = browse("/gate/lumps@1", delivered.url)
    expect(page.get_by_role("region", name="Not checked")).to_contain_text("Nobody has looked")
    page.get_by_role("button", name="Run the gates").click()
    expect(page.get_by_role("region", name="Where it stands")).to_contain_text("waits for a worker")
    expect(page.get_by_role("button", name="Run the gates")).to_be_disabled()
    assert Platform(delivered.done.workspace).trainer.drain() == 1
    assert [(job["state"], job["error"]) for job in httpx.get(f"{delivered.url}/api/jobs").json()] == [("done", None)]
    gates = page.get_by_role("region", name="Gates of lumps@1")
    expect(gates.get_by_role("row", name=re.compile("^example"))).to_contain_text("pass", timeout=60_000)
    expect(page.get_by_role("button", name="Run the gates")).to_be_enabled()
