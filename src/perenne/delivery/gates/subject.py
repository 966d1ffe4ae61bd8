"""What gates look at: a version, its files, its rows, its champion, its project's words; each read when first asked for."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from perenne import inference, registry, training
from perenne.core.errors import Conflict, Invalid, PerenneError
from perenne.delivery import bill
from perenne.delivery.bill.subject import Billed
from perenne.delivery.gates.load import Load, measure
from perenne.delivery.gates.port import GateCheck, Setting, Untold
from perenne.inference import Predictor, Signature
from perenne.projects import Gate, Guardrail, LoadedProject, Objective
from perenne.registry import Dossier, Version
from perenne.stats.columns import Columns, row_count, take
from perenne.storage.trees import fetch_tree
from perenne.storage.workspace import Workspace
from perenne.training import Evaluation, Plan

MOST_ROWS = 2_000
"""Distinct rows that a model server is asked, over and over."""


@dataclass(frozen=True)
class Rules:
    """What a project says: bounds, its words on single gates, and the metric by which versions are compared."""

    objectives: tuple[Objective, ...] = ()
    guardrails: tuple[Guardrail, ...] = ()
    gates: tuple[Gate, ...] = ()
    metric: str = ""

    def of(self, name: str) -> Gate:
        """Return what is said of one gate."""
        return next((gate for gate in self.gates if gate.name == name), Gate(name))

    def bound(self, metric: str) -> Objective | Guardrail | None:
        """Return the bound on a metric over everything, if one is stated."""
        bounds: tuple[Objective | Guardrail, ...] = (*self.objectives, *self.guardrails)
        return next((bound for bound in bounds if bound.metric == metric and bound.by is None), None)


@dataclass(eq=False)
class Subject:
    """A version that stands before the gates.

    Attributes
    ----------
    workspace : Workspace
        Where its files and rows are.
    dossier : Dossier
        What the registry knows of it.
    rules : Rules
        What its project says.
    scratch : Path
        A folder that is gone afterwards.
    champion : Version, optional
        The version it is compared with.
    project : LoadedProject, optional
        The project's folder, if it is at hand.
    now : int
        The time, in microseconds.
    """

    workspace: Workspace
    dossier: Dossier
    rules: Rules
    scratch: Path
    champion: Version | None
    project: LoadedProject | None
    now: int
    loads: dict[tuple[int, int, float], Load] = field(default_factory=dict)

    @property
    def version(self) -> Version:
        """The version itself."""
        return self.dossier.version

    def setting(self, gate: GateCheck, name: str) -> Setting:
        """Return a setting of a gate: what the project says, else what counts without it."""
        return self.rules.of(gate.name).settings.get(name, gate.settings[name])

    @cached_property
    def package(self) -> Path:
        """The folder of its files."""
        return self._fetch(self.version, "package")

    @cached_property
    def champion_package(self) -> Path:
        """The folder of the champion's files."""
        return self._fetch(self.rival, "champion")

    @property
    def rival(self) -> Version:
        """The version it is compared with. Raises Untold if there is none."""
        if self.champion is None:
            raise Untold("there is no champion to compare with")
        return self.champion

    def as_served(self, version: Version) -> Version:
        """Return a version with the files that are served. Raises Untold if there are none."""
        if not version.tree:
            raise Untold(f"the files of {version.id} do not lie in this installation's store")
        try:
            with self.workspace.database.read() as tx:
                return registry.placing.as_served(tx, version)
        except Conflict as error:  # a client registered it, and nobody has packaged it yet
            raise Untold(error.message) from None

    @property
    def unpackaged(self) -> str:
        """Why there is no package to look at; an empty text if there is one."""
        try:
            self.as_served(self.version)
        except Untold as words:
            return str(words)
        return ""

    def _fetch(self, version: Version, name: str) -> Path:
        folder = self.scratch / name
        fetch_tree(self.workspace.objects, self.as_served(version).tree, folder)
        return folder

    @cached_property
    def predictor(self) -> Predictor:
        """The model, loaded as a server loads it. Raises Untold if it cannot be."""
        try:
            return inference.load(self.package)
        except PerenneError as error:
            raise Untold(f"the model cannot be loaded: {error.message}") from error

    @cached_property
    def signature(self) -> Signature:
        """What it takes and answers."""
        return self.predictor.signature

    @cached_property
    def plan(self) -> Plan:
        """Which rows nobody has learned from. Raises Untold if that was not recorded."""
        if not self.version.run:
            raise Untold("no run is recorded, so no rows are known that it has not learned from")
        try:
            told = training.report_of(self.workspace, self.version.run)
        except PerenneError as error:
            raise Untold(f"its run is not known: {error.message}") from error
        if told.report is None:
            raise Untold(f"which rows it has not learned from is not recorded. {told.reason}".strip())
        return told.report.plan

    @cached_property
    def evaluation(self) -> Evaluation:
        """How it does on the rows nobody has learned from, against the project's bounds."""
        bounds = self.rules
        lacking = sorted({bound.by for bound in (*bounds.objectives, *bounds.guardrails) if bound.by} - set(self.plan.slices))
        if lacking:
            raise Untold(f"the groups of {lacking[0]} were not recorded with its run")
        objects = self.workspace.objects
        return training.evaluate(
            objects, self.version.snapshot, self.plan, self.package,
            objectives=bounds.objectives, guardrails=bounds.guardrails, seconds=0.0,
        )  # fmt: skip

    @cached_property
    def rows(self) -> Columns:
        """Distinct rows to ask: of the holdout, else of the stored example."""
        try:
            columns = training.holdout(self.workspace.objects, self.version.snapshot, self.plan)
        except (Untold, PerenneError):
            columns = inference.example_columns(self.predictor.example, self.signature)
        return take(columns, slice(0, MOST_ROWS))

    @cached_property
    def parts(self) -> Billed:
        """What it is made of."""
        return bill.of_version(self.workspace, self.version.id)

    def load(self, concurrency: int, workers: int, seconds: float) -> Load:
        """Ask the real model server, once for all gates that want the same."""
        key = (concurrency, workers, seconds)
        if key not in self.loads:
            if not row_count(self.rows):
                raise Untold("there are no rows to ask")
            self.loads[key] = measure(
                self.workspace, self.as_served(self.version), self.signature, self.rows,
                concurrency=concurrency, workers=workers, seconds=seconds,
            )  # fmt: skip
        return self.loads[key]


def whole(value: Setting, name: str, gate: str) -> int:
    """Read a setting that is a whole number of at least 1. Raises Invalid if it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 1_000:
        raise Invalid(f"gate {gate!r}: {name} is {value!r}", code="gate.setting", hint="a whole number from 1 to 1000")
    return value
