"""Making a repository an ordinary folder again: what is tracked stays, as files of its own."""

import shutil

from perenne.data.versions.repository import Repository
from perenne.data.versions.unprotecting import unprotect


def destroy_repository(repository: Repository) -> None:
    """Remove every metafile, ``.dvcignore`` and ``.dvc`` with its cache; links into the cache become files first.

    Parameters
    ----------
    repository : Repository
        It is of no use afterwards.
    """
    with repository.lock():
        outputs = repository.outputs()
        unprotect(repository, [output.path for output in outputs if output.path.exists()])
        files = {output.file for output in outputs} | set(repository.metafiles)
        for file in files:
            file.unlink(missing_ok=True)
            if file.name == "dvc.yaml":
                file.with_name("dvc.lock").unlink(missing_ok=True)
    (repository.root / ".dvcignore").unlink(missing_ok=True)
    shutil.rmtree(repository.dvc)
