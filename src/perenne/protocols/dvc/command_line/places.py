"""`dvc init`, `root`, `version`, `destroy`, `check-ignore`, `unprotect`."""

import os
import platform
import sys
from pathlib import Path

import perenne
from perenne import data
from perenne.core.errors import Invalid
from perenne.protocols.dvc.command_line.grammar import FORCE, Options, command, flag, word
from perenne.protocols.dvc.command_line.speech import confirmed, say

_NEXT = """What's next?
------------
- `dvc add FILE` tracks a file or folder
- `dvc remote add -d NAME URL` says where `dvc push` brings it"""
_DESTROYS = (
    "This will destroy all information about your pipelines, all data files, as well as cache in .dvc/cache.\n"
    "Are you sure you want to continue?"
)


@command(
    "Make a repository.",
    word("directory", "The folder; the present one if not given.", nargs="?", default="."),
    flag("--no-scm", says="Do without Git."),
    FORCE,
    flag("--subdir", says="The folder is not the top of its work tree of Git."),
    last="failed to initiate DVC",
)
def init(options: Options) -> int:
    """`dvc init`."""
    data.versions.init_repository(Path(options.directory), no_scm=options.no_scm, force=options.force, subdir=options.subdir)
    say("Initialized DVC repository.\n")
    if not options.no_scm:
        say("You can now commit the changes to git.\n")
    say(_NEXT)
    return 0


@command("Show the repository's top folder.")
def root(options: Options) -> int:
    """`dvc root`."""
    say(os.path.relpath(data.versions.open_repository().root))
    return 0


@command("Show the version, and what is around it.")
def version(options: Options) -> int:
    """`dvc version`."""
    from perenne.protocols.dvc.command_line.entry import SPEAKS

    say(f"DVC version: {SPEAKS} (perenne {perenne.__version__})", always=True)
    say("-------------------------", always=True)
    say(f"Platform: Python {platform.python_version()} on {platform.platform()}", always=True)
    where = data.versions.find_repository()
    if where is not None:
        repository = data.versions.open_repository()
        remotes = ", ".join(data.versions.layers.remotes(repository.config)) or "None"
        say(f"Cache directory: {repository.cache_folder}", always=True)
        say(f"Remotes: {remotes}", always=True)
        say(f"Repo: dvc{', git' if repository.git else ' (no_scm)'}", always=True)
    return 0


@command("Remove metafiles, config and cache.", FORCE, last="failed to destroy DVC")
def destroy(options: Options) -> int:
    """`dvc destroy`."""
    if not options.force and not confirmed(_DESTROYS):
        raise Invalid("cannot destroy without a confirmation from the user. Use `-f` to force.", code="data.not_confirmed")
    data.versions.destroying.destroy_repository(data.versions.open_repository())
    return 0


@command(
    "Tell whether .dvcignore leaves paths out.",
    flag("-d", "--details", says="The rule that does it too."),
    flag("-a", "--all", says="Every rule that matches."),
    flag("-n", "--non-matching", says="The paths that no rule matches too."),
    flag("--stdin", says="Read the paths from standard input."),
    word("targets", "The paths.", nargs="*"),
)
def check_ignore(options: Options) -> int:
    """`dvc check-ignore`."""
    _check_options(options)
    repository = data.versions.open_repository()
    asked = (line.rstrip("\n") for line in sys.stdin) if options.stdin else options.targets
    found = 1
    for target in asked:
        if not target:
            break
        if _said_of(repository, target, options):
            found = 0
    return found


def _check_options(options: Options) -> None:
    wrong = ""
    if options.stdin == bool(options.targets):
        wrong = "cannot have both `targets` and `--stdin`" if options.stdin else "`targets` or `--stdin` needed"
    elif options.non_matching and not options.details:
        wrong = "`--non-matching` is only valid with `--details`"
    elif options.all and not options.details:
        wrong = "`--all` is only valid with `--details`"
    elif options.quiet and options.details:
        wrong = "cannot use both `--details` and `--quiet`"
    if wrong:
        raise Invalid(wrong, code="data.bad_option")


def _said_of(repository: "data.versions.Repository", target: str, options: Options) -> bool:
    ignored, rules = data.versions.explaining.explain_ignored(repository, Path(target))
    if not ignored and not options.details:
        return False
    if not options.details:
        say(target)
        return bool(rules)
    shown = list(map(str, rules)) or (["::"] if options.non_matching else [])
    for rule in shown if options.all else shown[-1:]:
        say(f"{rule}\t{target}")
    return bool(rules)


@command(
    "Make links into the cache files of their own.", word("targets", "Files and folders.", nargs="+"), last="failed to unprotect"
)
def unprotect(options: Options) -> int:
    """`dvc unprotect`."""
    data.versions.unprotecting.unprotect(data.versions.open_repository(), [Path(target) for target in options.targets])
    return 0
