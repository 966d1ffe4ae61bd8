"""The pages of runs that programs log, in the browser: filtered, ordered, grouped, kept, compared, and looked at one by one."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from playwright.sync_api import BrowserContext, expect
from tests.app import servers
from tests.web.conftest import Browse, Inspect, World
from tests.web.control_plane import control_plane
from tests.web.sweep import NAME, Sweep, log_sweep

from perenne import tracking
from perenne.auth.principals import local_principal
from perenne.auth.roles import Role
from perenne.core.clock import HOUR
from perenne.storage.workspace import Workspace
from perenne.tracking import Metric, RunState
from perenne.tracking.tables import experiment, run


@pytest.fixture(scope="module")
def sweep(world: World) -> Sweep:
    with world.workspace.database.read() as tx:
        number: int = tx.scalar(sa.select(experiment.c.id).where(experiment.c.name == NAME)) or 0
        rows = tx.execute(sa.select(run.c.id).where(run.c.experiment == number).order_by(run.c.started))
        return Sweep(number, tuple(row.id for row in rows))


def test_runs_are_filtered_in_the_language_of_the_api(browse: Browse, inspect: Inspect, sweep: Sweep) -> None:
    page = browse(f"/runs?experiment={sweep.experiment}")
    rows = page.get_by_role("grid", name="Runs").get_by_role("row")
    expect(page.get_by_role("grid", name="Runs")).to_have_attribute("aria-rowcount", "25")
    inspect(page, "sweep")
    field = page.get_by_role("combobox", name="Find runs")
    field.click()
    field.type("dep")
    expect(page.get_by_role("option", name="params.depth parameter")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    field.type("= 9 AND metrics.accuracy > 0.9")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("filter=params.depth"))
    expect(rows.filter(has_text="linus").first).to_be_visible()
    expect(page.get_by_role("grid", name="Runs")).not_to_have_attribute("aria-rowcount", "25")
    page.get_by_role("button", name="Take the filter away").click()
    page.get_by_role("button", name="val/auc").click()
    expect(page).to_have_url(re.compile(r"order=metrics.val%2Fauc\+DESC"))
    expect(page.get_by_role("columnheader", name="val/auc")).to_have_attribute("aria-sort", "descending")
    page.reload()
    expect(page.get_by_role("columnheader", name="val/auc")).to_have_attribute("aria-sort", "descending")


def test_what_is_wrong_with_a_filter_stands_under_it(browse: Browse, context: BrowserContext, sweep: Sweep, world: World) -> None:
    page = context.new_page()  # the browser itself notes in its console that something was refused
    page.goto(f"{world.url}/runs?experiment={sweep.experiment}")
    expect(page.get_by_role("grid", name="Runs").get_by_role("row").nth(1)).to_be_visible()
    page.get_by_role("combobox", name="Find runs").fill("metrics.accuracy >> 3")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("column 19")
    expect(page.get_by_role("grid", name="Runs").get_by_role("row").nth(1)).to_be_visible()
    page.get_by_role("combobox", name="Find runs").fill("metrics.accuracy > 3")
    expect(page.get_by_text("No run fits")).to_be_visible()


def test_columns_and_groups_are_in_the_address(browse: Browse, inspect: Inspect, sweep: Sweep) -> None:
    page = browse(f"/runs?experiment={sweep.experiment}")
    expect(page.get_by_role("columnheader", name="loss")).to_be_visible()
    page.get_by_role("button", name="Columns").click()
    dialog = page.get_by_role("dialog", name="Columns")
    dialog.get_by_role("checkbox", name="loss", exact=True).uncheck()
    dialog.get_by_role("searchbox").fill("team")
    dialog.get_by_role("checkbox", name="team").check()
    dialog.get_by_role("button", name="Move team to the left").press("Alt+ArrowUp")
    dialog.get_by_role("button", name="Done").click()
    expect(page.get_by_role("columnheader", name="loss")).to_have_count(0)
    expect(page.get_by_role("grid", name="Runs").get_by_role("row", name=re.compile("vision")).first).to_be_visible()
    expect(page).to_have_url(re.compile("columns=.*tags.team"))
    page.get_by_role("combobox", name="Group by").select_option("params.optimizer")
    groups = page.get_by_role("grid", name="Groups of runs")
    expect(groups.get_by_role("row")).to_have_count(3)
    inspect(page, "sweep-groups")
    groups.get_by_role("row", name=re.compile("^adam")).click()
    expect(page.get_by_role("combobox", name="Find runs")).to_have_value("params.optimizer = 'adam'")
    expect(page.get_by_role("combobox", name="Group by")).to_have_value("")


def test_a_view_is_kept_and_opened_by_its_address(browse: Browse, inspect: Inspect, sweep: Sweep, world: World) -> None:
    page = browse(f"/runs?experiment={sweep.experiment}&filter=params.depth+%3D+9")
    page.get_by_text("Saved views", exact=True).click()
    page.get_by_role("button", name="Keep as…").click()
    dialog = page.get_by_role("dialog", name="Keep this view")
    dialog.get_by_label("Name").fill("deep ones")
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Keep").click()
    expect(page).to_have_url(re.compile("view="))
    identity = page.url.split("view=")[1].split("&")[0]
    other = browse(f"/runs?view={identity}")
    expect(other.get_by_role("combobox", name="Find runs")).to_have_value("params.depth = 9")
    inspect(other, "sweep-views")
    other.get_by_text("deep ones", exact=True).first.click()
    other.get_by_role("button", name="Remove the view deep ones").click()
    expect(other.get_by_text("Nothing is kept yet.")).to_be_visible()


def test_chosen_runs_are_drawn_beside_the_list_and_compared(browse: Browse, inspect: Inspect, sweep: Sweep) -> None:
    page = browse(f"/runs?experiment={sweep.experiment}&order=metrics.val/auc+DESC")
    runs = page.get_by_role("grid", name="Runs")
    expect(runs.get_by_role("row").nth(4)).to_be_visible()
    runs.focus()
    for _ in range(3):
        page.keyboard.press("x")
        page.keyboard.press("j")
    expect(page.get_by_role("figure", name="val/auc").locator("canvas")).to_be_visible()
    expect(page.get_by_role("figure", name="Parameters against outcome").locator("path.strong")).to_have_count(3)
    expect(page.get_by_role("region", name="What differs").last.get_by_role("row")).to_have_count(4)
    inspect(page, "sweep-compared")
    page.get_by_label("Smoothing").fill("0.8")
    expect(page).to_have_url(re.compile("smooth=0.8"))
    runs.focus()
    page.keyboard.press("c")
    expect(page).to_have_url(re.compile(r"/runs/compare\?ids="))
    expect(page.get_by_text("3 runs", exact=True)).to_be_visible()


def test_curves_are_compared_under_one_pointer(browse: Browse, inspect: Inspect, sweep: Sweep) -> None:
    page = browse(f"/runs/compare?ids={','.join(sweep.runs[-3:])}")
    loss, accuracy = (page.get_by_role("figure", name=name, exact=True) for name in ("loss", "accuracy"))
    expect(loss.locator("canvas")).to_be_visible()
    inspect(page, "compare-curves")
    loss.locator(".u-over").hover(position={"x": 250, "y": 50})
    for figure in (loss, accuracy):
        expect(figure.locator(".tip i")).to_have_count(3)
    page.get_by_role("checkbox", name="log y").check()
    page.get_by_role("combobox", name="Over").select_option("relative")
    expect(page).to_have_url(re.compile("x=relative"))
    expect(page).to_have_url(re.compile("log=y"))
    page.get_by_role("searchbox", name="Find a metric").fill("cpu")
    expect(page.locator(".curve-card")).to_have_count(1)
    expect(page.get_by_role("figure", name="system/cpu_utilization_percentage").locator("canvas")).to_be_visible()
    for place in (200, 250):
        page.locator(".u-over").hover(position={"x": place, "y": 50})
    expect(page.locator(".tip")).to_contain_text("min")


def test_figures_are_drawn_against_one_another(browse: Browse, inspect: Inspect, sweep: Sweep) -> None:
    page = browse(f"/runs/compare?ids={','.join(sweep.runs[-3:])}&tab=parallel")
    drawn = page.get_by_role("figure", name="Parameters against outcome")
    expect(drawn.locator("path.strong")).to_have_count(3)
    expect(drawn.locator("path")).to_have_count(24)
    inspect(page, "compare-parallel")
    page.get_by_role("tab", name="Two figures").click()
    page.get_by_role("combobox", name="Across").select_option("params.lr")
    page.get_by_role("combobox", name="Colour").select_option("params.optimizer")
    page.get_by_role("checkbox", name="log x").check()
    expect(page.get_by_role("figure", name="Two figures").locator("circle")).to_have_count(24)
    inspect(page, "compare-scatter")
    page.get_by_role("checkbox", name="only the chosen").check()
    expect(page.get_by_role("figure", name="Two figures").locator("circle")).to_have_count(3)


def test_only_what_differs_is_shown(browse: Browse, inspect: Inspect, sweep: Sweep, world: World) -> None:
    page = browse(f"/runs/compare?ids={','.join(sweep.runs[-3:])}&tab=differs")
    table = page.get_by_role("region", name="Runs side by side")
    expect(table.get_by_role("row", name=re.compile("^lr"))).to_contain_text("differs")
    expect(table.get_by_role("row", name=re.compile("^team"))).to_have_count(0)
    page.get_by_role("checkbox", name="also what is the same").check()
    expect(table.get_by_role("row", name=re.compile("^team"))).to_be_visible()
    inspect(page, "compare-differs")
    with world.workspace.database.read() as tx:
        rounds = [item.id for item in tracking.service.runs(tx, "churn")][:2]
    page = browse(f"/runs/compare?ids={','.join(rounds)}&tab=diff")
    expect(page.get_by_role("region", name="Environment", exact=True)).to_contain_text("All the same")
    expect(page.get_by_role("region", name="Metrics that differ").get_by_role("row").nth(1)).to_be_visible()
    inspect(page, "compare-diff")


def test_a_run_shows_what_it_logged_and_is_tagged_and_talked_about(browse: Browse, inspect: Inspect, sweep: Sweep) -> None:
    page = browse(f"/runs/{sweep.runs[0]}")
    expect(page.get_by_role("region", name="Parameters").first).to_contain_text("optimizer")
    expect(page.get_by_role("region", name="Runs within it")).to_contain_text("4")
    expect(page.get_by_role("region", name="What it depended on")).to_contain_text("transactions")
    inspect(page, "sweep-run")
    tags = page.get_by_role("region", name="Tags")
    tags.get_by_role("button", name="Add").click()
    tags.get_by_label("Tag", exact=True).fill("state")
    tags.get_by_label("Value").fill("of the art")
    tags.get_by_role("button", name="Keep").click()
    expect(tags).to_contain_text("state: of the art")
    page.get_by_role("tab", name="Metrics 3").click()
    expect(page.get_by_role("figure", name="loss").locator("canvas")).to_be_visible()
    page.get_by_role("tab", name="System").click()
    expect(page.locator(".curve-card")).to_have_count(2)
    inspect(page, "sweep-system")
    page.get_by_role("tab", name=re.compile("^Notes")).click()
    page.get_by_role("button", name="Write one").click()
    page.get_by_label("Description").last.fill("**Not** bad")
    page.get_by_role("button", name="Keep").click()
    expect(page.locator(".prose b")).to_have_text("Not")
    page.get_by_label("Say something").fill("worth another look")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("region", name="Comments")).to_contain_text("worth another look")
    expect(page.get_by_role("tab", name="Notes 1")).to_be_visible()
    inspect(page, "sweep-notes")


def test_files_are_looked_into_and_a_page_is_shut_in(
    browse: Browse, context: BrowserContext, inspect: Inspect, sweep: Sweep
) -> None:
    page = browse(f"/runs/{sweep.runs[0]}?tab=artifacts")
    files = page.get_by_role("region", name="Files")
    files.get_by_role("link", name="rows.csv").click()
    expect(page.get_by_role("region", name="Rows of rows.csv").get_by_role("row")).to_have_count(3)
    files.get_by_role("link", name="metrics.json").click()
    expect(page.get_by_label("Text of metrics.json")).to_contain_text('"auc": 0.91')
    files.get_by_role("link", name="plots/").click()
    files.get_by_role("link", name="curve.png").click()
    picture = page.get_by_role("img", name="curve.png")
    expect(picture).to_be_visible()
    assert picture.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 8
    expect(page).to_have_url(re.compile("file=plots%2Fcurve.png"))
    inspect(page, "sweep-artifacts")
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download").click()
    assert taken.value.suggested_filename == "curve.png"
    shut = context.new_page()  # the browser notes in its console what the frame may not do
    shut.goto(f"{page.url.split('/runs/')[0]}/runs/{sweep.runs[0]}?tab=artifacts&file=report.html")
    frame = shut.frame_locator("iframe")
    expect(frame.locator("#told")).to_have_text("still")
    shut.get_by_role("checkbox", name="let its scripts run").check()
    expect(frame.locator("#told")).to_have_text("it ran")
    expect(frame.locator("body")).to_contain_text("shut in and cut off")
    assert shut.title() != "reached"
    shut.get_by_role("button", name="As text").click()
    expect(shut.get_by_label("Text of report.html")).to_contain_text("<h1>A page</h1>")


def test_a_run_is_deleted_and_brought_back(browse: Browse, sweep: Sweep) -> None:
    page = browse(f"/runs/{sweep.runs[1]}")
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Restore")).to_be_visible()
    listed = browse(f"/runs?experiment={sweep.experiment}&deleted=1")
    expect(listed.get_by_role("grid", name="Runs").get_by_role("row")).to_have_count(2)
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("button", name="Delete")).to_be_visible()


def test_experiments_are_described_renamed_and_lead_to_their_runs(browse: Browse, inspect: Inspect, sweep: Sweep) -> None:
    page = browse(f"/experiments?experiment={sweep.experiment}")
    expect(page.get_by_role("grid", name="Experiments").get_by_role("row", name=re.compile(NAME))).to_contain_text("24")
    expect(page.locator(".prose")).to_contain_text("A sweep over depth")
    inspect(page, "experiments")
    page.get_by_role("button", name="New experiment").click()
    page.get_by_label("Name of the experiment").fill("fresh")
    page.get_by_role("button", name="Make").click()
    expect(page.get_by_role("heading", name="fresh")).to_be_visible()
    page.get_by_role("button", name="Rename").click()
    page.get_by_label("New name").fill("fresher")
    page.get_by_role("button", name="Keep").click()
    expect(page.get_by_role("heading", name="fresher")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Restore")).to_be_visible()
    page.get_by_role("checkbox", name="deleted").check()
    expect(page.get_by_role("grid", name="Experiments").get_by_role("row")).to_have_count(2)
    page.get_by_role("checkbox", name="deleted").uncheck()
    page.get_by_role("grid", name="Experiments").get_by_role("link", name=NAME, exact=True).click()
    expect(page).to_have_url(re.compile(rf"/runs\?experiment={sweep.experiment}$"))


def test_a_curve_grows_while_a_run_goes_on(browse: Browse, sweep: Sweep, world: World) -> None:
    going = sweep.runs[-1]
    page = browse(f"/runs/{going}?tab=metrics")
    expect(page.get_by_role("figure", name="loss").locator("canvas")).to_be_visible()
    page.get_by_role("figure", name="loss").get_by_text("As a table").click()
    table = page.get_by_role("region", name="loss as a table")
    expect(table).to_contain_text("240")
    world.workspace.database.write(
        lambda tx: tracking.logs.log_metric(tx, local_principal(), going, Metric("loss", 0.0625, 1_780_000_000_000, 500))
    )
    expect(table).to_contain_text("0.06250")
    expect(table).to_contain_text("241")
    listed = browse(f"/runs?experiment={sweep.experiment}&filter=attributes.status+%3D+'RUNNING'")
    expect(listed.get_by_role("grid", name="Runs").get_by_role("row")).to_have_count(2)
    world.workspace.database.write(
        lambda tx: tracking.service.update_run(
            tx, local_principal(), going, state=RunState.FINISHED, ended=world.workspace.clock.now()
        )
    )
    expect(listed.get_by_text("No run fits")).to_be_visible()


@pytest.fixture
def guarded(tmp_path: Path, empty_database: Path) -> Iterator[Workspace]:
    """An installation that asks for tokens, with two projects."""
    with servers.open_workspace(tmp_path, empty_database, auth="tokens") as workspace:
        yield workspace


def test_a_shared_link_shows_only_what_its_reader_may_see(guarded: Workspace, context: BrowserContext) -> None:
    logged = log_sweep(guarded.database, local_principal(), guarded.clock.now() + HOUR, 3)
    guarded.database.write(lambda tx: tracking.experiments.create(tx, local_principal(), "mine"))
    _, limited = servers.token(guarded, Role.VIEWER, person="eve", projects=frozenset({"mine"}))
    _, free = servers.token(guarded, Role.VIEWER, person="ada", name="desk")
    link = f"/runs/compare?ids={','.join(logged.runs)}"
    with control_plane(guarded) as url:
        for text, found in ((free, "3 runs"), (limited, "None of these runs is here")):
            page = context.new_page()
            page.goto(url + link)
            page.get_by_label("Token", exact=True).fill(text)
            page.get_by_role("button", name="Log in").click()
            expect(page.get_by_text(found, exact=found == "3 runs")).to_be_visible()
            if text is free:
                page.get_by_label("You are ada").click()
                page.get_by_role("button", name="Log out").click()
                expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        page.goto(f"{url}/runs")
        expect(page.get_by_text("Nothing has been tried yet")).to_be_visible()
        page.goto(f"{url}/experiments")
        expect(page.get_by_role("grid", name="Experiments").get_by_role("row")).to_have_count(2)
        page.goto(f"{url}/runs/{logged.runs[0]}")
        expect(page.get_by_text("There is nothing here")).to_be_visible()
        seen = page.evaluate(
            "async (paths) => (await Promise.all(paths.map((path) => fetch(path).then((answer) => answer.text())))).join()",
            [
                "/api/view/runs",
                "/api/view/runs/about",
                f"/api/view/runs/curves?ids={logged.runs[0]}&key=loss",
                "/api/view/experiments",
            ],
        )
        assert NAME not in seen and logged.runs[0] not in seen and "accuracy" not in seen
