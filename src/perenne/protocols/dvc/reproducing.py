"""Bringing stages up to date: what changed runs again, or comes out of the run-cache; independent branches at the same time.

What did not change is found out first, without an engine. If something did, the stages become steps of one pipeline run, so that
it is seen where other runs are seen; dvc.lock decides what is done, not the keys of the steps.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from perenne import data
from perenne.core.errors import NotFound, PerenneError, Unavailable
from perenne.formats.dvc.locks import LockedStage
from perenne.protocols.dvc.changes import Comparing
from perenne.protocols.dvc.parameters import ParameterFiles
from perenne.protocols.dvc.pulling import Pulling
from perenne.protocols.dvc.remembering import RunCache
from perenne.protocols.dvc.running import Commands, commands_of
from perenne.protocols.dvc.rwlock import Claimed
from perenne.protocols.dvc.saving import Saving
from perenne.protocols.dvc.stages import Product, Stage, Stages

UNCHANGED, RESTORED, RAN, FAILED, LEFT = "unchanged", "restored", "ran", "failed", "not run"

Say = Callable[[str], None]


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """How stages are brought up to date.

    Attributes
    ----------
    force : bool
        Run also what did not change, and do not look into the run-cache.
    force_downstream : bool
        Run also what follows from a stage that ran.
    run_cache, commit : bool
        Whether earlier results may be used; whether results go into the cache.
    allow_missing : bool
        Do not mind data that is not here if nothing else changed.
    pull : bool
        Bring missing data from a remote first.
    keep_going : bool
        After a failure do what does not depend on it.
    jobs : int
        How many stages may run at once; 0 for as many as there are processors.
    """

    force: bool = False
    force_downstream: bool = False
    run_cache: bool = True
    commit: bool = True
    allow_missing: bool = False
    pull: bool = False
    keep_going: bool = False
    jobs: int = 1


class Done(msgspec.Struct, frozen=True):
    """What became of a stage: `unchanged`, `restored`, `ran`, `failed` or `not run`."""

    stage: str
    state: str
    seconds: float = 0.0
    reasons: list[str] = []
    error: str = ""


class Reproduction:
    """One run over some stages, in an order in which each stands behind what it needs."""

    def __init__(self, stages: Stages, order: list[Stage], wishes: Wishes, commands: Commands, say: Say) -> None:
        repository = stages.repository
        self.order = order
        self.wishes = wishes
        self.done: dict[Stage, Done] = {}
        self.failure: BaseException | None = None
        self.failed: Stage | None = None
        self._stages = stages
        self._commands = commands
        self._say = say
        self._files = data.versions.Pieces(repository)
        self._parameters = ParameterFiles()
        self._runs = RunCache(repository)
        self.comparing = Comparing(self._files, self._parameters)
        self.saving = Saving(
            repository, self._files, self._parameters, self._runs, commit=wishes.commit, waiting=self._wait_for_lock
        )
        self._repository: data.versions.Repository = repository
        self._pulling = Pulling(repository, say) if wishes.pull else None
        self._forced: set[Stage] = set(order) if wishes.force else set()
        self._lock = threading.RLock()
        self._announced = 0
        self._told: set[Stage] = set()
        self._after_one = False

    # --- what did not change ----------------------------------------------------------------------------------------

    def settle(self) -> list[Stage]:
        """Note which stages did not change, neither they nor what they need; return the others."""
        if self._pulling is not None:
            self._pulling.bring_run_cache()
        open_: dict[Stage, None] = {}
        for stage in self.order:
            waits = any(source in open_ for source in self._stages.graph.needed(stage))
            if waits or stage in self._forced or self._changed(stage):
                open_[stage] = None
            else:
                self._note(stage, Done(stage.address, UNCHANGED))
        if not open_:
            self.announce()
        return list(open_)

    def announce(self, up_to: Stage | None = None) -> None:
        """Say which stages did not change, those that stand before another one only if that is given."""
        with self._lock:
            upcoming = self.order[self._announced :]
            self._announced = len(self.order)
            for place, stage in enumerate(upcoming):
                if stage is up_to:
                    self._announced += place - len(upcoming)
                    break
                if stage in self.done and self.done[stage].state == UNCHANGED and stage not in self._told:
                    self._tell_unchanged(stage)

    def _changed(self, stage: Stage) -> bool:
        if not self.wishes.allow_missing:
            return self.comparing.changed(stage)
        changes = self.comparing.changes(stage)
        return bool(changes) and not changes.only_missing

    def _tell_unchanged(self, stage: Stage) -> None:
        said = stage.said(os.getcwd())
        self._told.add(stage)
        self._space()
        if stage.frozen and stage.cmd:
            self._say(f"WARNING: stage: '{said}' is frozen. Its dependencies are not going to be reproduced.")
        self._say(f"'{said}' didn't change, skipping" if stage.meta is not None else f"Stage '{said}' didn't change, skipping")

    def _space(self) -> None:
        """Leave a line free behind a stage that was done."""
        if self._after_one:
            self._after_one = False
            self._say("")

    # --- what did ---------------------------------------------------------------------------------------------------

    def carry_out(self, stage: Stage) -> Done:
        """Bring one stage up to date, all it needs being so.

        Raises
        ------
        PerenneError
            If it fails.
        """
        self.announce(stage)
        self._space()
        began = time.perf_counter()
        claimed = Claimed(
            self._repository.temporary,
            [place for place in stage.needs if "://" not in place],
            [product.place for product in stage.products],
        )
        claimed.take(self._wait_for_stage, lambda: self._commands.stopping)
        try:
            self._see_others(stage)
            state, reasons = self._bring(stage, claimed)
        except BaseException as error:
            with self._lock:
                if self.failure is None:
                    self.failure, self.failed = error, stage
            self._note(stage, Done(stage.address, FAILED, time.perf_counter() - began, [], _text(error)))
            raise
        finally:
            claimed.release()
        self._after_one = state != UNCHANGED and self.wishes.jobs == 1
        return self._note(stage, Done(stage.address, state, time.perf_counter() - began, reasons))

    def _see_others(self, stage: Stage) -> None:
        """Read dvc.lock again if it was written: another process may have run the stage while we waited."""
        if stage.meta is None:
            stage.locked = self.saving.locked(stage.lock_file, stage.root).get(stage.name)

    def _bring(self, stage: Stage, claimed: Claimed) -> tuple[str, list[str]]:
        forced = stage in self._forced
        if not forced and not self._changed(stage):
            self._tell_unchanged(stage)
            return UNCHANGED, []
        reasons = self.comparing.changes(stage).reasons() or ["it was asked for"]
        if stage.frozen or not stage.cmd:
            self._verify(stage)
            return RAN, reasons
        restored = not forced and self._restored(stage)
        if not restored:
            self.saving.asked(stage)
            self._clear(stage)
            self._say(f"Running stage '{stage.said(os.getcwd())}':")
            self._commands.run(stage, claimed, self._sayer(stage))
        self.saving.save(stage, self._sayer(stage))
        if self.wishes.force_downstream:
            self._forced.update(self._stages.graph.takers[stage])
        return (RESTORED if restored else RAN), reasons

    def _restored(self, stage: Stage) -> bool:
        """Take what the stage has made of the same before out of the cache; tell whether that could be done."""
        found = self._restorable(stage)
        if found is None:
            return False
        self._say(f"Stage '{stage.said(os.getcwd())}' is cached - skipping run, checking out outputs")
        try:
            self._check_out(stage, found)
        except (NotFound, Unavailable) as error:
            self._say(f"WARNING: {error.message}")
            return False
        return True

    def _restorable(self, stage: Stage) -> LockedStage | None:
        """Return what the stage has made of the same before, if all of it is in the cache."""
        if not self._runs.fits(stage):
            return None
        if not self.comparing.changed_command(stage) and not self.comparing.changed_needs(stage, first=True):
            locked = stage.locked
            known = locked is not None and all((entry := stage.recorded(product)) and entry.digest for product in stage.products)
            if known and locked is not None and self._is_at_hand(stage, locked):
                return locked
        if not self.wishes.run_cache:
            return None
        found = self._runs.find(stage, self.saving.asked(stage))
        return found if found is not None and self._is_at_hand(stage, found) else None

    def _is_at_hand(self, stage: Stage, locked: LockedStage) -> bool:
        """Tell whether all outputs are in the cache; with `pull` those that are not are brought."""
        missing = [entry for entry in locked.outs if not self._files.is_cached(entry)]
        if missing and self._pulling is not None:
            self._pulling.bring(stage, missing)
            missing = [entry for entry in missing if not self._files.is_cached(entry)]
        return not missing

    def _check_out(self, stage: Stage, restored: LockedStage) -> None:
        entries = {entry.path: entry for entry in restored.outs}
        for product in stage.products:
            self._files.put_back(product.place, entries[product.path], link=product.out.cache)

    def _clear(self, stage: Stage) -> None:
        """Take away what the stage made before; what is to persist becomes the command's own to change."""
        for product in stage.products:
            if product.out.persist:
                self._files.unprotect(product.place)
            else:
                self._files.take_away(product.place)

    def _verify(self, stage: Stage) -> None:
        """Take data that somebody put there, or the outputs of a frozen stage, as they are now."""
        what = "outputs in frozen stage" if stage.frozen else "data sources in stage"
        self._say(f"Verifying {what}: '{stage.said(os.getcwd())}'")
        for product in stage.products:
            if not os.path.lexists(product.place):
                self._put_back(stage, product)
        self.saving.save(stage, self._sayer(stage))

    def _put_back(self, stage: Stage, product: Product) -> None:
        """Put data back that is missing in the workspace. Raises NotFound if it is nowhere."""
        entry = stage.recorded(product)
        if entry is None or not entry.digest or not self._is_at_hand(stage, LockedStage(cmd="", outs=(entry,))):
            raise NotFound(
                f"missing data '{os.path.relpath(product.place)}'", code="dvc.missing", hint="`--pull` brings it from a remote"
            )
        self._files.put_back(product.place, entry)

    def finish(self) -> None:
        """Put dvc.lock in order, and say what was found to be wrong."""
        if self.failure is None:
            self.announce()
        ran = [stage for stage in self.order if stage in self.done and self.done[stage].state in (RAN, RESTORED)]
        if len(ran) > 1:
            self.saving.put_in_order(ran)
        self._files.close()
        for note in self._runs.notes:
            self._say(f"WARNING: {note}")

    def leave(self, stages: Iterable[Stage]) -> None:
        """Note stages that were not come to."""
        for stage in stages:
            if stage not in self.done:
                self._note(stage, Done(stage.address, LEFT))

    def _note(self, stage: Stage, done: Done) -> Done:
        with self._lock:
            self.done[stage] = done
        return done

    def _sayer(self, stage: Stage) -> Say:
        """Return what says a line of a stage: with its name where several run at once."""
        return self._say if self.wishes.jobs == 1 else lambda line: self._say(f"{stage.address} | {line}")

    def _wait_for_lock(self, pid: int) -> None:
        self._say(f"waiting for process {pid}, which writes in this repository")

    def _wait_for_stage(self, pid: int, command: str) -> None:
        self._say(f"waiting for process {pid}, which works on the same files: {command[:200]}")


def _text(error: BaseException) -> str:
    return error.message if isinstance(error, PerenneError) else f"{type(error).__name__}: {error}"


def plan_lines(stage: Stage) -> list[str]:
    """Return what would be run."""
    return [f"Running stage '{stage.said(os.getcwd())}':", *(f"> {command}" for command in commands_of(stage))]


def record_of(stage: Stage) -> dict[str, Any]:
    """Return what a stage made, by path."""
    outs = stage.locked.outs if stage.locked is not None else ()
    return {entry.path: entry.digest for entry in outs}
