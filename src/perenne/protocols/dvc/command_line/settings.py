"""`dvc config`, `dvc remote …`, `dvc cache dir`: options in four files, the later over the earlier."""

import os
import re

from perenne import data
from perenne.core.errors import Invalid, NotFound
from perenne.formats.dvc import configs
from perenne.protocols.dvc.command_line.grammar import FORCE, LEVELS, NotUnderstood, Options, command, flag, word
from perenne.protocols.dvc.command_line.speech import fail, say, warn

_OPTION = re.compile(r"(?:(remote|db)\.)?([^.]*)\.([^.]*)")
_LINKS_STAY = (
    "You have changed the 'cache.type' option. This doesn't update any existing workspace file links, but it can be done with:"
    "\n             dvc checkout --relink"
)


def _section(kind: str | None, name: str) -> str:
    return f'{kind} "{name}"' if kind else name


@command(
    "Show or set options.",
    *LEVELS,
    flag("-u", "--unset", says="Take the option away."),
    word("name", "section.option, or remote.name.option", nargs="?"),
    word("value", "Its value.", nargs="?"),
    flag("-l", "--list", says="List all."),
    flag("--show-origin", says="Show the file of each."),
)
def config(options: Options) -> int:
    """`dvc config`."""
    if options.show_origin and (options.value or options.unset):
        fail("--show-origin can't be used together with any of these options: -u/--unset, value")
        return 1
    if options.list:
        return _list(options)
    if options.name is None:
        fail("name argument is required")
        return 1
    matched = _OPTION.fullmatch(options.name)
    if matched is None:
        wanted = "name argument should look like remote.name.option or db.name.option or section.option"
        raise NotUnderstood(f"argument name: {wanted}", "")
    section, key = _section(matched[1], matched[2].lower()), matched[3].lower()
    if options.value is None and not options.unset:
        return _get(options, section, key)
    files = data.versions.configuring.ConfigFiles()
    if options.unset:
        _check(files.read(options.level), section, key)
        files.unset(options.level, section, key)
    else:
        files.set(options.level, section, key, options.value)
    if (section, key) == ("cache", "type"):
        warn(_LINKS_STAY)
    return 0


def _list(options: Options) -> int:
    if options.name or options.value or options.unset:
        fail("-l/--list can't be used together with any of these options: -u/--unset, name, value")
        return 1
    files = data.versions.configuring.ConfigFiles()
    for level in [options.level] if options.level else files.places:
        origin = _origin(files, level) if options.show_origin else ""
        for section, keys in _named_last(files.read(level)).items():
            kind, _, name = section.partition(" ")
            for key, value in keys.items():
                shown = "***" if configs.is_secret(key) else value
                say(f"{origin}{kind}.{name.strip(chr(34)) + '.' if name else ''}{key}={shown}")
    return 0


def _named_last(config: configs.Config) -> configs.Config:
    """Put remotes first, as DVC lists them."""
    return dict(sorted(config.items(), key=lambda item: " " not in item[0]))


def _get(options: Options, section: str, key: str) -> int:
    files = data.versions.configuring.ConfigFiles()
    levels = [options.level] if options.level else list(files.places)[::-1]
    for level in levels:
        config = files.read(level)
        if options.level:
            _check(config, section, key)
        if key in config.get(section, {}):
            origin = _origin(files, level) if options.show_origin else ""
            say(f"{origin}{config[section][key]}")
            break
    return 0


def _check(config: configs.Config, section: str, key: str | None = None) -> None:
    kind, _, name = section.partition(" ")
    called, name = (kind, name.strip('"')) if name else ("section", kind)
    if section not in config and (name not in ("core", "cache") or called != "section"):
        raise NotFound(f"{called} '{name}' doesn't exist", code="data.no_option")
    if key and key not in config.get(section, {}):
        raise NotFound(f"option '{key}' doesn't exist in {called} '{name}'", code="data.no_option")


def _origin(files: data.versions.configuring.ConfigFiles, level: str) -> str:
    place = os.fspath(files.place(level))
    if level in ("repo", "local") and files.root is not None:
        place = os.path.relpath(place, files.root)
    return f"{place}\t"


@command(
    "Add a remote.",
    *LEVELS,
    word("name", "Its name."),
    word("url", "Where it is."),
    flag("-d", "--default", says="Make it the default."),
    FORCE,
)
def remote_add(options: Options) -> int:
    """`dvc remote add`."""
    name = options.name.lower()
    if options.default:
        say(f"Setting '{name}' as a default remote.")
    files = data.versions.configuring.ConfigFiles()
    section = configs.section_of_remote(name)
    if section in files.read(options.level):
        if not options.force:
            message = f"remote '{name}' already exists. Use `-f|--force` to overwrite it."
            raise Invalid(message, code="data.bad_remote")
        files.unset(options.level, section)
    files.set(options.level, section, "url", options.url)
    if options.default:
        files.set(options.level, "core", "remote", name)
    return 0


@command("Remove a remote.", *LEVELS, word("name", "Its name."))
def remote_remove(options: Options) -> int:
    """`dvc remote remove`."""
    files, name = data.versions.configuring.ConfigFiles(), options.name.lower()
    data.versions.configuring.checked_remote(files.read(options.level), name)
    files.unset(options.level, configs.section_of_remote(name))
    for level in _from_top(files, options.level):
        if files.read(level).get("core", {}).get("remote") == name:
            files.unset(level, "core", "remote")
    return 0


def _from_top(files: data.versions.configuring.ConfigFiles, level: str | None) -> list[str]:
    names = list(files.places)
    return names[names.index(level or "repo") :][::-1]


@command(
    "Change an option of a remote.",
    *LEVELS,
    word("name", "The remote."),
    word("option", "The option."),
    word("value", "Its value.", nargs="?"),
    flag("-u", "--unset", says="Take the option away."),
)
def remote_modify(options: Options) -> int:
    """`dvc remote modify`."""
    files, name = data.versions.configuring.ConfigFiles(), options.name.lower()
    data.versions.configuring.checked_remote(files.up_to(options.level), name)
    if options.unset:
        files.unset(options.level, configs.section_of_remote(name), options.option)
    else:
        files.set(options.level, configs.section_of_remote(name), options.option, options.value or "")
    return 0


@command(
    "Show or set the default remote.",
    *LEVELS,
    word("name", "The remote.", nargs="?"),
    flag("-u", "--unset", says="Have none."),
)
def remote_default(options: Options) -> int:
    """`dvc remote default`."""
    files = data.versions.configuring.ConfigFiles()
    if options.name is None and not options.unset:
        config = files.read(options.level) if options.level else files.merged()
        default = config.get("core", {}).get("remote")
        say(default or "No default remote set")
        return 0 if default else 1
    if options.unset:
        files.unset(options.level, "core", "remote")
        return 0
    if configs.section_of_remote(options.name) not in files.up_to(options.level):
        raise NotFound("default remote must be present in remote list.", code="data.no_remote")
    files.set(options.level, "core", "remote", options.name.lower())
    return 0


@command("List the remotes.", *LEVELS)
def remote_list(options: Options) -> int:
    """`dvc remote list`."""
    files = data.versions.configuring.ConfigFiles()
    config = files.read(options.level) if options.level else files.merged()
    default = config.get("core", {}).get("remote")
    for name, keys in configs.remotes_of(config).items():
        say(f"{name}\t{keys.get('url', '')}{chr(9) + '(default)' if name == default else ''}".expandtabs())
    return 0


@command("Rename a remote.", *LEVELS, word("name", "The remote."), word("new", "Its new name."))
def remote_rename(options: Options) -> int:
    """`dvc remote rename`."""
    files, name, new = data.versions.configuring.ConfigFiles(), options.name.lower(), options.new.lower()
    if configs.section_of_remote(new) in files.merged():
        raise Invalid(f"Rename failed. Remote name {new!r} already exists.", code="data.bad_remote")
    data.versions.configuring.checked_remote(files.read(options.level), name)
    files.rename_remote(options.level, name, new)
    for level in _from_top(files, options.level):
        if files.read(level).get("core", {}).get("remote") == name:
            files.set(level, "core", "remote", new)
    return 0


@command(
    "Show or set where the cache is.",
    *LEVELS,
    flag("-u", "--unset", says="Have it where it is by default."),
    word("value", "The folder.", nargs="?"),
)
def cache_dir(options: Options) -> int:
    """`dvc cache dir`."""
    files = data.versions.configuring.ConfigFiles()
    if options.value is None and not options.unset:
        config = files.read(options.level) if options.level else files.merged()
        place = config.get("cache", {}).get("dir")
        if place is None and (options.level or files.root is None):
            _check(config, "cache", "dir")
        say(place or f"{files.root}/.dvc/cache")
        return 0
    if options.unset:
        _check(files.read(options.level), "cache", "dir")
        files.unset(options.level, "cache", "dir")
    else:
        files.set(options.level, "cache", "dir", options.value)
    return 0
