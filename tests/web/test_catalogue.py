"""The catalogue in the browser: what is said of a data set is changed in place, found in the list; errors stand in the form."""

import re

from playwright.sync_api import expect
from tests.web.conftest import Browse, Inspect, World

from perenne.auth.principals import local_principal
from perenne.data.catalogue.describing import describe


def test_whose_a_data_set_is_can_be_said_in_place_and_is_found_by_it(browse: Browse, inspect: Inspect, world: World) -> None:
    page = browse("/data/subscriptions")
    page.get_by_role("button", name="Say something").click()
    expect(page.get_by_label("Owner")).to_be_focused()
    page.get_by_label("Owner").fill("service team")
    page.get_by_label("Class").select_option("personal")
    page.get_by_label("Newest rows may be as old as").fill("1h")
    page.get_by_label("What it is, in Markdown").fill("Every **subscription**, by day.\n\n<script>alert(1)</script>")
    page.get_by_label("Tags, one key=value a line").fill("team=crm\nsystem=billing")
    page.get_by_label("Columns, one name=meaning a line").fill("plan")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("“plan” has no =")
    inspect(page, "catalogue-form")
    page.get_by_label("Columns, one name=meaning a line").fill("plan=what is paid for")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("service team")).to_be_visible()
    expect(page.get_by_text("Every subscription, by day.")).to_be_visible()
    expect(page.locator("script:has-text('alert')")).to_have_count(0)
    inspect(page, "catalogue")
    with world.workspace.database.read() as tx:
        said = describe(tx, local_principal(), "subscriptions", world.workspace.clock.now())
    assert (said.owner, said.tags, said.state) == ("service team", {"team": "crm", "system": "billing"}, "late")
    page.goto(f"{world.url}/data?find=billing")
    row = page.get_by_role("row", name=re.compile("subscriptions"))
    expect(row).to_contain_text("service team")
    expect(row).to_contain_text("late")
    inspect(page, "catalogue-list")


def test_an_escape_leaves_the_form_and_what_was_said(browse: Browse) -> None:
    page = browse("/data/flats")
    page.get_by_role("button", name="Say something").click()
    page.get_by_label("Owner").fill("nobody in particular")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Nobody has said whose this is")).to_be_visible()
