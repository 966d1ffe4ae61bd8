"""`perenne completion`: what a shell needs to complete commands, options and names."""

import contextlib
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem, ShellComplete, get_completion_class

from perenne.cli.terminal import FLAGS
from perenne.core.results import Result

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_PERENNE_COMPLETE"
_INTO = {
    "bash": 'put `eval "$(perenne completion bash)"` into ~/.bashrc',
    "zsh": 'put `eval "$(perenne completion zsh)"` into ~/.zshrc',
    "fish": "perenne completion fish > ~/.config/fish/completions/perenne.fish",
}
_PARAMETERS = {
    "version": ("version",),
    "run": ("run",),
    "snapshot": ("snapshot",),
    "source": ("snapshot",),
    "baseline": ("snapshot",),
    "dataset": ("dataset",),
    "project": ("project",),
    "projects": ("project",),
    "deployment": ("deployment",),
    "episode": ("episode",),
    "alert_id": ("alert",),
    "job_id": ("job",),
}
"""What the parameters of commands name."""
_OF_GROUP: dict[tuple[str, str], tuple[str, ...]] = {
    ("model", "name"): ("model",),
    ("model", "other"): ("version",),
    ("deploy", "name"): ("deployment",),
    ("project", "name"): ("project",),
    ("serve", "name"): ("deployment", "version"),
    ("token", "id"): ("token",),
    ("open", "what"): ("model", "version", "deployment", "project", "dataset", "run"),
    ("label", "name"): ("label_set",),
    ("pipeline", "run"): (),
}


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> Result:
    """Print the script that completes commands, options, and names from the database.

    \b
    Examples:
      perenne completion bash
      perenne completion zsh
      perenne completion fish
    """
    return Result(script(shell), note=_INTO[shell])


def script(shell: str) -> str:
    """Return the script of a shell."""
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the three shells"
    found: ShellComplete = kind(click.Group(), {}, "perenne", VARIABLE)
    return (found.source_template % found.source_vars()).strip()


def complete_names(command: click.Command, name: str) -> None:
    """Let the parameters of a command, and of the commands below it, complete what they name."""
    for below in command.commands.values() if isinstance(command, click.Group) else [command]:
        for parameter in below.params:
            nouns = _OF_GROUP.get((name, parameter.name or ""), _PARAMETERS.get(parameter.name or "", ()))
            if nouns:
                parameter.shell_complete = _Names(nouns)  # type: ignore[assignment]
        known = {option for parameter in below.params for option in parameter.opts}
        missing = [flag for flag in FLAGS if flag not in known]
        below.params += [click.Option([flag], is_flag=True, expose_value=False) for flag in missing]


class _Names:
    """Finds the names of some kinds of thing that begin like what was typed."""

    def __init__(self, nouns: Sequence[str]) -> None:
        self._nouns = nouns

    def __call__(self, context: click.Context, incomplete: str) -> list[CompletionItem]:
        from perenne.cli.names import names_of

        found: list[str] = []
        with contextlib.suppress(Exception):  # a shell shows no errors: without a database there is nothing to choose from
            found = [name for noun in self._nouns for name in names_of(noun)]
        return [CompletionItem(name) for name in dict.fromkeys(found) if name.startswith(incomplete)]
