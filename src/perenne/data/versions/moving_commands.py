"""`perenne data push|pull|fetch`: objects to remotes and back."""

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from perenne.core.results import Result
from perenne.data.versions.plans import Scope
from perenne.data.versions.remotes.opening import Ask
from perenne.data.versions.reports import Report
from perenne.data.versions.repository import open_repository
from perenne.data.versions.telling import asked, size, told

_SHOWN = 20

Command = TypeVar("Command", bound=Callable[..., Any])


def scope_options(command: Command) -> Command:
    """Add the options that say which versions are meant, where to, and how many at once."""
    for option in (
        click.argument("targets", nargs=-1),
        click.option("-r", "--remote", metavar="NAME", help="The remote; the default one if not given."),
        click.option("-j", "--jobs", type=click.IntRange(1, 256), help="Transfers at once."),
        click.option("-a", "--all-branches", is_flag=True, help="Versions of all branches too."),
        click.option("-T", "--all-tags", is_flag=True, help="Versions of all tags too."),
        click.option("-A", "--all-commits", is_flag=True, help="Versions of all commits too."),
        click.option("--rev", "revisions", multiple=True, help="This revision's versions, not the workspace's; repeatable."),
        click.option("-R", "--recursive", is_flag=True, help="A folder stands for what is tracked below it."),
        click.option("--run-cache", is_flag=True, help="What stages have done, too."),
    ):
        command = option(command)
    return command


def _scope(targets: Sequence[str], options: dict[str, Any]) -> Scope:
    return Scope(
        words=tuple(targets),
        branches=options.pop("all_branches"),
        tags=options.pop("all_tags"),
        commits=options.pop("all_commits"),
        revisions=tuple(options.pop("revisions")),
        recursive=options.pop("recursive"),
    )


def can_ask() -> Ask | None:
    """Return what asks for secrets, None where nobody is there to answer."""
    return asked if sys.stdin.isatty() else None


@click.command("push")
@scope_options
@click.option("--check", is_flag=True, help="Look at every object; rely on nothing that is remembered.")
@click.option("--no-sync", is_flag=True, help="Do not ask the disk of a folder to keep what was sent: quicker.")
def push_(targets: Sequence[str], check: bool, no_sync: bool, **options: Any) -> Result:
    """Send the objects of TARGETS, or of everything tracked, to where a remote keeps them.

    What is there already is not sent again, so a push that was interrupted goes on where it was. A directory counts as sent when
    all its files are.

    \b
    Examples:
      perenne data push
      perenne data push data/images -r backup
      perenne data push --all-tags
    """
    from perenne.data.versions.pushing import push

    with told() as hear:
        report = push(
            open_repository(),
            _scope(targets, options),
            check=check,
            lasting=not no_sync,
            hear=hear,
            ask=can_ask(),
            **options,
        )
    return result_of(report, "pushed")


@click.command("fetch")
@scope_options
def fetch_(targets: Sequence[str], **options: Any) -> Result:
    """Bring the objects of TARGETS, or of everything tracked, into the cache.

    Every object is held against its md5 as it arrives; the workspace stays as it is.

    \b
    Examples:
      perenne data fetch
      perenne data fetch images.dvc --remote archive
    """
    from perenne.data.versions.fetching import fetch

    with told() as hear:
        report = fetch(open_repository(), _scope(targets, options), hear=hear, ask=can_ask(), **options)
    return result_of(report, "fetched")


@click.command("pull")
@scope_options
@click.option("-f", "--force", is_flag=True, help="Overwrite what was changed; it is moved to .dvc/tmp/trash.")
@click.option("--allow-missing", is_flag=True, help="Pass over what the remote lacks.")
def pull_(targets: Sequence[str], force: bool, allow_missing: bool, **options: Any) -> Result:
    """Fetch, then check out what came.

    \b
    Examples:
      perenne data pull
      perenne data pull data/images/cats
    """
    from perenne.data.versions.fetching import pull

    repository = open_repository()
    with told() as hear:
        pulled = pull(
            repository,
            _scope(targets, options),
            force=force,
            allow_missing=allow_missing,
            hear=hear,
            ask=can_ask(),
            waiting=lambda pid: click.echo(f"waiting for process {pid or '?'}, which works on this repository", err=True),
            **options,
        )
    if allow_missing:
        pulled.fetched.missing = [one for one in pulled.fetched.missing if one.code not in _ABSENT]
    answer = result_of(pulled.fetched, "fetched")
    value = answer.value | {
        "checked_out": [{"path": one.path, "change": one.change} for one in pulled.outcome.done],
        "failed": [{"path": path, "code": error.code, "reason": error.message} for path, error in pulled.outcome.failed],
    }
    lines = [answer.shown, *(f"{one.change:<9} {one.path}" for one in pulled.outcome.done)]
    lines += [f"failed    {path}: {error.message}" for path, error in pulled.outcome.failed]
    code = answer.exit_code or int(bool(pulled.outcome.failed))
    return Result(value, exit_code=code, note=answer.note, shown="\n".join(lines))


_ABSENT = ("data.remote_missing", "data.object_missing")


def result_of(report: Report, done: str) -> Result:
    """Return a report as the answer of a command: exit code 1 if anything is not where it should be."""
    value = {
        done: report.moved,
        "bytes": report.bytes,
        "missing": [{"digest": one.digest, "path": one.path, "code": one.code, "reason": one.reason} for one in report.missing],
        "error": report.error,
        "code": report.code,
        "changed": report.changed,
    }
    lines = [_headline(report, done)]
    lines += [f"missing   {one.path or one.digest}: {one.reason}" for one in report.missing[:_SHOWN]]
    if len(report.missing) > _SHOWN:
        lines.append(f"and {len(report.missing) - _SHOWN:,} more; --json has them all")
    notes = []
    if report.error:
        notes = [f"error[{report.code}]: {report.error}", f"hint: {report.hint or 'the same command again goes on from here'}"]
    if report.changed:
        notes.append(f"rewritten with their versions: {', '.join(report.changed)}; commit them")
    return Result(value, exit_code=0 if report.is_whole else 1, note="\n".join(notes), shown="\n".join(lines))


def _headline(report: Report, done: str) -> str:
    objects = "1 object" if report.moved == 1 else f"{report.moved:,} objects"
    if report.moved:
        return f"{objects} {done}, {size(report.bytes)}" + (", then it broke off" if report.error else "")
    return "nothing could be moved" if not report.is_whole else "everything is up to date"
