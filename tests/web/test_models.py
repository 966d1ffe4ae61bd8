"""The pages of models, in the browser: what the loop did, what the gate says, and the decision in place."""

import re

from playwright.sync_api import expect
from tests.web.conftest import Browse, Inspect, World

from perenne import registry
from perenne.registry import VersionState


def test_the_list_leads_to_each_model(browse: Browse, inspect: Inspect) -> None:
    page = browse("/model")
    rows = page.get_by_role("grid", name="Models").get_by_role("row")
    expect(rows).to_have_count(6)
    expect(rows.filter(has_text="churn")).to_contain_text("waits for a person")
    expect(rows.filter(has_text="hard")).to_contain_text("gate closed")
    expect(rows.filter(has_text="vision")).to_contain_text("@candidate v2 Staging v1")
    expect(page.get_by_role("link", name="empty")).to_have_count(0)
    inspect(page, "models")
    page.get_by_role("searchbox", name="Find models").fill("rent")
    expect(rows).to_have_count(2)
    expect(page).to_have_url(re.compile(r"q=rent"))
    page.get_by_role("grid", name="Models").press("Enter")
    expect(page).to_have_url(re.compile(r"/model/rents$"))
    expect(page.get_by_role("heading", name="rents", level=1)).to_be_visible()


def test_a_model_shows_its_versions_its_gate_and_its_evidence(browse: Browse, inspect: Inspect) -> None:
    page = browse("/model/churn")
    expect(page.get_by_label("Versions of churn").get_by_role("link")).to_have_count(3)
    gate = page.get_by_role("region", name="Gate of v3")
    expect(gate.get_by_role("listitem")).to_have_count(9)
    expect(gate).to_contain_text("7 of 7 pass, waits for a person")
    expect(page.get_by_role("region", name="On the same rows")).to_contain_text("in its favour")
    for name in (
        "Receiver operating characteristic",
        "Precision and recall",
        "Calibration",
        "Confusion",
        "Scores by actual class",
    ):
        expect(page.get_by_role("region", name=name, exact=True)).to_be_visible()
    expect(page.get_by_role("figure", name="roc_auc in production")).to_be_visible()
    inspect(page, "model")
    page.get_by_label("Versions of churn").get_by_role("link", name="v2").click()
    expect(page).to_have_url(re.compile(r"version=2$"))
    expect(page.get_by_role("region", name="Gate of v2")).to_contain_text("failed")
    expect(page.get_by_role("button", name="Approve v2")).to_be_disabled()
    expect(page.get_by_role("region", name="Lineage of v2")).to_contain_text("drift")


def test_the_card_is_read_here_and_taken_away(browse: Browse) -> None:
    page = browse("/model/churn?version=1")
    card = page.get_by_role("region", name="Model card", exact=True)
    for text in ("Private customers with a running subscription.", "Approved by", "a level never seen", "plan basic"):
        expect(card).to_contain_text(text)
    with page.expect_download() as taken:
        card.get_by_role("link", name="Download as Markdown").click()
    assert taken.value.suggested_filename == "churn@1.md"
    assert "# Model card: churn@1" in taken.value.path().read_text()


def test_a_version_is_rejected_where_it_is_looked_at(browse: Browse, world: World) -> None:
    page = browse("/model/churn")
    page.get_by_role("button", name="Reject v3").click()
    dialog = page.get_by_role("dialog", name="Reject v3")
    dialog.get_by_role("textbox").fill("prices rise again")
    dialog.get_by_role("button", name="Reject v3").click()
    expect(page.get_by_role("region", name="Decisions")).to_contain_text("prices rise again")
    expect(page.get_by_role("button", name="Approve v3")).to_have_count(0)
    with world.workspace.database.read() as tx:
        assert registry.get_version(tx, "churn@3").state is VersionState.REJECTED
    page.get_by_role("button", name="Bar v3").click()
    dialog = page.get_by_role("dialog", name="Bar v3")
    dialog.get_by_role("textbox").fill("never again")
    dialog.get_by_role("button", name="Bar v3").click()
    expect(page.get_by_role("region", name="Gate of v3")).to_contain_text("closed")
    expect(page.get_by_role("button", name="Bar v3")).to_have_count(0)


def test_a_model_that_a_client_registered_gets_places_and_words_in_place(browse: Browse, inspect: Inspect, world: World) -> None:
    page = browse("/model?order=-updated")
    page.get_by_role("grid", name="Models").get_by_role("link", name="vision").click()
    expect(page).to_have_url(re.compile("/model/vision$"))
    table = page.get_by_role("region", name="Versions in a table")
    expect(table.get_by_role("row", name=re.compile("^v2"))).to_contain_text("@candidate")
    inspect(page, "model-logged")
    table.get_by_role("link", name="v1").click()
    places = page.get_by_role("region", name="Places of v1")
    places.get_by_role("button", name="Set an alias").click()
    places.get_by_label("Alias").fill("spare")
    places.get_by_role("button", name="Set", exact=True).click()
    expect(table.get_by_role("row", name=re.compile("^v1"))).to_contain_text("@spare")
    places.get_by_role("combobox", name="Stage").select_option("Archived")
    expect(table.get_by_role("row", name=re.compile("^v1"))).to_contain_text("Archived")
    places.get_by_role("button", name="Change").click()
    places.get_by_label("Description").fill("the *first* try")
    places.get_by_role("button", name="Keep").click()
    expect(places.locator("em")).to_have_text("first")
    page.get_by_label("Say something").fill("not this one")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("region", name="Comments on v1")).to_contain_text("not this one")
    places.get_by_title("Take @spare away").click()
    page.get_by_role("dialog").get_by_role("button", name="×").click()
    expect(table.get_by_text("@spare")).to_have_count(0)
    with world.workspace.database.read() as tx:
        assert registry.placing.aliased(tx, "vision", "spare") is None
        assert registry.get_version(tx, "vision@1").stage == "Archived"
