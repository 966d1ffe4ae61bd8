"""A folder that is there whole or not at all."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perenne.core.errors import Conflict


@contextmanager
def finished(target: Path) -> Iterator[Path]:
    """Give a folder to write into, which takes its name when everything is in it.

    Raises
    ------
    Conflict
        If something is at the name already.
    """
    target = Path(target)
    if target.exists():
        raise Conflict(f"{target.name} is there already", code="package.exists", hint="remove it, or choose another folder")
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        folder.rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def package_bytes(folder: Path) -> int:
    """Return how many bytes the files of a folder have."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
