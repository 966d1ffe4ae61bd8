"""`dvc add`, `commit`, `checkout`, `remove`, `move`, `cache migrate`."""

import glob
import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from perenne import data
from perenne.core.errors import Invalid, NotFound, PerenneError, Unavailable
from perenne.protocols.dvc.command_line.grammar import (
    FORCE,
    RECURSIVE,
    REMOTE,
    TARGETS,
    WITH_DEPS,
    Options,
    command,
    flag,
    value,
    word,
)
from perenne.protocols.dvc.command_line.speech import VOLUME, confirmed, fail, note, say, summary

_NO_RELINK = flag("--no-relink", says="Leave the workspace's files as they are.", action="store_false", dest="relink")
_STATES = ("modified", "added", "deleted")


def waiting(pid: int) -> None:
    """Tell who holds the repository's lock."""
    note(f"waiting for process {pid or '?'}, which works on this repository")


@contextmanager
def for_git(repository: "data.versions.Repository", files: Iterable[str | Path]) -> Iterator[None]:
    """Say which files belong into Git, as DVC does: those named that exist or went, and each ``.gitignore`` that changed."""
    named = list(dict.fromkeys(os.path.relpath(file) for file in files))
    ignoring = {os.path.normpath(os.path.join(os.path.dirname(file), ".gitignore")) for file in named}
    before = {file: _bytes_of(file) for file in ignoring}
    yield
    changed = named + sorted(file for file in ignoring if _bytes_of(file) != before[file])
    staged = data.versions.layers.switched(repository.config, "core", "autostage")
    if not changed or repository.git is None or VOLUME.quiet or staged:
        return
    say(f"\nTo track the changes with git, run:\n\n\tgit add {' '.join(map(shlex.quote, changed))}")
    say("\nTo enable auto staging, run:\n\n\tdvc config core.autostage true")


def _bytes_of(file: str) -> bytes | None:
    try:
        return Path(file).read_bytes()
    except OSError:
        return None


@command(
    "Track files or folders.",
    flag("--no-commit", says="Only hash; nothing is put into the cache."),
    flag("--glob", says="Targets may have wildcards."),
    value("-o", "--out", says="Where to put what lies elsewhere.", metavar="<path>"),
    flag("--to-remote", says="Bring it to a remote, and not here."),
    REMOTE,
    value("--remote-jobs", says="How many at a time.", type=int, metavar="<number>"),
    FORCE,
    _NO_RELINK,
    word("targets", "Files and folders.", nargs="+"),
    last="",
)
def add(options: Options) -> int:
    """`dvc add`."""
    _check_add(options)
    targets = _globbed(options.targets) if options.glob else options.targets
    repository = data.versions.open_repository()
    files = [_metafile_of(repository, target) for target in targets]
    with for_git(repository, files):
        data.versions.adding.add(repository, targets, waiting=waiting)
    return 0


def _check_add(options: Options) -> None:
    wrong = ""
    if options.to_remote or options.out:
        using = "--to-remote" if options.to_remote else "--out"
        several = len(options.targets) != 1
        told = {"multiple targets": several, "--glob option": options.glob, "--no-commit option": options.no_commit}
        wrong = next((f"{name} can't be used with {using}" for name, is_told in told.items() if is_told), "")
    elif options.remote or options.remote_jobs:
        wrong = f"{'--remote' if options.remote else '--remote-jobs'} can't be used without --to-remote"
    if wrong:
        raise Invalid(wrong, code="data.bad_option")
    for is_told, name, hint in (
        (options.to_remote, "--to-remote", "`dvc import-url` tracks a source; `dvc push` brings it on"),
        (options.out, "--out", "copy it here, then add it"),
        (options.no_commit, "--no-commit", "the cache is written while the file is read"),
    ):
        if is_told:
            raise Invalid(f"dvc add {name} is not here", code="data.left_out", hint=hint)


def _globbed(patterns: Iterable[str]) -> list[str]:
    found = [path for pattern in patterns for path in sorted(glob.glob(pattern, recursive=True, include_hidden=True))]
    return [path for path in found if not path.endswith(".dvc")]


def _metafile_of(repository: "data.versions.Repository", target: str) -> Path:
    owner = data.versions.targets.owner_of(repository, os.path.abspath(target))
    return Path(f"{os.path.normpath(target)}.dvc") if owner is None else owner.output.file


@command("Record what has changed.", FORCE, WITH_DEPS, RECURSIVE, _NO_RELINK, TARGETS, last="failed to commit")
def commit(options: Options) -> int:
    """`dvc commit`."""
    repository = data.versions.open_repository()
    changed = [
        status
        for status in data.versions.status.find_status(repository, options.targets)
        if status.output.stage is None and status.state in ("modified", "new")
    ]
    for status in [] if options.force else changed:
        shown = repository.shown(status.output.file)
        asked = f"outputs {[repository.shown(status.output.path)]} of stage: '{shown}' changed."
        if not confirmed(f"{asked} Are you sure you want to commit it?"):
            message = f"unable to commit changed stage: '{shown}'. Use `-f|--force` to force."
            raise Invalid(message, code="data.not_confirmed")
    data.versions.committing.commit(repository, options.targets, waiting=waiting)
    return 0


@command(
    "Bring the workspace to what the metafiles say.",
    flag("--summary", says="Only say how many files changed."),
    WITH_DEPS,
    RECURSIVE,
    FORCE,
    flag("--relink", says="Make links and copies anew."),
    flag("--allow-missing", says="Pass over what the cache has not got."),
    TARGETS,
)
def checkout(options: Options) -> int:
    """`dvc checkout`."""
    repository = data.versions.open_repository()
    try:
        outcome = data.versions.checkout.check_out(
            repository,
            options.targets,
            force=options.force,
            relink=options.relink,
            recursive=options.recursive,
            allow_missing=options.allow_missing,
            waiting=waiting,
        )
    except NotFound as error:
        if error.code != "data.not_tracked":
            raise
        wrong = next((target for target in options.targets if target in error.message), options.targets[0])
        raise NotFound(f"Did you mean `git checkout {wrong}`?", code=error.code) from None
    say_checked_out(outcome, only_summary=options.summary)
    if outcome.failed:
        raise failure_of(outcome)
    if options.relink:
        say("Relinked successfully")
    return 0


def say_checked_out(outcome: "data.versions.checkout.Outcome", *, only_summary: bool = False) -> None:
    """Print what a checkout did: a line for each output, or how many files."""
    if only_summary:
        counts = [(state, sum(getattr(done, state) for done in outcome.done)) for state in _STATES]
        say(summary(counts) or "No changes.")
        return
    for state in _STATES:
        for done in outcome.done:
            if done.change == state:
                folder = "/" if os.path.isdir(done.path) and not done.path.endswith("/") else ""
                say(f"{state[0].upper()}\t{done.path}{folder}".expandtabs())


def failure_of(outcome: "data.versions.checkout.Outcome") -> PerenneError:
    """Return what DVC says of outputs that could not be checked out; a refusal that has a reason of its own says it."""
    paths = "\n".join(path for path, _ in outcome.failed)
    reasons = "; ".join(dict.fromkeys(error.message for _, error in outcome.failed))
    message = f"Checkout failed for following targets:\n{paths}\nIs your cache up to date?\n{reasons}"
    return Unavailable(message, code="data.not_checked_out")


@command(
    "Stop tracking, or take a stage out of dvc.yaml.",
    flag("--outs", says="Delete the data too."),
    word("targets", ".dvc files, or stages.", nargs="+"),
    last="",
)
def remove(options: Options) -> int:
    """`dvc remove`."""
    repository = data.versions.open_repository()
    for target in options.targets:
        _check_removed(target)
        if target.endswith(".dvc"):
            data.versions.removing.remove(repository, [target], outs=options.outs, force=options.outs, waiting=waiting)
        else:
            _remove_stage(repository, target, outs=options.outs)
    return 0


def _remove_stage(repository: "data.versions.Repository", target: str, *, outs: bool) -> None:
    from perenne.protocols.dvc.choosing import named
    from perenne.protocols.dvc.dropping import drop_stage
    from perenne.protocols.dvc.stages import Stages

    drop_stage(repository, named(Stages(repository), target), outs=outs)


def _check_removed(target: str) -> None:
    """Refuse a target that is data, as DVC does: it names metafiles."""
    if target.endswith(".dvc") and not os.path.exists(target):
        raise NotFound(f"'{target}' does not exist", code="data.no_metafile")
    if not target.endswith(".dvc") and os.path.exists(f"{target}.dvc"):
        message = f"'{target}' is not a .dvc file. Do you mean '{target}.dvc'?"
        raise NotFound(message, code="data.not_tracked")


@command(
    "Move or rename what is tracked.", word("src", "What."), word("dst", "Where to."), last="failed to move '{src}' -> '{dst}'"
)
def move(options: Options) -> int:
    """`dvc move`."""
    repository = data.versions.open_repository()
    target = os.path.join(options.dst, os.path.basename(options.src)) if os.path.isdir(options.dst) else options.dst
    with for_git(repository, [f"{os.path.normpath(options.src)}.dvc", f"{os.path.normpath(target)}.dvc"]):
        data.versions.moving.move(repository, options.src, options.dst, waiting=waiting)
    return 0


@command(
    "Bring what DVC 2.x kept to where 3.x keeps it.",
    flag("--dvc-files", says="Rewrite the entries of metafiles too."),
    flag("--dry", says="Only say what would be done."),
)
def cache_migrate(options: Options) -> int:
    """`dvc cache migrate`."""
    repository, migrating = data.versions.open_repository(), data.versions.migrating
    count = migrating.migrate_cache(repository, dry=options.dry)
    if options.dry:
        say(f"{count} files will be re-hashed and migrated to the DVC 3.0 cache location.")
    else:
        say(f"Migrated {count} files to DVC 3.0 cache location.")
    return _migrate_files(repository, dry=options.dry) if options.dvc_files else 0


def _migrate_files(repository: "data.versions.Repository", *, dry: bool) -> int:
    files = data.versions.migrating.legacy_files(repository)
    if not files:
        say("No DVC files in the repo to migrate to the 3.0 format.")
        return 0
    if dry:
        say("Entries in following DVC files will be migrated to the 3.0 format:")
        say("\n".join(f"\t{repository.shown(file)}" for file in files))
        return 0
    with for_git(repository, files):
        migrated = data.versions.migrating.migrate_metafiles(repository, waiting=waiting)
        for file in migrated.files:
            say(f"Updating DVC file '{file}'")
    for file, reason in migrated.left:
        fail(f"'{file}' stays as it is: {reason}")
    return 1 if migrated.left else 0
