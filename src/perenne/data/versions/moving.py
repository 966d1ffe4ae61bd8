"""Giving what is tracked another name: data, metafile and the line in ``.gitignore`` together."""

import os
from pathlib import Path

import msgspec

from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.data.versions.hashing import said
from perenne.data.versions.locking import Waiting, check_stages
from perenne.data.versions.recording import ignore_in_git
from perenne.data.versions.removing import show_to_git
from perenne.data.versions.repository import Output, Repository
from perenne.data.versions.status import is_as_recorded
from perenne.data.versions.targets import owner_of
from perenne.data.versions.writing import replace
from perenne.formats.dvc.entries import Entry
from perenne.formats.dvc.metafiles import read_metafile, stage_md5, write_metafile


class Moved(msgspec.Struct, frozen=True):
    """What has another name now."""

    old: str
    new: str
    file: str


def move(repository: Repository, source: Path | str, target: Path | str, *, waiting: Waiting | None = None) -> Moved:
    """Move a tracked file or folder.

    Parameters
    ----------
    repository : Repository
        Where.
    source, target : Path or str
        From and to; a target that is a folder takes it in under its name.

    Raises
    ------
    NotFound
        The source is not tracked.
    Conflict
        The target exists, or overlaps with something that is tracked.
    """
    old, new = os.path.abspath(source), os.path.abspath(target)
    output = _tracked(repository, old)
    if os.path.isdir(new) and not _is_half_moved(repository, output, new):
        new = f"{new}/{os.path.basename(old)}"
    file = _new_file(output, new)
    text = _text(repository, output, new, file)
    _check(repository, output, new, file, text)
    check_stages(repository.temporary, [], [old, new])
    with repository.lock(waiting), said(f"{repository.shown(old)} cannot be moved"):
        _carry_out(repository, output, new, file, text)
    repository.forget()
    return Moved(repository.shown(old), repository.shown(new), repository.shown(file))


def _is_half_moved(repository: Repository, output: Output, new: str) -> bool:
    """Tell whether the data lies at its new place already: somebody was killed on the way."""
    moved = msgspec.structs.replace(output, path=Path(new))
    return not os.path.lexists(output.path) and os.path.lexists(new) and is_as_recorded(repository, moved)


def _tracked(repository: Repository, path: str) -> Output:
    for output in repository.outputs():
        if path in (os.fspath(output.path), os.fspath(output.file)):
            if output.stage is not None:
                raise Conflict(
                    f"{repository.shown(path)} is made by stage '{output.stage}'", code="data.stage_output", hint="edit dvc.yaml"
                )
            return output
    raise NotFound(
        f"{repository.shown(path)} is not tracked", code="data.not_tracked", hint="`perenne data status` lists what is"
    )


def _new_file(output: Output, new: str) -> Path:
    """Return the metafile's new place: it keeps a name that somebody chose."""
    if output.file.name == f"{output.path.name}.dvc":
        return Path(f"{new}.dvc")
    return Path(new).with_name(output.file.name)


def _check(repository: Repository, output: Output, new: str, file: Path, text: bytes) -> None:
    old = os.fspath(output.path)
    if not new.startswith(f"{repository.root}/"):
        raise Invalid(f"{repository.shown(new)} is outside of the repository", code="data.outside", hint="choose another place")
    if new == old or (os.path.lexists(new) and not _is_half_moved(repository, output, new)):
        raise Conflict(f"{repository.shown(new)} exists", code="data.exists", hint="choose another name")
    if file != output.file and file.exists() and file.read_bytes() != text:
        raise Conflict(f"{repository.shown(file)} exists", code="data.exists", hint="choose another name")
    if new.startswith(f"{old}/"):
        raise Conflict("a folder cannot be moved into itself", code="data.overlap", hint="choose another place")
    owner = owner_of(repository, new)
    if owner is not None and owner.output.file != file:
        raise Conflict(
            f"{repository.shown(new)} lies in {repository.shown(owner.output.path)}, which is tracked",
            code="data.overlap",
            hint="choose another place",
        )


def _moved_dep(dep: Entry, file: Path, wdir: str) -> Entry:
    """Return where something came from as it is seen from the new folder: a path on this machine that is not absolute."""
    if dep.repo is not None or dep.db is not None or "://" in dep.path or os.path.isabs(dep.path):
        return dep
    return msgspec.structs.replace(dep, path=os.path.relpath(file.parent / dep.path, wdir))


def _text(repository: Repository, output: Output, new: str, file: Path) -> bytes:
    """Return what the metafile says at its new place."""
    data = output.file.read_bytes()
    meta = read_metafile(data, repository.shown(output.file))
    outs = list(meta.outs)
    wdir = os.path.normpath(file.parent / (meta.wdir or "."))
    outs[output.index] = msgspec.structs.replace(outs[output.index], path=os.path.relpath(new, wdir))
    moved = msgspec.structs.replace(meta, outs=tuple(outs), deps=tuple(_moved_dep(dep, output.file, wdir) for dep in meta.deps))
    return write_metafile(msgspec.structs.replace(moved, md5=stage_md5(moved)) if moved.deps else moved, data)


def _carry_out(repository: Repository, output: Output, new: str, file: Path, text: bytes) -> None:
    os.makedirs(os.path.dirname(new), exist_ok=True)
    ignore_in_git(repository, new)
    if os.path.lexists(output.path):
        os.rename(output.path, new)
    replace(file, text, repository.temporary)
    show_to_git(repository, os.fspath(output.path))
    repository.state.forget_link(os.fspath(output.path))
    if file != output.file:
        output.file.unlink()  # last: who is killed before can say it again
