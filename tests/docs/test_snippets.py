"""What the README and the docs show works: their code runs, their commands exist, their links lead somewhere.

Blocks of a page run in order, in one folder of their own. A block's first line says how::

    ```python                  runs; the names of earlier Python blocks of the page are known
    ```python file=project.py  is written to that file
    ```sh                      runs under `bash -eu`; `perenne` and `./perenne` are this very code
    ```sh until="some words"   runs again and again until its output has these words
    ```sh background           runs beside the blocks that follow, to the end of the page
    ```sh no-run               is only read: every `perenne` command and option in it must exist
    ```python no-run           is only compiled

Other languages, such as `text` and `console`, are pictures. The ports 7373 and 7374 stand for two free ones.
"""

import os
import re
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from tests.docs.prestarted import prestarted, write_launcher, write_plain_launcher

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(path for folder in ("docs", "examples") for path in (ROOT / folder).rglob("*.md"))
PAGES += sorted(ROOT.glob("*.md"))
FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)
HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?[^\n]*\n.*?^\1$", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(?<!\S)#[^\n]*")
LINK = re.compile(r"\]\((?P<target>[^)\s]+)\)")
TIME_LIMIT = 270
"""For a whole page, in seconds: then it says what it waited for, before pytest says only that it waited."""
PORTS = {"PERENNE_PORT": "7373", "PERENNE_SERVE_PORT": "7374"}


class Block(NamedTuple):
    """A fenced block: its line in the page, the words after the fence, its text."""

    line: int
    language: str
    marks: list[str]
    text: str

    @property
    def file(self) -> str | None:
        return self._value("file")

    @property
    def until(self) -> str | None:
        return self._value("until")

    def _value(self, name: str) -> str | None:
        return next((mark.removeprefix(f"{name}=") for mark in self.marks if mark.startswith(f"{name}=")), None)

    @property
    def runs(self) -> bool:
        return "no-run" not in self.marks


def blocks(text: str) -> Iterator[Block]:
    for match in FENCE.finditer(text):
        language, *marks = shlex.split(match["info"]) or [""]
        yield Block(text.count("\n", 0, match.start()) + 1, language, marks, match["text"])


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


class Folder:
    """Where the blocks of one page run: a folder, an environment with ports of its own, and what runs in the background."""

    def __init__(self, path: Path, ports: Mapping[str, str], address: str) -> None:
        self.path = path
        write_plain_launcher(path / "perenne")
        self._quick = path.with_name(f"{path.name}-bin")
        self._quick.mkdir()
        write_launcher(self._quick / "perenne", address)
        self.ports = ports
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **ports}
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._deadline = time.monotonic() + TIME_LIMIT

    def text(self, block: Block) -> str:
        """Return what a block says, with the ports of this page."""
        text = block.text
        for name, known in PORTS.items():
            text = text.replace(f"127.0.0.1:{known}", f"127.0.0.1:{self.ports[name]}")
        return text

    def run(self, block: Block, where: str) -> None:
        for words in commands(block.text):
            check_command(words, where)
        if "background" in block.marks:
            self._start(block, where)
            return
        done = self._call(block)
        while block.until and block.until not in done.stdout and time.monotonic() < self._deadline:
            time.sleep(0.5)
            done = self._call(block)
        assert done.returncode == 0, f"{where}\n{done.stdout}\n{done.stderr}\n{self._said()}"
        assert not block.until or block.until in done.stdout, f"{where} never said {block.until!r}\n{done.stdout}\n{self._said()}"

    def _call(self, block: Block) -> subprocess.CompletedProcess[str]:
        command_line = ["bash", "-eu", "-o", "pipefail", "-c" if block.runs else "-nc", self.text(block)]
        return subprocess.run(
            command_line,
            cwd=self.path,
            env=self.environment | {"PATH": f"{self._quick}{os.pathsep}{self.environment['PATH']}"},
            capture_output=True,
            text=True,
            timeout=max(1.0, self._deadline - time.monotonic()),
            check=False,
        )

    def _start(self, block: Block, where: str) -> None:
        with self._log(where).open("wb") as log:
            process = subprocess.Popen(
                ["timeout", str(TIME_LIMIT), "bash", "-euc", self.text(block)],  # so it ends, whatever becomes of this test
                cwd=self.path, env=self.environment, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._running.append((where, process))

    def _log(self, where: str) -> Path:
        return self.path.with_name(f"{self.path.name}-{where.rpartition(':')[2]}.log")

    def _said(self) -> str:
        return "\n".join(f"{where}: {self._log(where).read_text()[-4_000:]}" for where, _ in self._running)

    def stop(self) -> None:
        """End what runs in the background; whatever ended before that failed."""
        ended = [where for where, process in self._running if process.poll() is not None]
        for _, process in reversed(self._running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)
        assert not ended, f"{ended}\n{self._said()}"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start what becomes `perenne` whenever it is called."""
    with prestarted(tmp_path_factory.mktemp("prestarted")) as address:
        yield address


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> Iterator[Folder]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    ports = free_ports(len(PORTS))
    for name, port in zip(PORTS, ports, strict=True):
        monkeypatch.setenv(name, str(port))
    opened = Folder(tmp_path, dict(zip(PORTS, map(str, ports), strict=True)), address)
    yield opened
    opened.stop()


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(opened.getsockname()[1]) for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=pytest.mark.waits if "background" in page.read_text() else ()) for page in PAGES],
    ids=name_of,
)
def test_snippets_run(page: Path, folder: Folder) -> None:
    names: dict[str, Any] = {"__name__": "snippet"}
    for block in blocks(page.read_text()):
        where = f"{name_of(page)}:{block.line}"
        if block.file:
            target = folder.path / block.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(folder.text(block))
        if block.language == "python":
            code = compile(folder.text(block), where, "exec", dont_inherit=True)
            if block.runs and not block.file:
                exec(code, names)
        elif block.language in {"sh", "bash"}:
            folder.run(block, where)


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
    for place, word in enumerate(words):
        if command.context_settings.get("ignore_unknown_options"):  # it has a command line of its own, as `perenne dvc`
            return
        if word.startswith("-") and word != "-":
            known |= {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
            assert word.split("=")[0] in known, f"{where}: `{' '.join(words)}` has an unknown option {word}"
        elif isinstance(command, click.Group):
            try:
                name, found, _ = command.resolve_command(context, words[place:])
            except click.UsageError:
                found = None
            assert found is not None, f"{where}: there is no command `{' '.join(words)}`"
            command, context = found, click.Context(found, parent=context, info_name=name)


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
