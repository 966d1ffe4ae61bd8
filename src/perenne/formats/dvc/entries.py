"""What a metafile says of one output or dependency."""

from hashlib import md5
from posixpath import isabs, normpath
from typing import Any

import msgspec

from perenne.core.errors import Invalid
from perenne.formats.dvc.manifests import ManifestEntry, check_entries, manifest_digest, write_manifest

LEGACY = "md5-dos2unix"
"""The hash of 2.x: of text files, the md5 with CRLF turned into LF. It is written as `md5`, without the key `hash`."""

CODE = "data.bad_metafile"
_HEX = frozenset("0123456789abcdef")
_HASHES = ("etag", "checksum", "md5")
_FLAGS = ("metric", "plot", "persist", "remote")
_NOTES = ("desc", "type", "labels", "meta")


class RepoSource(msgspec.Struct, frozen=True, kw_only=True):
    """The repository that an import comes from."""

    url: str
    rev: str | None = None
    rev_lock: str | None = None
    config: str | dict[str, Any] | None = None
    remote: str | dict[str, Any] | None = None


class CloudFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a directory whose versions a remote keeps."""

    relpath: str
    md5: str | None = None
    etag: str | None = None
    checksum: str | None = None
    size: int | None = None
    isexec: bool = False
    version_id: str | None = None
    cloud: dict[str, dict[str, Any]] | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An output or a dependency, with the state it was last seen in.

    Attributes
    ----------
    digest : str or None
        md5 in hex, of a directory that of its manifest with ``.dir``; for other algorithms whatever the remote says.
    algorithm : str
        ``md5``, ``md5-dos2unix`` for an entry of 2.x, ``etag`` or ``checksum``.
    size, nfiles : int or None
        Bytes, and files of a directory.
    others : dict or None
        Hashes beside `digest`, such as the ``etag`` of an S3 object whose md5 is known.
    cloud : dict or None
        Remote -> ``etag``, ``version_id`` of the object there.
    files : tuple or None
        The files of a directory under a remote that keeps versions; digest, size and nfiles follow from them.
    extra : dict or None
        Keys that DVC does not know; they are kept.
    """

    path: str
    digest: str | None = None
    algorithm: str = "md5"
    size: int | None = None
    nfiles: int | None = None
    isexec: bool = False
    version_id: str | None = None
    others: dict[str, str] | None = None
    cloud: dict[str, dict[str, Any]] | None = None
    files: tuple[CloudFile, ...] | None = None
    fs_config: dict[str, Any] | None = None
    repo: RepoSource | None = None
    db: dict[str, Any] | None = None
    desc: str | None = None
    type: str | None = None
    labels: tuple[str, ...] = ()
    meta: dict[str, Any] | None = None
    cache: bool = True
    metric: bool | dict[str, Any] = False
    plot: bool | dict[str, Any] = False
    persist: bool = False
    remote: str | None = None
    push: bool = True
    extra: dict[str, Any] | None = None

    @property
    def is_dir(self) -> bool:
        """Whether it is a directory."""
        return (self.digest or "").endswith(".dir") or self.files is not None

    @property
    def is_legacy(self) -> bool:
        """Whether 2.x wrote it: its objects lie in the old part of the cache."""
        return self.algorithm == LEGACY


class _Written(msgspec.Struct, kw_only=True):
    """An entry as its keys lie in the file; what is wrong is said with the key's name."""

    path: str = ""
    md5: str | int | None = None
    etag: str | int | None = None
    checksum: str | int | None = None
    size: int | None = None
    nfiles: int | None = None
    isexec: bool = False
    version_id: str | None = None
    cloud: dict[str, dict[str, Any]] | None = None
    hash: str | None = None
    fs_config: dict[str, Any] | None = None
    repo: RepoSource | None = None
    db: dict[str, Any] | None = None
    desc: str | None = None
    type: str | None = None
    labels: tuple[str, ...] | None = None
    meta: Any = None
    cache: bool = True
    metric: bool | dict[str, Any] = False
    plot: bool | dict[str, Any] = False
    persist: bool = False
    remote: str | None = None
    push: bool = True
    files: tuple[CloudFile, ...] | None = None


KNOWN = frozenset(_Written.__struct_fields__)


def entry_of(written: Any, where: str) -> Entry:
    """Make an entry of a mapping out of a metafile or lock.

    Parameters
    ----------
    written : Any
        The mapping.
    where : str
        File and place, for messages: ``data.dvc, outs[0]``.

    Raises
    ------
    Invalid
        A key of the wrong type, no path, a path with a NUL byte, a hash that is none.
    """
    try:
        keys = msgspec.convert(written, _Written)
    except msgspec.ValidationError as error:
        raise Invalid(
            f"{where}: {_plainly(error)}", code=CODE, hint="correct it, or take the recorded one: `git checkout -- FILE`"
        ) from None
    if (not keys.path and keys.db is None) or "\0" in keys.path:
        raise Invalid(
            f"{where}: 'path' is missing or no path",
            code=CODE,
            hint="correct it, or take the recorded one: `git checkout -- FILE`",
        )
    algorithm = _algorithm(keys)
    used = "md5" if algorithm == LEGACY else algorithm
    digest = checked_digest(getattr(keys, used), algorithm, where)
    entry = Entry(
        path=keys.path,
        digest=digest,
        algorithm=algorithm,
        labels=keys.labels or (),
        others={name: str(getattr(keys, name)) for name in _HASHES if getattr(keys, name) and name != used} or None,
        extra={key: value for key, value in written.items() if key not in KNOWN} or None,
        **{name: getattr(keys, name) for name in _SAME},
    )
    return entry if entry.files is None else _with_files(entry, where)


_SAME = KNOWN & frozenset(Entry.__struct_fields__) - {"path", "labels"}


def _algorithm(keys: _Written) -> str:
    for name in ("etag", "checksum"):
        if getattr(keys, name) and not keys.md5:
            return name
    return "md5" if keys.hash or keys.files is not None or keys.repo is not None else LEGACY


def checked_digest(value: str | int | None, algorithm: str, where: str) -> str | None:
    """Return a hash as text, None for an empty one.

    Raises
    ------
    Invalid
        It is not 32 hexadecimal digits where an md5 is due.
    """
    text = str(value) if value is not None else ""
    if algorithm not in ("md5", LEGACY):
        return text or None
    text = text.lower()
    hexadecimal = text.removesuffix(".dir")
    if text and (len(hexadecimal) != 32 or not set(hexadecimal) <= _HEX):
        raise Invalid(f"{where}: '{value}' is no md5", code=CODE, hint="32 hexadecimal digits, with .dir for a directory")
    return text or None


def _with_files(entry: Entry, where: str) -> Entry:
    """Add what follows from the list of files: the digest of their manifest, bytes, count."""
    files = entry.files or ()
    for file in files:
        checked_digest(file.md5, "md5", f"{where}, files, {file.relpath!r}")
    hashed = all(file.md5 for file in files)
    placed = [ManifestEntry(file.relpath, (file.md5 if hashed else "0" * 32) or "") for file in files]
    check_entries(placed, where)
    return msgspec.structs.replace(
        entry,
        digest=manifest_digest(write_manifest(placed)) if hashed else None,
        size=sum(file.size or 0 for file in files),
        nfiles=len(files),
    )


def written_entry(entry: Entry, *, is_dependency: bool = False) -> dict[str, Any]:
    """Return the keys of an entry of a ``.dvc`` file in DVC's order."""
    if entry.db is not None:
        return {"db": entry.db}
    if entry.repo is not None:
        source = entry.repo
        repo = {name: getattr(source, name) for name in source.__struct_fields__ if getattr(source, name)}
        return {"path": entry.path, "repo": repo, **(entry.extra or {})}
    keys: dict[str, Any] = {} if entry.files is not None else state_of(entry)
    if not entry.is_legacy:
        keys["hash"] = "md5"
    keys["path"] = entry.path
    if entry.fs_config:
        keys["fs_config"] = entry.fs_config
    if not is_dependency:
        keys |= _annotations(entry)
    if entry.files is not None:
        keys["files"] = [written_file(file) for file in sorted(entry.files, key=lambda file: file.relpath)]
    return keys | (entry.extra or {})


def state_of(entry: Entry) -> dict[str, Any]:
    """Return hash, size, nfiles, isexec, version and cloud, in DVC's order."""
    keys: dict[str, Any] = {}
    if entry.digest:
        keys["md5" if entry.is_legacy else entry.algorithm] = entry.digest
    if entry.size is not None:
        keys["size"] = entry.size
    if entry.nfiles is not None:
        keys["nfiles"] = entry.nfiles
    if entry.isexec:
        keys["isexec"] = True
    if entry.version_id:
        keys["version_id"] = entry.version_id
    if entry.others:
        keys |= entry.others
    if entry.cloud:
        keys["cloud"] = entry.cloud
    return keys


def _annotations(entry: Entry) -> dict[str, Any]:
    keys = {name: getattr(entry, name) for name in _NOTES if getattr(entry, name)}
    if "labels" in keys:
        keys["labels"] = list(entry.labels)
    if not entry.cache:
        keys["cache"] = False
    keys |= {name: getattr(entry, name) for name in _FLAGS if getattr(entry, name)}
    if not entry.push:
        keys["push"] = False
    return keys


def written_file(file: CloudFile) -> dict[str, Any]:
    """Return the keys of a file of such a directory."""
    keys = {name: getattr(file, name) for name in file.__struct_fields__}
    return {name: value for name, value in keys.items() if value is not None and value is not False}


def place_of(path: str, folder: str, where: str) -> str:
    """Return the place of an output inside the repository, ``/`` between the parts.

    Parameters
    ----------
    path : str
        What the metafile says.
    folder : str
        The folder it is relative to, relative to the repository; ``""`` or ``.`` for the repository itself.
    where : str
        The metafile, for messages.

    Raises
    ------
    Invalid
        It lies outside of the repository, or is the repository itself.

    Examples
    --------
    >>> place_of("../b", "a/c", "x.dvc")
    'a/b'
    """
    place = normpath(f"{folder or '.'}/{path}")
    if isabs(path) or place in (".", "..") or place.startswith("../"):
        hint = "nothing was touched; a metafile names what lies inside its repository"
        raise Invalid(f"{where}: the output {path!r} lies outside of the repository", code="data.path_escape", hint=hint)
    return place


def _plainly(error: msgspec.ValidationError) -> str:
    text = str(error).replace("`", "'")
    return text.replace(" - at '$.", ", at '").replace(" - at '$'", "")


def digest_of_bytes(data: bytes) -> str:
    """Return the md5 of bytes in hex."""
    return md5(data, usedforsecurity=False).hexdigest()
