"""What the README and the docs show works: their code runs, their commands exist, their links lead somewhere.

Blocks of a page run in order, in one folder of their own. A block's first line says how::

    ```python                  runs; the names of earlier Python blocks of the page are known
    ```python file=project.py  is written to that file
    ```sh                      runs under `bash -eu`; `perenne` and `./perenne` are this very code
    ```sh no-run               is only read: every `perenne` command and option in it must exist
    ```python no-run           is only compiled

Other languages, such as `text` and `console`, are pictures.
"""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?[^\n]*\n.*?^\1$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(?<!\S)#[^\n]*")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
TIME_LIMIT = 240


class Block(NamedTuple):
    """A fenced block: its line in the page, the words after the fence, its text."""

    line: int
    language: str
    marks: list[str]
    text: str

    @property
    def file(self) -> str | None:
        return next((mark.removeprefix("file=") for mark in self.marks if mark.startswith("file=")), None)

    @property
    def runs(self) -> bool:
        return "no-run" not in self.marks


def blocks(text: str) -> Iterator[Block]:
    for match in FENCE.finditer(text):
        language, *marks = match["info"].split() or [""]
        yield Block(text.count("\n", 0, match.start()) + 1, language, marks, match["text"])


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_snippets_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{write_launcher(tmp_path)}{os.pathsep}{os.environ['PATH']}")
    names: dict[str, Any] = {"__name__": "snippet"}
    for block in blocks(page.read_text()):
        where = f"{name_of(page)}:{block.line}"
        if block.file:
            target = tmp_path / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
        if block.language == "python":
            code = compile(block.text, where, "exec", dont_inherit=True)
            if block.runs and not block.file:
                exec(code, names)
        elif block.language in {"sh", "bash"}:
            run_shell(block, where, tmp_path)


def write_launcher(folder: Path) -> Path:
    """Make `perenne` and `./perenne` in the snippet's folder this very code."""
    launcher = folder / "perenne"
    launcher.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m perenne "$@"\n')
    launcher.chmod(0o755)
    return folder


def run_shell(block: Block, where: str, folder: Path) -> None:
    for words in commands(block.text):
        check_command(words, where)
    command_line = ["bash", "-eu", "-o", "pipefail", "-c" if block.runs else "-nc", block.text]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        command_line, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIME_LIMIT, check=False
    )
    assert done.returncode == 0, f"{where}\n{done.stdout}\n{done.stderr}"


def commands(script: str) -> Iterator[list[str]]:
    """Find the words after each `perenne` that is called in a script."""
    bare = COMMENT.sub("", HEREDOC.sub("\n", script.replace("\\\n", " ")))
    lexer = shlex.shlex(bare, posix=True, punctuation_chars="();<>|&\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    words: list[str] = []
    for token in [*lexer, ";"]:
        if set(token) <= set("();<>|&\n"):
            if words and words[0].removeprefix("./") == "perenne":
                yield words[1:]
            words = []
        elif words or "=" not in token:  # a variable may be set before the command
            words.append(token)


def check_command(words: list[str], where: str) -> None:
    """Resolve the words of a command line as far as they name commands, and every option of it."""
    from perenne.cli.root import root

    if words[:1] == ["test"]:  # for developers: the script at the root of the clone answers it
        return
    command: click.Command = root
    context = click.Context(root, info_name="perenne")
    known = {"--json", "--quiet", "--no-color", "--help", "-h", "--version"}
    for word in words:
        if word.startswith("-") and word != "-":
            known |= {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
            assert word.split("=")[0] in known, f"{where}: `{' '.join(words)}` has an unknown option {word}"
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            assert found is not None, f"{where}: there is no command `{' '.join(words)}`"
            command, context = found, click.Context(found, parent=context, info_name=word)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    without_code = FENCE.sub("", page.read_text())
    targets = [match["target"].split("#")[0] for match in LINK.finditer(without_code)]
    missing = [target for target in targets if target and "://" not in target and not (page.parent / target).exists()]
    assert not missing, missing


def test_an_unknown_command_or_option_in_a_page_would_be_found() -> None:
    with pytest.raises(AssertionError, match="no command"):
        check_command(["no-such-command"], "here")
    with pytest.raises(AssertionError, match="unknown option"):
        check_command(["model", "list", "--no-such-option"], "here")


def test_commands_are_found_wherever_they_stand_in_a_line() -> None:
    script = "A=1 ./perenne run --json | jq '.(x);\n y' # perenne no\nperenne why \\\n  $(perenne status) && echo perenne\n"
    script += "cat > x <<'END'\ndon't perenne\nEND\nperenne up &\n"
    assert list(commands(script)) == [["run", "--json"], ["why", "$"], ["status"], ["up"]]


def test_blocks_are_read_with_their_marks() -> None:
    found = list(blocks("a\n```python file=p.py\nx = 1\n```\n```sh no-run\nperenne up\n```\n"))
    assert [(block.line, block.language, block.file, block.runs) for block in found] == [
        (2, "python", "p.py", True),
        (5, "sh", None, False),
    ]
