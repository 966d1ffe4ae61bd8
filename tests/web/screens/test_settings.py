"""The payload of the settings screen: who sees which tokens, what runs, and what is told to whom."""

import socket
import threading
import time

import httpx
import pytest
from tests.web.control_plane import control_plane

from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.auth.tokens import create_token, revoke_token, rotate_token
from perenne.core.clock import DAY, ManualClock
from perenne.core.errors import Denied
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace
from perenne.telemetry.heartbeats import Heartbeat
from perenne.web.screens.settings import about_tab, tokens_tab, vendored

ADMIN = Principal("root", roles=frozenset({Role.ADMIN, Role.OWNER}))
EVE = Principal("eve", roles=frozenset({Role.VIEWER}), projects=frozenset({"churn"}))


def test_tokens_are_those_one_may_see_and_say_whether_they_count(workspace: Workspace, clock: ManualClock) -> None:
    now = clock.now()

    def work(tx: Transaction) -> list[str]:
        made = []
        for name, person in (("old", "ada"), ("lost", "ada"), ("turned", "ada"), ("hers", "eve")):
            length = DAY if name == "old" else 30 * DAY
            token, _ = create_token(tx, ADMIN, name, frozenset({Role.VIEWER}), now=now, lifetime=length, person=person)
            made.append(token.id)
        return made

    _, lost, turned, _ = workspace.database.write(work)
    clock.advance_to(now + 2 * DAY)
    later = clock.now()
    workspace.database.write(lambda tx: revoke_token(tx, ADMIN, lost, now=later))
    workspace.database.write(lambda tx: rotate_token(tx, ADMIN, turned, now=later))
    with workspace.database.read() as tx:
        all_of_them, hers = tokens_tab(tx, ADMIN, later), tokens_tab(tx, EVE, later)
    states = {row.name: row.state for row in all_of_them.rows}
    assert states == {"old": "expired", "lost": "revoked", "turned": "valid", "hers": "valid"}
    assert {row.name: row.two_until for row in all_of_them.rows if row.two_until} == {"turned": later + DAY}
    assert all_of_them.others and set(all_of_them.roles) == set(Role)
    assert [row.name for row in hers.rows] == ["hers"] and not hers.others
    assert (hers.roles, hers.projects) == ((Role.VIEWER,), ("churn",))


def test_places_are_told_to_administrators_only(workspace: Workspace) -> None:
    viewer = Principal("vic", roles=frozenset({Role.VIEWER}))
    with workspace.database.read() as tx:
        told = about_tab(tx, ADMIN, workspace, asks=True)
        less = about_tab(tx, viewer, workspace, asks=True)
        with pytest.raises(Denied):
            about_tab(tx, EVE, workspace, asks=True)
    assert told.home == str(workspace.settings.home) and told.objects_place
    assert (less.home, less.database_place, less.objects_place) == (None, None, None)
    assert str(workspace.settings.home) not in str(less)
    assert less.database.startswith(("SQLite", "PostgreSQL")) and less.schema >= "0010" and less.objects == "folder"


def test_what_others_wrote_has_its_licence() -> None:
    found = vendored()
    assert {"preact", "htm", "uplot"} <= {item.package for item in found}
    assert all(item.version and item.licence for item in found)


def test_processes_are_asked_how_they_are(workspace: Workspace) -> None:
    with control_plane(workspace) as url:
        path = f"{url}/api/view/settings?tab=processes"
        assert httpx.get(path).json()["processes"] == []
        with Heartbeat(workspace.settings.home, "model-server", "churn", f"http://127.0.0.1:{unused_port()}"):
            (found,) = httpx.get(path, timeout=30).json()["processes"]
        assert (found["name"], found["state"]) == ("model-server churn", "alive")
        assert found["problem"].startswith("it does not answer on http://127.0.0.1:")
        assert found["started"] <= found["beat"] <= time.time_ns() // 1_000
        answer = httpx.get(f"{url}/api/view/settings?tab=none")
        assert (answer.status_code, answer.json()["error_code"]) == (400, "settings.tab")
    assert not [thread for thread in threading.enumerate() if thread.name == "perenne-heartbeat"]


def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
