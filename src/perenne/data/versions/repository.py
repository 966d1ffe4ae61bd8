"""A repository of DVC's: a folder with ``.dvc`` in it. Finding one, making one, and what its metafiles track."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import msgspec

from perenne.core.errors import Conflict, Invalid, NotFound
from perenne.data.versions import layers
from perenne.data.versions.cache import Cache
from perenne.data.versions.git import Git
from perenne.data.versions.hashing import digest_of
from perenne.data.versions.ignoring import Ignoring
from perenne.data.versions.locking import Waiting, locked
from perenne.data.versions.state import State
from perenne.data.versions.walking import PIPELINE, walk
from perenne.formats.dvc.entries import Entry
from perenne.formats.dvc.metafiles import MetaFile, read_metafile

IGNORED = b"/config.local\n/tmp\n/cache\n"
DVCIGNORE = (
    b"# Add patterns of files dvc should ignore, which could improve\n"
    b"# the performance. Learn more at\n"
    b"# https://dvc.org/doc/user-guide/dvcignore\n"
)


class Output(msgspec.Struct, frozen=True):
    """A file or folder that a metafile tracks.

    Attributes
    ----------
    file : Path
        The ``.dvc`` file, or the ``dvc.yaml`` of its stage.
    index : int
        Its place among the outputs of the file, or of the stage.
    stage : str or None
        The stage that makes it; None for a ``.dvc`` file.
    entry : Entry
        What is recorded of it; without a digest if nothing is yet.
    path : Path
        Where it lies, absolute.
    """

    file: Path
    index: int
    stage: str | None
    entry: Entry
    path: Path


class Repository:
    """An opened repository. Nothing is read before it is needed.

    Parameters
    ----------
    root : Path
        The folder that holds ``.dvc``; absolute.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dvc = root / ".dvc"
        self.temporary = self.dvc / "tmp"
        self._pipelines = 0

    @cached_property
    def config(self) -> layers.Settings:
        """The settings of all layers, the later over the earlier; paths are absolute."""
        return layers.read_settings(self.dvc)

    @cached_property
    def cache_folder(self) -> Path:
        """What DVC calls the cache directory."""
        return Path(self.config.get("cache", {}).get("dir") or self.dvc / "cache")

    @cached_property
    def cache(self) -> Cache:
        """The objects, by md5."""
        return Cache(self.cache_folder / "files" / "md5", self.cache_folder / "damaged", shared=self.shared)

    @cached_property
    def legacy(self) -> Cache:
        """The objects that DVC 2.x kept, which are read for entries of 2.x."""
        return Cache(self.cache_folder, self.cache_folder / "damaged", shared=self.shared)

    @cached_property
    def state(self) -> State:
        """What is remembered of files, so that nothing unchanged is read again."""
        return State(self.root, self.temporary / "perenne.db", digest_of)

    @cached_property
    def legacy_state(self) -> State:
        """The same for entries of 2.x, which hashed text files in another way."""
        from perenne.data.versions.legacy import legacy_digest_of

        return State(self.root, self.temporary / "perenne-2.db", legacy_digest_of)

    def state_of(self, entry: Entry) -> State:
        """Return what is remembered of files as an entry's digest is made."""
        return self.legacy_state if entry.is_legacy else self.state

    def ignoring(self, path: Path | str) -> Ignoring:
        """Return the rules that hold where a path lies."""
        return Ignoring.within(self.root, os.path.dirname(path))

    def close(self) -> None:
        """Close what was opened."""
        for name in {"state", "legacy_state"} & self.__dict__.keys():
            getattr(self, name).close()

    def __enter__(self) -> "Repository":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def shared(self) -> bool:
        """Whether a group shares the cache."""
        return self.config.get("cache", {}).get("shared") == "group"

    def cache_of(self, entry: Entry) -> Cache:
        """Return the objects that an entry's digest is looked for in."""
        return self.legacy if entry.is_legacy else self.cache

    @cached_property
    def git(self) -> Git | None:
        """The work tree of Git around it; None without one, or if `core.no_scm` says so."""
        return None if layers.switched(self.config, "core", "no_scm") else Git.find(self.root)

    @contextmanager
    def lock(self, waiting: Waiting | None = None, patience: float | None = None) -> Iterator[None]:
        """Hold the lock that DVC takes too; `waiting` hears the process id of who has it."""
        if layers.switched(self.config, "core", "hardlink_lock"):
            raise Invalid(
                "core.hardlink_lock is set, and that kind of lock is not taken here",
                code="data.hardlink_lock",
                hint="`perenne data config core.hardlink_lock --unset`",
            )
        from perenne.data.versions.writing import sweep

        with locked(self.temporary, waiting, patience):
            sweep(self.temporary)
            yield

    @cached_property
    def metafiles(self) -> dict[Path, MetaFile]:
        """Every ``.dvc`` file, in order; each is read once."""
        self._found()
        return self._metafiles

    def outputs(self) -> list[Output]:
        """Return everything that is tracked: by ``.dvc`` files, and by stages as ``dvc.lock`` has it."""
        return list(self._found())

    def _found(self) -> tuple[Output, ...]:
        return self._outputs

    @cached_property
    def _metafiles(self) -> dict[Path, MetaFile]:
        return {}

    @cached_property
    def _outputs(self) -> tuple[Output, ...]:
        found: list[Output] = []

        def read(path: str) -> list[str]:
            here = self.outputs_of(Path(path))
            found.extend(here)
            return [os.fspath(output.path) for output in here]

        for _ in self.find_metafiles(read):
            pass
        return tuple(found)

    def find_metafiles(self, read: Callable[[str], Sequence[str]]) -> Iterator[str]:
        """Go through the metafiles, those of pipelines among them; `read` returns what one tracks, which is not entered."""
        return walk(self.root, self.git.root if self.git else None, read)

    def outputs_of(self, file: Path) -> list[Output]:
        """Read one metafile and return what it tracks."""
        if file.name == PIPELINE:
            return self._of_pipeline(file)
        meta = self.read(file)
        self._metafiles[file] = meta
        return outputs_of(file, meta)

    def read(self, file: Path) -> MetaFile:
        """Read a ``.dvc`` file.

        Raises
        ------
        NotFound
            It does not exist.
        """
        try:
            data = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise NotFound(
                f"{self.shown(file)} does not exist", code="data.no_metafile", hint="is this the right folder?"
            ) from None
        return read_metafile(data, self.shown(file))

    @property
    def has_pipelines(self) -> bool:
        """Whether there is a ``dvc.yaml``."""
        self._found()
        return self._pipelines > 0

    def _of_pipeline(self, file: Path) -> list[Output]:
        from perenne.data.versions.staged import outputs_of_stages

        self._pipelines += 1
        staged = outputs_of_stages(file, self.shown(file), self.config.get("parsing"))
        return [Output(file, index, stage, entry, path) for stage, index, entry, path in staged]

    def shown(self, path: Path | str) -> str:
        """Return a path as people see it: from the present folder."""
        return os.path.relpath(path)

    def relative(self, path: Path | str) -> str:
        """Return a path from the repository's top folder."""
        return os.path.relpath(path, self.root)

    def forget(self) -> None:
        """Read metafiles again when asked next."""
        for name in ("_outputs", "_metafiles", "metafiles", "config"):
            self.__dict__.pop(name, None)


def outputs_of(file: Path, meta: MetaFile) -> list[Output]:
    """Return what a ``.dvc`` file tracks."""
    folder = os.path.normpath(file.parent / (meta.wdir or "."))
    return [
        Output(file, index, None, entry, Path(os.path.normpath(f"{folder}/{entry.path}") if _is_local(entry) else entry.path))
        for index, entry in enumerate(meta.outs)
    ]


def _is_local(entry: Entry) -> bool:
    return "://" not in entry.path


def find_repository(start: Path | None = None) -> Path | None:
    """Return the top folder of the repository that a folder lies in; None if it lies in none."""
    place = os.path.abspath(os.getcwd() if start is None else start)
    while True:
        if os.path.isdir(f"{place}/.dvc"):
            return Path(place)
        above = os.path.dirname(place)
        if above == place:
            return None
        place = above


def open_repository(start: Path | None = None) -> Repository:
    """Open the repository that a folder lies in; the present one if not given.

    Raises
    ------
    NotFound
        It lies in none.
    """
    root = find_repository(start)
    if root is None:
        place = "this folder" if start is None else os.fspath(start)
        raise NotFound(f"{place} is not in a repository of data", code="data.no_repository", hint="`perenne data init` makes one")
    return Repository(root)


def init_repository(path: Path, *, no_scm: bool = False, force: bool = False, subdir: bool = False) -> Repository:
    """Make a repository of a folder: the same files as `dvc init` writes, added to Git.

    Parameters
    ----------
    path : Path
        The folder.
    no_scm : bool
        Do without Git.
    force : bool
        Begin anew where there is one; its cache and settings go.
    subdir : bool
        The folder lies inside a work tree of Git and is not its top.

    Raises
    ------
    Conflict
        There is one already.
    Invalid
        The folder is no work tree of Git, and `no_scm` was not said.
    """
    root = Path(os.path.abspath(path))
    if no_scm and subdir:
        raise Invalid(
            "a repository without Git has no folder above it that matters",
            code="data.bad_option",
            hint="is this the right folder?",
        )
    git = None if no_scm else Git.find(root)
    _check_git(root, git, no_scm=no_scm, subdir=subdir)
    repository = Repository(root)
    if repository.dvc.exists():
        if not force:
            raise Conflict(f"{root} is a repository already", code="data.repository_exists", hint="`--force` begins anew")
        import shutil

        shutil.rmtree(repository.dvc)
    repository.temporary.mkdir(parents=True)
    (repository.temporary / "btime").touch()
    (repository.dvc / "config").write_bytes(b"[core]\n    no_scm = True\n" if no_scm else b"")
    written = [repository.dvc / "config"]
    if git is not None:
        (repository.dvc / ".gitignore").write_bytes(IGNORED)
        written.append(repository.dvc / ".gitignore")
    if not (root / ".dvcignore").exists():
        (root / ".dvcignore").write_bytes(DVCIGNORE)
    written.append(root / ".dvcignore")
    if git is not None:
        git.add(os.fspath(file) for file in written)
    return repository


def _check_git(root: Path, git: Git | None, *, no_scm: bool, subdir: bool) -> None:
    if no_scm:
        return
    if git is None or (git.root != root and not subdir):
        raise Invalid(
            f"{root} is not the top of a work tree of Git",
            code="data.no_git",
            hint="`git init` first, or `--no-scm` to do without Git"
            if git is None
            else "`--subdir` makes one inside a work tree",
        )
    if git.ignored([f"{root}/.dvc"]):
        raise Invalid(f"Git ignores {root}/.dvc", code="data.ignored", hint="add the line `!.dvc` to .gitignore")
