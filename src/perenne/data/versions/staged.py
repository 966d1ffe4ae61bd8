"""What stages make: dvc.yaml says which outputs there are and how each is kept, dvc.lock which version was made last."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from perenne.core.errors import Invalid
from perenne.formats.dvc.entries import Entry
from perenne.formats.dvc.locks import read_lock
from perenne.formats.dvc.pipelines import StageOutput, read_pipeline


class Staged(NamedTuple):
    """An output of a stage: its place among them, what is recorded of it, where it lies."""

    stage: str
    place: int
    entry: Entry
    path: Path


def outputs_of_stages(file: Path, shown: str, options: Mapping[str, str] | None = None) -> list[Staged]:
    """Return the outputs of a dvc.yaml, as far as they were made already.

    Parameters
    ----------
    shown : str
        How messages call the file.
    options : mapping, optional
        The section `parsing` of the settings.

    Raises
    ------
    Invalid
        It is no dvc.yaml, or dvc.lock is none.
    """
    lock = file.with_suffix(".lock")
    if not lock.exists():
        return []
    locked = read_lock(lock.read_bytes(), f"{os.path.splitext(shown)[0]}.lock").stages
    pipeline = read_pipeline(file.read_bytes(), shown, lambda path: _beside(file, path), options)
    found = []
    for name, stage in pipeline.stages.items():
        known = {entry.path: entry for entry in locked[name].outs} if name in locked else {}
        for index, out in enumerate(stage.outs):
            if out.path in known:
                path = Path(os.path.normpath(file.parent / stage.wdir / out.path))
                found.append(Staged(name, index, _entry(out, known[out.path]), path))
    return found


def _entry(out: StageOutput, recorded: Entry) -> Entry:
    return msgspec.structs.replace(
        recorded,
        cache=out.cache,
        persist=out.persist,
        push=out.push,
        remote=out.remote,
        metric=out.kind == "metric",
        plot=out.plot or out.kind == "plot",
        desc=out.desc,
        type=out.type,
        labels=tuple(out.labels),
        meta=out.meta,
    )


def _beside(file: Path, path: str) -> bytes | None:
    try:
        return (file.parent / path).read_bytes()
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise Invalid(f"'{path}' is a directory, expected a parameters file", code="dvc.pipeline", hint="name a file") from None
