"""What a stage made is kept: in the cache, the run-cache, dvc.lock; in this order, so that a kill leaves nothing half said."""

import os
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from perenne import data
from perenne.core.errors import Invalid, NotFound
from perenne.formats.dvc.entries import Entry
from perenne.formats.dvc.ignores import with_line
from perenne.formats.dvc.locks import LockedStage, write_stage
from perenne.formats.dvc.metafiles import MetaFile, stage_md5, write_metafile
from perenne.formats.dvc.values import read_values
from perenne.protocols.dvc.parameters import ParameterFiles
from perenne.protocols.dvc.remembering import RunCache
from perenne.protocols.dvc.stages import Product, Stage, read_locked
from perenne.protocols.dvc.writing import write_whole

Say = Callable[[str], None]


class Saving:
    """Keeps the results of stages.

    Parameters
    ----------
    commit : bool
        Whether outputs go into the cache; otherwise only their hashes are written down.
    waiting : callable, optional
        Hears the process that holds the repository's lock while we wait for it.

    Attributes
    ----------
    tracked : dict
        Files that were written and that belong into Git, as keys.
    """

    def __init__(
        self,
        repository: data.versions.Repository,
        files: data.versions.Pieces,
        parameters: ParameterFiles,
        runs: RunCache,
        *,
        commit: bool = True,
        waiting: Callable[[int], None] | None = None,
    ) -> None:
        self.tracked: dict[str, None] = {}
        self._repository = repository
        self._files = files
        self._parameters = parameters
        self._runs = runs
        self._commit = commit
        self._waiting = waiting
        self._one_writer = threading.Lock()
        self._ignored: dict[Stage, list[tuple[str, str]]] = {}
        self._before: dict[str, bytes] = {}
        self._locks: dict[str, tuple[object, dict[str, LockedStage]]] = {}

    def locked(self, file: str, root: str) -> dict[str, LockedStage]:
        """Return what a dvc.lock says; it is read only if somebody else wrote it since."""
        with self._one_writer:
            stamp = _stamp(file)
            known = self._locks.get(file)
            if known is None or known[0] != stamp:
                known = self._locks[file] = (stamp, read_locked(file, root))
            return known[1]

    def asked(self, stage: Stage) -> LockedStage:
        """Return a stage as it is now, its outputs by their paths alone.

        Raises
        ------
        NotFound
            If something it needs is missing.
        """
        deps = []
        for dep in stage.deps:
            seen = self._files.look(dep.place)
            if seen is None:
                raise NotFound(
                    f"dependency '{os.path.relpath(dep.place)}' does not exist",
                    code="dvc.missing",
                    hint="`--pull` brings what is missing from a remote",
                )
            deps.append(seen.entry(dep.path))
        outs = tuple(Entry(path=product.path) for product in stage.products)
        return LockedStage(cmd=stage.cmd or "", deps=tuple(deps), params=self._parameters.required(stage), outs=outs)

    def save(self, stage: Stage, say: Say) -> LockedStage:
        """Keep what a stage made, and write dvc.lock.

        Raises
        ------
        NotFound
            If an output is missing.
        """
        remembered = self._commit and self._runs.fits(stage) and all(p.out.cache or p.out.kind != "out" for p in stage.products)
        self._ignore(stage)
        asked = self.asked(stage)
        outs = tuple(self._keep(product, say, copied=remembered) for product in stage.products)
        done = LockedStage(cmd=asked.cmd, deps=asked.deps, params=asked.params, outs=outs)
        if remembered:
            self._runs.keep(done)
        self.write(stage, done, say)
        return done

    def _keep(self, product: Product, say: Say, copied: bool) -> Entry:
        """Keep one output; one that is not cached is copied, for the run-cache alone."""
        place, said = product.place, os.path.relpath(product.place)
        if not os.path.lexists(place):
            raise NotFound(f"output '{said}' does not exist", code="dvc.output_missing", hint="the command has to write it")
        if product.out.kind == "metric":
            _check_metric(place, said)
        if self._commit and (product.out.cache or copied):
            seen = self._files.keep(place, link=product.out.cache)
        else:
            found = self._files.look(place)
            assert found is not None
            seen = found
        if not seen.size and (seen.count or 0) == 0:
            say(f"WARNING: '{said}' is empty.")
        return seen.entry(product.path)

    def _ignore(self, stage: Stage) -> None:
        """Have Git pass over what lies in the cache."""
        root = f"{self._repository.root}{os.sep}"
        for product in stage.products:
            if product.out.cache:
                if not product.place.startswith(root):
                    raise Invalid(
                        f"output '{os.path.relpath(product.place)}' lies outside of the repository and cannot be cached",
                        code="dvc.outside",
                        hint="say `cache: false` for it",
                    )
                self._ignore_one(stage, product.place)

    def expect(self, stages: Iterable[Stage]) -> None:
        """Ask Git once of all that some stages will make."""
        self._files.ask_git(product.place for stage in stages for product in stage.products if product.out.cache)

    def _ignore_one(self, stage: Stage, place: str) -> None:
        with self._one_writer:
            file = Path(os.path.dirname(place), ".gitignore")
            before = _bytes_of(file)
            if self._files.ignore(place):
                self._before.setdefault(str(file), before)
                self._ignored.setdefault(stage, []).append((str(file), os.path.basename(place)))
                self.tracked[str(file)] = None

    def write(self, stage: Stage, done: LockedStage, say: Say) -> None:
        """Put a stage into dvc.lock; no byte is written if it says so already."""
        if stage.meta is not None:
            self._write_metafile(stage, stage.meta, done)
            return
        file = Path(stage.lock_file)
        with self._one_writer, self._repository.lock(self._waiting):
            before, old = _stamp(file), _bytes_of(file)
            self._before.setdefault(str(file), old)
            new = write_stage(old, stage.name, done)
            if new != old:
                said = os.path.relpath(file)
                if not old:
                    say(f"Generating lock file '{said}'")
                say(f"Updating lock file '{said}'")
                write_whole(file, new)
                self.tracked[str(file)] = None
                self._know(file, before, stage.name, done)
        stage.locked = done

    def _know(self, file: Path, before: object, name: str, done: LockedStage) -> None:
        """Know what dvc.lock says now without reading it, if we knew what it said before."""
        known = self._locks.pop(str(file), None)
        if known is not None and known[0] == before:
            known[1][name] = done
            self._locks[str(file)] = (_stamp(file), known[1])

    def _write_metafile(self, stage: Stage, meta: MetaFile, done: LockedStage) -> None:
        """Put what a `.dvc` file tracks into it as it is now."""
        file = Path(stage.file)
        new = msgspec.structs.replace(meta, deps=_renewed(meta.deps, done.deps), outs=_renewed(meta.outs, done.outs))
        if new.deps:
            new = msgspec.structs.replace(new, md5=stage_md5(new))
        with self._one_writer, self._repository.lock(self._waiting):
            old = file.read_bytes()
            written = write_metafile(new, old)
            if written != old:
                write_whole(file, written)
                self.tracked[str(file)] = None
        stage.meta, stage.locked = new, msgspec.structs.replace(done, outs=new.outs, deps=new.deps)

    def put_in_order(self, done: Iterable[Stage]) -> None:
        """Write dvc.lock and .gitignore as if the stages had run one after the other: at the same time they end in any order.

        Parameters
        ----------
        done : iterable of Stage
            Those that ran, in the order in which they would have run alone.
        """
        wanted = dict(self._before)
        for stage in done:
            for file, name in self._ignored.get(stage, ()):
                wanted[file] = with_line(wanted[file], name)
            if stage.meta is None and stage.lock_file in wanted and stage.locked is not None:
                wanted[stage.lock_file] = write_stage(wanted[stage.lock_file], stage.name, stage.locked)
        with self._one_writer, self._repository.lock(self._waiting):
            for name, new in wanted.items():
                if _differ_in_order(_bytes_of(Path(name)), new):
                    write_whole(Path(name), new)


def _renewed(entries: tuple[Entry, ...], now: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Return entries with what is known now; those of which nothing is known stay."""
    known = {entry.path: entry for entry in now if entry.digest}
    found = []
    for entry in entries:
        new = known.get(entry.path)
        if new is not None and new.digest != entry.digest:
            entry = msgspec.structs.replace(
                entry, digest=new.digest, size=new.size, nfiles=new.nfiles, isexec=new.isexec, algorithm="md5", cloud=None
            )
        found.append(entry)
    return tuple(found)


def _stamp(file: "str | Path") -> object:
    """Return what is another when a file was written: its time, size and inode."""
    try:
        about = os.stat(file)
    except FileNotFoundError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino


def _bytes_of(file: Path) -> bytes:
    """Return what a file holds; nothing if there is none."""
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""


def _differ_in_order(one: bytes, other: bytes) -> bool:
    """Tell whether two files differ in the order of their lines, and in nothing else: then nobody but us has written."""
    return one != other and sorted(one.split(b"\n")) == sorted(other.split(b"\n"))


def _check_metric(place: str, said: str) -> None:
    """Refuse a file of metrics that cannot be read: it would be found out only when somebody wants to see it."""
    if os.path.isdir(place):
        return
    try:
        data = Path(place).read_bytes()
        data.decode()
    except UnicodeDecodeError:
        raise Invalid(f"metric '{said}' is not a text file", code="dvc.metric", hint="write JSON, YAML or TOML") from None
    if place.endswith((".json", ".yaml", ".yml", ".toml")):
        read_values(data, said)
