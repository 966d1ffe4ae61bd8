"""`dvc get`, `get-url`, `import`, `import-url`, `update`: data from elsewhere."""

import os
from typing import Any

from perenne import data
from perenne.core.errors import Invalid, NotFound
from perenne.protocols.dvc.command_line.changing import for_git, waiting
from perenne.protocols.dvc.command_line.grammar import (
    ELSEWHERE,
    FORCE,
    JOBS,
    RECURSIVE,
    REMOTE,
    Options,
    command,
    flag,
    pairs,
    value,
    word,
)
from perenne.protocols.dvc.command_line.speech import say

_OUT = value("-o", "--out", says="Where to put it.", nargs="?", metavar="<path>")
_REV = value("--rev", says="Branch, tag or commit.", nargs="?", metavar="<commit>")
_NO_EXEC = flag("--no-exec", says="Only write down where it comes from.")
_NO_DOWNLOAD = flag("--no-download", says="Write down which version it is, and leave it there.")
_TO_REMOTE = flag("--to-remote", says="Bring it to a remote, and not here.")
_KEYS = pairs("--fs-config", says="Options of a remote, for this source.")


def elsewhere(options: Options) -> dict[str, Any]:
    """Return which remote and config of the other repository count."""
    if options.remote and options.remote_config:
        if options.config:
            raise Invalid("Can't specify config path together with both remote and remote_config", code="data.bad_option")
        config = {"core": {"remote": options.remote}, "remote": {options.remote: options.remote_config}}
        return {"config": config, "remote": None}
    return {"config": options.config, "remote": options.remote or options.remote_config or None}


@command(
    "Download a file or folder of a repository.",
    word("url", "The repository."),
    word("path", "From its top."),
    _OUT,
    _REV,
    flag("--show-url", says="Only say where it is kept."),
    JOBS,
    FORCE,
    *ELSEWHERE,
    last="failed to get '{path}' from '{url}'",
)
def get(options: Options) -> int:
    """`dvc get`."""
    if options.show_url:
        raise Invalid("dvc get --show-url is not here", code="data.left_out", hint="`dvc list --json` shows the md5")
    if (options.out or os.path.basename(options.path)).endswith(".dvc"):
        message = "the given path is a DVC file, you must specify a data file or a directory"
        raise Invalid(message, code="data.is_metafile")
    wanted = {"rev": options.rev, "force": options.force, "jobs": options.jobs}
    data.versions.getting.get(options.url, options.path, options.out, **wanted, **elsewhere(options))
    return 0


@command(
    "Download a file or folder from a URL.",
    word("url", "Where it is."),
    word("out", "Where to put it.", nargs="?"),
    JOBS,
    FORCE,
    _KEYS,
    last="failed to get '{url}'",
)
def get_url(options: Options) -> int:
    """`dvc get-url`."""
    settings = data.versions.configuring.ConfigFiles().merged()
    wanted = {"keys": options.fs_config, "force": options.force, "jobs": options.jobs}
    data.versions.getting.get_url(options.url, options.out, settings=settings, **wanted)
    return 0


def _wish(options: Options) -> "data.versions.importing.Wish":
    return data.versions.importing.Wish(
        no_exec=options.no_exec,
        no_download=options.no_download,
        force=options.force,
        jobs=options.jobs,
        waiting=waiting,
    )


def _refuse_both(options: Options) -> None:
    if options.no_exec and options.no_download:
        raise Invalid("--no-exec and --no-download exclude each other", code="data.bad_option")


def _target(source: str, out: str | None) -> str:
    """Return the metafile of an import, as its output will be called."""
    name = os.path.basename(os.path.normpath(source.partition("?")[0] if "://" in source else source))
    place = os.path.join(out, name) if out and os.path.isdir(out) else out or name
    return f"{os.path.normpath(place)}.dvc"


@command(
    "Download a file or folder of a repository, and track where it came from.",
    word("url", "The repository."),
    word("path", "From its top."),
    _OUT,
    FORCE,
    _REV,
    _NO_EXEC,
    _NO_DOWNLOAD,
    JOBS,
    *ELSEWHERE,
    last="failed to import '{path}' from '{url}'.",
)
def import_(options: Options) -> int:
    """`dvc import`."""
    _refuse_both(options)
    repository, file = data.versions.open_repository(), _target(options.path, options.out)
    if not options.no_exec:
        say(f"Importing '{options.path} ({options.url})' -> '{file.removesuffix('.dvc')}'")
    with for_git(repository, [file]):
        data.versions.importing.import_repo(
            repository, options.url, options.path, options.out, rev=options.rev, wish=_wish(options), **elsewhere(options)
        )
    return 0


@command(
    "Download a file or folder from a URL, and track where it came from.",
    word("url", "Where it is; a relative path is meant from the folder of the output."),
    word("out", "Where to put it.", nargs="?"),
    _TO_REMOTE,
    REMOTE,
    _NO_EXEC,
    _NO_DOWNLOAD,
    JOBS,
    FORCE,
    flag("--version-aware", says="Keep to the versions that the source has of its own."),
    _KEYS,
    last="failed to import {url}. You could also try downloading it manually, and adding it with `dvc add`.",
)
def import_url(options: Options) -> int:
    """`dvc import-url`."""
    _refuse_both(options)
    _refuse_to_remote(options)
    repository, file = data.versions.open_repository(), _target(options.url, options.out)
    keys = {**(options.fs_config or {}), **({"version_aware": True} if options.version_aware else {})}
    if not options.no_exec:
        say(f"Importing '{options.url}' -> '{file.removesuffix('.dvc')}'")
    with for_git(repository, [file]):
        data.versions.importing.import_url(repository, options.url, options.out, fs_config=keys or None, wish=_wish(options))
    return 0


def _refuse_to_remote(options: Options) -> None:
    if options.to_remote:
        raise Invalid("--to-remote is not here", code="data.left_out", hint="import it, then `dvc push`")
    if options.remote:
        raise Invalid("--remote can't be used without --to-remote", code="data.bad_option")


@command(
    "Bring imports to the newest state of their source.",
    word("targets", ".dvc files of imports.", nargs="+"),
    _REV,
    RECURSIVE,
    _NO_DOWNLOAD,
    _TO_REMOTE,
    REMOTE,
    JOBS,
    last="failed update data",
)
def update(options: Options) -> int:
    """`dvc update`."""
    _refuse_to_remote(options)
    repository, importing = data.versions.open_repository(), data.versions.importing
    targets = data.versions.targets.find_targets(repository, options.targets, recursive=options.recursive)
    files = list(dict.fromkeys(target.output.file for target in targets))
    for file in files:
        meta = repository.metafiles.get(file)
        if meta is None or not meta.is_import:
            shown = repository.shown(file)
            raise NotFound(f"update is not supported for '{shown}' that is not an import.", code="data.no_import")
    wish = importing.Wish(no_download=options.no_download, jobs=options.jobs, force=True, waiting=waiting)
    sources = {repository.shown(file): repository.metafiles[file].deps[0] for file in files}
    for done in importing.update(repository, files, rev=options.rev, wish=wish):
        dep = sources[done.file]
        source = f"{dep.path} ({dep.repo.url})" if dep.repo else dep.path
        say(f"Importing '{source}' -> '{done.path}'" if done.changed else f"'{done.file}' didn't change, skipping")
    return 0
