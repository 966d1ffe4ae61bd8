"""`perenne open`, completion and did-you-mean, over a real installation; terminals are real pseudo-terminals."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perenne import registry, serving
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.config import load_settings
from perenne.core.ids import new_id
from perenne.registry import Evidence, GatePolicy, Verdict
from perenne.storage.transaction import Transaction
from perenne.storage.workspace import Workspace
from perenne.telemetry.heartbeats import Heartbeat

ROOT = Principal("root", roles=frozenset(Role), solo=True)
ADDRESS = "http://127.0.0.1:7999"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Path:
    """An installation with two versions of `churn`, the first of which is deployed."""
    folder = tmp_path_factory.mktemp("shop")
    settings = load_settings(folder, {})
    settings.home.mkdir()
    shutil.copyfile(empty_database, settings.home / "perenne.db")
    with Workspace(settings) as workspace:
        workspace.database.write(_fill)
    return folder


def _fill(tx: Transaction) -> None:
    for tree in ("a", "b"):
        version = registry.register(
            tx, ROOT, model="churn", project="churn", run=new_id(), tree=tree * 64, reference="b" * 64, snapshot="c" * 64,
            policy=GatePolicy(("auc",), ""), evidence=[Evidence(check="auc", verdict=Verdict.PASS)],
        )  # fmt: skip
        if tree == "a":
            serving.service.deploy(tx, ROOT, "churn-eu", version.id)


def perenne(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "perenne", *arguments]
    own = {**os.environ, "PYTHONPATH": str(Path("src").resolve()), "DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": ""}
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False, env=own | environment)


@pytest.mark.parametrize(
    ("what", "path"),
    [
        ((), "/model/churn?version=2"),
        (("churn",), "/model/churn"),
        (("churn@1",), "/model/churn?version=1"),
        (("churn-eu",), "/deploy/churn-eu"),
        (("audit",), "/audit"),
        (("01ARZ3NDEKTSV4RRFFQ69G5FAV-0",), "/why/01ARZ3NDEKTSV4RRFFQ69G5FAV-0"),
    ],
)
def test_open_leads_to_the_page_of_what_is_named_or_was_made_last(folder: Path, what: tuple[str, ...], path: str) -> None:
    with Heartbeat(load_settings(folder, {}).home, "control-plane", address=ADDRESS):
        done = perenne(folder, "open", *what, "--print")
    assert (done.returncode, done.stdout) == (0, f"{ADDRESS}{path}\n"), done.stderr


def test_open_says_when_there_is_no_browser_and_what_may_have_been_meant(folder: Path) -> None:
    with Heartbeat(load_settings(folder, {}).home, "control-plane", address=ADDRESS):
        done = perenne(folder, "open", "churn")
        assert done.stdout == f"{ADDRESS}/model/churn\n" and "no browser" in done.stderr
        wrong = perenne(folder, "open", "chrun")
        assert wrong.returncode == 3 and "did you mean `churn`" in wrong.stderr
        assert perenne(folder, "open", new_id()).returncode == 3
    alone = perenne(folder, "open", "churn")
    assert alone.returncode == 1 and "`perenne up` starts one" in alone.stderr


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (("stauts",), "`perenne status`"),
        (("model", "sho", "churn@1"), "`perenne model show`"),
        (("model", "list", "--limt", "3"), "`--limit`"),
        (("model", "show", "chrn@1"), "`churn@1`"),
        (("deploy", "show", "churn-e"), "`churn-eu`"),
    ],
)
def test_did_you_mean(folder: Path, arguments: tuple[str, ...], meant: str) -> None:
    done = perenne(folder, *arguments)
    assert done.returncode in (2, 3) and f"did you mean {meant}" in done.stderr, done.stderr
    assert done.stderr.startswith("error[") and "\nhint: " in done.stderr


def test_mistakes_are_json_too(folder: Path) -> None:
    done = perenne(folder, "stauts", "--json")
    assert '"error_code":"usage"' in done.stderr and done.stdout == ""


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("model show ", {"churn@1", "churn@2"}),
        ("model list c", {"churn"}),
        ("deploy show ", {"churn-eu"}),
        ("serve churn-", {"churn-eu"}),
        ("deploy list --", {"--limit", "--after", "--json", "--quiet", "--no-color"}),
        ("aud", {"audit"}),
    ],
)
def test_a_shell_completes_commands_options_and_names(folder: Path, words: str, found: set[str]) -> None:
    line = f"perenne {words}"
    count = len(line.split()) - (0 if line.endswith(" ") else 1)
    done = perenne(folder, _PERENNE_COMPLETE="bash_complete", COMP_WORDS=line, COMP_CWORD=str(count))
    assert found <= {row.partition(",")[2] for row in done.stdout.splitlines()}, done


def test_completion_makes_nothing_and_prints_a_script_for_each_shell(tmp_path: Path) -> None:
    done = perenne(tmp_path, _PERENNE_COMPLETE="bash_complete", COMP_WORDS="perenne model show ", COMP_CWORD="3")
    assert done.returncode == 0 and list(tmp_path.iterdir()) == []
    for shell in ("bash", "zsh", "fish"):
        assert "_PERENNE_COMPLETE" in perenne(tmp_path, "completion", shell).stdout
    script = tmp_path / "perenne.bash"
    script.write_text(perenne(tmp_path, "completion", "bash").stdout)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0


def on_terminal(folder: Path, *arguments: str, **environment: str) -> str:
    """Run a command on a pseudo-terminal of 90 columns and return what it wrote."""
    ours, theirs = pty.openpty()
    own = {**os.environ, "PYTHONPATH": str(Path("src").resolve()), "COLUMNS": "90", "TERM": "xterm-256color"} | environment
    own.pop("NO_COLOR", None) if "NO_COLOR" not in environment else None
    words = [sys.executable, "-m", "perenne", *arguments]
    with subprocess.Popen(words, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=own, close_fds=True) as process:
        os.close(theirs)
        parts = []
        while True:
            try:
                data = os.read(ours, 65_536)
            except OSError:  # it has ended
                break
            if not data:
                break
            parts.append(data)
        process.wait()
    os.close(ours)
    return b"".join(parts).decode()


def test_colours_are_for_terminals_that_want_them(folder: Path) -> None:
    assert "\x1b[32m● open" in on_terminal(folder, "model", "list")
    for plain in (on_terminal(folder, "model", "list", "--no-color"), on_terminal(folder, "model", "list", NO_COLOR="1")):
        assert "● open" in plain and "\x1b" not in plain
    piped = perenne(folder, "model", "list").stdout
    assert "●" not in piped and "\topen\t" in piped
    assert "\x1b" in on_terminal(folder, "model", "sho") and "\x1b" not in on_terminal(folder, "model", "sho", "--no-color")


def test_quiet_leaves_notes_out_and_errors_in(folder: Path) -> None:
    assert perenne(folder, "audit", "verify").stderr and not perenne(folder, "audit", "verify", "--quiet").stderr
    assert "error[" in perenne(folder, "model", "show", "x@1", "--quiet").stderr


def test_no_note_breaks_json(folder: Path) -> None:
    done = perenne(folder, "--json", "audit", "verify")
    assert done.stdout.startswith("{") and done.stderr == ""
