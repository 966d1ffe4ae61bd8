"""Running a round and keeping what it made: the run, the snapshot, the version with its evidence. Nothing is half-registered."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from perenne import data, delivery, labels, projects, registry, tracking
from perenne.auth.principals import Principal
from perenne.automation.evidence import evidence_of, gate_policy, required_gates, terms_of
from perenne.automation.round import Bounds, Outcome, Rules, compare, standard_round
from perenne.compute import open_executor
from perenne.core import json
from perenne.core.errors import Invalid, PerenneError
from perenne.pipelines import Engine, PipelineRun, Planned, Started
from perenne.projects import Labels, LoadedProject, Model, RetrainPolicy, Window, record_project
from perenne.registry import Version
from perenne.stats.cells import Reference
from perenne.storage.cached_objects import cache_of
from perenne.storage.database import Transaction
from perenne.storage.links import Kind, add_link
from perenne.storage.owners import LeaseKeeper, owner_token
from perenne.storage.trees import put_tree
from perenne.storage.workspace import Workspace
from perenne.tracking import RunState
from perenne.training import Compared, Report, Terms, recipe_of

if TYPE_CHECKING:
    from perenne.data.model import Snapshot
    from perenne.pipelines import StepEvent

Listener = Callable[["StepEvent"], None]


class RoundResult(msgspec.Struct, frozen=True):
    """What a round came to. `changed` is False if every step was known already and nothing was registered.

    `compared` is how the version did against the champion, if there is another one.
    """

    version: Version
    outcome: Outcome
    run: str
    changed: bool
    steps: int
    hits: int
    compared: Compared | None = None


def run_round(
    workspace: Workspace,
    actor: Principal,
    loaded: LoadedProject,
    *,
    on_event: Listener | None = None,
    now: int | None = None,
    fence: Callable[[Transaction], None] | None = None,
    terms: Terms | None = None,
) -> RoundResult:
    """Do one round of a project: from its data to a registered, measured version.

    Parameters
    ----------
    loaded : LoadedProject
        The project, as its `project.py` stands.
    on_event : callable, optional
        Hears of every step as it starts, ends or is found done already.
    now : int, optional
        Rows and labels later than this are not used; the workspace's time if not given.
    fence : callable, optional
        Called in the transaction that registers the version; raises if the result no longer counts.
    terms : Terms, optional
        What it has to show against the champion; by the project's policy if not given.

    Raises
    ------
    PerenneError
        If a step fails. The run is kept as failed with the reason; nothing else is.
    """
    now = workspace.clock.now() if now is None else now
    delivery.gates.check_stated(loaded.project.gates)
    with _engine(workspace, loaded) as engine, _Recorder(workspace, actor, loaded, on_event) as recorder:
        done = _run_round(workspace, actor, loaded, engine, recorder, now, fence, terms)
    if done.changed and (wanted := required_gates(loaded.project.gates)):
        wish = delivery.gates.Wish(just=wanted)
        delivery.gates.run_gates(workspace, actor, done.version.id, wish, project=loaded)
    return done


@contextmanager
def _engine(workspace: Workspace, loaded: LoadedProject) -> Iterator[Engine]:
    """Open the engine on the executor of the settings; a bad setting is told before anything else happens."""
    executor = open_executor(workspace.settings.executor)
    try:
        with Engine(workspace.database, workspace.objects, executor=executor, root=loaded.root) as engine:
            yield engine
    finally:
        executor.close()


def _run_round(
    workspace: Workspace,
    actor: Principal,
    loaded: LoadedProject,
    engine: Engine,
    recorder: "_Recorder",
    now: int,
    fence: Callable[[Transaction], None] | None,
    terms: Terms | None,
) -> RoundResult:
    project, model = loaded.project, loaded.project.only_model
    policy = project.policy or RetrainPolicy()
    terms = terms or terms_of(policy, policy.rule(()))
    bundle = projects.bundles.put_bundle(workspace.objects, loaded.root, apart_from=_own_folders(workspace))
    source = workspace.objects.put_file(loaded.file)
    record = workspace.database.write(lambda tx: record_project(tx, actor, loaded, source, bundle))
    with workspace.database.read() as tx:
        champion = registry.placing.aliased(tx, record.name, "champion")
    try:
        snapshot = _take_snapshot(workspace, actor, loaded, _window(model, policy, now), now)
        recorder.used = (snapshot.id,)
        done: PipelineRun = engine.run(
            standard_round,
            snapshot.id,
            model.function,
            model.candidates,
            recipe_of(project),
            _rules(loaded, model, now),
            Bounds(project.objectives, project.guardrails),
            champion.snapshot if champion else "",
            on_event=recorder.hear,
        )
        _keep_findings(workspace, actor, done, model.dataset.time, champion.snapshot if champion else "")
        outcome: Outcome = done.result()
        tree = put_tree(workspace.objects, outcome.package)
        challenged = champion if champion is not None and champion.tree != tree else None
        compared = _compare(engine, outcome, tree, challenged, policy, terms, recorder)
        return _keep(workspace, actor, loaded, recorder, done, _Made(outcome, tree, challenged, compared, terms), fence)
    except (Exception, KeyboardInterrupt) as error:
        recorder.fail(_reason(error))
        raise


def _keep_findings(workspace: Workspace, actor: Principal, done: PipelineRun, time: str | None, baseline: str) -> None:
    """Keep the profile and what validation found, also if that stopped the round."""
    profile, found = done.value("describe"), done.value("check")
    if profile is not None:
        data.record_examination(
            workspace.database, workspace.objects, actor, profile, time=time, findings=found, baseline=baseline
        )


def _own_folders(workspace: Workspace) -> list[Path]:
    """Return the folders of perenne's own, which may lie in the project's."""
    cache = cache_of()
    return [workspace.settings.home, *([cache.folder] if cache is not None else [])]


def _reason(error: BaseException) -> str:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted"
    return error.message if isinstance(error, PerenneError) else f"{type(error).__name__}: {error}"


def _window(model: Model, policy: RetrainPolicy, now: int) -> Window:
    """Return the stretch of time whose rows, and their labels, are known by now."""
    end = now - policy.label_delay if model.dataset.time else now
    return Window(max(0, end - policy.history) if policy.history else 0, end)


def _take_snapshot(workspace: Workspace, actor: Principal, loaded: LoadedProject, window: Window, now: int) -> "Snapshot":
    """Ask the project for its rows and keep those of the window; a file that has not changed is not read again."""
    dataset = loaded.project.only_model.dataset
    try:
        source = dataset(window)
    except PerenneError:
        raise
    except Exception as error:
        raise Invalid(
            f"{dataset.name}() failed: {type(error).__name__}: {error}", code="data.function", hint="it returns a table or a path"
        ) from error
    version = ""
    if dataset.labels is not None:
        source, version = _with_labels(workspace, actor, dataset.labels, source, now)
    taken = data.take_snapshot(
        workspace.database,
        workspace.objects,
        actor,
        source,
        dataset=dataset.name,
        time=dataset.time,
        window=(window.start, window.end),
        project=loaded.project.name,
    )
    if version:
        ends = (Kind.SNAPSHOT, taken.id), "labelled_by", (Kind.LABEL_VERSION, version)
        workspace.database.write(lambda tx: add_link(tx, *ends))
    return taken


def _with_labels(workspace: Workspace, actor: Principal, asked: Labels, source: Any, now: int) -> tuple[Any, str]:
    """Put the labels that are known by now beside the rows; return those that have one, and the version of the labels."""
    objects, sources = workspace.objects, asked.sources or labels.ALL_SOURCES
    version = labels.versions.freeze(
        workspace.database, objects, actor, asked.label_set, known=now, sources=sources
    )  # fmt: skip
    return labels.versions.joined(objects, version, data.read_source(source), asked.column)[0], version.id


def _rules(loaded: LoadedProject, model: Model, now: int) -> Rules:
    """Read the project's schema of the dataset, if it has one; what is wrong with it is told before anything is trained."""
    dataset = model.dataset
    file = loaded.root / (dataset.schema or f"schemas/{dataset.name}.yaml")
    if not dataset.schema and not file.is_file():
        return Rules(dataset.expect)
    text = data.validation.schema_text(file)
    schema = data.validation.read_schema(text, file.name)
    root, code = (str(loaded.root), data.validation.code_of(schema, loaded.root)) if schema.checks else ("", "")
    return Rules(dataset.expect, text, file.name, root, code, now if schema.table.freshness else None)


class _Made(NamedTuple):
    """What a round made: its outcome, the package's digest, the champion it challenges, and how they compare by which terms."""

    outcome: Outcome
    tree: str
    challenged: Version | None
    compared: Compared | None
    terms: Terms


def _compare(
    engine: Engine,
    outcome: Outcome,
    tree: str,
    challenged: Version | None,
    policy: RetrainPolicy,
    terms: Terms,
    recorder: "_Recorder",
) -> Compared | None:
    """Hold the package against the champion, if that is another one."""
    if challenged is None:
        return None
    metric = policy.promote.metric or outcome.chosen.best.metric
    asked = (outcome.checked.snapshot, outcome.plan, tree, challenged.tree, metric, terms)
    run = engine.run(compare, *asked, on_event=recorder.hear)
    found: Compared = run.result()
    return found


def _keep(
    workspace: Workspace,
    actor: Principal,
    loaded: LoadedProject,
    recorder: "_Recorder",
    done: PipelineRun,
    made: _Made,
    fence: Callable[[Transaction], None] | None,
) -> RoundResult:
    """Register what the pipeline made, in one transaction with the end of the run."""
    outcome, tree, challenged, compared, terms = made
    reference = workspace.objects.put_file(outcome.package / "monitor" / "reference.npz")
    report = workspace.objects.put(json.encode(_report(made)))
    name = loaded.project.name
    with workspace.database.read() as tx:
        known = next((version for version in registry.versions(tx, name, limit=1_000) if version.tree == tree), None)
    if known is not None and not recorder.worked:
        return RoundResult(known, outcome, known.run, False, len(done.steps), done.hits, compared)
    run = recorder.open()
    policy = loaded.project.policy or RetrainPolicy()
    signature = registry.trust.make(workspace, name, tree)

    def keep(tx: Transaction) -> Version:
        if fence is not None:
            fence(tx)
        tracking.service.end_run(
            tx, actor, run, state=RunState.FINISHED, outcome=_sentence(outcome), metrics=_metrics(outcome),
            data=[outcome.checked.snapshot], flow=done.id, parameters=_parameters(loaded, outcome), report=report,
        )  # fmt: skip
        version = registry.register(
            tx, actor, model=name, project=name, run=run, tree=tree, reference=reference, snapshot=outcome.checked.snapshot,
            policy=gate_policy(outcome, policy, challenged, terms, loaded.project.gates), fallback=outcome.evaluation.fallback,
            evidence=evidence_of(outcome, challenged, compared, terms),
        )  # fmt: skip
        registry.trust.keep_new(tx, actor, version, signature)
        return version

    version = workspace.database.write(keep)
    return RoundResult(version, outcome, run, True, len(done.steps), done.hits, compared)


def _report(made: _Made) -> Report:
    outcome, challenged = made.outcome, made.challenged
    trials = outcome.chosen.trials
    return Report(
        trials=trials,
        best=trials.index(outcome.chosen.best),
        plan=outcome.plan,
        evaluation=outcome.evaluation,
        champion=challenged.id if challenged else "",
        compared=made.compared,
    )


def _asked(loaded: LoadedProject) -> dict[str, object]:
    """Return the parameters of a run as it begins."""
    model = loaded.project.only_model
    return {"model": model.name, "target": model.target, "candidates": len(model.candidates)}


def _parameters(loaded: LoadedProject, outcome: Outcome) -> dict[str, object]:
    """Return the parameters of a run as it ends: those of the trial that was taken come along."""
    best = outcome.chosen.best
    return {**best.parameters, "estimator": best.estimator, **_asked(loaded)}


def _metrics(outcome: Outcome) -> dict[str, float | None]:
    return {item.metric: item.value for item in outcome.evaluation.metrics} | {
        "latency_p99_ms": outcome.evaluation.latency_p99_ms
    }


def _sentence(outcome: Outcome) -> str:
    best = outcome.chosen.best
    value = "unknown" if best.value is None else f"{best.value:.4g}"
    return f"{best.estimator}: {best.metric} {value} on validation, {outcome.plan.rows} rows"


class _Recorder:
    """Opens the run with the first step that does some work, so that a round that finds everything done leaves no trace."""

    def __init__(self, workspace: Workspace, actor: Principal, loaded: LoadedProject, listener: Listener | None) -> None:
        self._workspace = workspace
        self._actor = actor
        self._loaded = loaded
        self._listener = listener
        self.used: tuple[str, ...] = ()
        self._run = ""
        self._flow = ""
        self._owner = owner_token()
        self._keeper = LeaseKeeper(
            lambda: workspace.database.write(self._hold, durable=False, alone=False), tracking.service.LEASE
        )

    def __enter__(self) -> "_Recorder":
        tracking.service.close_lost_runs(self._workspace.database)
        return self

    def __exit__(self, *exception: object) -> None:
        self._keeper.stop()

    @property
    def worked(self) -> bool:
        """Whether any step had to run."""
        return bool(self._run)

    def open(self) -> str:
        """Return the run's id; it is opened if need be."""
        if not self._run:
            provenance = tracking.service.capture(
                self._workspace.objects, self._loaded.root, seed=recipe_of(self._loaded.project).seed
            )
            project, parameters = self._loaded.project.name, _asked(self._loaded)

            def start(tx: Transaction) -> None:
                opened = tracking.service.start_run(
                    tx, self._actor, project=project, kind="round", parameters=parameters, provenance=provenance, flow=self._flow
                )
                self._run = opened.id
                self._hold(tx)

            self._workspace.database.write(start)
            self._keeper.start()
        return self._run

    def _hold(self, tx: Transaction) -> None:
        tracking.service.hold_run(tx, self._run, self._owner)

    def hear(self, event: "StepEvent") -> None:
        """Pass an event on; open the run when work begins, by then the first pipeline is known."""
        if isinstance(event, Planned):
            self._flow = self._flow or event.run
        if isinstance(event, Started):
            self.open()
        if self._listener is not None:
            self._listener(event)

    def fail(self, reason: str) -> None:
        """Keep the run as failed."""
        run = self.open()
        self._workspace.database.write(
            lambda tx: tracking.service.end_run(tx, self._actor, run, state=RunState.FAILED, outcome=reason, data=self.used)
        )


def reference_of(workspace: Workspace, version: Version) -> Reference:
    """Read the monitoring reference of a version."""
    return Reference.from_bytes(workspace.objects.get(version.reference))
