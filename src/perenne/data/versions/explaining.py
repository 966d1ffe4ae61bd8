"""Which rule of which ``.dvcignore`` leaves a path out."""

import os
from pathlib import Path

from perenne.data.versions.ignoring import Ignoring
from perenne.data.versions.repository import Repository
from perenne.formats.dvc.ignores import Ignore, Rule


def explain_ignored(repository: Repository, path: Path) -> tuple[bool, tuple[Rule, ...]]:
    """Tell whether a path is left out, and the rules that match it, the one that decides last.

    Parameters
    ----------
    repository : Repository
        Where it lies; a path outside is never left out.
    path : Path
        As seen from the present folder; it need not exist.
    """
    place = os.path.abspath(path)
    relative = repository.relative(place)
    if relative == "." or relative.startswith("../"):
        return False, ()
    own = Ignoring.within(repository.root, os.path.dirname(place)).rules
    rules = Ignore.built_in() if own is None else Ignore.built_in().nested(own)
    folder = repository.root
    for part in Path(relative).parts:
        folder = folder / part
        if (folder / ".dvc").is_dir():
            rules = rules.with_subrepository(repository.relative(folder))
    return rules.explain(relative, os.path.isdir(place))
