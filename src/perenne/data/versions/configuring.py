"""Settings: reading one of the four files, and changing an option in it."""

import os
from pathlib import Path

from perenne.core.errors import Invalid, NotFound
from perenne.data.versions import layers
from perenne.data.versions.repository import find_repository
from perenne.formats.dvc import configs
from perenne.formats.dvc.options import check_option


class ConfigFiles:
    """The config files around a folder.

    Parameters
    ----------
    start : Path, optional
        The folder; the present one if not given.

    Attributes
    ----------
    root : Path or None
        The repository; None outside of one.
    places : dict of str to Path
        Level (``system``, ``global``, ``repo``, ``local``) -> file, the weakest first.
    """

    def __init__(self, start: Path | None = None) -> None:
        self.root = find_repository(start)
        self.places = layers.places(None if self.root is None else self.root / ".dvc")

    def place(self, level: str | None) -> Path:
        """Return the file of a level; the repository's if none is named.

        Raises
        ------
        Invalid
            It is a file of a repository, and there is none here.
        """
        name = level or "repo"
        if name not in self.places:
            raise Invalid("Not inside a DVC repo", code="data.bad_config", hint="--global and --system work everywhere")
        return self.places[name]

    def raw(self, level: str | None) -> configs.Config:
        """Read one file as it is written."""
        return layers.read_layer(self.place(level))

    def read(self, level: str | None) -> configs.Config:
        """Read one file, with paths made absolute."""
        return layers.absolute(self.raw(level), self.place(level).parent)

    def merged(self, below: str | None = None) -> configs.Config:
        """Read all files, or those that are weaker than a level."""
        names = list(self.places)
        return configs.merge(map(self.read, names[: names.index(below)] if below else names))

    def up_to(self, level: str | None) -> configs.Config:
        """Read a file and those that are weaker."""
        return configs.merge([self.merged(below=level or "repo"), self.read(level)])

    def set(self, level: str | None, section: str, key: str, value: str) -> None:
        """Set an option; a path is stored as seen from the file.

        Raises
        ------
        Invalid
            DVC has no such option, or takes no such value.
        """
        folder = self.place(level).parent
        check_option(section, key, value, self.up_to(level).get(section, {}).get("url", ""))
        self._write(level, section, key, stored(section, key, value, folder))

    def unset(self, level: str | None, section: str, key: str | None = None) -> None:
        """Take away an option, or a whole section."""
        self._write(level, section, key, None)

    def rename_remote(self, level: str | None, old: str, new: str) -> None:
        """Give a remote another name, with all its options."""
        for key, value in self.raw(level)[configs.section_of_remote(old)].items():
            self._write(level, configs.section_of_remote(new), key, value)
        self.unset(level, configs.section_of_remote(old))

    def _write(self, level: str | None, section: str, key: str | None, value: str | None) -> None:
        place = self.place(level)
        old = place.read_bytes() if place.exists() else b""
        new = configs.write_config(old, section, key, value, place.name)
        if new != old:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_whole(place, new)


def stored(section: str, key: str, value: str, folder: Path) -> str:
    """Return a path as the file in a folder says it: relative to that folder if it was relative."""
    if not layers.is_path(section, key) or "://" in value or os.path.isabs(value) or value.startswith("~"):
        return value
    return Path(os.path.relpath(os.path.abspath(value), folder)).as_posix()


def checked_remote(config: configs.Config, name: str) -> dict[str, str]:
    """Return the options of a remote.

    Raises
    ------
    NotFound
        There is none of that name.
    """
    section = configs.section_of_remote(name)
    if section not in config:
        hint = f"there are: {', '.join(configs.remotes_of(config))}" if configs.remotes_of(config) else ""
        raise NotFound(f"remote '{name}' doesn't exist", code="data.no_remote", hint=hint)
    return config[section]


def write_whole(file: Path, content: bytes) -> None:
    """Put bytes at a path, the old ones staying until the new ones are there."""
    temporary = file.with_name(f"{file.name}.new")
    mode = file.stat().st_mode & 0o777 if file.exists() else None
    temporary.write_bytes(content)
    if mode is not None:
        temporary.chmod(mode)
    os.replace(temporary, file)
