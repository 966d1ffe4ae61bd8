"""The demo with somebody who watches: what waits is decided on the page or at the terminal, and Ctrl-C ends everything."""

import os
import time
from pathlib import Path

import httpx
import pytest
from tests.cli.terminal import Terminal

from perenne import registry, serving
from perenne.auth import audit
from perenne.automation import EpisodeState, list_episodes
from perenne.cli.demo.deciding import AT_TERMINAL
from perenne.cli.demo.playing import NAME
from perenne.core.config import load_settings
from perenne.registry import VersionState
from perenne.storage.workspace import Workspace
from perenne.telemetry.heartbeats import Sign, signs


def processes(folder: Path) -> list[Sign]:
    return signs(load_settings(folder, {}).home)


def children(found: list[Sign]) -> list[int]:
    """The processes below those that gave signs of life."""
    return [int(value) for sign in found for key, value in sign.detail.items() if key.endswith(".pid") and value is not None]


def runs(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def wait_for(path: Path) -> str:
    deadline = time.monotonic() + 30
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.02)
    return path.read_text().strip()


@pytest.mark.waits
def test_a_person_decides_on_the_page_and_at_the_terminal_and_ends_it(tmp_path: Path) -> None:
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    folder = tmp_path / "perenne-demo"
    with Terminal(tmp_path, "demo", "--fast", DISPLAY=":77", BROWSER=f"{browser} %s") as terminal:
        url = terminal.expect("  page      ").partition(" ")[0]
        assert wait_for(tmp_path / "opened") == url
        with httpx.Client(base_url=url, trust_env=False) as page:
            assert "perenne" in page.get("/").text
            where = terminal.expect(f"{NAME}@1 waits for approval: may it serve? Decide at ")
            assert where.startswith(url)
            assert "y or n, then Enter" in where
            needs = page.get("/api/status").json()["needs"]
            assert [need["what"] for need in needs] == [f"{NAME}@1 waits for approval by airport-ops"]
            decided = page.post(f"/api/model/version/{NAME}@1/decision", json={"approve": True, "reason": "seen on the page"})
            assert decided.status_code == 201
            terminal.expect(f"{NAME}@1 approved by ")
            terminal.expect("Act 2")
            terminal.expect(f"{NAME}@2 waits for approval: may it serve?")
            terminal.type("perhaps")
            terminal.expect("\ny or n, then Enter")
            terminal.type("n")
            terminal.expect(f"{NAME}@2 rejected by ")
            terminal.expect("fault     injected by the demo")
            terminal.expect("stopped, the constant answers: guardrail breached: selection_rate is 1")
            terminal.expect(f"{NAME} is stopped: shall it answer again? Decide at {url}/deploy")
            terminal.type("y")
            terminal.expect(f"{NAME} resumed: mended upstream; {AT_TERMINAL}")
            terminal.expect("it goes on")
            assert page.get("/api/status").status_code == 200
        found = processes(folder)
        assert {sign.kind for sign in found} == {"control-plane", "model-server"}
        below = children(found)
        assert len(below) == 2
        assert all(runs(pid) for pid in below)
        terminal.interrupt()
        assert terminal.wait() == 0, terminal.shown[-2_000:]
    assert f"{NAME}@1 answers now" in terminal.shown
    assert not any(runs(pid) for pid in below)
    assert processes(folder) == []
    with Workspace(load_settings(folder, {})) as left, left.database.read() as tx:
        decisions = [registry.dossier(tx, f"{NAME}@{number}").decisions[0] for number in (1, 2)]
        assert [(decision.approved, decision.reason) for decision in decisions] == [
            (True, "seen on the page"),
            (False, AT_TERMINAL),
        ]
        assert registry.get_version(tx, f"{NAME}@2").state is VersionState.REJECTED
        episode = next(episode for episode in list_episodes(tx, NAME) if episode.challenger == f"{NAME}@2")
        assert episode.state is EpisodeState.REJECTED
        assert serving.service.get_deployment(tx, NAME).champion.version == f"{NAME}@1"
        assert audit.verify(tx).bad_seq is None


@pytest.mark.waits
def test_whoever_rejects_the_first_version_ends_the_story_and_ctrl_c_at_a_question_ends_the_demo(tmp_path: Path) -> None:
    with Terminal(tmp_path, "demo", "--fast", "--no-browser", "--folder", "one", "--once") as terminal:
        terminal.expect("may it serve?")
        terminal.type("n")
        terminal.expect(f"{NAME}@1 may not serve: rejected")
        assert terminal.wait() == 0, terminal.shown[-2_000:]
    assert "Nothing answers" in terminal.shown
    with Terminal(tmp_path, "demo", "--fast", "--no-browser", "--folder", "two", DISPLAY="") as terminal:
        terminal.expect("may it serve?")
        terminal.interrupt()
        assert terminal.wait() == 130
    assert processes(tmp_path / "two") == []
    assert not os.path.exists(tmp_path / "opened")
