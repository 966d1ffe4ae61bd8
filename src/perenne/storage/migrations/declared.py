"""The tables as they are declared, all over perenne: found by reading, so that storage need not know who has some."""

import pkgutil
import re
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import perenne

_DECLARATION = re.compile(r"^\w+ = sa\.Table\(", re.MULTILINE)


def import_tables() -> None:
    """Import every module of perenne that declares a table, so that the metadata is complete."""
    for module in pkgutil.walk_packages(perenne.__path__, "perenne."):
        spec = find_spec(module.name)
        if spec and spec.origin and _DECLARATION.search(Path(spec.origin).read_text()):
            import_module(module.name)
