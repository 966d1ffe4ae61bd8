"""Names of metrics, parameters, tags and artifacts: what a server would refuse is refused before it is logged."""

import functools
import posixpath
import re

from perenne.core.errors import Invalid
from perenne.core.paths import check_name

MAX_KEY = 250
_KEY = re.compile(r"[/\w.\- :]+")


@functools.lru_cache(maxsize=4096)
def checked_key(key: str) -> str:
    """Return the name of a metric, parameter or tag.

    Raises
    ------
    Invalid
        If it is empty, too long, of other characters than letters, digits and ``_ - . : / space``, or no plain path.

    >>> checked_key("val/loss")
    'val/loss'
    """
    plain = isinstance(key, str) and len(key) <= MAX_KEY and _KEY.fullmatch(key) is not None
    if not plain or posixpath.normpath(key) != key or key == "." or key.startswith(("..", "/")):
        hint = "letters, digits, _ - . : / and spaces, at most 250; slashes as in folder/name"
        raise Invalid(f"{str(key)[:100]!r} cannot be a name", code="run.name", hint=hint)
    return key


def checked_path(path: str) -> str:
    """Return the path of an artifact. Raises Invalid if it is not plainly relative."""
    return check_name(path)
