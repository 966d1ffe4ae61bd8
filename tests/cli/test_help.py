"""The help of every command: it has examples, and each of them is a command line that would run."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from perenne.cli.root import COMMANDS, SECTIONS, root
from perenne.cli.terminal import FLAGS

EXAMPLE = re.compile(r"^\s+(perenne .*)$", re.MULTILINE)
FILE = re.compile(r"\S+\.(csv|yaml|zip|parquet|json|pub|sig|pem|tar|lock)")


def walk(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Go through every command that does something, with the words that call it."""
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None, f"{path} {name}"
        yield from walk(below, f"{path} {name}")


COMMAND_LINES = dict(walk(root, "perenne"))


def examples(command: click.Command) -> list[str]:
    text = command.help or ""
    assert "Examples:" in text
    assert "\n  Examples:\n    perenne" in command.get_help(click.Context(command)), "each on a line of its own"
    return EXAMPLE.findall(text.partition("Examples:")[2])


@pytest.mark.parametrize("path", COMMAND_LINES)
def test_every_command_has_examples_that_can_be_understood(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = examples(COMMAND_LINES[path])
    assert found
    for line in found:
        words = [word for word in shlex.split(line.partition(" > ")[0]) if word not in FLAGS]
        assert line.startswith(path), f"{line!r} is no example of {path!r}"
        for name in filter(FILE.fullmatch, words):
            if "://" not in name and "*" not in name:
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).touch()
        parse(words)


def parse(words: list[str]) -> None:
    """Understand a command line as click does, without doing anything."""
    command: click.Command = root
    context, rest = click.Context(root, info_name="perenne"), words[1:]
    while isinstance(command, click.Group):
        name, found, rest = command.resolve_command(context, rest)
        assert name is not None and found is not None
        context, command = click.Context(found, parent=context, info_name=name), found
    command.parse_args(context, rest)


def test_what_cannot_be_understood_is_noticed() -> None:
    with pytest.raises(click.UsageError):
        parse(["perenne", "model", "show"])
    with pytest.raises(click.UsageError):
        parse(["perenne", "model", "list", "--limt", "3"])


def test_every_command_stands_in_one_section_of_the_help() -> None:
    shown = [name for names in SECTIONS.values() for name in names]
    assert sorted(shown) == sorted(COMMANDS)


def test_help_texts_fit_a_terminal_and_name_every_option() -> None:
    for path, command in COMMAND_LINES.items():
        context = click.Context(command, info_name=path, terminal_width=80)
        shown = command.get_help(context)
        assert all(len(line) <= 100 for line in shown.splitlines()), path
        silent = [option.name for option in command.params if isinstance(option, click.Option) and not option.help]
        assert not silent, f"{path}: {silent} without a word of help"
