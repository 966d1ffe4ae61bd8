"""Container images in the OCI format, made and pushed without a daemon; a model kept alive on newer libraries.

`making` makes the image of a version: `bases` the runtime it stands on (`host` from this machine's Python), `libraries` what
serving it imports, `application` perenne itself, `layering` layers from files, `building` the image, `facts` its labels and bill
of materials, `layout` images on the disk. `registries` pushes and pulls, with what `credentials` finds. `recipe` writes a
Dockerfile that gives the same service. `records` keeps what was made and where it runs, `rebuilding` makes a new image of the
same model on newer libraries, `ageing` tells which are out of date. `model` holds the Structs, `store` the table.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.delivery.images import making, records
    from perenne.delivery.images.model import Component, Image, ImageMade, ImageRolledOut, Layer
    from perenne.delivery.images.records import images_of, newest, roll_out, rolled_out

_MODULES = frozenset({"making", "records"})
_ROOMS = {
    "Component": "model",
    "Image": "model",
    "ImageMade": "model",
    "ImageRolledOut": "model",
    "Layer": "model",
    "images_of": "records",
    "newest": "records",
    "roll_out": "records",
    "rolled_out": "records",
}

__all__ = [
    "Component",
    "Image",
    "ImageMade",
    "ImageRolledOut",
    "Layer",
    "images_of",
    "making",
    "newest",
    "records",
    "roll_out",
    "rolled_out",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f"{__name__}.{name}")
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
