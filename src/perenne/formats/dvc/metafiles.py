"""The ``.dvc`` file: one stage, mostly one output.

>>> text = b"outs:\\n- md5: 60b725f10c9c85c70d97880dfe8191b3\\n  size: 2\\n  hash: md5\\n  path: a.txt\\n"
>>> meta = read_metafile(text, "a.txt.dvc")
>>> meta.outs[0].path, meta.outs[0].size
('a.txt', 2)
"""

import json
from typing import Any

import msgspec

from perenne.core.errors import Invalid
from perenne.formats.dvc import documents
from perenne.formats.dvc.entries import CODE, Entry, digest_of_bytes, entry_of, written_entry

_NOT_IN_MD5 = {"desc", "type", "labels", "meta", "locked", "frozen", "metric", "persist", "isexec", "size", "nfiles"}
_TEXTS = ("md5", "wdir", "desc")
_FLAGS = ("frozen", "locked", "always_changed")
_KNOWN = {"md5", "cmd", "wdir", "frozen", "locked", "deps", "outs", "desc", "always_changed", "meta"}


class MetaFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a ``.dvc`` file says."""

    outs: tuple[Entry, ...] = ()
    deps: tuple[Entry, ...] = ()
    md5: str | None = None
    cmd: str | list[str] | None = None
    wdir: str | None = None
    frozen: bool = False
    always_changed: bool = False
    desc: str | None = None
    meta: Any = None
    extra: dict[str, Any] | None = None

    @property
    def is_import(self) -> bool:
        """Whether it came from `import` or `import-url`."""
        return not self.cmd and len(self.deps) == 1 and len(self.outs) == 1

    @property
    def is_repo_import(self) -> bool:
        """Whether it came from another repository."""
        return self.is_import and self.deps[0].repo is not None


def read_metafile(data: bytes, name: str) -> MetaFile:
    """Read a ``.dvc`` file.

    Parameters
    ----------
    data : bytes
        Its content.
    name : str
        How messages call it.

    Raises
    ------
    Invalid
        It is not a stage; file and key are named.
    """
    keys = documents.load(data, name)
    if not isinstance(keys, dict):
        raise Invalid(
            f"{name} is not a mapping of keys", code=CODE, hint="correct it, or take the recorded one: `git checkout -- FILE`"
        )
    for key in _TEXTS:
        if not isinstance(keys.get(key), str | None) and not (key == "md5" and type(keys[key]) is int):
            raise Invalid(
                f"{name}: '{key}' must be a text", code=CODE, hint="correct it, or take the recorded one: `git checkout -- FILE`"
            )
    for key in _FLAGS:
        if not isinstance(keys.get(key, False), bool):
            raise Invalid(
                f"{name}: '{key}' must be true or false",
                code=CODE,
                hint="correct it, or take the recorded one: `git checkout -- FILE`",
            )
    return MetaFile(
        outs=_entries(keys, "outs", name),
        deps=_entries(keys, "deps", name),
        md5=None if keys.get("md5") is None else str(keys["md5"]),
        cmd=_command(keys.get("cmd"), name),
        wdir=keys.get("wdir"),
        frozen=keys.get("frozen", False) or keys.get("locked", False),
        always_changed=keys.get("always_changed", False),
        desc=keys.get("desc"),
        meta=keys.get("meta"),
        extra={key: value for key, value in keys.items() if key not in _KNOWN} or None,
    )


def _entries(keys: dict[str, Any], name: str, file: str) -> tuple[Entry, ...]:
    written = keys.get(name)
    if written is None:
        return ()
    if not isinstance(written, list):
        raise Invalid(
            f"{file}: '{name}' must be a list", code=CODE, hint="correct it, or take the recorded one: `git checkout -- FILE`"
        )
    entries = tuple(entry_of(entry, f"{file}, {name}[{index}]") for index, entry in enumerate(written))
    paths = [entry.path for entry in entries]
    if len(set(paths)) < len(paths):
        raise Invalid(
            f"{file}: '{name}' has a path twice", code=CODE, hint="correct it, or take the recorded one: `git checkout -- FILE`"
        )
    return entries


def _command(cmd: Any, name: str) -> Any:
    if cmd is None or isinstance(cmd, str) or (isinstance(cmd, list) and all(isinstance(part, str) for part in cmd)):
        return cmd
    raise Invalid(
        f"{name}: 'cmd' must be a text or a list of texts",
        code=CODE,
        hint="correct it, or take the recorded one: `git checkout -- FILE`",
    )


def written_metafile(meta: MetaFile) -> dict[str, Any]:
    """Return the keys of a ``.dvc`` file in DVC's order; what is empty or false is left out."""
    keys = {
        "desc": meta.desc,
        "md5": meta.md5,
        "cmd": meta.cmd,
        "wdir": None if meta.wdir == "." else meta.wdir,
        "frozen": meta.frozen,
        "deps": [written_entry(entry, is_dependency=True) for entry in meta.deps],
        "outs": [written_entry(entry) for entry in meta.outs],
        "always_changed": meta.always_changed,
        "meta": meta.meta,
    }
    return {key: value for key, value in keys.items() if value} | (meta.extra or {})


def write_metafile(new: MetaFile, old: bytes | None = None) -> bytes:
    """Write a ``.dvc`` file; `old` is what it held before.

    Comments, unknown keys and order of the old text are kept, and the same bytes come back when nothing changed.

    Raises
    ------
    Unavailable
        The old text has comments or the like, and ruamel.yaml is not installed.
    """
    keys = written_metafile(new)
    if not old or not old.strip():
        return documents.dump(keys)
    if read_metafile(old, "the old metafile") == new:
        return old
    return documents.edit(old, keys, "the old metafile")


def stage_md5(meta: MetaFile) -> str:
    """Return the hash of a stage, which has one when it has dependencies: neither sizes nor notes count."""
    keys = {key: value for key, value in written_metafile(meta).items() if key not in ("md5", "meta", "desc")}
    return digest_of_bytes(json.dumps(_without(keys), sort_keys=True).encode())


def _without(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without(inner) for key, inner in value.items() if key not in _NOT_IN_MD5}
    return [_without(inner) for inner in value] if isinstance(value, list) else value
