"""perenne itself as an image needs it: the model server, what it stands on, and nothing of the control plane."""

from pathlib import Path

import perenne
from perenne.delivery.images.layering import Content, from_file

SERVED = ("app", "auth", "core", "formats", "inference", "net", "protocols", "serving", "stats", "storage", "telemetry", "web")
"""The folders of perenne from which the processes of a model server import."""

_NO_CODE = (".pyc", ".pyi")


def contents(below: str) -> list[Content]:
    """Return the files of perenne that go into an image."""
    root = Path(perenne.__file__).parent
    files = [path for path in root.glob("*") if path.is_file()]
    files += [path for folder in SERVED for path in (root / folder).rglob("*") if path.is_file()]
    kept = [path for path in files if "__pycache__" not in path.parts and path.suffix not in _NO_CODE]
    return [from_file(f"{below}/perenne/{path.relative_to(root).as_posix()}", path) for path in sorted(kept)]
