"""`dvc push`, `fetch`, `pull`: objects between the cache and remotes."""

import glob

from perenne import data
from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.protocols.dvc.command_line.changing import failure_of, say_checked_out, waiting
from perenne.protocols.dvc.command_line.grammar import (
    FORCE,
    JOBS,
    RECURSIVE,
    REMOTE,
    REVISIONS,
    TARGETS,
    WITH_DEPS,
    Argument,
    Options,
    command,
    flag,
    value,
)
from perenne.protocols.dvc.command_line.speech import fail, say, summary

_RUN_CACHE: tuple[Argument, ...] = (
    flag("--run-cache", says="What stages have done too."),
    flag("--no-run-cache", action="store_false", dest="run_cache"),
)
_GLOB = flag("--glob", says="Targets may have wildcards.")
_UP_TO_DATE = "Everything is up to date."


def scope_of(options: Options) -> "data.versions.plans.Scope":
    """Return which versions are meant."""
    words = tuple(options.targets)
    if getattr(options, "glob", False):
        words = tuple(path for word in words for path in sorted(glob.glob(word, recursive=True, include_hidden=True)))
    return data.versions.plans.Scope(
        words=words,
        branches=options.all_branches,
        tags=options.all_tags,
        commits=options.all_commits,
        recursive=options.recursive,
    )


def _check_remote(repository: "data.versions.Repository", name: str | None) -> None:
    """Refuse, as DVC does, where there is no remote at all."""
    remotes = data.versions.layers.remotes(repository.config)
    default = repository.config.get("core", {}).get("remote")
    if name and name.lower() not in remotes:
        raise NotFound(f"config file error: remote '{name}' doesn't exist", code="data.no_remote")
    if not name and not default:
        step = "dvc remote default <remote name>" if remotes else "dvc remote add -d <remote name> <remote url>"
        raise NotFound(f"config file error: no remote specified. Have a default one with\n    {step}", code="data.no_remote")


def _refuse_missing(report: "data.versions.reports.Report", verb: str) -> None:
    for missing in report.missing:
        fail(f"{missing.path or missing.digest}: {missing.reason}")
    if report.error:
        raise Unavailable(report.error, code=report.code or "data.unreachable", hint=report.hint)
    if report.missing:
        raise Unavailable(f"{len(report.missing)} files failed to {verb}", code="data.not_moved")


@command(
    "Bring objects from the cache to a remote.",
    JOBS,
    TARGETS,
    REMOTE,
    *REVISIONS,
    WITH_DEPS,
    RECURSIVE,
    *_RUN_CACHE,
    _GLOB,
    last="failed to push data to the cloud",
)
def push(options: Options) -> int:
    """`dvc push`."""
    repository = data.versions.open_repository()
    _check_remote(repository, options.remote)
    report = data.versions.pushing.push(
        repository, scope_of(options), remote=options.remote, jobs=options.jobs, run_cache=options.run_cache
    )
    _refuse_missing(report, "upload")
    say(summary([("pushed", report.moved)]) or _UP_TO_DATE)
    if report.changed:
        say(f"\nTo track the changes with git, run:\n\n\tgit add {' '.join(report.changed)}")
    return 0


@command(
    "Bring objects from a remote into the cache.",
    JOBS,
    TARGETS,
    REMOTE,
    *REVISIONS,
    WITH_DEPS,
    RECURSIVE,
    *_RUN_CACHE,
    value("--max-size", says="Only files of at most so many bytes.", type=int),
    value("--type", says="Only these.", action="append", dest="types", choices=["metrics", "plots"], default=[]),
    last="failed to fetch data from the cloud",
)
def fetch(options: Options) -> int:
    """`dvc fetch`."""
    for name, is_told in {"--max-size": options.max_size, "--type": options.types}.items():
        if is_told:
            raise Invalid(f"dvc fetch {name} is not here", code="data.left_out", hint="name the targets")
    repository = data.versions.open_repository()
    report = _fetched(repository, options)
    _refuse_missing(report, "download")
    say(summary([("fetched", report.moved)]) or _UP_TO_DATE)
    return 0


def _fetched(repository: "data.versions.Repository", options: Options) -> "data.versions.reports.Report":
    _check_remote(repository, options.remote)
    return data.versions.fetching.fetch(
        repository, scope_of(options), remote=options.remote, jobs=options.jobs, run_cache=options.run_cache
    )


@command(
    "Fetch, and check out.",
    JOBS,
    TARGETS,
    REMOTE,
    *REVISIONS,
    FORCE,
    WITH_DEPS,
    RECURSIVE,
    *_RUN_CACHE,
    _GLOB,
    flag("--allow-missing", says="Pass over what is nowhere."),
    last="failed to pull data from the cloud",
)
def pull(options: Options) -> int:
    """`dvc pull`."""
    repository = data.versions.open_repository()
    report = _fetched(repository, options)
    outcome = data.versions.checkout.check_out(
        repository,
        scope_of(options).words,
        force=options.force,
        recursive=options.recursive,
        allow_missing=options.allow_missing,
        waiting=waiting,
    )
    say_checked_out(outcome)
    whole = report.is_whole and not outcome.failed
    counts = [("fetched", report.moved)]
    counts += [(state, sum(getattr(done, state) for done in outcome.done)) for state in ("modified", "added", "deleted")]
    if whole or any(count for _, count in counts):
        say(summary(counts) or _UP_TO_DATE)
    if outcome.failed:
        raise failure_of(outcome)
    if not options.allow_missing:
        _refuse_missing(report, "download")
    return 0
