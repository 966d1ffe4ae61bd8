"""What a package takes and answers, read from the object store without fetching the package: for those who only show it."""

import threading
from collections import OrderedDict
from typing import Any

import msgspec

from perenne.core import json
from perenne.core.errors import NotFound
from perenne.inference.model import Example, Manifest, Signature
from perenne.inference.predictor import EXAMPLE, MANIFEST
from perenne.storage.objects import ObjectStore
from perenne.storage.trees import get_tree

REMEMBERED = 256

_known: OrderedDict[str, "Described"] = OrderedDict()
_lock = threading.Lock()


class Described(msgspec.Struct, frozen=True):
    """A package's signature, its example rows by input, its form and the estimator behind it."""

    signature: Signature
    example: dict[str, list[Any]]
    form: str
    estimator: str


def describe(objects: ObjectStore, tree: str) -> Described:
    """Describe the package of a tree; what was read once is remembered, for a tree never changes.

    Raises
    ------
    NotFound, Invalid
        If it is not in the store, or no package.
    """
    with _lock:
        if tree in _known:
            _known.move_to_end(tree)
            return _known[tree]
    found = _read(objects, tree)
    with _lock:
        _known[tree] = found
        while len(_known) > REMEMBERED:
            _known.popitem(last=False)
    return found


def _read(objects: ObjectStore, tree: str) -> Described:
    files = {file.path: file.digest for file in get_tree(objects, tree).files}
    if not {MANIFEST, EXAMPLE} <= files.keys():
        raise NotFound(
            "the tree holds no package",
            code="inference.package_not_found",
            hint="package the version again: `perenne run` makes a new one",
        )
    manifest = json.decode(objects.get(files[MANIFEST]), Manifest, what=MANIFEST)
    example = json.decode(objects.get(files[EXAMPLE]), Example, what=EXAMPLE)
    return Described(manifest.signature, example.inputs, manifest.form, manifest.estimator)
