"""The stages of a repository: those of every dvc.yaml, and the `.dvc` files that say what is tracked and where it came from.

A stage knows what it needs and makes by absolute path, and what `dvc.lock` says of it. Nothing here looks at data.
"""

import os
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path

import msgspec

from perenne import data
from perenne.core.errors import Invalid, NotFound
from perenne.formats.dvc.entries import Entry
from perenne.formats.dvc.locks import LockedStage, read_lock
from perenne.formats.dvc.metafiles import MetaFile
from perenne.formats.dvc.pipelines import Pipeline, PipelineStage, StageOutput, read_pipeline

PIPELINE, LOCK = "dvc.yaml", "dvc.lock"


class Dependency(msgspec.Struct, frozen=True):
    """What a stage needs: the path as it is written, and where that is."""

    path: str
    place: str


class Params(msgspec.Struct, frozen=True):
    """The parameters a stage takes of one file; all if there are no keys."""

    path: str
    place: str
    keys: tuple[str, ...]


class Product(msgspec.Struct, frozen=True):
    """What a stage makes: how it is declared, and where that is."""

    out: StageOutput
    place: str

    @property
    def path(self) -> str:
        """The path as it is written."""
        return self.out.path


class Stage:
    """A stage of a dvc.yaml.

    Parameters
    ----------
    file : str
        Absolute path of the dvc.yaml.
    root : str
        The repository.
    definition : PipelineStage
        What dvc.yaml says.

    Attributes
    ----------
    locked : LockedStage or None
        What dvc.lock says.
    """

    meta: MetaFile | None = None

    def __init__(self, file: str, root: str, definition: PipelineStage) -> None:
        self.file = file
        self.root = root
        self.name = definition.name
        self.definition = definition
        self.cmd: str | list[str] | None = definition.cmd
        self.frozen = definition.frozen
        self.always_changed = definition.always_changed
        self.wdir = os.path.normpath(os.path.join(os.path.dirname(file), definition.wdir))
        self.deps = [Dependency(path, self._place(path)) for path in definition.deps]
        self.params = [Params(params.path, self._place(params.path), params.keys) for params in definition.params]
        self.products = [Product(out, self._place(out.path)) for out in definition.outs]
        self.locked: LockedStage | None = None

    def _place(self, path: str) -> str:
        return path if "://" in path else os.path.normpath(os.path.join(self.wdir, path))

    @cached_property
    def address(self) -> str:
        """How the stage is called from the repository's top folder: ``train``, ``sub/dvc.yaml:train``."""
        return self.said(self.root)

    def said(self, folder: str) -> str:
        """Return how the stage is called from a folder."""
        file = os.path.relpath(self.file, folder)
        return self.name if file == PIPELINE else f"{file}:{self.name}"

    @property
    def is_callback(self) -> bool:
        """Whether nothing tells if it has to run, so that it always does."""
        return not (self.deps or self.params or self.products)

    @property
    def lock_file(self) -> str:
        """The dvc.lock beside its dvc.yaml."""
        return os.path.splitext(self.file)[0] + ".lock"

    @property
    def needs(self) -> Iterator[str]:
        """Every path it reads, files of parameters among them."""
        yield from (dep.place for dep in self.deps)
        yield from (params.place for params in self.params)

    def recorded(self, product: Product) -> Entry | None:
        """Return what dvc.lock says of an output; None if nothing."""
        outs = self.locked.outs if self.locked is not None else ()
        return next((entry for entry in outs if entry.path == product.path), None)

    def __repr__(self) -> str:
        return f"<stage {self.address}>"


class TrackedFile(Stage):
    """A `.dvc` file: data that somebody put there, or that was imported."""

    def __init__(self, file: str, root: str, meta: MetaFile) -> None:
        definition = PipelineStage(name="", cmd="", wdir=meta.wdir or "", frozen=meta.frozen, always_changed=meta.always_changed)
        super().__init__(file, root, definition)
        self.meta = meta
        self.cmd = meta.cmd
        if meta.cmd or not meta.is_import:
            self.deps = [Dependency(dep.path, self._place(dep.path)) for dep in meta.deps]
        self.products = [Product(_declared(entry), self._place(entry.path)) for entry in meta.outs]
        self.locked = LockedStage(cmd=meta.cmd or "", deps=meta.deps, params={}, outs=meta.outs)

    def said(self, folder: str) -> str:
        """Return how the file is called from a folder."""
        return os.path.relpath(self.file, folder)

    @property
    def is_callback(self) -> bool:
        """Whether it always runs."""
        return bool(self.cmd) and super().is_callback


def _declared(entry: Entry) -> StageOutput:
    return StageOutput(path=entry.path, cache=entry.cache, persist=entry.persist, push=entry.push, remote=entry.remote)


class PipelineFile:
    """A dvc.yaml with its stages, and the dvc.lock beside it."""

    def __init__(self, repository: data.versions.Repository, file: str) -> None:
        self.file = file
        self.folder = os.path.dirname(file)
        self._repository = repository
        self.said = os.path.relpath(file, repository.root)

    @cached_property
    def pipeline(self) -> Pipeline:
        """What the file says."""
        try:
            data = Path(self.file).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(
                f"'{self.said}' does not exist", code="dvc.no_file", hint="`perenne dvc stage add` writes one"
            ) from None
        return read_pipeline(data, self.said, self._read, self._repository.config.get("parsing"))

    @cached_property
    def stages(self) -> list[Stage]:
        """Its stages in the order of the file."""
        stages = [Stage(self.file, str(self._repository.root), stage) for stage in self.pipeline.stages.values()]
        locked = self.locked()
        for stage in stages:
            stage.locked = locked.get(stage.name)
        return stages

    def locked(self) -> dict[str, LockedStage]:
        """Read dvc.lock; what every stage was when it ran last."""
        return read_locked(os.path.splitext(self.file)[0] + ".lock", str(self._repository.root))

    def _read(self, path: str) -> bytes | None:
        try:
            return Path(self.folder, path).read_bytes()
        except FileNotFoundError:
            return None
        except IsADirectoryError:
            raise Invalid(f"'{path}' is a directory", code="dvc.pipeline") from None


def read_locked(file: str, root: str) -> dict[str, LockedStage]:
    """Read a dvc.lock; empty if there is none."""
    try:
        data = Path(file).read_bytes()
    except FileNotFoundError:
        return {}
    return read_lock(data, os.path.relpath(file, root)).stages


class Stages:
    """Every stage of a repository, and which needs which.

    Attributes
    ----------
    all : list of Stage
        In the order of the files: folders by name, within a folder files by name.
    """

    def __init__(self, repository: data.versions.Repository) -> None:
        self.repository = repository
        self.files: dict[str, PipelineFile] = {}
        self.all: list[Stage] = []
        self._collect()

    def _collect(self) -> None:
        for file in self.repository.find_metafiles(self._tracked):
            self.all += self._of_file(file)

    def _tracked(self, file: str) -> list[str]:
        return [product.place for stage in self._of_file(file) for product in stage.products]

    def _of_file(self, file: str) -> list[Stage]:
        if os.path.basename(file) != PIPELINE:
            known = self._metafiles.get(file)
            if known is None:
                known = self._metafiles[file] = TrackedFile(file, str(self.repository.root), self.repository.read(Path(file)))
            return [known]
        if file not in self.files:
            self.files[file] = PipelineFile(self.repository, file)
        return self.files[file].stages

    @cached_property
    def _metafiles(self) -> dict[str, Stage]:
        return {}

    @cached_property
    def graph(self) -> "StageGraph":
        """Which stage takes what another makes."""
        return StageGraph(self.all)

    def of(self, file: str) -> list[Stage]:
        """Return the stages of a dvc.yaml, or of a `.dvc` file, by its path."""
        place = os.path.abspath(file)
        found = [stage for stage in self.all if stage.file == place]
        if not found and place not in self.files:
            raise NotFound(f"'{file}' does not exist", code="dvc.no_file", hint="`perenne dvc stage list` shows the stages")
        return found


class StageGraph:
    """Which stage takes what another makes.

    Raises
    ------
    Invalid
        If two make the same, one makes what lies in another's, or they need each other in a circle.
    """

    def __init__(self, stages: Iterable[Stage]) -> None:
        self.stages = list(stages)
        self.makers = _Makers(self.stages)
        self.sources: dict[Stage, list[Stage]] = {}
        self.takers: dict[Stage, list[Stage]] = {stage: [] for stage in self.stages}
        for stage in self.stages:
            if any(self.makers.around(stage.file)):
                raise Invalid(
                    f"{stage.said(os.getcwd())} is within an output",
                    code="dvc.graph",
                    hint="metafiles lie outside of what is tracked",
                )
            found = dict.fromkeys(maker for place in stage.needs for maker in self.makers.of(place))
            self.sources[stage] = list(found)
            for source in found:
                self.takers[source].append(stage)
        self._check_circles()

    def order(
        self, targets: Iterable[Stage] | None = None, *, downstream: bool = False, frozen_apart: bool = True
    ) -> list[Stage]:
        """Return stages with what they need before them, all in the order in which DVC would do them.

        Parameters
        ----------
        targets : iterable of Stage, optional
            These and what they need, or with `downstream` what needs them; all if not given.
        frozen_apart : bool
            Whether what a frozen stage needs is left alone.
        """
        chosen = self._reached(targets, downstream, frozen_apart) if targets is not None else set(self.stages)
        done: dict[Stage, None] = {}
        for stage in self.stages:
            if stage in chosen:
                self._visit(stage, chosen, done, frozen_apart)
        return list(done)

    def needed(self, stage: Stage, frozen_apart: bool = True) -> list[Stage]:
        """Return the stages whose outputs a stage takes; none for a frozen one."""
        return [] if frozen_apart and stage.frozen else self.sources[stage]

    def width(self, stages: Iterable[Stage]) -> int:
        """Return a bound for how many of some stages may run at once: 1 if each, in order, waits for the one before it."""
        depth: dict[Stage, int] = {}
        counts: dict[int, int] = {}
        for stage in stages:
            here = depth[stage] = 1 + max((depth[source] for source in self.needed(stage) if source in depth), default=0)
            counts[here] = counts.get(here, 0) + 1
        return len(depth) if len(counts) < len(depth) else 1

    def connected(self, targets: Iterable[Stage]) -> list[Stage]:
        """Return every stage that hangs together with some, in order."""
        pending, seen = list(targets), set()
        while pending:
            stage = pending.pop()
            if stage not in seen:
                seen.add(stage)
                pending += [*self.needed(stage), *(taker for taker in self.takers[stage] if not taker.frozen)]
        return [stage for stage in self.order() if stage in seen]

    def _reached(self, targets: Iterable[Stage], downstream: bool, frozen_apart: bool) -> set[Stage]:
        pending, seen = list(targets), set()
        while pending:
            stage = pending.pop()
            if stage in seen:
                continue
            seen.add(stage)
            if downstream:
                pending += [taker for taker in self.takers[stage] if stage in self.needed(taker, frozen_apart)]
            else:
                pending += self.needed(stage, frozen_apart)
        return seen

    def _visit(self, stage: Stage, chosen: set[Stage], done: dict[Stage, None], frozen_apart: bool) -> None:
        """Put a stage behind what it needs, without recursion: chains may be long."""
        pending: list[tuple[Stage, Iterator[Stage]]] = [(stage, iter(self.needed(stage, frozen_apart)))]
        entered = {stage}
        while pending:
            here, sources = pending[-1]
            for source in sources:
                if source in chosen and source not in done and source not in entered:
                    entered.add(source)
                    pending.append((source, iter(self.needed(source, frozen_apart))))
                    break
            else:
                pending.pop()
                done.setdefault(here)

    def _check_circles(self) -> None:
        missing = {stage: len(sources) for stage, sources in self.sources.items()}
        free = [stage for stage, count in missing.items() if not count]
        while free:
            stage = free.pop()
            del missing[stage]
            for taker in self.takers[stage]:
                missing[taker] -= 1
                if not missing[taker]:
                    free.append(taker)
        if missing:
            names = ", ".join(repr(stage.said(os.getcwd())) for stage in missing)
            raise Invalid(f"stages need each other in a circle: {names}", code="dvc.circle", hint="take one dependency out")


class _Makers:
    """Who makes what, by path."""

    def __init__(self, stages: Iterable[Stage]) -> None:
        self._by_place: dict[str, tuple[Stage, Product]] = {}
        self._below: dict[str, list[Stage]] = {}
        for stage in stages:
            for product in stage.products:
                self._add(stage, product)
        for place, (stage, product) in self._by_place.items():
            outer = next((other for other in _parents(place) if other in self._by_place), None)
            if outer is not None:
                self._refuse_overlap(self._by_place[outer], (stage, product))

    def _add(self, stage: Stage, product: Product) -> None:
        if product.place in self._by_place:
            other = self._by_place[product.place][0]
            here = os.getcwd()
            where = "\n".join(f"\t- {name}" for name in sorted({stage.said(here), other.said(here)}))
            raise Invalid(
                f"output '{os.path.relpath(product.place)}' is specified in:\n{where}",
                code="dvc.output_twice",
                hint="an output has one maker: take it out of the other",
            )
        self._by_place[product.place] = (stage, product)
        for parent in _parents(product.place):
            self._below.setdefault(parent, []).append(stage)

    @staticmethod
    def _refuse_overlap(outer: tuple[Stage, Product], inner: tuple[Stage, Product]) -> None:
        said = [f"'{os.path.relpath(product.place)}' ('{stage.said(os.getcwd())}')" for stage, product in (outer, inner)]
        raise Invalid(
            f"the outputs {said[0]} and {said[1]} overlap: one lies in the other",
            code="dvc.overlap",
            hint="track them in separate folders, or one by one",
        )

    def of(self, place: str) -> Iterator[Stage]:
        """Go through the stages that make a path, a folder it lies in, or something in it."""
        yield from self.around(place)
        yield from self._below.get(place, ())

    def around(self, place: str) -> Iterator[Stage]:
        """Go through the stages that make a path or a folder it lies in."""
        for path in (place, *_parents(place)):
            if path in self._by_place:
                yield self._by_place[path][0]


def _parents(place: str) -> Iterator[str]:
    while (above := os.path.dirname(place)) != place:
        place = above
        yield place
