"""The page of the command line: every command with its words, arguments, options and examples, and the exit codes."""

import re
from collections.abc import Iterator

import click
from docs.reference.markdown import code, escape, table

from perenne.cli.root import INTERRUPTED, SECTIONS, root
from perenne.core import errors, results

HEAD = """# Command line

Every command takes `--json`, `--quiet` (no notes, no progress) and `--no-color`. Tables become tab-separated text when piped;
progress and logs go to standard error.
"""


def page() -> str:
    """Write the page."""
    parts = [HEAD, "## Exit codes\n", table(["code", "meaning"], exit_codes())]
    for section, names in SECTIONS.items():
        parts.append(f"## {section}\n")
        for name in names:
            parts += [part for path, command in commands(name) for part in described(path, command)]
    return "\n".join(parts)


def exit_codes() -> Iterator[tuple[str, str]]:
    """Go through the exit codes; what an error of ours gives stands with its kind."""
    yield "0", "done"
    said = {"2": "wrong usage: no such command, option or value"}
    for kind in kinds():
        text = escape((kind.__doc__ or "").partition("\n")[0])
        said[str(kind.exit_code)] = f"{said[str(kind.exit_code)]} {text}" if str(kind.exit_code) in said else text
    yield from sorted(said.items())
    yield str(results.EXIT_FINDINGS), "finished with findings: a closed gate, a broken rule, a firing alert"
    yield str(results.EXIT_UNKNOWN), "finished, with something required that is unknown"
    yield str(INTERRUPTED), "interrupted"


def kinds() -> list[type[errors.PerenneError]]:
    """Return the kinds of error."""
    return [errors.NotFound, errors.Conflict, errors.Invalid, errors.Denied, errors.Unavailable]


def commands(name: str) -> Iterator[tuple[str, click.Command]]:
    """Go through a command and those below it, each with the words that call it."""
    context = click.Context(root, info_name="perenne")
    command = root.get_command(context, name)
    assert command is not None, name
    yield from _below(f"perenne {name}", command)


def _below(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, name
            yield from _below(f"{path} {name}", below)


def described(path: str, command: click.Command) -> Iterator[str]:
    """Write one command."""
    context = click.Context(command, info_name=path)
    level = "###" if path.count(" ") == 1 else "####"
    yield f"{level} {path}\n"
    text, _, examples = re.sub(r"\x08|\\b\n", "", command.help or "").partition("Examples:")
    yield re.sub(r"(?m)^  +", "", text).strip() + "\n"
    if isinstance(command, click.Group):
        return
    yield f"```text\n{path} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    if examples.strip():
        yield "```sh\n" + "\n".join(line.strip() for line in examples.strip().splitlines() if line.strip()) + "\n```\n"
    yield table(["option", "what", "if not given"], _options(command, context))


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str, str]]:
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden:
            value = "" if option.is_flag else f" {option.make_metavar(context)}"
            names = ", ".join([*option.opts, *option.secondary_opts])
            default = option.default if option.show_default else None
            yield code(names + value), escape(option.help or ""), "" if default in (None, "") else code(str(default))
