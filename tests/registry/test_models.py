"""Registered models and the versions that clients register: names, numbers, tags, renaming, deletion."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.registry.people import (
    ADA,
    ADMIN,
    DEPLOYER,
    ELSEWHERE,
    OUTSIDE,
    VIEWER,
    logged,
    packaged,
    policy,
    write,
)

from perenne.auth import audit, comments
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.registry import Verdict, VersionForm, models, placing, policies, registrations, service, summary
from perenne.registry.views import model_window
from perenne.storage.links import Kind, links_from
from perenne.storage.workspace import Workspace


def test_numbers_are_never_used_again_and_each_is_whole(workspace: Workspace) -> None:
    first = logged(workspace, tags={"a": "1"}, description="one", run_link="https://ci/1")
    assert (first.id, first.form, first.project, first.author, first.stage) == (
        "fraud@1",
        VersionForm.LOGGED,
        "fraud",
        "",
        "None",
    )
    assert logged(workspace).number == 2
    write(workspace, registrations.delete, ADA, "fraud", 2)
    assert logged(workspace).number == 3
    with workspace.database.read() as tx:
        (entry,) = registrations.entries(tx, [registrations.get(tx, ADA, "fraud", 1)])
        assert entry.tags == {"a": "1"} and entry.version.description == "one" and entry.version.run_link == "https://ci/1"
        with pytest.raises(NotFound):
            registrations.get(tx, ADA, "fraud", 2)
        assert [version.number for version in service.versions(tx, "fraud")] == [3, 1]
        actions = [record.action for record in audit.trail(tx)][::-1]
        assert actions == ["model.create", "version.register", "version.register", "version.delete", "version.register"]
        assert audit.verify(tx).bad_seq is None


def test_registering_at_once_loses_none_and_doubles_none(workspace: Workspace) -> None:
    write(workspace, models.create, ADA, "fraud")
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: logged(workspace).number, range(24)))
    assert sorted(made) == list(range(1, 25))


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", ".", "..", "x" * 257, "a\0b"])
def test_a_model_cannot_be_called_just_anything(workspace: Workspace, name: str) -> None:
    with pytest.raises(Invalid):
        write(workspace, models.create, ADA, name)
    with workspace.database.read() as tx:
        assert audit.head(tx) is None


def test_tags_and_descriptions_are_kept_and_their_limits_too(workspace: Workspace) -> None:
    logged(workspace)
    write(workspace, models.set_tag, ADA, "fraud", "team", "risk")
    write(workspace, models.set_tag, ADA, "fraud", "team", "crm")
    write(workspace, models.update, ADA, "fraud", description="who cheats")
    write(workspace, registrations.set_tag, ADA, "fraud", 1, "checked", "yes")
    write(workspace, registrations.update, ADA, "fraud", 1, description="better")
    with workspace.database.read() as tx:
        (entry,) = models.entries(tx, [models.get(tx, ADA, "fraud")])
        assert (
            entry.tags == {"team": "crm"}
            and entry.model.description == "who cheats"
            and entry.model.updated > entry.model.created
        )
        assert entry.latest[0].description == "better"
    write(workspace, models.drop_tag, ADA, "fraud", "team")
    write(workspace, models.drop_tag, ADA, "fraud", "never there")
    write(workspace, registrations.drop_tag, ADA, "fraud", 1, "checked")
    for key, value in (("a$b", ""), ("k" * 251, ""), ("k", "v" * 100_001), ("../a", ""), ("", "")):
        with pytest.raises(Invalid):
            write(workspace, models.set_tag, ADA, "fraud", key, value)
        with pytest.raises(Invalid):
            write(workspace, registrations.set_tag, ADA, "fraud", 1, key, value)
    with workspace.database.read() as tx:
        assert models.entries(tx, [models.get(tx, ADA, "fraud")])[0].tags == {}


def test_whoever_may_not_see_it_finds_nothing_and_who_may_not_change_it_is_refused(workspace: Workspace) -> None:
    logged(workspace)
    for work in (models.get, models.delete):
        with pytest.raises(NotFound):
            write(workspace, work, ELSEWHERE, "fraud")
    with pytest.raises(NotFound):
        write(workspace, registrations.get, ELSEWHERE, "fraud", 1)
    refused: list[tuple[Any, ...]] = [
        (VIEWER, models.set_tag, "fraud", "a", "b"), (DEPLOYER, models.delete, "fraud"), (VIEWER, models.create, "new"),
        (DEPLOYER, registrations.delete, "fraud", 1), (VIEWER, registrations.create, "fraud", OUTSIDE),
    ]  # fmt: skip
    for who, work, *rest in refused:
        with pytest.raises(Denied):
            write(workspace, work, who, *rest)


def test_a_renamed_model_takes_everything_along(workspace: Workspace) -> None:
    logged(workspace, tags={"a": "1"})
    write(workspace, models.set_tag, ADA, "fraud", "team", "risk")
    write(workspace, placing.set_alias, DEPLOYER, "fraud", "best", "fraud@1")
    write(workspace, comments.add, ADA, "version", "fraud@1", "good", project="fraud")
    write(workspace, models.rename, ADA, "fraud", "cheat")
    with workspace.database.read() as tx:
        with pytest.raises(NotFound):
            models.get(tx, ADA, "fraud")
        (entry,) = models.entries(tx, [models.get(tx, ADA, "cheat")])
        assert (entry.tags, entry.aliases, entry.model.project) == ({"team": "risk"}, {"best": "cheat@1"}, "fraud")
        assert registrations.entries(tx, entry.latest)[0].tags == {"a": "1"}
        assert [comment.text for comment in comments.of(tx, "version", "cheat@1")] == ["good"]
        assert links_from(tx, Kind.VERSION, "cheat@1") and not links_from(tx, Kind.VERSION, "fraud@1")
    logged(workspace)
    with pytest.raises(Conflict, match="already exists"):
        write(workspace, models.rename, ADA, "fraud", "cheat")
    packaged(workspace)
    with pytest.raises(Conflict, match="rounds"):
        write(workspace, models.rename, ADA, "late", "later")


def test_a_deleted_model_is_gone_and_may_come_again(workspace: Workspace) -> None:
    logged(workspace, tags={"a": "1"})
    write(workspace, models.delete, ADA, "fraud")
    with workspace.database.read() as tx:
        assert models.some(tx, ["fraud"]) == {} and not links_from(tx, Kind.VERSION, "fraud@1")
    assert logged(workspace).number == 1


def test_what_has_a_guarded_place_is_not_deleted(workspace: Workspace) -> None:
    for _ in range(2):
        logged(workspace)
    write(workspace, placing.set_alias, DEPLOYER, "fraud", "champion", "fraud@1")
    write(workspace, placing.set_alias, DEPLOYER, "fraud", "free", "fraud@2")
    for work, *rest in ((registrations.delete, 1), (models.delete,)):
        with pytest.raises(Conflict, match="champion"):
            write(workspace, work, ADA, "fraud", *rest)
    write(workspace, registrations.delete, ADA, "fraud", 2)
    with workspace.database.read() as tx:
        assert models.entries(tx, [models.get(tx, ADA, "fraud")])[0].aliases == {"champion": "fraud@1"}
    write(workspace, policies.state, ADMIN, policy(aliases=("free",)))
    with pytest.raises(Conflict, match="policy prod"):
        write(workspace, placing.set_alias, DEPLOYER, "fraud", "free", "fraud@1")


def test_prompts_and_models_share_one_name_space(workspace: Workspace) -> None:
    said = {models.IS_PROMPT: "true"}
    write(workspace, models.create, ADA, "greeting", tags=said)
    with pytest.raises(Conflict, match="Tried to create a registered model with name 'greeting'"):
        write(workspace, models.create, ADA, "greeting")
    with pytest.raises(Conflict, match=r"Prompt \(name=greeting\) already exists."):
        write(workspace, models.create, ADA, "greeting", tags=said)
    for source in (OUTSIDE, "/etc/passwd", "prompt-template/.."):
        with pytest.raises(Invalid, match="placeholder"):
            write(workspace, registrations.create, ADA, "greeting", source, tags=said)
    text = {**said, registrations.TEXT: "Hello {{ name }}"}
    made = write(workspace, registrations.create, ADA, "greeting", "prompt-template", tags=text)
    assert made.form is VersionForm.PROMPT and len(made.tree) == 64
    with workspace.database.read() as tx:
        assert model_window(tx, ADA).total == 0
    write(workspace, registrations.set_tag, ADA, "greeting", 1, registrations.TEXT, "Bye")
    with workspace.database.read() as tx:
        assert registrations.get(tx, ADA, "greeting", 1).tree != made.tree
    write(workspace, placing.set_alias, DEPLOYER, "greeting", "champion", "greeting@1")
    with pytest.raises(Conflict, match="may not be changed"):
        write(workspace, registrations.set_tag, ADA, "greeting", 1, registrations.TEXT, "Hello again")


def test_a_clients_version_among_those_of_rounds_needs_what_these_need(workspace: Workspace) -> None:
    first = packaged(workspace)
    write(workspace, placing.set_alias, DEPLOYER, "late", "champion", first.id)
    logged(workspace, "late")
    with pytest.raises(Conflict, match="no evidence"):
        write(workspace, placing.set_alias, DEPLOYER, "late", "champion", "late@2")
    with pytest.raises(Conflict, match="is not packaged yet"):
        write(workspace, placing.require_deployable, "late@2")
    assert packaged(workspace).id == "late@1", "the same files are the same version still"
    assert packaged(workspace, tree="d").id == "late@3"
    with workspace.database.read() as tx:
        assert [row.id for row in service.versions(tx, "late")] == ["late@3", "late@2", "late@1"]
        assert summary.newest(tx, ["late"])["late"].version.id == "late@3"


def test_the_list_is_ordered_and_cut_and_shows_what_somebody_may_see(workspace: Workspace) -> None:
    for name in ("b", "a", "c"):
        logged(workspace, name)
    packaged(workspace, verdict=Verdict.FAIL)
    write(workspace, models.create, ADA, "empty")
    write(workspace, models.set_tag, ADA, "a", "team", "risk")
    with workspace.database.read() as tx:
        found = model_window(tx, ADA, order="-updated", limit=2)
        assert ([row.model for row in found.rows], found.total) == (["a", "empty"], 5)
        assert found.rows[0].tags == {"team": "risk"} and found.rows[1].newest == ""
        assert [row.model for row in model_window(tx, ADA, offset=1, limit=2).rows] == ["b", "c"]
        (late,) = model_window(tx, ADA, text="LAT").rows
        assert (late.gate, late.required, late.passed, late.form) == ("closed", 1, 0, "package")
        assert model_window(tx, ELSEWHERE).total == 0
        with pytest.raises(Invalid):
            model_window(tx, ADA, order="size")
