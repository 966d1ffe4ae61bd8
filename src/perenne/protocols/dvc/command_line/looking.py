"""`dvc status`, `diff`, `data status`."""

import os
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from perenne import data
from perenne.core.errors import Invalid, NotFound
from perenne.formats.dvc import answers
from perenne.protocols.dvc.command_line.grammar import (
    JOBS,
    RECURSIVE,
    REMOTE,
    REVISIONS,
    TARGETS,
    WITH_DEPS,
    Options,
    command,
    flag,
    value,
    word,
)
from perenne.protocols.dvc.command_line.speech import say, say_json

UP_TO_DATE = "Data and pipelines are up to date."
NOTHING = "There are no data or pipelines tracked in this project yet.\nSee <https://dvc.org/doc/start> to get started!"


@command(
    "Show what has changed.",
    JOBS,
    TARGETS,
    flag("-c", "--cloud", says="Compare the cache with a remote."),
    REMOTE,
    *REVISIONS,
    WITH_DEPS,
    RECURSIVE,
    flag("--json", says="Answer in JSON."),
    flag("--no-updates", says="Do not ask whether sources of imports have changed.", action="store_false", dest="check_updates"),
    last="",
)
def status(options: Options) -> int:
    """`dvc status`."""
    if options.cloud or options.remote:
        raise Invalid("dvc status -c is not here", code="data.left_out", hint="`dvc push` says what it brought")
    told = {"--all-branches": options.all_branches, "--all-tags": options.all_tags, "--all-commits": options.all_commits}
    ignored = [name for name, is_told in {**told, "--jobs": options.jobs}.items() if is_told]
    if ignored:
        message = f"The following options are meaningless for local status: {', '.join(ignored)}"
        raise Invalid(message, code="data.bad_option")
    repository = data.versions.open_repository()
    answer, anything = _status_of(repository, options)
    if options.json:
        say_json(answer)
    elif options.quiet:
        return int(bool(answer))
    elif answer:
        _say_status(answer)
    else:
        say(UP_TO_DATE if anything else NOTHING)
    return 0


def _status_of(repository: "data.versions.Repository", options: Options) -> tuple[dict[str, Any], bool]:
    """Compare data by itself where there is nothing else, which takes a fraction of the time; else with the stages."""
    outputs = repository.outputs()
    if not repository.has_pipelines and not any(meta.deps or meta.cmd for meta in repository.metafiles.values()):
        answer: dict[str, Any] = {}
        for found in data.versions.status.find_status(repository, options.targets):
            if found.state != "unchanged":
                shown = repository.shown(found.output.file)
                answer[shown] = answers.stage_status(outs={repository.shown(found.output.path): found.state})
        return answer, bool(outputs)
    from perenne.protocols.dvc.status import status_of

    return status_of(repository, options.targets, with_deps=options.with_deps, recursive=options.recursive)


def _say_status(answer: Mapping[str, Any]) -> None:
    from perenne.protocols.dvc.status import status_text

    say(status_text(dict(answer)))


@command(
    "Show what differs between two revisions, or one and the workspace.",
    value("--targets", says="Only these.", nargs="*", metavar="<paths>"),
    word("a_rev", "The old revision.", nargs="?", default="HEAD"),
    word("b_rev", "The new revision; the workspace if not given.", nargs="?"),
    flag("--json", says="Answer in JSON."),
    flag("--show-hash", says="The hashes too."),
    flag("--md", says="As a table in Markdown.", dest="markdown"),
    flag("--hide-missing", says="Not what the cache has not got."),
    last="failed to get diff",
)
def diff(options: Options) -> int:
    """`dvc diff`."""
    repository = data.versions.open_repository()
    hide = bool(options.b_rev or options.hide_missing)
    answer = _compared(repository, options, hide=hide)
    if options.json:
        say_json(answer)
    elif options.markdown:
        _say_markdown(answer, hashes=options.show_hash)
    elif answer:
        _say_diff(answer)
    return 0


def _compared(repository: "data.versions.Repository", options: Options, *, hide: bool) -> dict[str, Any]:
    comparing = data.versions.comparing
    git = data.versions.revisions.git_of(repository)
    if not git.references():
        return {}
    if options.b_rev and git.resolve(options.a_rev) == git.resolve(options.b_rev):
        return {}
    places = [repository.relative(os.path.abspath(target)) for target in options.targets or ()]
    old = comparing.below(comparing.state_at(repository, options.a_rev), places)
    outputs = repository.outputs()
    whole = comparing.state_at(repository, options.b_rev) if options.b_rev else comparing.workspace_state(repository, outputs)
    new = comparing.below(whole, places)
    for place in places:
        if not comparing.below(old, [place]).digests and not comparing.below(new, [place]).digests:
            raise NotFound(f"[Errno 2] No such file or directory: '{place}'", code="data.not_tracked")
    found = comparing.differences(old, new)
    missing = None if options.b_rev else comparing.not_in_cache(repository, old)
    answer = answers.diff(
        added=[(path, new.digests[path]) for path in found.added],
        deleted=[(path, old.digests[path]) for path in found.deleted],
        modified=[(path, old.digests[path], new.digests[path]) for path in found.modified],
        renamed=[(before, after, old.digests[before]) for before, after in found.renamed],
        missing=None if missing is None else [(path, old.digests[path]) for path in missing],
        hashes=options.show_hash,
    )
    return {key: entries for key, entries in answer.items() if not hide or key != "not in cache"}


def _shown(entry: Mapping[str, Any]) -> str:
    path = entry["path"]
    return f"{path['old']} -> {path['new']}" if isinstance(path, dict) else str(path)


def _short(digest: Any) -> str:
    return f"{digest['old'][:8]}..{digest['new'][:8]}" if isinstance(digest, dict) else str(digest or "")[:8]


def _say_diff(answer: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    counts = []
    for state in ("added", "deleted", "renamed", "modified", "not in cache"):
        entries = answer.get(state, [])
        if not entries:
            continue
        say(f"{state.capitalize()}:")
        for entry in entries:
            lead = f"{_short(entry['hash'])}  " if entry.get("hash") else ""
            say(f"    {lead}{_shown(entry)}")
        say()
        counts.append((state, sum(not _shown(entry).endswith("/") for entry in entries)))
    if any(count for _, count in counts):
        say(f"files summary: {', '.join(f'{count} {state}' for state, count in counts if count)}")


def _say_markdown(answer: Mapping[str, Sequence[Mapping[str, Any]]], *, hashes: bool) -> None:
    rows = []
    for state in ("added", "deleted", "renamed", "modified", "not in cache"):
        for entry in answer.get(state, []):
            rows.append([state, *([_short(entry["hash"])] if hashes else []), _shown(entry)])
    from perenne.protocols.dvc.tables import markdown

    say(markdown(["Status", *(["Hash"] if hashes else []), "Path"], rows))


_LABELS = {
    "not_in_cache": ("Not in cache", ['use "dvc fetch <file>..." to download files']),
    "committed": ("DVC committed changes", ["git commit the corresponding dvc files to update the repo"]),
    "uncommitted": (
        "DVC uncommitted changes",
        ['use "dvc commit <file>..." to track changes', 'use "dvc checkout <file>..." to discard changes'],
    ),
    "untracked": ("Untracked files", ['use "git add <file> ..." or "dvc add <file>..." to commit to git or to dvc']),
    "unchanged": ("DVC unchanged files", []),
}


@command(
    "Show what differs between commit, metafiles and workspace.",
    TARGETS,
    flag("--json", says="Answer in JSON."),
    flag("--granular", says="The files of folders too."),
    flag("--unchanged", says="What is unchanged too."),
    value("--untracked-files", says="What nobody tracks too.", nargs="?", choices=["no", "all"], default="no", const="all"),
    REMOTE,
    flag("--not-in-remote", says="What the remote has not got."),
    flag("--no-remote-refresh", says="Trust what is remembered of the remote.", action="store_false", dest="remote_refresh"),
)
def data_status(options: Options) -> int:
    """`dvc data status`."""
    if options.not_in_remote:
        raise Invalid(
            "dvc data status --not-in-remote is not here", code="data.left_out", hint="`dvc push` brings what it has not got"
        )
    repository = data.versions.open_repository()
    groups, dirty = _groups(repository, options)
    answer = answers.data_status(groups)
    if options.json:
        say_json(answer)
    else:
        _say_groups(answer, dirty)
    return 0


def _groups(repository: "data.versions.Repository", options: Options) -> tuple[dict[str, Any], bool]:
    comparing = data.versions.comparing
    outputs, granular = repository.outputs(), options.granular
    places = [repository.relative(os.path.abspath(target)) for target in options.targets]
    index = comparing.below(comparing.recorded_state(repository, outputs, granular=granular), places)
    workspace = comparing.below(comparing.workspace_state(repository, outputs, granular=granular), places)
    head = comparing.Tracked({}, set(), set())
    if repository.git is not None and repository.git.references():
        head = comparing.below(comparing.state_at(repository, "HEAD", granular=granular), places)
    uncommitted = comparing.differences(index, workspace, renames=granular)
    groups: dict[str, Any] = {
        "not_in_cache": comparing.not_in_cache(repository, index),
        "committed": _changes(comparing.differences(head, index)),
        "uncommitted": _changes(uncommitted),
    }
    if options.untracked_files == "all":
        groups["untracked"] = _untracked(repository)
    if options.unchanged:
        groups["unchanged"] = uncommitted.unchanged
    return groups, repository.git is not None and bool(repository.git.run("status", "--porcelain").strip())


def _changes(found: "data.versions.comparing.Differences") -> dict[str, Any]:
    renamed = [{"old": before, "new": after} for before, after in found.renamed]
    return {"modified": found.modified, "added": found.added, "deleted": found.deleted, "renamed": renamed}


def _untracked(repository: "data.versions.Repository") -> list[str]:
    if repository.git is None:
        return []
    listed = repository.git.run("ls-files", "--others", "--exclude-standard", "-z", "--", os.fspath(repository.root))
    top = repository.git.root
    return sorted(os.path.relpath(top / os.fsdecode(name), repository.root) for name in listed.split(b"\0") if name)


def _say_groups(answer: Mapping[str, Any], dirty: bool) -> None:
    if not answer:
        say("No changes.")
    for number, (group, changes) in enumerate(answer.items()):
        if number:
            say()
        label, hints = _LABELS[group]
        say(f"{label}:")
        for hint in hints:
            say(f"  ({hint})")
        lines: Any = changes
        if isinstance(changes, dict):
            lines = chain.from_iterable([f"{state}: {_named(path)}" for path in paths] for state, paths in changes.items())
        for line in lines:
            say(f"        {line}")
    if dirty:
        say(f'(there are {"other " if answer else ""}changes not tracked by dvc, use "git status" to see)')


def _named(path: Any) -> str:
    return " -> ".join(path.values()) if isinstance(path, dict) else str(path)
