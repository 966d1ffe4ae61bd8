"""What changed since a stage ran last, in DVC's words: that is why it will run again."""

import os
from typing import Any

import msgspec

from perenne import data
from perenne.core.errors import Invalid
from perenne.formats.dvc.entries import Entry
from perenne.formats.dvc.metafiles import stage_md5
from perenne.protocols.dvc.parameters import ParameterFiles, differences
from perenne.protocols.dvc.stages import Product, Stage


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What changed of one stage.

    Attributes
    ----------
    deps, outs : dict
        A word by path as it is seen from the present folder (`modified`, `deleted`, `not in cache`, `new`); for a file of
        parameters a word by key.
    command, always : bool
        Whether the command is another, and whether the stage runs each time.
    """

    deps: dict[str, Any] = {}
    outs: dict[str, str] = {}
    command: bool = False
    always: bool = False

    def __bool__(self) -> bool:
        return bool(self.deps or self.outs or self.command or self.always)

    @property
    def only_missing(self) -> bool:
        """Whether nothing changed but data that is not here."""
        words = [*self.deps.values(), *self.outs.values()]
        return not (self.command or self.always) and all(word in ("deleted", "not in cache") for word in words)

    def answer(self) -> list[Any]:
        """Return it as `dvc status --json` does."""
        found: list[Any] = []
        if self.deps:
            found.append({"changed deps": self.deps})
        if self.outs:
            found.append({"changed outs": self.outs})
        return found + ["always changed"] * self.always + ["changed command"] * self.command

    def reasons(self) -> list[str]:
        """Say it to people, one line each."""
        lines = []
        for path, word in [*self.deps.items(), *self.outs.items()]:
            if isinstance(word, dict):
                lines += [f"{path}: {key} {what}" for key, what in word.items()]
            else:
                lines.append(f"{path} {word}")
        return lines + ["the command is another"] * self.command + ["it runs each time"] * self.always


class Comparing:
    """Holds stages against what dvc.lock says of them."""

    def __init__(self, files: data.versions.Pieces, parameters: ParameterFiles) -> None:
        self.files = files
        self.parameters = parameters

    def changes(self, stage: Stage) -> Changes:
        """Return everything that changed, as `dvc status` tells it."""
        return Changes(
            deps={} if stage.frozen else self.changed_needs(stage),
            outs=self.changed_outs(stage),
            command=self.changed_command(stage),
            always=stage.is_callback or stage.always_changed,
        )

    def changed(self, stage: Stage) -> bool:
        """Tell whether a stage has to run; stops at the first reason."""
        if self.changed_command(stage):
            return True
        if not stage.frozen and (stage.is_callback or stage.always_changed or self.changed_needs(stage, first=True)):
            return True
        return bool(self.changed_outs(stage, first=True))

    def changed_command(self, stage: Stage) -> bool:
        """Tell whether the command differs from that of dvc.lock; not if dvc.lock does not know the stage."""
        if stage.meta is not None:
            return bool(stage.cmd) and stage.meta.md5 != stage_md5(stage.meta)
        return stage.locked is not None and stage.locked.cmd != stage.cmd

    def changed_needs(self, stage: Stage, first: bool = False) -> dict[str, Any]:
        """Return what changed of what a stage needs."""
        found: dict[str, Any] = {}
        locked = {entry.path: entry for entry in (stage.locked.deps if stage.locked is not None else ())}
        for dep in stage.deps:
            _refuse_address(stage, dep.place)
            if word := self._need(dep.place, locked.get(dep.path)):
                found[_said(dep.place)] = word
                if first:
                    return found
        values = stage.locked.params if stage.locked is not None else {}
        for params in stage.params:
            if changed := differences(params, self.parameters.taken(params), values.get(params.path)):
                found[_said(params.place)] = changed
        return found

    def changed_outs(self, stage: Stage, first: bool = False) -> dict[str, str]:
        """Return what changed of what a stage made."""
        found: dict[str, str] = {}
        for product in stage.products:
            if word := self._out(product, stage.recorded(product)):
                found[_said(product.place)] = word
                if first:
                    return found
        return found

    def _need(self, place: str, recorded: Entry | None) -> str:
        seen = self.files.look(place, recorded)
        if seen is None:
            return "deleted"
        return "" if recorded is not None and seen.digest == recorded.digest else "modified"

    def _out(self, product: Product, recorded: Entry | None) -> str:
        if recorded is not None and recorded.digest and product.out.cache and not self.files.is_cached(recorded):
            return "not in cache"
        return self._need(product.place, recorded)


def _refuse_address(stage: Stage, place: str) -> None:
    if "://" in place:
        raise Invalid(
            f"stage '{stage.said(os.getcwd())}' depends on {place}, which is not followed",
            code="dvc.address",
            hint="track it with `perenne data import-url`, and depend on the file; or freeze the stage",
        )


def _said(place: str) -> str:
    return place if "://" in place else os.path.relpath(place)
