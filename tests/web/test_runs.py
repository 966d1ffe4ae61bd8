"""The pages of runs and pipelines, in the browser: what was tried, what differs, the steps, and a run that is under way."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from tests.web.conftest import Browse, Inspect, World
from tests.web.control_plane import control_plane

from perenne import tracking
from perenne.auth.principals import Principal, local_principal
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace
from perenne.tracking import Provenance, RunState


def runs_of(world: World, project: str) -> list[str]:
    with world.workspace.database.read() as tx:
        return [run.id for run in tracking.service.runs(tx, project)]


def test_the_list_is_filtered_and_runs_are_put_side_by_side(browse: Browse, inspect: Inspect, world: World) -> None:
    page = browse("/runs?project=churn")
    grid = page.get_by_role("grid", name="Runs")
    expect(grid.get_by_role("row")).to_have_count(4)
    grid.focus()
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    newest, before = runs_of(world, "churn")[:2]
    expect(page).to_have_url(re.compile(f"compare={newest}(%2C|,){before}"))
    expect(page.get_by_role("region", name="What differs").first).to_contain_text("no parameter does")
    page.get_by_role("combobox", name="Find runs").fill("no such words")
    expect(page.get_by_text("No run fits")).to_be_visible()
    page.get_by_role("button", name="every project").click()
    expect(page).not_to_have_url(re.compile("project="))


def test_a_run_tells_what_it_tried_found_and_depended_on(browse: Browse, inspect: Inspect, world: World) -> None:
    page = browse(f"/runs/{runs_of(world, 'churn')[0]}")
    expect(page.get_by_role("figure", name="Parameters against outcome").locator("path.strong")).to_have_count(1)
    page.get_by_role("tab", name="As a table").click()
    expect(page.get_by_role("region", name="Trials").get_by_role("row")).to_have_count(3)
    expect(page).to_have_url(re.compile("trials=table"))
    expect(page.get_by_role("region", name="Metrics by group").get_by_role("row")).to_have_count(4)
    expect(page.get_by_role("figure", name="Receiver operating characteristic").locator("path.line")).to_have_count(2)
    expect(page.get_by_role("region", name="What it depended on")).to_contain_text("subscriptions, 13.2 k rows")
    inspect(page, "run")
    page.get_by_role("link", name="churn@3").first.click()
    expect(page).to_have_url(re.compile(r"/model/churn\?version=3$"))


def test_a_run_on_numbers_is_drawn_too(browse: Browse, inspect: Inspect, world: World) -> None:
    page = browse(f"/runs/{runs_of(world, 'rents')[0]}")
    expect(page.get_by_role("region", name="Predicted against actual").locator("circle")).to_have_count(120)
    expect(page.get_by_role("figure", name="Residuals")).to_be_visible()
    inspect(page, "run-numbers")


def test_the_steps_of_a_pipeline_are_walked_by_keyboard(browse: Browse, inspect: Inspect, world: World) -> None:
    page = browse("/pipeline")
    expect(page.get_by_role("grid", name="Runs of pipelines").get_by_role("row")).to_have_count(8)
    inspect(page, "pipelines")
    page.get_by_role("grid").get_by_role("row", name=re.compile("standard_round churn")).first.get_by_role("link").click()
    step = page.get_by_role("button", name=re.compile("^validate done"))
    expect(page.get_by_role("button", name=re.compile("^describe#2 cached"))).to_be_visible()
    step.focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("button", name=re.compile("^plan done"))).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("step=plan"))
    expect(page.get_by_role("region", name="Steps with their timings").get_by_role("row")).to_have_count(2)
    inspect(page, "pipeline")


@pytest.fixture
def empty(workspace: Workspace) -> Iterator[str]:
    with control_plane(workspace) as url:
        yield url


def test_before_the_first_run_there_is_the_command_for_it(browse: Browse, empty: str) -> None:
    for path, text in (
        ("/runs", "Nothing has been tried yet"),
        ("/runs?experiment=0", "to the experiment Default"),
        ("/model", "No model is registered yet"),
        ("/pipeline", "No pipeline has"),
    ):
        page = browse(path, empty)
        expect(page.get_by_text(text)).to_be_visible()
        expect(page.get_by_text("perenne run", exact=True)).to_be_visible()


def start(workspace: Workspace, actor: Principal) -> str:
    def begin(tx: Transaction) -> str:
        said = Provenance(commit="0123456789abcdef", patch="kept")
        return tracking.service.start_run(tx, actor, project="churn", kind="round", parameters={"depth": 3}, provenance=said).id

    return workspace.database.write(begin)


@pytest.mark.waits
def test_a_run_under_way_ends_before_ones_eyes(browse: Browse, empty: str, workspace: Workspace) -> None:
    actor = local_principal()
    run = start(workspace, actor)
    page = browse(f"/runs/{run}", empty)
    expect(page.get_by_text("Still at work")).to_be_visible()
    expect(page.get_by_text("uncommitted changes, kept as a patch")).to_be_visible()
    workspace.database.write(
        lambda tx: tracking.service.end_run(tx, actor, run, state=RunState.FAILED, outcome="the disk is full")
    )
    expect(page.get_by_role("region", name="What went wrong")).to_contain_text("the disk is full")
    expect(page.get_by_text("Not recorded")).to_be_visible()
