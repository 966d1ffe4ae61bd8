"""Versions of files, in DVC's formats: what is tracked, what has changed, and how to get any version back.

==============  ============================================================================================================
`repository`    finding and opening one; its metafiles and what they track (`walking`, `ignoring`, `layers` of settings)
`cache`         objects by md5; `git`: what Git is asked; `locking`: one writer at a time, DVC included
`adding`        … and the other verbs: `committing`, `checkout`, `status`, `removing`, `moving`, `unprotecting`, `destroying`
`pushing`       objects to remotes (`remotes`) and, by `fetching`, back; `importing`, `getting`, `listing`: of others and of URLs
`collecting`    what no version needs goes to a quarantine
`configuring`   the four config files; `explaining`: which rule of which ``.dvcignore`` leaves a path out
==============  ============================================================================================================

Nothing here prints, and nothing imports more than the standard library, msgspec and `formats.dvc`, so that an answer takes
hundredths of a second. Names are read lazily.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.data.versions import adding as adding
    from perenne.data.versions import checkout as checkout
    from perenne.data.versions import cloud_versions as cloud_versions
    from perenne.data.versions import collecting as collecting
    from perenne.data.versions import committing as committing
    from perenne.data.versions import comparing as comparing
    from perenne.data.versions import configuring as configuring
    from perenne.data.versions import destroying as destroying
    from perenne.data.versions import explaining as explaining
    from perenne.data.versions import fetching as fetching
    from perenne.data.versions import getting as getting
    from perenne.data.versions import importing as importing
    from perenne.data.versions import layers as layers
    from perenne.data.versions import listing as listing
    from perenne.data.versions import migrating as migrating
    from perenne.data.versions import moving as moving
    from perenne.data.versions import plans as plans
    from perenne.data.versions import pushing as pushing
    from perenne.data.versions import removing as removing
    from perenne.data.versions import reports as reports
    from perenne.data.versions import revisions as revisions
    from perenne.data.versions import run_caches as run_caches
    from perenne.data.versions import sources as sources
    from perenne.data.versions import status as status
    from perenne.data.versions import targets as targets
    from perenne.data.versions import unprotecting as unprotecting
    from perenne.data.versions.pieces import Piece as Piece
    from perenne.data.versions.pieces import Pieces
    from perenne.data.versions.remotes.port import Remote as Remote
    from perenne.data.versions.repository import Output as Output
    from perenne.data.versions.repository import Repository as Repository
    from perenne.data.versions.repository import find_repository as find_repository
    from perenne.data.versions.repository import init_repository, open_repository

_ROOMS = {
    "Output": "repository",
    "Piece": "pieces",
    "Pieces": "pieces",
    "Repository": "repository",
    "Remote": "remotes.port",
    "find_repository": "repository",
    "init_repository": "repository",
    "open_repository": "repository",
}

_MODULES = {
    "adding",
    "checkout",
    "cloud_versions",
    "collecting",
    "committing",
    "comparing",
    "configuring",
    "destroying",
    "explaining",
    "layers",
    "migrating",
    "listing",
    "pushing",
    "plans",
    "fetching",
    "getting",
    "importing",
    "moving",
    "removing",
    "reports",
    "revisions",
    "run_caches",
    "sources",
    "status",
    "targets",
    "unprotecting",
}
"""Modules that the edge enters by their names."""

__all__ = ["Pieces", "init_repository", "open_repository"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
