"""Another repository, read at a revision: what it has at a path, tracked or in Git, and its objects brought into a cache."""

import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from perenne.core.errors import Invalid, NotFound, PerenneError, Unavailable
from perenne.data.versions.cache import Cache
from perenne.data.versions.git import Git
from perenne.data.versions.layers import LEVELS, Settings, absolute, places, read_layer, read_settings
from perenne.data.versions.remotes.local import LocalRemote
from perenne.data.versions.remotes.opening import Ask, open_named
from perenne.data.versions.remotes.transfer import Hear, Shelf, download
from perenne.data.versions.reports import Report
from perenne.data.versions.repository import Output, Repository
from perenne.data.versions.walking import LOCK, is_metafile
from perenne.formats.dvc.configs import merge, section_of_remote
from perenne.formats.dvc.manifests import ManifestEntry

HEAD = "HEAD"


class Leaf(msgspec.Struct, frozen=True):
    """A file of a source.

    Attributes
    ----------
    path : str
        From what was asked for, ``/`` between the parts; empty for what was asked for itself.
    file : str or None
        Where it lies, for one that Git keeps; None for one that is tracked.
    digest : str or None
        Its md5, for one that is tracked.
    output : Output or None
        What it belongs to, for one that is tracked.
    isexec : bool
        Whether its owner may run it.
    """

    path: str
    file: str | None = None
    digest: str | None = None
    output: Output | None = None
    isexec: bool = False


class Source:
    """A repository of somebody's, to be read.

    Parameters
    ----------
    shown : str
        Its address, fit to be shown.
    root : Path
        A work tree of it.
    commit : str or None
        Its revision; None without Git.
    origin : Path or None
        The folder it was cloned from, if that is on this machine: its cache and its settings count.
    override : mapping
        Settings that go before its own: a remote, or all of a config.
    """

    def __init__(self, shown: str, root: Path, commit: str | None, origin: Path | None, override: Settings | None = None) -> None:
        self.shown = shown
        self.root = root
        self.commit = commit
        self._origin = origin
        self._override = override or {}

    @cached_property
    def outputs(self) -> list[Output]:
        """What it tracks, in all repositories of data in it."""
        found: list[Output] = []
        for folder in self._repositories:
            found += Repository(folder).outputs()
        return found

    @cached_property
    def _repositories(self) -> list[Path]:
        """The folders with a ``.dvc``: the top mostly; others may lie below it."""
        found = []
        for folder, names, _ in os.walk(self.root):
            if ".dvc" in names:
                found.append(Path(folder))
            names[:] = [name for name in names if name not in (".git", ".dvc")]
        return found

    def settings_of(self, output: Output) -> Settings:
        """Return the settings that hold for an output, relative paths as its own repository means them."""
        dvc = self._repository_of(output) / ".dvc"
        if self._origin is None:
            own = read_settings(dvc)
        else:
            meant = self._origin / dvc.relative_to(self.root)
            files = dict(zip(LEVELS, places(dvc).values(), strict=False)) | {"local": meant / "config.local"}
            own = merge([absolute(read_layer(file), meant if file.parent == dvc else file.parent) for file in files.values()])
        return merge([own, self._override])

    def _repository_of(self, output: Output) -> Path:
        holding = [folder for folder in self._repositories if output.file.is_relative_to(folder)]
        return max(holding, key=lambda folder: len(folder.parts))

    def cache_folder(self, output: Output) -> str | None:
        """Return the cache that the source keeps on this machine, None if it is elsewhere."""
        if self._origin is None:
            return None
        below = self._repository_of(output).relative_to(self.root)
        return self.settings_of(output).get("cache", {}).get("dir") or os.fspath(self._origin / below / ".dvc" / "cache")

    def size_of(self, leaf: Leaf) -> int | None:
        """Return the bytes of a file, None if nobody here knows."""
        if leaf.file is not None:
            return os.path.getsize(leaf.file)
        if leaf.output is None or leaf.digest is None:
            return None
        if leaf.digest == leaf.output.entry.digest:
            return leaf.output.entry.size
        folder = self.cache_folder(leaf.output)
        with suppress(OSError):
            if folder is not None:
                place = "" if leaf.output.entry.is_legacy else "files/md5/"
                return os.path.getsize(f"{folder}/{place}{leaf.digest[:2]}/{leaf.digest[2:]}")
        return None

    def leaves(self, path: str, cache: Cache, report: Report, **options: Any) -> list[Leaf]:
        """Return the files at a path: what Git keeps there and what is tracked there.

        Parameters
        ----------
        path : str
            From its top.
        cache : Cache
            Takes the manifests that must be opened.
        report : Report
            Hears of manifests that cannot be brought.

        Raises
        ------
        NotFound
            There is nothing at the path.
        """
        asked = self._place(path)
        found: dict[str, Leaf] = {}
        for output in self.outputs:
            place = os.fspath(output.path)
            if asked == place or asked.startswith(f"{place}/") or place.startswith(f"{asked}/"):
                for leaf in self._of_output(output, asked, cache, report, **options):
                    found[leaf.path] = leaf
        tracked = {os.fspath(output.path) for output in self.outputs}
        for leaf in self._of_git(asked, tracked):
            found.setdefault(leaf.path, leaf)
        if not found and not report.missing and asked not in tracked and not os.path.isdir(asked):
            raise NotFound(
                f"{self.shown} has no {path!r}", code="data.no_path", hint=f"`perenne data list {self.shown}` shows what it has"
            )
        return [found[name] for name in sorted(found)]

    def _place(self, path: str) -> str:
        place = os.path.normpath(self.root / path)
        if place != str(self.root) and not place.startswith(f"{self.root}/"):
            raise Invalid(
                f"{path!r} leads out of the repository", code="data.path_escape", hint="name an address, and a revision of it"
            )
        return place

    def _of_output(self, output: Output, asked: str, cache: Cache, report: Report, **options: Any) -> Iterator[Leaf]:
        entry, place = output.entry, os.fspath(output.path)
        if entry.digest is None or not entry.is_dir:
            if entry.digest is not None or os.path.isfile(place):
                yield Leaf(_below(place, asked), None, entry.digest, output, entry.isexec)
            return
        if cache.missing([entry.digest]):
            self.bring({entry.digest}, output, cache, report, **options)
        try:
            inside: Sequence[ManifestEntry] = cache.manifest(entry.digest)
        except PerenneError:
            report.miss(entry.digest, os.path.relpath(place, self.root), "data.object_missing", f"{self.shown} does not have it")
            return
        for file in inside:
            at = f"{place}/{file.relpath}"
            if at == asked or at.startswith(f"{asked}/"):
                yield Leaf(_below(at, asked), None, file.md5, output)

    def _of_git(self, asked: str, tracked: set[str]) -> Iterator[Leaf]:
        """Go through what is not tracked: metafiles too, which only a list shows."""
        if os.path.isfile(asked) and not os.path.islink(asked):
            yield Leaf("", asked, isexec=_runs(asked))
            return
        for path in self._files(asked):
            if path not in tracked and not any(path.startswith(f"{place}/") for place in tracked):
                yield Leaf(_below(path, asked), path, isexec=_runs(path))

    def _files(self, folder: str) -> Iterator[str]:
        if Git.find(self.root) is None:
            for above, names, files in os.walk(folder):
                names[:] = [name for name in names if name not in (".git", ".dvc")]
                yield from (f"{above}/{name}" for name in files if not os.path.islink(f"{above}/{name}"))
            return
        listed = Git(self.root).run(
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
            "--",
            f":(literal){os.path.relpath(folder, self.root)}",
        )
        for name in filter(None, listed.split(b"\0")):
            path = f"{self.root}/{os.fsdecode(name)}"
            if os.path.isfile(path) and not os.path.islink(path) and f"{self.root}/.dvc/" not in path:
                yield path

    def bring(
        self,
        digests: set[str],
        output: Output,
        cache: Cache,
        report: Report,
        *,
        jobs: int | None = None,
        hear: Hear | None = None,
        ask: Ask | None = None,
    ) -> None:
        """Bring objects of an output into a cache: from the source's own cache if it is here, else from its remote."""
        missing = cache.missing(digests)
        settings = self.settings_of(output)
        place = "" if output.entry.is_legacy else "files/md5"
        folder = self.cache_folder(output)
        if missing and folder is not None:
            near = LocalRemote(folder)
            moved = download(Shelf(cache, place), near, missing, jobs=jobs or near.traits.jobs, hear=hear)
            report.moved += len(moved.arrived)
            report.bytes += moved.bytes
            missing -= moved.arrived
        if not missing:
            return
        try:
            named = open_named(settings, output.entry.remote, ask=ask)
        except NotFound as error:
            for digest in sorted(missing):
                report.miss(
                    digest, self._name(output), "data.object_missing", f"{self.shown} does not have it, and {error.message}"
                )
            return
        try:
            moved = download(Shelf(cache, place), named.remote, missing, jobs=jobs or named.jobs, hear=hear)
        finally:
            named.remote.close()
        report.moved += len(moved.arrived)
        report.bytes += moved.bytes
        for failure in moved.failures:
            report.miss(failure.digest, self._name(output), failure.code, failure.reason)
        if moved.error is not None:
            report.fail(moved.error)

    def _name(self, output: Output) -> str:
        return os.path.relpath(output.path, self.root)


def _below(place: str, asked: str) -> str:
    return "" if place == asked else os.path.relpath(place, asked)


def _runs(path: str) -> bool:
    return bool(os.stat(path).st_mode & stat.S_IXUSR)


def is_shown_only(leaf: Leaf) -> bool:
    """Tell whether a file is one of DVC's own, which a list shows and nobody gets."""
    name = (leaf.path or leaf.file or "").rpartition("/")[2]
    return leaf.file is not None and (is_metafile(name) or name == LOCK or name == ".dvcignore")


@contextmanager
def open_source(
    url: str,
    rev: str | None = None,
    *,
    bases: Sequence[Path] = (),
    remote: str | dict[str, Any] | None = None,
    config: str | dict[str, Any] | None = None,
    at_commit: bool = False,
) -> Iterator[Source]:
    """Open a repository of Git, or a folder with data, to read it; a clone is made where one is needed, and goes afterwards.

    Parameters
    ----------
    url : str
        A folder, or whatever Git clones.
    rev : str, optional
        Branch, tag or commit; for a folder its work tree, as it lies there, if not given, else what is checked out there.
    bases : sequence of Path
        Folders that a relative path may be meant from, beside the present one.
    remote : str or mapping, optional
        The remote to take in place of its default one: a name, or keys of a remote.
    config : str or mapping, optional
        A file of settings, or settings, that go before its own.
    at_commit : bool
        Whether a folder is read at its commit, also without `rev`.

    Raises
    ------
    NotFound
        There is no such repository, or revision.
    Unavailable
        Git cannot reach it.
    """
    folder = _folder_of(url, bases)
    override = overrides(config, remote)
    if folder is not None and rev is None and not at_commit:
        git = Git.find(folder)
        commit = git.run("rev-parse", "--verify", "--quiet", "HEAD", good=(0, 1, 128)).decode().strip() if git else None
        yield Source(url, folder, commit or None, folder, override)
        return
    with tempfile.TemporaryDirectory(prefix="perenne-clone-") as made:
        root = Path(os.path.realpath(made))
        commit = _clone(os.fspath(folder) if folder else url, rev, root)
        yield Source(url, root, commit, folder, override)


def _folder_of(url: str, bases: Sequence[Path]) -> Path | None:
    if "://" in url and not url.startswith("file://"):
        return None
    path = url.removeprefix("file://")
    for base in (Path.cwd(), *bases):
        folder = Path(os.path.normpath(base / os.path.expanduser(path)))
        if folder.is_dir():
            return folder
    if ":" in path.partition("/")[0]:  # git@host:path
        return None
    raise NotFound(f"there is no repository {url!r}", code="data.no_source", hint="a folder, or a URL that Git clones")


def overrides(config: str | dict[str, Any] | None, remote: str | dict[str, Any] | None) -> Settings:
    """Return the settings that a person, or a metafile, says hold for a source."""
    found: Settings = {}
    if isinstance(config, str):
        file = Path(config).expanduser().absolute()
        found = absolute(read_layer(file), file.parent)
    elif config:
        for section, keys in config.items():
            if section in ("remote", "machine", "db"):
                found |= {
                    section_of_remote(name): {key: str(value) for key, value in inner.items()} for name, inner in keys.items()
                }
            else:
                found[section] = _texts(keys)
    if isinstance(remote, str):
        found.setdefault("core", {})["remote"] = remote
    elif remote:
        found[section_of_remote("perenne-given")] = _texts(remote)
        found.setdefault("core", {})["remote"] = "perenne-given"
    return found


def _texts(keys: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in keys.items()}


def commit_of(url: str, rev: str | None, bases: Sequence[Path] = ()) -> str | None:
    """Return the commit that a source's revision is now, without cloning it; None where only a clone can tell."""
    folder = _folder_of(url, bases)
    if folder is not None:
        git = Git.find(folder)
        return git.resolve(rev or HEAD) if git else None
    listed = _git(Path.cwd(), "ls-remote", "--", url, rev or HEAD)
    names = {name: commit for commit, _, name in (line.partition("\t") for line in listed.splitlines())}
    for name in (rev or HEAD, f"refs/tags/{rev}", f"refs/heads/{rev}"):
        if name in names:
            return names.get(f"{name}^{{}}", names[name])
    return None


def _clone(url: str, rev: str | None, root: Path) -> str:
    """Get the files of one revision, and no history where the far end allows that; return the commit."""
    if url.startswith("-") or (rev or "").startswith("-"):
        raise Invalid(
            "neither an address nor a revision begins with a dash",
            code="data.no_source",
            hint="name an address, and a revision of it",
        )
    _git(root, "init", "--quiet", ".")
    try:
        _git(root, "fetch", "--quiet", "--depth=1", "--no-tags", "--", url, rev or HEAD)
        _git(root, "checkout", "--quiet", "--detach", "FETCH_HEAD")
    except Unavailable:
        _git(root, "fetch", "--quiet", "--tags", "--", url, "+refs/*:refs/source/*")
        _git(root, "checkout", "--quiet", "--detach", _named(root, rev or HEAD))
    return _git(root, "rev-parse", "HEAD").strip()


def _named(root: Path, rev: str) -> str:
    git = Git(root)
    for name in (f"refs/source/heads/{rev}", f"refs/source/tags/{rev}", f"refs/source/{rev}", rev):
        with suppress(NotFound):
            return git.resolve(name)
    raise NotFound(f"the repository has no revision {rev!r}", code="data.no_revision", hint="`git ls-remote URL` lists them")


def _git(folder: Path, *arguments: str) -> str:
    return Git(folder).run(*arguments).decode(errors="replace")
