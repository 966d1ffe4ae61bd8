"""Comments: said, changed and taken back by who may, each with a record in the trail."""

import pytest
import sqlalchemy as sa

from perenne.auth import audit, comments
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.errors import Denied, Invalid, NotFound
from perenne.storage.workspace import Workspace

EVE = Principal("eve", roles=frozenset({Role.REVIEWER}))
OWNER = Principal("owen", roles=frozenset({Role.OWNER}))
VIEWER = Principal("vic", roles=frozenset({Role.VIEWER}))
ELSEWHERE = Principal("else", roles=frozenset({Role.OWNER}), projects=frozenset({"other"}))


def say(workspace: Workspace, who: Principal, text: str, identity: str = "m@1") -> comments.Comment:
    return workspace.database.write(lambda tx: comments.add(tx, who, "version", identity, text, project="p"))


def test_they_are_listed_newest_first_in_pages_and_counted(workspace: Workspace) -> None:
    said = [say(workspace, EVE, f"word {number}") for number in range(5)]
    say(workspace, EVE, "another", "m@2")
    with workspace.database.read() as tx:
        first = comments.of(tx, "version", "m@1", limit=2)
        assert [comment.text for comment in first] == ["word 4", "word 3"]
        rest = comments.of(tx, "version", "m@1", before=first[-1].id)
        assert rest == said[2::-1]
        assert comments.counts(tx, "version", ["m@1", "m@2", "m@3"]) == {"m@1": 5, "m@2": 1}


def test_only_its_author_changes_one_and_an_owner_may_remove_it(workspace: Workspace) -> None:
    mine = say(workspace, EVE, "  too slow  ")
    assert mine.text == "too slow"
    changed = workspace.database.write(lambda tx: comments.edit(tx, EVE, mine.id, "quick enough"))
    assert changed.text == "quick enough" and changed.edited is not None
    for who in (OWNER, VIEWER):
        with pytest.raises(Denied):
            workspace.database.write(lambda tx, who=who: comments.edit(tx, who, mine.id, "mine now"))  # type: ignore[misc]
    with pytest.raises(Denied):
        workspace.database.write(lambda tx: comments.remove(tx, Principal("rex", roles=EVE.roles), mine.id))
    workspace.database.write(lambda tx: comments.remove(tx, OWNER, mine.id))
    with workspace.database.read() as tx:
        assert comments.of(tx, "version", "m@1") == []
        trail = [record.action for record in audit.trail(tx, entity="version", entity_id="m@1")]
        assert trail == ["comment.remove", "comment.edit", "comment.add"]
        assert audit.verify(tx).bad_seq is None


def test_what_cannot_be_said_or_seen_is_refused(workspace: Workspace) -> None:
    for text in ("", "  ", "x" * 10_001, "a\0b"):
        with pytest.raises(Invalid):
            say(workspace, EVE, text)
    with pytest.raises(Denied):
        say(workspace, VIEWER, "hello")
    mine = say(workspace, EVE, "hello")
    with pytest.raises(NotFound):
        workspace.database.write(lambda tx: comments.remove(tx, ELSEWHERE, mine.id))
    with pytest.raises(NotFound):
        workspace.database.write(lambda tx: comments.edit(tx, EVE, mine.id + 1, "hello"))


def test_they_follow_a_thing_and_go_with_it(workspace: Workspace) -> None:
    say(workspace, EVE, "hello")
    workspace.database.write(lambda tx: comments.follow(tx, "version", "m@1", "n@1"))
    with workspace.database.read() as tx:
        assert [comment.text for comment in comments.of(tx, "version", "n@1")] == ["hello"]
    workspace.database.write(lambda tx: comments.forget(tx, "version", ["n@1"]))
    with workspace.database.read() as tx:
        assert tx.scalar(sa.select(sa.func.count()).select_from(comments.table)) == 0
