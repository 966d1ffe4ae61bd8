"""`perenne data init|add|commit|checkout|status|remove|move|unprotect|check-ignore`: versions of files."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from perenne.core.results import EXIT_FINDINGS, Result
from perenne.data.versions.repository import Repository, init_repository, open_repository

PATHS = click.Path(path_type=Path)


@contextmanager
def opened() -> Iterator[Repository]:
    """Give the repository of the present folder."""
    with open_repository() as repository:
        yield repository


def tell_waiting(pid: int) -> None:
    """Say who has the lock."""
    holder = f"process {pid}" if pid else "another process"
    click.echo(f"waiting for {holder}, which works on this repository", err=True)


class Telling:
    """Work in hand, on stderr, for a person who watches a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = False
        self._watched = sys.stderr.isatty() and "--quiet" not in sys.argv

    def __call__(self, done: int) -> None:
        """Hear how many files are done."""
        if self._watched:
            self._shown = True
            click.echo(f"\r{self._what}: {done:,} files", nl=False, err=True)

    def end(self) -> None:
        """Clear the line."""
        if self._shown:
            click.echo("\r\x1b[K", nl=False, err=True)


@contextmanager
def telling(what: str) -> Iterator[Telling]:
    """Give what hears of progress."""
    told = Telling(what)
    try:
        yield told
    finally:
        told.end()


@click.command()
@click.argument("folder", type=PATHS, default=".")
@click.option("--no-scm", is_flag=True, help="Do without Git.")
@click.option("--subdir", is_flag=True, help="The folder is not the top of its work tree of Git.")
@click.option("-f", "--force", is_flag=True, help="Begin anew where there is a repository: its settings and cache go.")
def init(folder: Path, no_scm: bool, subdir: bool, force: bool) -> Result:
    """Make a repository of FOLDER, the present one if not given; the same files as DVC makes.

    \b
    Examples:
      perenne data init
      perenne data init --no-scm
    """
    made = init_repository(folder, no_scm=no_scm, subdir=subdir, force=force)
    hint = "" if made.git is None else "; `git commit` keeps it"
    return Result({"repository": str(made.root)}, note=f"a repository of data{hint}; next: `perenne data add FILE`")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PATHS)
@click.option("--glob", is_flag=True, help="PATHS are patterns: *, ? and **.")
@click.option("--file", type=PATHS, help="Name of the metafile; PATH.dvc if not given.")
def add(paths: tuple[Path, ...], glob: bool, file: Path | None) -> Result:
    """Track files and folders: their bytes go to the cache, a small PATH.dvc for Git stands for them.

    \b
    Examples:
      perenne data add raw.parquet
      perenne data add images labels
      perenne data add --glob '*.csv'
    """
    from perenne.data.versions import adding

    chosen = [path for pattern in paths for path in _matching(pattern)] if glob else list(paths)
    if file is not None and len(chosen) != 1:
        raise click.UsageError("--file goes with one path")
    with opened() as repository, telling("kept") as told:
        found = adding.add(repository, chosen, file=file, progress=told, waiting=tell_waiting)
        return Result(found, note=_next_for_git(repository, found), shown=[_recorded(item) for item in found])


def _matching(pattern: Path) -> Sequence[Path]:
    import glob

    return [Path(found) for found in sorted(glob.glob(str(pattern), recursive=True)) if not found.endswith(".dvc")]


def _recorded(item: Any) -> dict[str, Any]:
    return {
        "path": item.path,
        "files": 1 if item.count is None else item.count,
        "bytes": item.size,
        "md5": item.digest[:12],
        "change": "new" if item.before is None else "unchanged" if item.before == item.digest else "modified",
        "metafile": item.file,
    }


def _next_for_git(repository: Repository, found: Sequence[Any]) -> str:
    notes = []
    if links := sum(item.links for item in found):
        notes.append(f"{links} symbolic links: what they lead to is kept, and a checkout elsewhere makes files of them")
    if left_out := [name for item in found for name in item.left_out]:
        notes.append(f"left out, as DVC does: links to folders: {', '.join(left_out[:3])}{' …' if len(left_out) > 3 else ''}")
    if repository.git is not None and found:
        files = " ".join(dict.fromkeys(item.file for item in found[:5]))
        notes.append(f"keep it in Git: `git add {files}{' …' if len(found) > 5 else ''}`, and .gitignore where it changed")
    return "\n".join(notes)


@click.command()
@click.argument("targets", nargs=-1, type=PATHS)
def commit(targets: tuple[Path, ...]) -> Result:
    """Record the present version of what is tracked; TARGETS are metafiles, what they track, or folders of them.

    The version before stays in the cache: `git checkout FILE.dvc`, then `perenne data checkout`, brings it back.

    \b
    Examples:
      perenne data commit
      perenne data commit images
    """
    from perenne.data.versions import committing

    with opened() as repository, telling("kept") as told:
        found = committing.commit(repository, targets, progress=told, waiting=tell_waiting)
        note = _next_for_git(repository, found) if found else "nothing has changed"
        return Result(found, note=note, shown=[_recorded(item) for item in found])


@click.command()
@click.argument("targets", nargs=-1, type=PATHS)
@click.option("-f", "--force", is_flag=True, help="Overwrite what changed and is nowhere else: it is moved to .dvc/tmp/trash.")
@click.option("--relink", is_flag=True, help="Make files anew that are of another type of link than cache.type says.")
@click.option("-R", "--recursive", is_flag=True, help="A folder stands for all outputs below it.")
@click.option("--allow-missing", is_flag=True, help="Pass over what is not in the cache.")
@click.option("--summary", is_flag=True, help="Only how many files came, changed and went.")
def checkout(targets: tuple[Path, ...], force: bool, relink: bool, recursive: bool, allow_missing: bool, summary: bool) -> Result:
    """Bring the recorded version of TARGETS into the workspace, of everything if none is named.

    Nothing that is nowhere else is overwritten without --force.

    \b
    Examples:
      perenne data checkout
      perenne data checkout images --force
    """
    from perenne.data.versions.checkout import check_out

    with opened() as repository, telling("placed") as told:
        found = check_out(
            repository,
            targets,
            force=force,
            relink=relink,
            recursive=recursive,
            allow_missing=allow_missing,
            progress=told,
            waiting=tell_waiting,
        )
    if found.failed:
        _raise_for(found)
    kept = [f"what was overwritten lies in {item.kept}" for item in found.done if item.kept]
    if summary:
        counts = {name: sum(getattr(item, name) for item in found.done) for name in ("added", "modified", "deleted")}
        return Result(counts, note="\n".join(kept))
    shown = [
        {"path": item.path, "change": item.change, "added": item.added, "modified": item.modified, "deleted": item.deleted}
        for item in found.done
    ]
    return Result(found.done, note="\n".join(kept) or ("" if found.done else "everything is as recorded"), shown=shown)


def _raise_for(found: Any) -> None:
    """Fail with the first error, and say what else happened."""
    (_, error), *others = found.failed
    if others:
        error.message += f"; and so do {len(others)} more: {', '.join(path for path, _ in others[:3])}"
    if found.done:
        error.message += f"; {len(found.done)} others were checked out"
    raise error


@click.command()
@click.argument("targets", nargs=-1, type=PATHS)
@click.option("--granular", is_flag=True, help="Which files changed, in the workspace and since the last commit of Git.")
@click.option("--unchanged", is_flag=True, help="Show what is unchanged too.")
@click.option("--exit-code", is_flag=True, help="End with 6 if anything changed.")
def status(targets: tuple[Path, ...], granular: bool, unchanged: bool, exit_code: bool) -> Result:
    """Tell what has changed since it was recorded.

    \b
    Examples:
      perenne data status
      perenne data status --granular
    """
    if granular:
        return _granular(targets, exit_code)
    from perenne.data.versions.status import UNCHANGED, find_status

    with opened() as repository, telling("looked at") as told:
        found = find_status(repository, targets, told)
        rows = [
            {
                "path": repository.shown(item.output.path),
                "state": item.state,
                "missing": item.missing,
                "metafile": repository.shown(item.output.file),
                "stage": item.output.stage,
            }
            for item in found
            if unchanged or item.state != UNCHANGED or item.missing
        ]
    changed = any(item.state != UNCHANGED for item in found)
    if not found:
        note = "nothing is tracked yet: `perenne data add FILE`"
    elif not rows:
        note = "everything is as recorded"
    else:
        note = "`perenne data commit` records changes, `perenne data checkout` undoes them" if changed else ""
    shown = [{key: value for key, value in row.items() if key != "stage"} for row in rows]
    return Result(rows, EXIT_FINDINGS if exit_code and changed else 0, note, shown)


def _granular(targets: tuple[Path, ...], exit_code: bool) -> Result:
    """Tell of single files: what was recorded since the last commit of Git, and what was not recorded yet."""
    import os

    from perenne.data.versions import comparing

    with opened() as repository:
        places = [repository.relative(os.path.abspath(target)) for target in targets]
        outputs = repository.outputs()
        recorded = comparing.below(comparing.recorded_state(repository, outputs), places)
        present = comparing.below(comparing.workspace_state(repository, outputs), places)
        has_commits = repository.git is not None and bool(repository.git.references())
        before = comparing.below(comparing.state_at(repository, "HEAD"), places) if has_commits else comparing.Tracked()
        missing = comparing.not_in_cache(repository, recorded)
    groups = {"uncommitted": comparing.differences(recorded, present), "committed": comparing.differences(before, recorded)}
    rows = [
        {"change": change, "path": path, "was": None, "where": where}
        for where, found in groups.items()
        for change in ("added", "modified", "deleted")
        for path in getattr(found, change)
    ]
    rows += [
        {"change": "renamed", "path": path, "was": was, "where": where}
        for where, found in groups.items()
        for was, path in found.renamed
    ]
    rows += [{"change": "not in cache", "path": path, "was": None, "where": "cache"} for path in missing]
    note = "committed: recorded, and to be kept by `git commit`; uncommitted: `perenne data commit` records it" if rows else ""
    return Result(rows, EXIT_FINDINGS if exit_code and rows else 0, note or "everything is as recorded")


@click.command()
@click.argument("targets", nargs=-1, required=True, type=PATHS)
@click.option("--outs", is_flag=True, help="Delete the data in the workspace too.")
@click.option("-f", "--force", is_flag=True, help="Also where it changed and is nowhere else.")
def remove(targets: tuple[Path, ...], outs: bool, force: bool) -> Result:
    """Track TARGETS no longer: metafiles, or what they track. The data stays unless --outs says so, and its objects always do.

    \b
    Examples:
      perenne data remove raw.parquet.dvc
      perenne data remove images.dvc --outs
    """
    from perenne.data.versions import removing

    with opened() as repository:
        found = removing.remove(repository, targets, outs=outs, force=force, waiting=tell_waiting)
        files = " ".join(item.file for item in found)
        note = "" if repository.git is None else f"to have it back: `git checkout {files}`, then `perenne data checkout`"
    return Result(found, note=note)


@click.command()
@click.argument("source", type=PATHS)
@click.argument("target", type=PATHS)
def move(source: Path, target: Path) -> Result:
    """Give what is tracked another name: data, metafile and .gitignore together.

    \b
    Examples:
      perenne data move raw.parquet old.parquet
    """
    from perenne.data.versions import moving

    with opened() as repository:
        moved = moving.move(repository, source, target, waiting=tell_waiting)
    return Result(moved, note=f"to undo it: `perenne data move {moved.new} {moved.old}`")


@click.command()
@click.argument("targets", nargs=-1, required=True, type=PATHS)
def unprotect(targets: tuple[Path, ...]) -> Result:
    """Make TARGETS your own to write to: links to the cache become copies.

    \b
    Examples:
      perenne data unprotect images
    """
    from perenne.data.versions import unprotecting

    with opened() as repository:
        found = unprotecting.unprotect(repository, targets)
    rows = [{"path": path, "files": count} for path, count in found]
    return Result(rows)


@click.command("check-ignore")
@click.argument("paths", nargs=-1, required=True, type=PATHS)
@click.option("-d", "--details", is_flag=True, help="Which line of which .dvcignore says so.")
def check_ignore(paths: tuple[Path, ...], details: bool) -> Result:
    """Tell which PATHS are ignored; exit code 1 if none is.

    \b
    Examples:
      perenne data check-ignore -d model.tmp
    """
    from perenne.data.versions.explaining import explain_ignored

    with opened() as repository:
        judged = [(path, *explain_ignored(repository, path)) for path in paths]
    found = [(path, str(rules[-1])) for path, ignored, rules in judged if ignored and rules]
    rows = [{"path": str(path), "rule": rule} for path, rule in found]
    shown = "\n".join(f"{row['rule']}\t{row['path']}" if details else row["path"] for row in rows)
    return Result(rows, 0 if rows else 1, shown=shown)
