"""`perenne data import|import-url|update|get|get-url|list`: data of other repositories, and of URLs."""

from collections.abc import Sequence
from typing import Any

import click

from perenne.core.errors import Invalid, NotFound
from perenne.core.results import Result
from perenne.data.versions.getting import Got, get, get_url
from perenne.data.versions.importing import Imported, Wish, import_repo, import_url, update
from perenne.data.versions.listing import list_files
from perenne.data.versions.moving_commands import can_ask
from perenne.data.versions.repository import Repository, open_repository
from perenne.data.versions.telling import size, told

_OUT = click.option("-o", "--out", metavar="PATH", help="Where to; by default the last part of its path, here.")
_FORCE = click.option("-f", "--force", is_flag=True, help="Overwrite what lies there.")
_JOBS = click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Transfers at once.")
_REV = click.option("--rev", metavar="REV", help="Branch, tag or commit of the other repository.")
_REMOTE = click.option("--remote", metavar="NAME", help="The remote of the other repository, in place of its default one.")
_REMOTE_CONFIG = click.option(
    "--remote-config", "remote_config", multiple=True, metavar="KEY=VALUE", help="A key of that remote; repeatable."
)
_CONFIG = click.option("--config", metavar="FILE", help="A file of settings that go before the other repository's.")
_FS_CONFIG = click.option("--fs-config", multiple=True, metavar="KEY=VALUE", help="A key of a remote for this URL; repeatable.")


def _keys(options: Sequence[str]) -> dict[str, str]:
    pairs = [option.partition("=") for option in options]
    for key, found, _ in pairs:
        if not key or not found:
            raise Invalid(f"{key or '='!r} is no KEY=VALUE", code="data.bad_option", hint="write KEY=VALUE")
    return {key: value for key, _, value in pairs}


def _remote(name: str | None, keys: Sequence[str]) -> str | dict[str, Any] | None:
    return _keys(keys) if keys else name


def _got(got: Got) -> Result:
    value = {"path": got.path, "files": got.files, "bytes": got.bytes}
    return Result(value, shown=f"{got.path}: {got.files:,} file{'s' * (got.files != 1)}, {size(got.bytes)}")


def _imported(done: Sequence[Imported], repository: Repository) -> Result:
    value = [{"path": one.path, "file": one.file, "md5": one.digest, "changed": one.changed} for one in done]
    changed = [one.file for one in done if one.changed]
    note = f"`git add {' '.join(changed)}` keeps it" if changed and repository.git is not None else ""
    words = {True: "changed", False: "unchanged"}
    lines = [f"{words[one.changed]:<9} {one.path}" for one in done] or ["there are no imports"]
    return Result(value, note=note, shown="\n".join(lines))


@click.command("import")
@click.argument("url")
@click.argument("path")
@_OUT
@_REV
@_REMOTE
@_REMOTE_CONFIG
@_CONFIG
@click.option("--no-exec", is_flag=True, help="Only write down where it comes from.")
@click.option("--no-download", is_flag=True, help="Write down which version it is, and leave it there.")
@_FORCE
@_JOBS
def import_(
    url: str,
    path: str,
    out: str | None,
    rev: str | None,
    remote: str | None,
    remote_config: Sequence[str],
    config: str | None,
    **options: Any,
) -> Result:
    """Track PATH of another repository, at URL, with the commit it is from.

    \b
    Examples:
      perenne data import https://github.com/org/data images/train
      perenne data import ../other model.onnx --rev v1.2
    """
    repository = open_repository()
    with told() as hear:
        wish = Wish(hear=hear, ask=can_ask(), **options)
        done = import_repo(repository, url, path, out, rev=rev, remote=_remote(remote, remote_config), config=config, wish=wish)
    return _imported([done], repository)


@click.command("import-url")
@click.argument("url")
@click.argument("out", required=False)
@click.option("--no-exec", is_flag=True, help="Only write down where it comes from.")
@click.option("--no-download", is_flag=True, help="Write down which version it is, and leave it there.")
@click.option("--version-aware", is_flag=True, help="The store keeps versions: take note of this one.")
@_FS_CONFIG
@_FORCE
@_JOBS
def import_url_(url: str, out: str | None, version_aware: bool, fs_config: Sequence[str], **options: Any) -> Result:
    """Track what lies at URL (a path, http, s3, gs, azure, ssh, remote://NAME/PATH), with what names its version there.

    \b
    Examples:
      perenne data import-url https://example.org/data.csv
      perenne data import-url s3://bucket/images images --no-download
    """
    repository = open_repository()
    keys: dict[str, Any] = {**_keys(fs_config), **({"version_aware": True} if version_aware else {})}
    with told() as hear:
        wish = Wish(hear=hear, ask=can_ask(), **options)
        done = import_url(repository, url, out, fs_config=keys or None, wish=wish)
    return _imported([done], repository)


@click.command("update")
@click.argument("targets", nargs=-1)
@click.option("--rev", metavar="REV", help="Another branch, tag or commit from now on.")
@click.option("--no-download", is_flag=True, help="Write down which version it is, and leave it there.")
@_FORCE
@_JOBS
def update_(targets: Sequence[str], rev: str | None, **options: Any) -> Result:
    """Bring imports to the version that their source has now; all of them if no TARGETS are named.

    \b
    Examples:
      perenne data update
      perenne data update images.dvc --rev v2
    """
    repository = open_repository()
    with told() as hear:
        done = update(repository, targets, rev=rev, wish=Wish(hear=hear, ask=can_ask(), **options))
    return _imported(done, repository)


@click.command("get")
@click.argument("url")
@click.argument("path")
@_OUT
@_REV
@_REMOTE
@_REMOTE_CONFIG
@_CONFIG
@_FORCE
@_JOBS
def get_(remote: str | None, remote_config: Sequence[str], **options: Any) -> Result:
    """Take PATH of the repository at URL, without tracking it; works outside of any repository.

    \b
    Examples:
      perenne data get https://github.com/org/data images/train -o train
    """
    with told() as hear:
        return _got(get(remote=_remote(remote, remote_config), hear=hear, ask=can_ask(), **options))


@click.command("get-url")
@click.argument("url")
@click.argument("out", required=False)
@_FS_CONFIG
@_FORCE
@_JOBS
def get_url_(url: str, out: str | None, fs_config: Sequence[str], force: bool, jobs: int | None) -> Result:
    """Take what lies at URL, without tracking it.

    \b
    Examples:
      perenne data get-url s3://bucket/images
    """
    try:
        settings = open_repository().config
    except NotFound:
        settings = {}
    with told() as hear:
        return _got(get_url(url, out, settings=settings, keys=_keys(fs_config), force=force, jobs=jobs, hear=hear, ask=can_ask()))


@click.command("list")
@click.argument("repository", required=False)
@click.argument("path", required=False, default="")
@click.option("-R", "--recursive", is_flag=True, help="Every file, not only what lies directly there.")
@click.option("--dvc-only", is_flag=True, help="Only what is tracked.")
@click.option("--level", type=click.IntRange(1), help="How deep to go.")
@_REV
@_REMOTE
@_REMOTE_CONFIG
@_CONFIG
def list_(
    repository: str,
    path: str,
    recursive: bool,
    dvc_only: bool,
    level: int | None,
    rev: str | None,
    remote: str | None,
    remote_config: Sequence[str],
    config: str | None,
) -> Any:
    """List the files of a REPOSITORY (a folder or a URL) at PATH.

    \b
    Examples:
      perenne data list . data --recursive
      perenne data list https://github.com/org/data --rev v1.0
    """
    with told() as hear:
        found = list_files(
            repository,
            path,
            rev=rev,
            recursive=recursive or level is not None,
            tracked_only=dvc_only,
            level=level,
            remote=_remote(remote, remote_config),
            config=config,
            hear=hear,
            ask=can_ask(),
        )
    shown = [{"path": one.path + "/" * one.isdir, "tracked": one.isout, "size": one.size, "md5": one.md5} for one in found]
    return Result(found, shown=shown)
