"""`perenne data gc`: what no version needs goes to a quarantine, and comes back from it."""

from pathlib import Path
from typing import Any

import click

from perenne.core.errors import Invalid
from perenne.core.results import Result
from perenne.data.versions.collecting import (
    GRACE_DAYS,
    QUARANTINE_DAYS,
    Collected,
    Plan,
    Roots,
    collect,
    collect_remote,
    restore,
    restore_remote,
)
from perenne.data.versions.lineage import linked_digests
from perenne.data.versions.moving_commands import can_ask
from perenne.data.versions.repository import open_repository
from perenne.data.versions.telling import size, told

FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command("gc")
@click.option("-y", "--yes", is_flag=True, help="Do it; without this it is only counted.")
@click.option("--restore", "back", is_flag=True, help="Bring back what lies in quarantine.")
@click.option("-w", "--workspace", is_flag=True, help="Keep what the workspace needs, and no more than is said beside it.")
@click.option("-a", "--all-branches", is_flag=True, help="With -w: and all local branches.")
@click.option("-T", "--all-tags", is_flag=True, help="With -w: and all tags.")
@click.option("-A", "--all-commits", is_flag=True, help="Keep what any commit needs.")
@click.option("--grace", type=click.FloatRange(0), default=GRACE_DAYS, show_default=True, help="Days for which nothing goes.")
@click.option("--keep", type=click.FloatRange(0), default=QUARANTINE_DAYS, show_default=True, help="Days in quarantine.")
@click.option("-c", "--cloud", is_flag=True, help="Of the remote, not of the cache.")
@click.option("-r", "--remote", metavar="NAME", help="Which remote; the default one if not given.")
@click.option("--not-in-remote", is_flag=True, help="From the cache goes also what is needed and the remote has.")
@click.option("-p", "--project", "projects", type=FOLDER, multiple=True, help="Another repository that uses it; repeatable.")
@click.option("--only-project", is_flag=True, help="No other repository uses this cache or remote.")
@click.pass_obj
def gc(installation: Any, /, yes: bool, back: bool, cloud: bool, remote: str | None, **options: Any) -> Result:
    """Take away objects that no version needs; without --yes they are only counted.

    Needed is what the workspace, a branch, a tag, a stash, a stage's run-cache or the installation's lineage points to. What goes
    lies in quarantine for some days: --restore brings it back.

    \b
    Examples:
      perenne data gc
      perenne data gc --yes
      perenne data gc --restore
      perenne data gc --cloud -r backup --only-project --yes
    """
    repository = open_repository()
    if remote and not (cloud or options["not_in_remote"]):
        raise Invalid(
            "--remote goes with --cloud or --not-in-remote", code="data.bad_option", hint="leave it out, or add `--cloud`"
        )
    if back:
        count = restore_remote(repository, remote=remote, ask=can_ask()) if cloud else restore(repository)
        return Result({"restored": count}, shown=f"{count:,} objects are back")
    plan = _plan(installation, yes, options)
    with told() as hear:
        done = (collect_remote if cloud else collect)(repository, plan, remote=remote, hear=hear, ask=can_ask())
    return Result(done, shown=_shown(done), note=_note(done, options["keep"]))


def _plan(workspace: Any, yes: bool, options: dict[str, Any]) -> Plan:
    narrow = options["workspace"]
    roots = Roots(
        names=not narrow,
        branches=options["all_branches"],
        tags=options["all_tags"],
        commits=options["all_commits"],
        runs=not narrow,
    )
    return Plan(
        roots=roots,
        needed=linked_digests(workspace),
        projects=options["projects"],
        only_project=options["only_project"],
        grace_days=options["grace"],
        quarantine_days=options["keep"],
        act=yes,
        not_in_remote=options["not_in_remote"],
    )


def _shown(done: Collected) -> str:
    verb = "went to quarantine" if done.acted else "are not needed"
    lines = [f"{done.count:,} objects {verb}, {size(done.bytes)}", f"{done.kept:,} are needed"]
    if done.young:
        lines.append(f"{done.young:,} are not needed and too young to go")
    if done.emptied:
        lines.append(f"{done.emptied:,} of an old quarantine are gone for good")
    return "\n".join(lines)


def _note(done: Collected, days: float) -> str:
    notes = []
    if done.unknown:
        first = f"{len(done.unknown)} directories of other versions are known by their name only, {done.unknown[0]} for one"
        notes.append(
            f"{first}: single files of theirs count as not needed; `perenne data fetch --all-commits` brings what is missing"
        )
    if done.acted and done.count:
        notes.append(f"they lie in {done.quarantine} for {days:g} days; `perenne data gc --restore` brings them back")
    elif done.count:
        notes.append("nothing was done; `--yes` does it")
    return "\n".join(notes)
