"""What DVC's manifests cannot say of a folder: which files their owner may run, and which folders are empty.

It lies in ``.dvc/folders/<digest>.json``, is kept in Git with the metafiles, and DVC passes it over. Without it a checkout does
what DVC's does.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from perenne.data.versions.repository import Repository
from perenne.data.versions.writing import replace


class Beside(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a folder beside its manifest."""

    executables: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()


def place_of(repository: Repository, digest: str) -> Path:
    """Return where the side file of a manifest lies."""
    return repository.dvc / "folders" / f"{digest.removesuffix('.dir')}.json"


def read_side_file(repository: Repository, digest: str) -> Beside:
    """Return what is known of a folder; nothing if there is no file, or none that can be understood."""
    try:
        found = msgspec.json.decode(place_of(repository, digest).read_bytes(), type=Beside)
    except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError):
        return Beside()
    leads_out = any({"", ".", ".."} & set(name.split("/")) for name in (*found.executables, *found.empty))
    return Beside() if leads_out else found


def write_side_file(repository: Repository, digest: str, executables: Sequence[str], empty: Sequence[str]) -> Path | None:
    """Note what is known of a folder; return the file if it changed."""
    file = place_of(repository, digest)
    if not executables and not empty:
        if not file.exists():
            return None
        os.unlink(file)
        return file
    file.parent.mkdir(exist_ok=True)
    data = msgspec.json.format(msgspec.json.encode(Beside(tuple(executables), tuple(empty))), indent=1) + b"\n"
    return file if replace(file, data, repository.temporary) else None
