"""The command line: `root` finds commands lazily, `output` renders what they return, `progress` shows work in hand."""

import gc
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What was typed after `perenne`; `sys.argv` if not given.
    """
    gc.set_threshold(10_000, 20, 50)  # imports make many objects that stay; looking through them again and again takes time
    typed = list(sys.argv[1:] if arguments is None else arguments)
    if typed[:1] == ["dvc"]:  # options and exit codes of its own, and an answer within hundredths of a second
        from perenne.protocols.dvc.command_line.entry import run

        return run(typed[1:])
    from perenne.cli.root import invoke

    return invoke(typed)
