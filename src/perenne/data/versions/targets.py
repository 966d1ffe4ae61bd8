"""What a person means by the words of a command line: a tracked path, a metafile, a stage, or a path inside a tracked folder."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from perenne.core.errors import NotFound
from perenne.data.versions.repository import Output, Repository


class Target(msgspec.Struct, frozen=True):
    """An output that is meant, or a part of it.

    Attributes
    ----------
    output : Output
        The output.
    inner : str
        Which file or folder in it, relative; empty for all of it.
    """

    output: Output
    inner: str = ""


def find_targets(repository: Repository, words: Sequence[str | Path], *, recursive: bool = False) -> list[Target]:
    """Return the outputs that are meant, all of them for no words.

    Parameters
    ----------
    repository : Repository
        Where.
    words : sequence of str or Path
        Paths of outputs or of something in one, metafiles, names of stages (``prep``, ``sub/dvc.yaml:prep``).
    recursive : bool
        Whether a folder that is no output stands for all outputs below it.

    Raises
    ------
    NotFound
        A word means nothing.
    """
    outputs = repository.outputs()
    if not words:
        return [Target(output) for output in outputs]
    found: list[Target] = []
    for word in words:
        meant = list(_meant(outputs, os.fspath(word), recursive=recursive))
        if not meant:
            raise NotFound(
                f"nothing that is tracked is called {os.fspath(word)!r}",
                code="data.not_tracked",
                hint="`perenne data status` lists what is tracked; `perenne data add` tracks more",
            )
        found += [target for target in meant if target not in found]
    return found


def _meant(outputs: Iterable[Output], word: str, *, recursive: bool) -> Iterable[Target]:
    path = os.path.abspath(word)
    file, _, stage = word.rpartition(":")
    staged = Path(os.path.abspath(file or "dvc.yaml"))
    for output in outputs:
        place = os.fspath(output.path)
        if place == path or os.fspath(output.file) == path or _is_lock(output, path):
            yield Target(output)
        elif path.startswith(f"{place}/") and output.entry.is_dir:
            yield Target(output, path[len(place) + 1 :])
        elif _is_stage(output, stage, staged) or (recursive and place.startswith(f"{path}/")):
            yield Target(output)


def _is_stage(output: Output, stage: str, file: Path) -> bool:
    return output.stage is not None and output.stage == stage and output.file == file


def _is_lock(output: Output, path: str) -> bool:
    return output.stage is not None and os.fspath(output.file.with_name("dvc.lock")) == path


def owner_of(repository: Repository, path: str) -> Target | None:
    """Return the output that a path is, or lies in; None if it is not tracked."""
    for output in repository.outputs():
        place = os.fspath(output.path)
        if place == path:
            return Target(output)
        if path.startswith(f"{place}/"):
            return Target(output, path[len(place) + 1 :])
    return None
