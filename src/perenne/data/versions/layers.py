"""The settings of a repository: DVC's four files, the later wins; relative paths are meant from the file that says them."""

import os
import re
from collections.abc import Iterable
from pathlib import Path

from perenne.core.errors import Invalid

Settings = dict[str, dict[str, str]]
"""Section (``core``, ``cache``, ``remote "name"``) -> key -> value."""

LEVELS = ("system", "global", "repo", "local")
_URL = re.compile(r"\w+://")
_PATHS = {
    "cache": ("dir",),
    "remote": ("url", "keyfile", "credentialpath", "configpath", "gdrive_service_account_json_file_path"),
}
_TRUE, _FALSE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}


def places(dvc: Path | None) -> dict[str, Path]:
    """Return the file of each level, the weakest first; without a repository the first two."""
    home = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    site = (os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)[0]
    found = {
        "system": Path(os.environ.get("DVC_SYSTEM_CONFIG_DIR") or f"{site}/dvc", "config"),
        "global": Path(os.environ.get("DVC_GLOBAL_CONFIG_DIR") or f"{home}/dvc", "config"),
    }
    return found if dvc is None else found | {"repo": dvc / "config", "local": dvc / "config.local"}


def read_layer(path: Path) -> Settings:
    """Read one file; one that is not there says nothing."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    if not data:
        return {}
    from perenne.formats.dvc.configs import read_config

    return read_config(data, path.name)


def read_settings(dvc: Path | None) -> Settings:
    """Read every layer, with paths made absolute."""
    found: Settings = {}
    for path in places(dvc).values():
        for section, keys in absolute(read_layer(path), path.parent).items():
            found.setdefault(section, {}).update(keys)
    return found


def absolute(settings: Settings, folder: Path) -> Settings:
    """Return the settings with what is a path made absolute, from the folder of the file that says it."""
    return {
        section: {key: resolved(value, folder) if is_path(section, key) else value for key, value in keys.items()}
        for section, keys in settings.items()
    }


def is_path(section: str, key: str) -> bool:
    """Tell whether a setting is a path, or a URL that may be one."""
    return key in _PATHS.get(section.partition(" ")[0], ())


def resolved(value: str, folder: Path) -> str:
    """Return a path or URL as it is meant from a folder."""
    if _URL.match(value):
        return value
    return os.path.normpath(os.path.join(folder, os.path.expanduser(value)))


def switched(settings: Settings, section: str, key: str, default: bool = False) -> bool:
    """Return a setting that is yes or no.

    Raises
    ------
    Invalid
        It is neither.
    """
    text = settings.get(section, {}).get(key)
    if text is None:
        return default
    if text.lower() in _TRUE | _FALSE:
        return text.lower() in _TRUE
    raise Invalid(
        f"{section}.{key} is {text!r}, not true or false", code="data.bad_setting", hint="`perenne data config` sets it"
    )


def remotes(settings: Settings) -> dict[str, dict[str, str]]:
    """Return the remotes by name."""
    found: dict[str, dict[str, str]] = {}
    for section, keys in settings.items():
        kind, _, name = section.partition(" ")
        if kind == "remote":
            found[name.strip('"')] = keys
    return found


def link_types(settings: Settings) -> tuple[str, ...]:
    """Return how files are put into the workspace, what is tried first first.

    Raises
    ------
    Invalid
        One is none of DVC's.
    """
    text = settings.get("cache", {}).get("type", "reflink,copy")
    names = tuple(name.strip() for name in text.strip("\"'").split(","))
    return checked_link_types(names)


def checked_link_types(names: Iterable[str]) -> tuple[str, ...]:
    """Refuse what is no type of link."""
    known = ("reflink", "hardlink", "symlink", "copy")
    for name in names:
        if name not in known:
            raise Invalid(f"cache.type: {name!r} is no type of link", code="data.bad_setting", hint=f"one of {', '.join(known)}")
    return tuple(names)
