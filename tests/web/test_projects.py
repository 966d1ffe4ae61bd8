"""The pages of projects in the browser."""

import re

from playwright.sync_api import expect
from tests.web.conftest import Browse, Inspect


def test_the_list_of_projects_leads_to_one(browse: Browse, inspect: Inspect) -> None:
    page = browse("/project")
    grid = page.get_by_role("grid", name="Projects")
    expect(grid.get_by_role("row").filter(has_text="churn")).to_contain_text("missed")
    expect(grid.get_by_role("row").filter(has_text="hard")).to_contain_text("not in service")
    inspect(page, "projects")
    page.get_by_role("searchbox").fill("rent")
    expect(page).to_have_url(re.compile(r"\?q=rent$"))
    expect(grid.get_by_role("row")).to_have_count(2)
    grid.get_by_role("link", name="rents").click()
    expect(page.get_by_role("heading", name="rents", level=1)).to_be_visible()


def test_a_project_shows_what_is_asked_and_what_there_is(browse: Browse, inspect: Inspect) -> None:
    page = browse("/project/churn")
    objectives = page.get_by_role("region", name="Objectives").last.get_by_role("row")
    expect(objectives).to_have_count(4)
    expect(objectives.nth(1)).to_contain_text(re.compile(r"roc_auc.*≥ 0\.650.*passed"))
    expect(objectives.nth(3)).to_contain_text(re.compile(r"≤ 250 ms"))
    expect(page.get_by_role("region", name="Guardrails").last).to_contain_text("log_loss")
    plan = page.get_by_role("region", name="Plan").last.get_by_role("row")
    expect(plan.nth(1)).to_contain_text(re.compile(r"First version in service.*done late.*churn, .*record \d+"))
    expect(plan.nth(2)).to_contain_text(re.compile(r"open.*when a retraining promotes its challenger"))
    expect(plan.nth(3)).to_contain_text("not judged")
    expect(page.get_by_text("crm-leads must approve.")).to_be_visible()
    expect(page.get_by_role("region", name="People")).to_contain_text("data scientist")
    expect(page.get_by_role("region", name="Newest versions").last.get_by_role("row").nth(1)).to_contain_text("churn@3")
    inspect(page, "project")


def test_a_bound_over_time_has_an_address(browse: Browse) -> None:
    page = browse("/project/churn")
    page.get_by_role("tab", name="log_loss").click()
    expect(page).to_have_url(re.compile(r"\?bound=guardrail(\+|%20)log_loss$"))
    expect(page.get_by_role("figure", name="log_loss by window")).to_be_visible()
    page.reload()
    expect(page.get_by_role("tab", name="log_loss")).to_have_attribute("aria-selected", "true")
    page.get_by_text("As a table").click()
    expect(page.get_by_role("region", name="log_loss by window as a table").get_by_role("row").nth(1)).to_be_visible()


def test_what_proves_a_milestone_is_a_record(browse: Browse) -> None:
    page = browse("/project/churn")
    page.get_by_role("region", name="Plan").last.get_by_role("link", name=re.compile("^record")).click()
    expect(page.get_by_role("complementary", name=re.compile("^Record"))).to_contain_text("deployed churn@1 to churn")


def test_an_unknown_project_is_told_so(browse: Browse) -> None:
    # The browser itself writes the 404 of the payload into its console, so the page is asked in another way.
    page = browse("/project")
    answer = page.request.get(page.url.replace("/project", "/api/view/project/nowhere"))
    assert answer.status == 404 and answer.json()["error_code"] == "project.not_found"
