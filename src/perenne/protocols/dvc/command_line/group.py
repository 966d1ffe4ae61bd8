"""`perenne dvc` among perenne's commands, for help and completion; `perenne.cli.main` goes to `entry` without it."""

import click

from perenne.protocols.dvc.command_line.entry import run


@click.command(add_help_option=False, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def dvc(arguments: tuple[str, ...]) -> int:
    """DVC's own command line: its commands, options, answers and exit codes; `dvc --help` lists them.

    A shell takes it by DVC's name after: alias dvc='perenne dvc'

    \b
    Examples:
      perenne dvc add data.csv
      perenne dvc push
    """
    return run(arguments)
