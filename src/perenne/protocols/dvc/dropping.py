"""Taking a stage out of dvc.yaml and dvc.lock, as `dvc remove` does."""

import os
from pathlib import Path

from perenne import data
from perenne.core.errors import Invalid
from perenne.formats.dvc import documents
from perenne.formats.dvc.locks import without_stage
from perenne.protocols.dvc.stages import Stage
from perenne.protocols.dvc.writing import write_whole


def drop_stage(repository: "data.versions.Repository", stage: Stage, *, outs: bool = False) -> None:
    """Take a stage out; a file without stages goes.

    Parameters
    ----------
    outs : bool
        Whether what it made goes too; otherwise it stays, as files of its own that Git sees.

    Raises
    ------
    Invalid
        It was made by `foreach` or `matrix`, and dvc.yaml has no text of its own for it.
    """
    file, lock = Path(stage.file), Path(stage.lock_file)
    text = file.read_bytes()
    pipeline = documents.load(text, repository.shown(file))
    if stage.name not in pipeline.get("stages", {}):
        message = f"cannot remove a parametrized stage: '{stage.said(os.getcwd())}'"
        raise Invalid(message, code="dvc.made_by_foreach", hint="edit dvc.yaml")
    with repository.lock():
        _free(repository, stage, outs=outs)
        if lock.exists():
            _write(lock, without_stage(lock.read_bytes(), stage.name))
        left = {name: keys for name, keys in pipeline["stages"].items() if name != stage.name}
        _write(file, documents.edit(text, {**pipeline, "stages": left}, repository.shown(file)) if left else None)
    repository.forget()


def _write(file: Path, content: bytes | None) -> None:
    if content is None:
        file.unlink()
    else:
        write_whole(file, content)


def _free(repository: "data.versions.Repository", stage: Stage, *, outs: bool) -> None:
    """Delete what the stage made, or make it files of its own; Git sees it again."""
    for product in stage.products:
        if outs:
            data.versions.removing.delete(product.place)
        elif os.path.lexists(product.place) and stage.recorded(product) is not None:
            data.versions.unprotecting.unprotect(repository, [product.place])
        data.versions.removing.show_to_git(repository, product.place)
