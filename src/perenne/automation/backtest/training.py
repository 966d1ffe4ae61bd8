"""Training as of an instant, in a workspace of the backtest's own: the round of every day, whose steps are kept and found again.

Nothing of it reaches the workspace that is asked about: rounds run on a database and an object store in a folder beside it. A
backtest that is repeated, or was killed, finds its steps there.
"""

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

import msgspec

from perenne import registry
from perenne.auth.principals import local_principal
from perenne.automation.backtest.model import Trained
from perenne.automation.backtest.models import Model, Models
from perenne.automation.backtest.rounds import compared_of
from perenne.automation.evidence import terms_of
from perenne.automation.rounds import RoundResult, run_round
from perenne.core import json
from perenne.core.clock import SECOND, ManualClock, format_time
from perenne.core.errors import Invalid, PerenneError
from perenne.core.hashing import digest_bytes
from perenne.projects import LoadedProject, Promotion, RetrainPolicy, load_project
from perenne.registry import Dossier, GatePolicy, GateState, Verdict
from perenne.storage.database import Transaction
from perenne.storage.trees import fetch_tree, put_tree
from perenne.storage.workspace import Workspace

SAME = "the same data, code and parameters made the champion again"
_PASSES = {GateState.OPEN: Verdict.PASS, GateState.WAITING: Verdict.PASS, GateState.CLOSED: Verdict.FAIL}


class _Cost(msgspec.Struct, frozen=True):
    """What a round took when it ran: CPU and wall seconds."""

    cpu: float
    wall: float


class RealTraining:
    """Trains on what was known at an instant.

    Parameters
    ----------
    workspace : Workspace
        Whose settings say where things are; only its folder is used.
    root : Path
        The project's folder.
    folder : Path
        Where the backtest keeps its own database and objects.
    models : Models
        Who is known; what is trained joins them.
    """

    def __init__(self, workspace: Workspace, root: Path, folder: Path, models: Models) -> None:
        self._root, self._folder, self._models = root, folder, models
        folder.mkdir(parents=True, exist_ok=True)
        own = msgspec.structs.replace(
            workspace.settings,
            home=folder,
            database=f"sqlite:///{folder / 'perenne.db'}",
            objects=(folder / "objects").as_uri(),
        )
        self._clock = ManualClock()
        self._scratch = Workspace(own, self._clock)
        load_of(root)  # what cannot be read is told before anything is replayed

    def __enter__(self) -> "RealTraining":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._scratch.close()

    def train(self, now: int, champion: str, policy: RetrainPolicy, terms: Promotion, since: int) -> Trained:
        """Do a round with the data and labels that were known, and hold the result against a champion."""
        asked = msgspec.structs.replace(policy, promote=terms)
        loaded = load_of(self._root)
        loaded.project.policy = asked
        asked_for = terms_of(policy, terms, since)
        loaded.project.name = f"{loaded.project.name[:40]}-{_short(self._models.find(champion).tree, asked, since)}"
        self._seed(loaded.project.name, champion)
        began = time.process_time(), time.perf_counter()
        try:
            result = run_round(self._scratch, local_principal(), loaded, now=now, terms=asked_for)
        except PerenneError as error:
            return Trained(model="", verdict=Verdict.UNKNOWN, detail=error.message)
        cost = self._cost(result, now, _Cost(time.process_time() - began[0], time.perf_counter() - began[1]))
        return self._told(result, now, champion, cost)

    def _seed(self, name: str, champion: str) -> None:
        """Make a champion known to the backtest's own registry, so that the round is held against it."""
        model, scratch, actor = self._models.find(champion), self._scratch, local_principal()
        with scratch.database.read() as tx:
            if registry.placing.aliased(tx, name, "champion") is not None:
                return
        with TemporaryDirectory(prefix="perenne-backtest-") as copy:
            fetch_tree(model.objects, model.tree, Path(copy))
            tree = put_tree(scratch.objects, Path(copy))
        reference = scratch.objects.put(model.objects.get(model.reference))

        def keep(tx: Transaction) -> None:
            version = registry.register(
                tx, actor, model=name, project=name, run="", tree=tree, reference=reference, snapshot="", policy=GatePolicy()
            )
            registry.placing.set_alias(tx, actor, name, "champion", version.id, reason="a backtest begins with it")

        scratch.database.write(keep)

    def _cost(self, result: RoundResult, now: int, spent: _Cost) -> _Cost:
        """Return what a round took when its steps ran; what is found again costs nothing, which would mislead."""
        path = self._folder / "costs" / f"{now}-{result.version.tree[:24]}.json"
        if path.is_file():
            known = json.decode(path.read_bytes(), _Cost)
            spent = max(known, spent, key=lambda cost: cost.cpu)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(json.encode(spent))
        return spent

    def _told(self, result: RoundResult, now: int, champion: str, cost: _Cost) -> Trained:
        name = f"as of {format_time(now)[:16]}"
        tree = result.version.tree
        with self._scratch.database.read() as tx:
            found = registry.dossier(tx, result.version.id)
        cpu, length = cost.cpu, int(cost.wall * SECOND)
        if tree == self._models.find(champion).tree:
            return Trained(model=champion, verdict=Verdict.FAIL, detail=SAME, cpu_seconds=cpu, length=length)
        self._models.add(Model(name, tree, result.version.reference, now, self._scratch.objects))
        verdict, detail = verdict_of(found)
        detail = detail.replace(f"{result.version.model}@1", champion)
        return Trained(model=name, verdict=verdict, detail=detail, compared=compared_of(found), cpu_seconds=cpu, length=length)


def load_of(root: Path) -> LoadedProject:
    """Read the project anew. Raises Invalid if its rows need labels that only the real workspace keeps."""
    loaded = load_project(root)
    if loaded.project.only_model.dataset.labels is not None:
        raise Invalid(
            "the project's rows get their target from a label set, which a backtest does not copy",
            code="backtest.labels",
            hint="leave out --train real: past rounds then stand for those that would have been",
        )
    return loaded


def verdict_of(found: Dossier) -> tuple[Verdict, str]:
    """Say what the gate would have said; who must approve is taken to have agreed."""
    comparison = [item for item in found.evidence if item.check.startswith("compare:")]
    detail = comparison[-1].detail if comparison else ""
    if found.gate.state is GateState.CLOSED:
        return Verdict.FAIL, "; ".join([*found.gate.reasons, detail] if detail else found.gate.reasons)
    return _PASSES[found.gate.state], detail or "every required check passed"


def _short(tree: str, policy: RetrainPolicy, since: int) -> str:
    return digest_bytes(json.canonical([tree, policy, since]))[:12]
