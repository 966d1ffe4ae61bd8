"""`perenne data diff|log|config|remote`: what differed when, and the settings."""

import os
from pathlib import Path
from typing import Any

import click

from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.core.results import Result
from perenne.data.versions.commands import PATHS, opened
from perenne.data.versions.configuring import ConfigFiles, checked_remote
from perenne.formats.dvc import configs

_LEVELS = ("local", "repo", "global", "system")
LEVEL = click.option("--level", type=click.Choice(_LEVELS), help="Which of the four files; the repository's if not given.")
HIDDEN = "***"


@click.command()
@click.argument("old", default="HEAD")
@click.argument("new", required=False)
@click.option("--target", "targets", multiple=True, type=PATHS, help="Only this; more if given again.")
def diff(old: str, new: str | None, targets: tuple[Path, ...]) -> Result:
    """Tell what differs between two revisions of Git, OLD and NEW; the workspace if there is no NEW.

    \b
    Examples:
      perenne data diff
      perenne data diff v1 v2 --target images
    """
    from perenne.data.versions import comparing

    with opened() as repository:
        places = [repository.relative(os.path.abspath(target)) for target in targets]
        before = comparing.below(comparing.state_at(repository, old), places)
        after = comparing.state_at(repository, new) if new else comparing.workspace_state(repository, repository.outputs())
        found = comparing.differences(before, comparing.below(after, places))
    rows: list[dict[str, Any]] = [
        {"change": change, "path": path, "was": None}
        for change in ("added", "modified", "deleted")
        for path in getattr(found, change)
    ]
    rows += [{"change": "renamed", "path": path, "was": was} for was, path in found.renamed]
    unknown = sorted(before.unknown | after.unknown)
    note = "" if rows else "nothing differs"
    if unknown:
        note = f"not known, because manifests are not in the cache: {', '.join(unknown)}; `perenne data fetch` brings them"
    return Result(rows, note=note)


@click.command()
@click.argument("path", type=PATHS)
@click.option("--limit", type=click.IntRange(1), help="At most so many, newest first.")
def log(path: Path, limit: int | None) -> Result:
    """Show the versions of PATH, an output or something in a tracked folder: which commit recorded which content.

    \b
    Examples:
      perenne data log images
      perenne data log images/cat.jpg --limit 5
    """
    from perenne.core.clock import SECOND, format_time
    from perenne.data.versions.history import find_versions

    with opened() as repository:
        found = find_versions(repository, path, limit=limit)
    shown = [
        {
            "commit": item.commit[:10],
            "when": format_time(item.time * SECOND),
            "who": item.author,
            "md5": "tracked no longer" if item.digest is None else item.digest[:12],
            "bytes": item.size,
            "files": item.files,
            "in cache": item.here,
            "why": item.subject,
        }
        for item in found
    ]
    file = f"{path}.dvc"
    hint = (
        f"to have one back: `git checkout COMMIT -- {file}`, then `perenne data checkout {path}`" if Path(file).exists() else ""
    )
    return Result(found, note=hint, shown=shown)


@click.command()
@click.argument("name", required=False)
@click.argument("value", required=False)
@click.option("-u", "--unset", is_flag=True, help="Take the setting away.")
@LEVEL
def config(name: str | None, value: str | None, unset: bool, level: str | None) -> Result:
    """Show or change settings; NAME is section.key, such as core.remote, or remote.NAME.key. Secrets are never shown.

    \b
    Examples:
      perenne data config
      perenne data config cache.type hardlink,copy
      perenne data config core.autostage --unset
    """
    files = ConfigFiles()
    if name is None:
        return Result(_listed(files, level))
    section, key = _split(name)
    if unset:
        if key not in files.read(level).get(section, {}):
            raise NotFound(
                f"{name} is not set in {files.place(level)}",
                code="data.not_set",
                hint="`perenne data config --list` shows what is set",
            )
        files.unset(level, section, key)
        return Result(None, note=f"{name} is set no longer")
    if value is not None:
        files.set(level, section, key, value)
        return Result(None, note=f"written to {files.place(level)}")
    known = files.read(level) if level else files.merged()
    if key not in known.get(section, {}):
        raise NotFound(f"{name} is not set", code="data.not_set", hint="`perenne data config` lists what is")
    return Result(HIDDEN if configs.is_secret(key) else known[section][key])


def _split(name: str) -> tuple[str, str]:
    section, _, key = name.rpartition(".")
    kind, _, named = section.partition(".")
    if not section or not key or (named and kind != "remote"):
        raise Invalid(f"{name!r} is no name of a setting", code="data.bad_setting", hint="core.remote, or remote.NAME.url")
    return (configs.section_of_remote(named) if named else kind.lower()), key.lower()


def _listed(files: ConfigFiles, level: str | None) -> list[dict[str, str]]:
    return [
        {
            "setting": f"{section.replace(' ', '.').replace(chr(34), '')}.{key}",
            "value": HIDDEN if configs.is_secret(key) else value,
            "level": place,
        }
        for place in ([level] if level else list(files.places))
        for section, keys in files.read(place).items()
        for key, value in keys.items()
    ]


@click.group()
def remote() -> None:
    """Where objects are sent to: folders, S3, Google Cloud, Azure, SSH and others."""


@remote.command("add")
@click.argument("name")
@click.argument("url")
@click.option("-d", "--default", is_flag=True, help="Use it where none is named.")
@click.option("-f", "--force", is_flag=True, help="Put it in the place of one of that name.")
@LEVEL
def add_remote(name: str, url: str, default: bool, force: bool, level: str | None) -> Result:
    """Add a remote; a relative path is kept as seen from the repository.

    \b
    Examples:
      perenne data remote add -d store ../store
      perenne data remote add cloud s3://bucket/data
    """
    files, section = ConfigFiles(), configs.section_of_remote(name)
    if section in files.read(level):
        if not force:
            raise Conflict(f"there is a remote {name} already", code="data.remote_exists", hint="`--force` takes its place")
        files.unset(level, section)
    files.set(level, section, "url", url)
    if default:
        files.set(level, "core", "remote", name.lower())
    return Result({"remote": name.lower(), "url": files.read(level)[section]["url"]}, note=f"written to {files.place(level)}")


@remote.command("list")
@LEVEL
def list_remotes(level: str | None) -> Result:
    """List the remotes.

    \b
    Examples:
      perenne data remote list
    """
    files = ConfigFiles()
    known = files.read(level) if level else files.merged()
    default = known.get("core", {}).get("remote")
    rows = [
        {"remote": name, "url": keys.get("url", ""), "default": name == default}
        for name, keys in configs.remotes_of(known).items()
    ]
    return Result(rows, note="" if rows else "no remotes yet: `perenne data remote add NAME URL`")


@remote.command("modify")
@click.argument("name")
@click.argument("option")
@click.argument("value", required=False)
@click.option("-u", "--unset", is_flag=True, help="Take the option away.")
@LEVEL
def modify_remote(name: str, option: str, value: str | None, unset: bool, level: str | None) -> Result:
    """Set an option of a remote; secrets belong in the file of --level local, which Git does not keep.

    \b
    Examples:
      perenne data remote modify cloud endpointurl http://127.0.0.1:9000
      perenne data remote modify cloud secret_access_key KEY --level local
    """
    files, section, key = ConfigFiles(), configs.section_of_remote(name), option.lower()
    checked_remote(files.up_to(level), name)
    if unset:
        files.unset(level, section, key)
        return Result(None, note=f"{key} of {name} is set no longer")
    if value is None:
        raise click.UsageError("give a value, or --unset")
    if configs.is_secret(key) and level in (None, "repo"):
        raise Invalid(
            f"{key} is a secret, and {files.place(level)} is kept in Git",
            code="data.secret_in_git",
            hint="`--level local` keeps it out of Git",
        )
    files.set(level, section, key, value)
    return Result(None, note=f"written to {files.place(level)}")


@remote.command("remove")
@click.argument("name")
@LEVEL
def remove_remote(name: str, level: str | None) -> Result:
    """Take a remote out of the settings; what lies there stays.

    \b
    Examples:
      perenne data remote remove cloud
    """
    files = ConfigFiles()
    url = checked_remote(files.read(level), name).get("url", "")
    files.unset(level, configs.section_of_remote(name))
    if files.read(level).get("core", {}).get("remote") == name.lower():
        files.unset(level, "core", "remote")
    return Result(None, note=f"to undo it: `perenne data remote add {name} {url}`")


@remote.command("default")
@click.argument("name", required=False)
@click.option("-u", "--unset", is_flag=True, help="Have none.")
@LEVEL
def default_remote(name: str | None, unset: bool, level: str | None) -> Result:
    """Show or set the remote that is used where none is named.

    \b
    Examples:
      perenne data remote default
      perenne data remote default store
    """
    files = ConfigFiles()
    if unset:
        files.unset(level, "core", "remote")
        return Result(None, note="there is no default remote now")
    if name is None:
        found = (files.read(level) if level else files.merged()).get("core", {}).get("remote")
        if found is None:
            raise NotFound("no remote is the default", code="data.no_remote", hint="`perenne data remote default NAME` sets it")
        return Result(found)
    checked_remote(files.up_to(level), name)
    files.set(level, "core", "remote", name.lower())
    return Result(None, note=f"written to {files.place(level)}")
