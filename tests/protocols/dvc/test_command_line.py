"""The front of `perenne dvc`: what is understood, what is refused and with which code, where things are printed."""

import json
from importlib import import_module
from pathlib import Path

import pytest

from perenne.core.errors import Invalid, NotFound
from perenne.protocols.dvc.command_line import speech
from perenne.protocols.dvc.command_line.commands import COMMANDS, LEFT_OUT, STAGE_COMMANDS
from perenne.protocols.dvc.command_line.entry import run
from perenne.protocols.dvc.command_line.grammar import parser_of
from perenne.protocols.dvc.command_line.refusals import exit_code, words
from perenne.protocols.dvc.commands import VERBS

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in no repository, which is the present one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_parser_and_help(name: str, capsys: Captured) -> None:
    module, _, attribute = COMMANDS[name][0].partition(":")
    assert parser_of(name, getattr(import_module(module), attribute)).format_help().startswith(f"usage: dvc {name}")
    assert run([*name.split(), "--help"]) == 0
    assert f"usage: dvc {name}" in capsys.readouterr().out


def test_the_commands_of_stages_are_there() -> None:
    assert set(STAGE_COMMANDS) <= set(VERBS)


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ([], 254, "the following arguments are required: command"),
        (["nosuch"], 254, "invalid choice: 'nosuch'"),
        (["remote"], 254, "argument cmd: is required"),
        (["remote", "steal"], 254, "invalid choice: 'steal'"),
        (["add"], 254, "the following arguments are required: targets"),
        (["add", "--bad", "x"], 254, "unrecognized arguments: --bad"),
        (["push", "-j", "many"], 254, "invalid int value: 'many'"),
        (["config", "nodot"], 254, "name argument should look like"),
        (["list", ".", "--remote-config", "x"], 254, 'Could not parse argument "x"'),
        (["status"], 253, "you are not inside of a DVC repository"),
        (["config", "--project", "core.autostage", "true"], 251, "configuration error - Not inside a DVC repo"),
        (["add", "x", "--to-remote", "--glob"], 1, "--glob option can't be used with --to-remote"),
        (["add", "x", "-r", "y"], 1, "--remote can't be used without --to-remote"),
        (["gc"], 255, "needs to be set"),
        (["check-ignore"], 255, "`targets` or `--stdin` needed"),
        (["exp", "run"], 1, "dvc exp is not here"),
        (["repro", "--bad"], 254, "No such option"),
    ],
)
def test_what_is_refused(
    typed: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(typed) == code
    assert said in capsys.readouterr().err


def test_quiet_says_nothing_and_another_folder_is_left_again(outside: Path, capsys: Captured) -> None:
    (outside / "project").mkdir()
    assert run(["-q", "--cd", "project", "init", "--no-scm"]) == 0
    assert (outside / "project" / ".dvc").is_dir() and Path.cwd() == outside
    assert run(["-q", "--cd", "project", "add", "nope"]) == 1
    assert run(["--cd", "project", "root"]) == 0
    assert capsys.readouterr() == (".\n", "")


def test_secrets_are_not_shown(here: Path, capsys: Captured) -> None:
    assert run(["remote", "add", "s", "s3://bucket"]) == 0
    assert run(["remote", "modify", "--local", "s", "secret_access_key", "hush"]) == 0
    assert run(["config", "-l"]) == 0
    assert "remote.s.secret_access_key=***" in capsys.readouterr().out


def test_a_damaged_metafile_is_named(here: Path, capsys: Captured) -> None:
    (here / "a.dvc").write_text("outs:\n- md5: zz\n  path: a\n")
    assert run(["status", "--json"]) == 1
    assert "a.dvc, outs[0]: 'zz' is no md5" in capsys.readouterr().err


def test_a_metafile_that_leads_out_of_the_repository_touches_nothing(here: Path, capsys: Captured) -> None:
    other = here.parent / "other"
    other.write_text("mine")
    (here / "a.dvc").write_text("outs:\n- md5: d41d8cd98f00b204e9800998ecf8427e\n  size: 0\n  hash: md5\n  path: ../other\n")
    assert run(["checkout", "-f"]) != 0
    assert other.read_text() == "mine"


def test_an_answer_in_json_is_one_line(here: Path, capsys: Captured) -> None:
    (here / "a").write_text("1")
    assert run(["add", "-q", "a"]) == 0
    (here / "a").write_text("22")
    assert run(["status", "--json"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and json.loads(out) == {"a.dvc": [{"changed outs": {"a": "modified"}}]}


def test_what_is_to_be_tracked_by_git_is_said(here: Path, capsys: Captured) -> None:
    (here / "a b").write_text("1")
    assert run(["add", "a b"]) == 0
    assert "git add 'a b.dvc' .gitignore" in capsys.readouterr().out
    assert run(["config", "core.autostage", "true"]) == 0
    (here / "c").write_text("1")
    assert run(["add", "c"]) == 0
    assert capsys.readouterr().out == ""


def test_words_and_codes_of_errors() -> None:
    error = NotFound("it is gone", code="data.no_file", hint="`perenne data add` it")
    assert words(error, None) == "it is gone. `dvc add` it"
    assert words(error, "failed") == "failed - it is gone. `dvc add` it"
    assert (exit_code(error, caught=False), exit_code(error, caught=True)) == (255, 1)
    assert exit_code(Invalid("x", code="data.bad_setting"), caught=False) == 251


def test_a_summary_and_a_table(capsys: Captured) -> None:
    assert speech.summary([("added", 1), ("modified", 0), ("deleted", 2)]) == "1 file added and 2 files deleted"
    speech.VOLUME.quiet = False
    speech.say_table([["1", "a"], ["20", "b"]], right=True)
    assert capsys.readouterr().out == " 1  a\n20  b\n"
    assert LEFT_OUT.keys().isdisjoint(name.partition(" ")[0] for name in COMMANDS)
