"""The job of an episode: train the challenger, judge it, check that its package stands on its own feet, and hand it on."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from perenne import inference, projects, registry
from perenne.auth.principals import policy_principal
from perenne.automation import advancing, deciding, store
from perenne.automation.advancing import RoundJob
from perenne.automation.episodes import get_episode, move
from perenne.automation.evidence import terms_of
from perenne.automation.model import Episode, EpisodeState
from perenne.automation.rounds import RoundResult, run_round
from perenne.core.errors import NotFound, PerenneError
from perenne.pipelines import Finished, Hit, Planned, Started
from perenne.projects import LoadedProject, ProjectRecord, RetrainPolicy, get_project, load_project
from perenne.registry import Version
from perenne.storage import jobs
from perenne.storage.database import Transaction
from perenne.storage.jobs import Job
from perenne.storage.trees import fetch_tree
from perenne.storage.workspace import Workspace
from perenne.training import Compared, Terms

if TYPE_CHECKING:
    from perenne.pipelines import StepEvent

VALIDATED = "validate"
PROGRESS_INTERVAL_S = 0.5


def run_round_job(workspace: Workspace, job: Job) -> None:
    """Do the work of a `round.run` job; its last transition and the end of the job are one transaction."""
    payload = msgspec.json.decode(job.payload, type=RoundJob)
    with workspace.database.read() as tx:
        project = get_project(tx, payload.project)
        episode = get_episode(tx, payload.episode)
        terms = _terms(tx, project, episode)
    if not episode.open:
        workspace.database.write(lambda tx: jobs.finish(tx, job))
        return
    work = _Work(workspace, job, project, episode, payload.now, terms)
    try:
        with _loaded(workspace, project) as loaded:
            result = run_round(
                workspace, work.actor, loaded, on_event=work.hear, now=payload.now, fence=work.hold, terms=work.terms
            )
        problem = _infrastructure_problem(workspace, result.version)
    except PerenneError as error:
        if job.attempt < job.attempts_allowed and error.status >= 500:
            raise
        failure = error
        workspace.database.write(lambda tx: work.fail(tx, job, failure))
        return
    workspace.database.write(lambda tx: work.judge(tx, job, result, problem))


@contextmanager
def _loaded(workspace: Workspace, project: ProjectRecord) -> Iterator[LoadedProject]:
    """Load a project from its folder; where that is not on this machine, from the recorded bundle, in a folder of its own."""
    folder = Path(project.folder)
    if (folder / "project.py").is_file():
        yield load_project(folder)
        return
    if not project.bundle:
        raise NotFound(
            f"{folder} is not on this machine, and nothing of it was recorded",
            code="project.not_found",
            hint="`perenne run` in the project's folder records it for other workers",
        )
    with TemporaryDirectory(prefix="perenne-project-") as copy:
        projects.bundles.fetch_bundle(workspace.objects, project.bundle, Path(copy))
        yield load_project(Path(copy), origin=project.folder)


class _Work:
    """Moves one episode through the states of its training, and says how far its job is."""

    def __init__(self, workspace: Workspace, job: Job, project: ProjectRecord, episode: Episode, now: int, terms: Terms) -> None:
        self._workspace = workspace
        self._job = job
        self._steps = self._ended = 0
        self._told = 0.0
        self._episode = episode
        self._now = now
        self._cpu = _cpu_seconds()
        self.terms = terms
        self._policy = project.policy or RetrainPolicy()
        self.actor = policy_principal(project.name, project.owner)

    def hold(self, tx: Transaction) -> None:
        """Raise Conflict if another worker has the job by now."""
        jobs.hold(tx, self._job)

    def hear(self, event: "StepEvent") -> None:
        """Say how far the job is; move on when the data has passed validation."""
        self._note_progress(event)
        if isinstance(event, Finished | Hit) and event.step == VALIDATED and self._episode.state is EpisodeState.BUDGET_OK:
            self._workspace.database.write(self._data_ready)

    def _note_progress(self, event: "StepEvent") -> None:
        match event:
            case Planned(_, _, steps, hits):
                self._steps, self._ended = self._steps + steps, self._ended + hits
            case Finished():
                self._ended += 1
            case Started(step) if time.monotonic() >= self._told + PROGRESS_INTERVAL_S:
                self._told = time.monotonic()
                share = self._ended / self._steps if self._steps else None
                self._workspace.database.write(
                    lambda tx: jobs.note_progress(tx, self._job, share, step), durable=False, alone=False
                )

    def _data_ready(self, tx: Transaction) -> None:
        note = "the data passed validation; labels are older than the label delay"
        self._move(tx, EpisodeState.DATA_READY, note, evidence={"label_delay": self._policy.label_delay})
        advancing.tell_free(advancing.step_of(tx, self._episode.id, self._now), "data")
        self._move(tx, EpisodeState.TRAINING, "the candidates are being fitted")

    def judge(self, tx: Transaction, job: Job, result: RoundResult, problem: str) -> None:
        """Take the challenger on, or reject it, with the reasons of the gate; the job ends in the same transaction."""
        jobs.finish(tx, job)
        if self._episode.state is EpisodeState.BUDGET_OK:
            self._data_ready(tx)
        version = result.version
        found = registry.dossier(tx, version.id)
        passed = sum(1 for item in found.evidence if item.verdict is registry.Verdict.PASS)
        again = version.id == self._episode.champion
        figures = _figures(result.compared, self.terms) | {"cpu_seconds": _cpu_seconds() - self._cpu}
        self._move(
            tx, EpisodeState.EVALUATED, f"{version.id}: {passed} of {len(found.evidence)} checks passed", evidence=figures,
            challenger=version.id, alpha=self.terms.alpha if result.compared is not None else 0.0,
        )  # fmt: skip
        checks = {"checks": {item.check: item.verdict.value for item in found.evidence}}
        sentence = _evidence_sentence(found.evidence)
        decision = deciding.examined(
            found.gate.state.value, found.gate.reasons, again=again, sentence=sentence, evidence=checks
        )  # fmt: skip
        self._move(tx, decision.to, decision.note, evidence=decision.evidence)
        if decision.to is EpisodeState.BLESSED:
            self._check_infrastructure(tx, result, problem)
        elif not again and (missing := _missing(result.compared)):
            self._blocked(tx, "labels", f"{missing:,} labelled rows are missing until {version.id} can be judged")

    def _check_infrastructure(self, tx: Transaction, result: RoundResult, problem: str) -> None:
        evaluation = result.outcome.evaluation
        figures = {
            "latency_p50_ms": evaluation.latency_p50_ms, "latency_p99_ms": evaluation.latency_p99_ms,
            "size_bytes": evaluation.size_bytes, "rows_per_second": evaluation.rows_per_second, "problem": problem,
        }  # fmt: skip
        if problem:
            self._move(tx, EpisodeState.REJECTED, problem, evidence=figures)
        else:
            note = "the package loads and answers its example"
            self._move(tx, EpisodeState.INFRA_CHECKED, note, due=self._now, evidence=figures)

    def _blocked(self, tx: Transaction, what: str, note: str) -> None:
        advancing.tell_blocked(advancing.step_of(tx, self._episode.id, self._now), what, note)

    def fail(self, tx: Transaction, job: Job, error: PerenneError) -> None:
        """End the episode and the job: the round could not be finished. Data that is not what it was is a person's to see to."""
        jobs.finish(tx, job)
        self._move(
            tx, EpisodeState.FAILED, error.message, evidence={"cpu_seconds": _cpu_seconds() - self._cpu, "code": error.code}
        )
        if error.code.startswith("data.") or error.code in ("training.column", "training.no_features"):
            self._blocked(tx, "data", f"nothing was trained: {error.message}")

    def _move(self, tx: Transaction, to: EpisodeState, note: str, **changes: Any) -> None:
        self._episode = move(tx, self.actor, self._episode, to, now=self._now, note=note, policy=self._policy, **changes)


def _terms(tx: Transaction, project: ProjectRecord, episode: Episode) -> Terms:
    """Return what the challenger has to show, by what opened the episode and by what chance the year has left."""
    policy = project.policy or RetrainPolicy()
    heard = store.triggers_heard(tx, episode.id) or [episode.trigger]
    spent = store.tests_since(tx, project.name, episode.opened - 2 * deciding.QUARTER)
    return terms_of(policy, deciding.terms(policy, heard, spent, episode.opened), episode.since)


def _figures(compared: Compared | None, terms: Terms) -> dict[str, Any]:
    """Return how a challenger did, as a step keeps it."""
    told = {"terms": msgspec.to_builtins(terms)}
    if compared is None:
        return told
    whole = {name: getattr(compared, name) for name in _SHOWN}
    return told | whole | {"contests": [msgspec.to_builtins(contest) for contest in compared.contests]}


_SHOWN = ("metric", "champion", "challenger", "difference", "low", "high", "p_superior", "rows", "reason")


def _missing(compared: Compared | None) -> int:
    return max((contest.missing for contest in compared.contests), default=0) if compared is not None else 0


def _cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


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
