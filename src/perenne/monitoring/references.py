"""The references by which windows are judged, read from the object store once and remembered."""

import threading
from collections import OrderedDict

from perenne.stats.cells import Reference
from perenne.storage.objects import ObjectStore

REMEMBERED = 64

_known: OrderedDict[str, Reference] = OrderedDict()
_lock = threading.Lock()


def load_reference(objects: ObjectStore, digest: str) -> Reference:
    """Return the reference whose bytes have a digest. Raises NotFound if they are not in the store."""
    with _lock:
        if digest in _known:
            _known.move_to_end(digest)
            return _known[digest]
    reference = Reference.from_bytes(objects.get(digest))
    with _lock:
        _known[digest] = reference
        while len(_known) > REMEMBERED:
            _known.popitem(last=False)
    return reference
