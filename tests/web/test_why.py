"""Why a prediction is what it is: found by its id or among the newest, and explained down to data, code and approvals."""

import re

import pytest
from playwright.sync_api import expect
from tests.web.conftest import Browse, Inspect, World

from perenne import automation, serving
from perenne.auth.principals import local_principal
from perenne.core.errors import NotFound
from perenne.web.screens.why import start_view, why_view


def first_prediction(world: World) -> str:
    """Return the first prediction there was, whose label came the day after."""
    found = serving.read_predictions(world.workspace.settings.logs, columns=["prediction_id"])
    return str(found["prediction_id"][0])


def test_the_newest_predictions_are_offered(world: World) -> None:
    with world.workspace.database.read() as tx:
        start = start_view(tx, local_principal(), world.workspace)
        only = start_view(tx, local_principal(), world.workspace, "rents")
    offers = {offer.deployment: offer.newest for offer in start.offers}
    assert len(offers["churn"]) == 5
    arrived = [item.arrived for item in offers["churn"]]
    assert arrived == sorted(arrived, reverse=True)
    every = serving.read_predictions(world.workspace.settings.logs, variant="champion", columns=["prediction_id"])
    assert offers["churn"][0].id == every["prediction_id"][-1].as_py()
    assert [offer.deployment for offer in only.offers] == ["rents"]
    assert only.offers[0].newest == ()


def test_an_explained_prediction_tells_the_whole_chain_and_what_came_true(world: World) -> None:
    found = automation.why(world.workspace, first_prediction(world))
    shown = why_view(found)
    assert [item.kind for item in shown.chain] == ["deployment", "version", "run", "snapshot", "code", "decision"]
    assert shown.chain[1].path == "/model/churn?version=1"
    assert shown.chosen == "the champion answers"
    assert found.actual is not None
    assert found.actual.label in ("0", "1")
    assert found.actual.right is (found.actual.label == found.answer)
    assert found.happened < found.arrived, "it was asked about a moment of the past"
    assert not any("label" in text for text in found.missing)
    effects = [abs(item.effect) for item in found.inputs]
    assert effects == sorted(effects, reverse=True)


def test_without_a_label_that_is_said(world: World) -> None:
    found = automation.why(world.workspace, world.prediction)
    assert found.actual is None
    assert "no label: what really happened is not known yet" in found.missing


def test_a_prediction_of_another_project_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        automation.why(world.workspace, world.prediction, frozenset({"rents"}))


def test_a_prediction_is_found_by_its_id_and_explained(browse: Browse, world: World, inspect: Inspect) -> None:
    prediction = first_prediction(world)
    page = browse("/why")
    expect(page.get_by_role("row")).not_to_have_count(0)
    inspect(page, "why")
    page.get_by_role("textbox", name="Prediction id").fill(f"  {prediction} ")
    page.get_by_role("button", name="Explain").click()
    expect(page).to_have_url(re.compile(f"/why/{prediction}$"))
    expect(page.get_by_role("heading", name=re.compile("Why the answer was"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"(right|wrong): it was"))).to_be_visible()
    expect(page.get_by_role("region", name="Inputs by effect").get_by_role("row")).to_have_count(5)
    chain = page.get_by_role("region", name="Behind it")
    expect(chain.get_by_role("link", name="churn@1")).to_have_attribute("href", "/model/churn?version=1")
    expect(chain.get_by_text("approved by")).to_be_visible()
    inspect(page, "why-explained")


def test_the_newest_prediction_is_one_click_away(browse: Browse) -> None:
    page = browse("/why")
    page.get_by_role("region", name="newest predictions of churn").get_by_role("link").first.click()
    expect(page.get_by_text("what really happened is not known yet").first).to_be_visible()
    expect(page.get_by_text(re.compile("not seen in training")).first).to_be_visible()
