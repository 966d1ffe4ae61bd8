"""Which packages the processes of a model server may load: their signatures are verified by the parent, which tells them.

Cryptography stays out of the processes that answer. The parent hashes every file of a package, compares them with the release and
judges the signature over them; its verdict, with the digest of the package's manifest, goes into shared memory. A process loads a
package only if its manifest has that digest, and the manifest names every other file by its digest: between verdict and loading
nothing can be exchanged.

What is asked, and whose keys count, stands in the release. `PERENNE_REQUIRE_SIGNATURE` and `PERENNE_TRUSTED_KEYS` pin both from
outside of the release folder: for a server that does not trust whoever can write there.
"""

import logging
import os
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from perenne import inference
from perenne.core import json
from perenne.core.errors import Conflict, Invalid, PerenneError
from perenne.core.hashing import digest_bytes
from perenne.inference import SignatureState, Signed, TrustedKey
from perenne.serving.model import Release, ReleasedPackage, ReleasedTrust, Requirement
from perenne.serving.releases import CURRENT, find_release, package_folder, signature_file
from perenne.storage.trees import Tree, TreeFile

log = logging.getLogger("perenne.serving")

REQUIRE, KEYS = "PERENNE_REQUIRE_SIGNATURE", "PERENNE_TRUSTED_KEYS"
_STRICTNESS: tuple[Requirement, ...] = ("off", "warn", "on")
_ROOM = 1 << 18
_WAIT_SECONDS = 20.0
_HEAD = 68


class Verdicts(msgspec.Struct, frozen=True):
    """What the parent tells: what is asked at least, which state of the release it looked at, and what it found, by package."""

    require: Requirement = "off"
    generation: int = 0
    mark: str = ""
    packages: dict[str, ReleasedPackage] = {}


class Pinned(msgspec.Struct, frozen=True):
    """What is asked of packages whatever the release says; no keys if those of the release count."""

    require: Requirement = "off"
    keys: tuple[TrustedKey, ...] = ()

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> "Pinned":
        """Read the settings. Raises Invalid if one cannot be read, Unavailable without the library that keys need."""
        text = environment.get(REQUIRE) or "off"
        if text not in _STRICTNESS:
            raise Invalid(f"{REQUIRE} is {text[:40]!r}, which is not known", code="config.signature", hint="off, warn or on")
        names = [part.strip() for part in environment.get(KEYS, "").split(",") if part.strip()]
        return cls(msgspec.convert(text, Requirement), tuple(_read_key(Path(name)) for name in names))


def _read_key(path: Path) -> TrustedKey:
    try:
        return inference.signing.read_public(path.read_bytes(), path.stem)
    except OSError as error:
        raise Invalid(
            f"{KEYS}: {path.name} cannot be read: {error.strerror}", code="config.signature", hint="PEM files"
        ) from None


class Board:
    """Shared memory in which the parent writes verdicts and its children read them.

    Parameters
    ----------
    handle : int
        A file that only these processes can see.
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle

    @classmethod
    def create(cls) -> "Board":
        """Make one; nothing is said on it."""
        with tempfile.TemporaryFile(prefix="perenne-verdicts-") as stream:
            os.ftruncate(stream.fileno(), _ROOM)
            made = cls(os.dup(stream.fileno()))
        made.write(Verdicts())
        return made

    def write(self, verdicts: Verdicts) -> None:
        """Say something else. Raises Invalid if it is too much."""
        data = json.encode(verdicts)
        if len(data) > _ROOM - _HEAD:
            raise Invalid("there are too many packages in one release", code="serve.verdicts", hint="deploy fewer variants")
        os.pwrite(self.handle, len(data).to_bytes(4, "little") + digest_bytes(data).encode() + data, 0)

    def read(self) -> Verdicts | None:
        """Read what is said; None while it is being written."""
        found = os.pread(self.handle, _ROOM, 0)
        data = found[_HEAD : _HEAD + int.from_bytes(found[:4], "little")]
        return json.decode(data, Verdicts) if digest_bytes(data).encode() == found[4:_HEAD] else None

    def close(self) -> None:
        """Let go of it."""
        os.close(self.handle)


class Verifier:
    """The parent's part: looks at every release and says on the board what it found.

    Parameters
    ----------
    folder : Path
        The release folder.
    board : Board
        Where the verdicts go.
    """

    def __init__(self, folder: Path, board: Board) -> None:
        self._folder = folder
        self.board = board
        self._pinned = Pinned.read()
        self._seen: tuple[int, int, int] | None = None
        self._said = ""
        board.write(Verdicts(self._pinned.require))

    def refresh(self) -> None:
        """Verify what is released if that is something else than the last time; costs one `stat` if not."""
        try:
            stat = (self._folder / CURRENT).stat()
        except FileNotFoundError:
            return
        present = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        if present == self._seen:
            return
        try:
            release, _ = find_release(self._folder)
            self.board.write(self._judge(release))
        except (PerenneError, OSError) as error:  # the processes that read the release say so, too
            log.error("the signatures of the release cannot be verified: %s", error)
        self._seen = present

    @property
    def verdicts(self) -> Verdicts:
        """What it found last."""
        return self.board.read() or Verdicts()

    def _judge(self, release: Release) -> Verdicts:
        require = stricter(self._pinned.require, release.trust.require)
        packages = {}
        if require != "off":
            trusted = self._pinned.keys or release.trust.keys
            for tree in dict.fromkeys(variant.tree for variant in release.deployment.variants):
                packages[tree] = self._look(tree, release.trust, trusted)
            self._tell(release, packages)
        return Verdicts(require, release.deployment.generation, release.trust.mark, packages)

    def _look(self, tree: str, trust: ReleasedTrust, trusted: tuple[TrustedKey, ...]) -> ReleasedPackage:
        try:
            files, present = hashed(package_folder(self._folder, tree))
        except (PerenneError, OSError) as error:
            reason = error.message if isinstance(error, PerenneError) else "its files cannot be read"
            return ReleasedPackage(signed=Signed(state=SignatureState.UNKNOWN, detail=reason))
        signed = inference.signing.verify(read_signature(self._folder, tree), files, trusted)
        if present != tree and signed.valid:
            signed = msgspec.structs.replace(
                signed, state=SignatureState.BROKEN, detail="it is another package than the one released"
            )
        leave = trust.packages.get(tree)
        return ReleasedPackage(files.get("package.json", ""), signed, unpickle=leave is not None and leave.unpickle)

    def _tell(self, release: Release, packages: dict[str, ReleasedPackage]) -> None:
        """Log what is wrong, once."""
        names = {variant.tree: variant.version for variant in release.deployment.variants}
        said = "; ".join(
            f"{names[tree]} is {found.signed.state.value}: {found.signed.detail}"
            for tree, found in packages.items()
            if not found.signed.valid
        )
        if said and said != self._said:
            log.warning("signatures: %s", said)
        self._said = said


class Admission:
    """A child's part: asks before a package is loaded.

    Parameters
    ----------
    board : Board, optional
        Where the parent's verdicts are read; without one, nothing that needs a signature is admitted.
    stopping : threading.Event, optional
        Set when waiting makes no sense any more.
    """

    def __init__(self, board: Board | None = None, stopping: threading.Event | None = None) -> None:
        self._board = board
        self._stopping = stopping or threading.Event()

    def admit(self, release: Release, tree: str) -> ReleasedPackage:
        """Return what is known of a package that may be loaded; where a signature is needed, wait for the parent's verdict.

        Raises
        ------
        Conflict
            If it is not signed as it should be, or nobody has verified that.
        """
        known = release.trust.packages.get(tree) or ReleasedPackage(unpickle=True)
        told = None if self._board is None else self._board.read()
        if stricter(release.trust.require, told.require if told else "off") != "on":
            return known
        found = self._await(release, tree)
        if found is None:
            raise Conflict("nobody has verified its signature", code="serve.signature", hint="the server's log says more")
        if not found.signed.valid or not found.manifest:
            raise Conflict(
                f"its signature is {found.signed.state.value}: {found.signed.detail}",
                code="serve.signature",
                hint="`perenne model verify NAME@N` looks at it",
            )
        return found

    def _await(self, release: Release, tree: str) -> ReleasedPackage | None:
        deadline = time.monotonic() + _WAIT_SECONDS
        while self._board is not None and time.monotonic() < deadline:
            told = self._board.read()
            if told and (told.generation, told.mark) == (release.deployment.generation, release.trust.mark):
                return told.packages.get(tree)
            if self._stopping.wait(0.02):
                break
        return None


def stricter(one: Requirement, other: Requirement) -> Requirement:
    """Return what asks for more.

    >>> stricter("warn", "on"), stricter("warn", "off")
    ('on', 'warn')
    """
    return max(one, other, key=_STRICTNESS.index)


def hashed(folder: Path) -> tuple[dict[str, str], str]:
    """Return the SHA-256 of every file of a package by its path, and the digest of the whole, as releases name it."""
    files = inference.signing.folder_files(folder)
    tree = Tree(tuple(TreeFile(name, (folder / name).stat().st_size, files[name]) for name in sorted(files)))
    return files, digest_bytes(json.canonical(tree))


def read_signature(folder: Path, tree: str) -> bytes | None:
    """Read the signature of a package from a release folder; None if there is none."""
    try:
        return signature_file(folder, tree).read_bytes()
    except FileNotFoundError:
        return None
