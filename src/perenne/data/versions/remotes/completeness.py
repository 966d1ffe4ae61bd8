"""Which directories are known to be whole in a remote: a list per remote, so that pushing nothing new asks one question each.

That a manifest is there means that all its files have been there; whether they still are is known only of those that were looked
at from here. An answer that proves wrong is forgotten.
"""

import contextlib
import os
from collections.abc import Iterable
from hashlib import md5
from pathlib import Path

from perenne.data.versions.cache import is_name


class Completeness:
    """What is remembered of one remote.

    Parameters
    ----------
    folder : Path
        Where such lists are kept: below ``.dvc/tmp``.
    identity : str
        What tells the remote from others; not written.
    """

    def __init__(self, folder: Path, identity: str) -> None:
        self._path = folder / md5(identity.encode(), usedforsecurity=False).hexdigest()

    def known(self) -> set[str]:
        """Return the digests of the directories that are whole there."""
        try:
            return {line for line in self._path.read_text().splitlines() if is_name(line)}
        except (OSError, UnicodeDecodeError):
            return set()

    def remember(self, digests: Iterable[str]) -> None:
        """Add directories; that it cannot be written costs time next time and nothing else."""
        text = "".join(f"{digest}\n" for digest in digests)
        if not text:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a") as stream:
                stream.write(text)

    def forget(self, digests: Iterable[str] | None = None) -> None:
        """Take directories out, or all."""
        if digests is None:
            self._path.unlink(missing_ok=True)
            return
        known = self.known()
        kept = known.difference(digests)
        if kept == known:
            return
        temporary = self._path.with_name(f"{self._path.name}-{os.getpid()}")
        temporary.write_text("".join(f"{digest}\n" for digest in sorted(kept)))
        temporary.replace(self._path)
