"""Runs the code of a page: the blocks in order, in one folder of their own. A block's first line says how::

    ```python                  runs; the names of earlier Python blocks of the page are known
    ```python file=project.py  is written to that file; so is a block of any other language
    ```sh                      runs under `bash -eu`; `perenne` and `./perenne` are this very code, `python` is this Python
    ```sh until                is tried again until it succeeds: what a reader would look at again after some seconds
    ```sh background           goes on beside what follows, until the end of the page
    ```sh no-run               is only read: every `perenne` command and option in it must exist
    ```python no-run           is only compiled

Other languages, such as `text` and `console`, are pictures. The addresses that pages name, 127.0.0.1:7373 and :7374, are led
to free ports.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest

ROOT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?[^\n]*\n.*?^\1$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(?<!\S)#[^\n]*")
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

    @property
    def shell(self) -> list[str]:
        return ["bash", "-eu", "-o", "pipefail", "-c" if self.runs else "-nc", self.text]


def blocks(text: str) -> Iterator[Block]:
    for match in FENCE.finditer(text):
        language, *marks = match["info"].split() or [""]
        yield Block(text.count("\n", 0, match.start()) + 1, language, marks, match["text"])


def run_page(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the blocks of a page in a folder, and check the commands of those that are only read."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PATH", os.pathsep.join([write_launcher(folder), str(Path(sys.executable).parent), os.environ["PATH"]]))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    ports = {"7373": free_port(), "7374": free_port()}
    monkeypatch.setenv("PERENNE_PORT", ports["7373"])
    monkeypatch.setenv("PERENNE_SERVE_PORT", ports["7374"])
    names: dict[str, Any] = {"__name__": "snippet"}
    with ExitStack() as beside:
        for found in blocks(page.read_text()):
            block = found._replace(text=re.sub(r"127\.0\.0\.1:(737[34])", lambda m: f"127.0.0.1:{ports[m[1]]}", found.text))
            where = f"{page.relative_to(ROOT)}:{block.line}"
            if block.file:
                target = folder / block.file
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block.text)
            if block.language == "python":
                code = compile(block.text, where, "exec", dont_inherit=True)
                if block.runs and not block.file:
                    exec(code, names)
            elif block.language in {"sh", "bash"}:
                for words in commands(block.text):
                    check_command(words, where)
                if "background" in block.marks:
                    beside.enter_context(running(block))
                else:
                    run_shell(block, where)


def write_launcher(folder: Path) -> str:
    """Make `perenne` and `./perenne` in the snippet's folder this very code."""
    launcher = folder / "perenne"
    launcher.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m perenne "$@"\n')
    launcher.chmod(0o755)
    return str(folder)


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return str(server.getsockname()[1])


@contextmanager
def running(block: Block) -> Iterator[subprocess.Popen[bytes]]:
    """Let a block run beside the others; at the end it is told to stop, as by Ctrl-C, and must do so."""
    process = subprocess.Popen(block.shell, start_new_session=True)
    try:
        yield process
        assert process.poll() is None, f"it ended before the page did, with {process.returncode}"
    finally:
        os.killpg(process.pid, signal.SIGINT)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise


def run_shell(block: Block, where: str) -> None:
    """Run a block, once or until it succeeds."""
    deadline = time.monotonic() + TIME_LIMIT
    while True:
        done = subprocess.run(block.shell, capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
        if done.returncode == 0 or "until" not in block.marks or time.monotonic() > deadline:
            break
        time.sleep(0.5)
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
    known = {"--json", "--help", "-h", "--version"}
    for word in words:
        if word.startswith("-") and word != "-":
            known |= {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
            assert word.split("=")[0] in known, f"{where}: `{' '.join(words)}` has an unknown option {word}"
        elif isinstance(command, click.Group):
            found = command.get_command(context, word)
            assert found is not None, f"{where}: there is no command `{' '.join(words)}`"
            command, context = found, click.Context(found, parent=context, info_name=word)
