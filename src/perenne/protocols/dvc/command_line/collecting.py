"""`dvc gc`, with DVC's meaning of what is needed; what goes lies in quarantine for some days all the same."""

import os
from pathlib import Path

from perenne import data
from perenne.core.errors import Invalid
from perenne.protocols.dvc.command_line.grammar import FORCE, JOBS, REMOTE, REVISIONS, Options, command, flag, value
from perenne.protocols.dvc.command_line.speech import confirmed, say, warn

_NEEDED = (
    "Either of `-w|--workspace`, `-a|--all-branches`, `-T|--all-tags`, `--all-experiments`, `--all-commits`, `--date` or "
    "`--rev` needs to be set."
)


@command(
    "Remove objects that nothing uses.",
    flag("-w", "--workspace", says="Keep what the workspace uses."),
    value("--rev", says="Keep what a revision uses.", metavar="<commit>"),
    value("-n", "--num", says="How many commits before it.", type=int, metavar="<num>"),
    *REVISIONS,
    value("--date", says="Keep what commits since then use.", dest="commit_date", metavar="<yyyy-mm-dd>"),
    flag("--all-experiments", says="Keep what experiments use."),
    flag("--not-in-remote", says="Remove what is needed too, if the remote has it."),
    flag("-c", "--cloud", says="From a remote too."),
    REMOTE,
    flag("--skip-failed", says="Go on where a revision cannot be read."),
    FORCE,
    JOBS,
    value("-p", "--projects", says="Other repositories that use the same cache.", dest="repos", nargs="*", metavar="<paths>"),
    flag("--dry", says="Only say what would be done."),
)
def gc(options: Options) -> int:
    """`dvc gc`."""
    _check(options)
    warn(_warning(options))
    if not (options.force or options.dry or confirmed("Are you sure you want to proceed?")):
        return 1
    repository, collecting = data.versions.open_repository(), data.versions.collecting
    plan = collecting.Plan(
        roots=collecting.Roots(
            workspace=True,
            names=options.all_experiments,
            branches=options.all_branches,
            tags=options.all_tags,
            commits=options.all_commits,
            runs=False,
        ),
        projects=tuple(Path(path) for path in options.repos or ()),
        only_project=True,
        grace_days=0,
        act=not options.dry,
        not_in_remote=options.not_in_remote,
    )
    done = collecting.collect(repository, plan, remote=options.remote)
    say(f"Removed {done.count} objects from repo cache." if done.count else "No unused 'repo' cache to remove.")
    say("No unused 'legacy' cache to remove.")
    if options.cloud:
        far = collecting.collect_remote(repository, plan, remote=options.remote)
        say(f"Removed {far.count} objects from remote." if far.count else "No unused cache to remove from remote.")
    return 0


def _check(options: Options) -> None:
    if not any((options.workspace, options.all_branches, options.all_tags, options.all_commits, options.all_experiments)):
        if not (options.rev or options.commit_date):
            raise Invalid(_NEEDED, code="data.bad_option")
        hint = "`-A` keeps what any commit uses"
        raise Invalid("dvc gc --rev, --num and --date are not here", code="data.left_out", hint=hint)
    if options.num or options.rev or options.commit_date or options.skip_failed:
        raise Invalid("dvc gc --rev, --num, --date and --skip-failed are not here", code="data.left_out")
    if options.not_in_remote and options.cloud:
        raise Invalid("`--not-in-remote` and `--cloud` are mutually exclusive", code="data.bad_option")


def _warning(options: Options) -> str:
    kept = "the workspace"
    if options.all_commits:
        kept += " and all git commits"
    elif options.all_branches and options.all_tags:
        kept += " and all git branches and tags"
    elif options.all_branches or options.all_tags:
        kept += f" and all git {'branches' if options.all_branches else 'tags'}"
    kept += " and all experiments" if options.all_experiments else ""
    kept += " that are not present in the DVC remote" if options.not_in_remote else ""
    others = "".join(f"\n  - {os.path.abspath(path)}" for path in options.repos or ())
    of = f" of the current and the following repos:{others}" if others else " of the current repo."
    return f"This will remove all cache except items used in {kept}{of}"
