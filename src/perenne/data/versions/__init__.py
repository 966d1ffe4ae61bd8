"""Versions of files, in DVC's formats: what is tracked, what has changed, and how to get any version back.

==============  ============================================================================================================
`repository`    finding and opening one; its metafiles and what they track (`walking`, `ignoring`, `layers` of settings)
`cache`         objects by md5; `git`: what Git is asked; `locking`: one writer at a time, DVC included
`configuring`   the four config files; `explaining`: which rule of which ``.dvcignore`` leaves a path out
==============  ============================================================================================================

Nothing here prints, and nothing imports more than the standard library, msgspec and `formats.dvc`, so that an answer takes
hundredths of a second. Names are read lazily.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.data.versions import configuring as configuring
    from perenne.data.versions import explaining as explaining
    from perenne.data.versions import layers as layers
    from perenne.data.versions.repository import Output as Output
    from perenne.data.versions.repository import Repository as Repository
    from perenne.data.versions.repository import find_repository as find_repository
    from perenne.data.versions.repository import init_repository, open_repository

_ROOMS = {
    "Output": "repository",
    "Repository": "repository",
    "find_repository": "repository",
    "init_repository": "repository",
    "open_repository": "repository",
}

_MODULES = {"configuring", "explaining", "layers"}
"""Modules that the edge enters by their names."""

__all__ = ["init_repository", "open_repository"]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
