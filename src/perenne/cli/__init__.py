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
    from perenne.cli.root import invoke

    return invoke(list(sys.argv[1:] if arguments is None else arguments))
