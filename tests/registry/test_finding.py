"""Searches of models and versions: filters, orders, pages, what somebody may see."""

import pytest
from tests.registry.people import ADA, DEPLOYER, ELSEWHERE, logged, packaged, write

from perenne.core.errors import Invalid
from perenne.registry import finding, models, placing, registrations
from perenne.storage.workspace import Workspace


@pytest.fixture
def full(workspace: Workspace) -> Workspace:
    """Three models of clients, one of rounds, and a prompt."""
    for name in ("alpha", "beta", "Gamma"):
        logged(workspace, name, tags={"stage": "test", "who": name})
        write(workspace, models.set_tag, ADA, name, "team", "risk" if name == "beta" else "crm")
    logged(workspace, "alpha", source="s3://other/place", description="second")
    packaged(workspace)
    prompt = {models.IS_PROMPT: "true"}
    write(workspace, models.create, ADA, "greeting", tags=prompt)
    write(workspace, registrations.create, ADA, "greeting", "dummy-source", tags=prompt)
    write(workspace, placing.set_alias, DEPLOYER, "alpha", "best", "alpha@2")
    return workspace


def names(workspace: Workspace, text: str = "", *order: str, who: object = ADA) -> list[str]:
    with workspace.database.read() as tx:
        found = finding.find_models(tx, who, text, order, limit=100)  # type: ignore[arg-type]
        assert found.token == ""
        return [model.name for model in found.models]


def ids(workspace: Workspace, text: str = "", *order: str) -> list[str]:
    with workspace.database.read() as tx:
        return [version.id for version in finding.find_versions(tx, ADA, text, order, limit=100).versions]


def test_models_are_found_by_name_and_tags_and_prompts_only_if_asked_for(full: Workspace) -> None:
    assert names(full) == ["Gamma", "alpha", "beta", "late"]
    assert names(full, "name LIKE '%eta'") == ["beta"]
    assert names(full, "name ILIKE 'g%'") == ["Gamma"]
    assert names(full, "tags.team = 'crm' AND name != 'Gamma'") == ["alpha"]
    assert names(full, "tags.team = 'risk' OR project = 'late'") == ["beta", "late"]
    assert names(full, "tags.`mlflow.prompt.is_prompt` = 'true'") == ["greeting"]
    assert names(full, "tags.`mlflow.prompt.is_prompt` != 'true' AND tag.team = 'risk'") == ["beta"]
    assert names(full, "name IN ('alpha', 'beta')", "name DESC") == ["beta", "alpha"]
    assert names(full, "", "timestamp DESC")[0] == "alpha" and names(full, "", "last_updated_timestamp ASC")[-1] == "alpha"
    assert names(full, who=ELSEWHERE) == []


def test_versions_are_found_by_what_they_have(full: Workspace) -> None:
    assert ids(full)[:2] == ["late@1", "alpha@2"], "the last that was changed comes first"
    assert ids(full, "name = 'alpha'", "version_number ASC") == ["alpha@1", "alpha@2"]
    assert ids(full, "source_path LIKE 's3://other/%'") == ["alpha@2"]
    assert ids(full, "run_id = 'run'") == ["late@1"]
    assert ids(full, "version_number > 1") == ["alpha@2"]
    assert ids(full, "tags.who = 'beta' and tags.stage = 'test'") == ["beta@1"]
    assert ids(full, "aliases.best IS NOT NULL") == ["alpha@2"]
    assert ids(full, "state = 'candidate' AND name = 'late'") == ["late@1"]
    assert ids(full, "tags.`mlflow.prompt.is_prompt` = 'true'") == ["greeting@1"]
    write(full, registrations.delete, ADA, "alpha", 1)
    assert "alpha@1" not in ids(full)


def test_pages_stay_right_while_versions_arrive(full: Workspace) -> None:
    seen: list[str] = []
    token = ""
    for number in range(10):
        with full.database.read() as tx:
            page = finding.find_versions(tx, ADA, "", ["name ASC"], limit=2, token=token)
        seen += [version.id for version in page.versions]
        logged(full, f"aaa{number}")
        token = page.token
        if not token:
            break
    assert seen == ["Gamma@1", "alpha@2", "alpha@1", "beta@1", "late@1"]


@pytest.mark.parametrize("text", ["size = 'x'", "metrics.a > 1", "name > 'a'", "name = 1", "version_number = 'one'", "name ="])
def test_what_cannot_be_asked_is_refused(full: Workspace, text: str) -> None:
    with pytest.raises(Invalid):
        ids(full, text)
    with pytest.raises(Invalid):
        ids(full, "", "size")
    with pytest.raises(Invalid), full.database.read() as tx:
        finding.find_versions(tx, ADA, limit=1, token="forged")
