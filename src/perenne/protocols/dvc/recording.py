"""Where runs of stages are recorded: the installation that is there; without one, a database of the repository's own."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from perenne import data
from perenne.core.config import Settings, load_settings

if TYPE_CHECKING:
    from perenne.storage.workspace import Workspace


def settings_of(repository: "data.versions.Repository") -> Settings:
    """Return the settings of an installation beside a repository, or of the one that the environment names."""
    return load_settings(Path(repository.root))


def is_installed(settings: Settings) -> bool:
    """Tell whether there is an installation: a folder of it, or a database that the environment names."""
    return "PERENNE_DATABASE" in os.environ or settings.home.is_dir()


def own_workspace(repository: "data.versions.Repository", *, make: bool) -> "Workspace":
    """Open where runs are recorded.

    Parameters
    ----------
    make : bool
        Make an installation beside the repository if there is none; Git passes over it. Otherwise runs are recorded in
        `.dvc/tmp`, where `perenne dvc` alone finds them.
    """
    from perenne.storage.workspace import Workspace

    settings = settings_of(repository)
    if is_installed(settings):
        return Workspace(settings)
    if make:
        settings.home.mkdir(parents=True)
        (settings.home / ".gitignore").write_text("*\n", encoding="utf-8")
        return Workspace(settings)
    repository.temporary.mkdir(parents=True, exist_ok=True)
    return Workspace(load_settings(Path(repository.root), {"PERENNE_HOME": str(repository.temporary / "perenne-runs")}))
