"""The job of an episode: train the challenger, judge it, check that its package stands on its own feet, and hand it on."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from perenne import inference, registry
from perenne.auth.principals import policy_principal
from perenne.automation.advancing import RoundJob
from perenne.automation.episodes import get_episode, move
from perenne.automation.model import Episode, EpisodeState
from perenne.automation.rounds import RoundResult, run_round
from perenne.core.errors import PerenneError
from perenne.pipelines import Finished, Hit
from perenne.projects import ProjectRecord, RetrainPolicy, get_project, load_project
from perenne.registry import GateState, Version
from perenne.storage import jobs
from perenne.storage.database import Transaction
from perenne.storage.jobs import Job
from perenne.storage.trees import fetch_tree
from perenne.storage.workspace import Workspace

if TYPE_CHECKING:
    from perenne.pipelines import StepEvent

VALIDATED = "validate"


def run_round_job(workspace: Workspace, job: Job) -> None:
    """Do the work of a `round.run` job; its last transition and the end of the job are one transaction."""
    payload = msgspec.json.decode(job.payload, type=RoundJob)
    with workspace.database.read() as tx:
        project = get_project(tx, payload.project)
        episode = get_episode(tx, payload.episode)
    if not episode.open:
        workspace.database.write(lambda tx: jobs.finish(tx, job))
        return
    work = _Work(workspace, project, episode, payload.now)
    try:
        result = run_round(workspace, work.actor, load_project(Path(project.folder)), on_event=work.hear, now=payload.now)
        problem = _infrastructure_problem(workspace, result.version)
    except PerenneError as error:
        if job.attempt < job.attempts_allowed and error.status >= 500:
            raise
        message = error.message
        workspace.database.write(lambda tx: work.fail(tx, job, message))
        return
    workspace.database.write(lambda tx: work.judge(tx, job, result, problem))


class _Work:
    """Moves one episode through the states of its training."""

    def __init__(self, workspace: Workspace, project: ProjectRecord, episode: Episode, now: int) -> None:
        self._workspace = workspace
        self._episode = episode
        self._now = now
        self._policy = project.policy or RetrainPolicy()
        self.actor = policy_principal(project.name, project.owner)

    def hear(self, event: "StepEvent") -> None:
        """Move on when the data has passed validation."""
        if isinstance(event, Finished | Hit) and event.step == VALIDATED and self._episode.state is EpisodeState.BUDGET_OK:
            self._workspace.database.write(self._data_ready)

    def _data_ready(self, tx: Transaction) -> None:
        self._move(tx, EpisodeState.DATA_READY, "the data passed validation; labels are older than the label delay")
        self._move(tx, EpisodeState.TRAINING, "the candidates are being fitted")

    def judge(self, tx: Transaction, job: Job, result: RoundResult, problem: str) -> None:
        """Take the challenger on, or reject it, with the reasons of the gate; the job ends in the same transaction."""
        jobs.finish(tx, job)
        if self._episode.state is EpisodeState.BUDGET_OK:
            self._data_ready(tx)
        version = result.version
        found = registry.dossier(tx, version.id)
        passed = sum(1 for item in found.evidence if item.verdict is registry.Verdict.PASS)
        self._move(
            tx, EpisodeState.EVALUATED, f"{version.id}: {passed} of {len(found.evidence)} checks passed", challenger=version.id
        )
        if version.id == self._episode.champion:
            self._move(tx, EpisodeState.REJECTED, "the same data, code and parameters made the champion again")
        elif found.gate.state is GateState.CLOSED:
            self._move(tx, EpisodeState.REJECTED, "; ".join(found.gate.reasons))
        else:
            self._move(tx, EpisodeState.BLESSED, _evidence_sentence(found.evidence))
            if problem:
                self._move(tx, EpisodeState.REJECTED, problem)
            else:
                self._move(tx, EpisodeState.INFRA_CHECKED, "the package loads and answers its example", due=self._now)

    def fail(self, tx: Transaction, job: Job, reason: str) -> None:
        """End the episode and the job: the round could not be finished."""
        jobs.finish(tx, job)
        self._move(tx, EpisodeState.FAILED, reason)

    def _move(self, tx: Transaction, to: EpisodeState, note: str, **changes: Any) -> None:
        self._episode = move(tx, self.actor, self._episode, to, now=self._now, note=note, policy=self._policy, **changes)


def _evidence_sentence(evidence: tuple[registry.Evidence, ...]) -> str:
    compared = [item.detail for item in evidence if item.check.startswith("compare:")]
    return compared[-1] if compared else "every required check passed"


def _infrastructure_problem(workspace: Workspace, version: Version) -> str:
    """Fetch the package from the object store, load it as a server would, and have it answer its example; say what is wrong."""
    with TemporaryDirectory(prefix="perenne-check-") as folder:
        target = Path(folder)
        try:
            fetch_tree(workspace.objects, version.tree, target)
            inference.load(target).check_example()
        except PerenneError as error:
            return f"the package does not stand on its own: {error.message}"
    return ""
