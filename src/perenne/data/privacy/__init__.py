"""Personal data: finding it, hiding it in new versions, and erasing one person from all of them.

`kinds` are the kinds that can be told by pattern and check digit, `numbers` the check digits, `detecting` looks for them in a
table; `masking` replaces values, by keys from `keys`, `versions` keeps the result; `erasing` removes one subject's rows from
every snapshot, `planning` finds them, `certificates` tells what was done. How far erasures are is in `data.erasure_store`, for
`data.tombstones` is asked wherever a snapshot is read or taken.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.data.privacy.detecting import find_personal
    from perenne.data.privacy.erasing import erase
    from perenne.data.privacy.events import RowsErased
    from perenne.data.privacy.keys import installation_key
    from perenne.data.privacy.masking import MaskRule, mask_table, read_rules

_ROOMS = {
    "MaskRule": "masking",
    "RowsErased": "events",
    "erase": "erasing",
    "find_personal": "detecting",
    "installation_key": "keys",
    "mask_table": "masking",
    "read_rules": "masking",
}

__all__ = ["MaskRule", "RowsErased", "erase", "find_personal", "installation_key", "mask_table", "read_rules"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
