"""What other revisions track: the metafiles of commits, read from Git without a checkout, each content once."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from perenne.core.errors import Invalid
from perenne.data.versions.git import Git
from perenne.data.versions.repository import Output, Repository, outputs_of
from perenne.data.versions.walking import LOCK, PIPELINE
from perenne.formats.dvc.locks import read_lock
from perenne.formats.dvc.metafiles import read_metafile


def git_of(repository: Repository) -> Git:
    """Return the repository's work tree of Git.

    Raises
    ------
    Invalid
        It has none, so that there are no revisions.
    """
    if repository.git is None:
        raise Invalid(
            "this repository is not under Git, so it has no revisions", code="data.no_git", hint="`git init` makes it one"
        )
    return repository.git


def named_commits(git: Git, *, branches: bool = False, tags: bool = False, everything: bool = False) -> dict[str, str]:
    """Return the commits that names stand for.

    Parameters
    ----------
    branches, tags : bool
        Local branches; tags.
    everything : bool
        Whatever has a name: branches here and of others, tags, experiments of DVC's, stashes.

    Returns
    -------
    dict
        Name -> commit; the commit that is checked out is ``HEAD``.
    """
    wanted = ("refs/",) if everything else ("refs/heads/",) * branches + ("refs/tags/",) * tags
    found = {name: commit for name, commit in git.references().items() if name.startswith(wanted)} if wanted else {}
    if everything:
        stashed = git.run("rev-list", "--walk-reflogs", "refs/stash", "--", good=(0, 128)).decode().split()
        found |= {f"stash@{{{number}}}": commit for number, commit in enumerate(stashed)}
        head = git.run("rev-parse", "--verify", "--quiet", "HEAD", good=(0, 1, 128)).decode().strip()
        if head:
            found["HEAD"] = head
    return found


def all_commits(git: Git) -> list[str]:
    """Return every commit that anything named leads to, newest first."""
    return git.run("rev-list", "--all", good=(0, 128)).decode().split()


def outputs_at(repository: Repository, revisions: Iterable[str]) -> Iterator[tuple[str, Output]]:
    """Go through what revisions track.

    Parameters
    ----------
    repository : Repository
        Whose work tree of Git has them.
    revisions : iterable of str
        Commits, or names of them.

    Yields
    ------
    tuple
        Revision and output, its paths as if it were checked out; an output that two revisions share comes once, with the first.

    Raises
    ------
    Invalid
        A metafile of one cannot be read; file and revision are named.
    """
    git = git_of(repository)
    seen: set[tuple[str, str]] = set()
    wanted: list[tuple[str, str, str]] = []
    for revision in revisions:
        for path, blob in _metafiles(git, repository, revision):
            if (path, blob) not in seen:
                seen.add((path, blob))
                wanted.append((revision, path, blob))
    contents = git.read(blob for _, _, blob in wanted)
    for revision, path, blob in wanted:
        if blob in contents:
            try:
                for output in _outputs(git.root / path, contents[blob]):
                    yield revision, output
            except Invalid as error:
                raise Invalid(f"{path} at {revision[:12]}: {error.message}", code=error.code, hint=error.hint) from None


def _metafiles(git: Git, repository: Repository, revision: str) -> Iterator[tuple[str, str]]:
    below = os.path.relpath(repository.root, git.root)
    for file in git.tree(revision, *([] if below == "." else [below])):
        name = file.path.rpartition("/")[2]
        if name == LOCK or (name.endswith(".dvc") and name != ".dvc"):
            yield file.path, file.blob


def _outputs(file: Path, data: bytes) -> list[Output]:
    if file.name != LOCK:
        return outputs_of(file, read_metafile(data, file.name))
    return [
        Output(file.with_name(PIPELINE), index, name, entry, Path(os.path.normpath(file.parent / entry.path)))
        for name, stage in read_lock(data).stages.items()
        for index, entry in enumerate(stage.outs)
    ]
