"""Many projects of every kind: with versions that wait, failed, were decided or barred; served, stopped or not; watched."""

import random

from perenne import registry, serving, tracking
from perenne.auth.principals import Principal
from perenne.automation import store as episodes
from perenne.automation.model import Episode, EpisodeState
from perenne.core.clock import DAY, HOUR
from perenne.core.ids import new_id
from perenne.monitoring import alert_store
from perenne.monitoring import store as monitoring
from perenne.monitoring.model import (
    CHAMPION,
    Alert,
    AlertState,
    Cause,
    Severity,
    Window,
    WindowState,
    WindowVerdict,
)
from perenne.monitoring.service import watch
from perenne.projects import Drift, Missed, NewData, Objective, ProjectRecord, RetrainPolicy
from perenne.projects.store import save
from perenne.registry import Evidence, GatePolicy, GateState, Verdict
from perenne.serving import StopMode
from perenne.storage.database import Transaction
from perenne.storage.workspace import Workspace
from perenne.tracking import Provenance, RunState

ENDED = (EpisodeState.SETTLED, EpisodeState.REJECTED, EpisodeState.FAILED, EpisodeState.TRIGGERED)


class Fleet:
    """Builds projects by a seed; the same seed builds the same kinds."""

    def __init__(self, workspace: Workspace, actor: Principal, seed: int) -> None:
        self.workspace, self.actor = workspace, actor
        self.random = random.Random(seed)

    def build(self, count: int, first: int = 0) -> list[str]:
        """Make projects, and return their names."""
        names = [f"p{number:03}" for number in range(first, first + count)]
        for name in names:
            self.workspace.database.write(lambda tx, name=name: self._project(tx, name))  # type: ignore[misc]
        return names

    def _project(self, tx: Transaction, name: str) -> None:
        policy = self.random.choice([None, RetrainPolicy(on=(Drift(), Missed())), RetrainPolicy(on=(NewData(5),))])
        save(
            tx,
            ProjectRecord(
                name, f"the problem of {name}", "ada", "", (Objective("roc_auc", at_least=0.6),), (), (), policy,
                DAY, "/nowhere", "", None, 0, self.workspace.clock.now(),
            ),
        )  # fmt: skip
        for _ in range(self.random.randrange(3)):
            self._run(tx, name)
        versions = [self._version(tx, name, number) for number in range(self.random.randrange(4))]
        for version in versions:
            if registry.dossier(tx, version).gate.state is GateState.OPEN:
                self._deploy(tx, name, version)
        for version in versions:
            self._watch(tx, name, version)
        for _ in range(self.random.randrange(3)):
            self._alert(tx, name, self.random.choice([*versions, f"{name}@0"]))
        for _ in range(self.random.randrange(3)):
            self._episode(tx, name)

    def _run(self, tx: Transaction, name: str) -> None:
        run = tracking.service.start_run(tx, self.actor, project=name, kind="round", parameters={}, provenance=Provenance())
        state = self.random.choice([None, RunState.FAILED, RunState.FINISHED])
        if state is not None:
            tracking.service.end_run(tx, self.actor, run.id, state=state, outcome=f"ended {state}")

    def _version(self, tx: Transaction, name: str, number: int) -> str:
        digest = f"{name[1:]}{number}".ljust(64, "0")
        verdicts = self.random.choice([(), (Verdict.FAIL,), (Verdict.FAIL, Verdict.PASS), (Verdict.PASS,), (Verdict.PASS,)])
        made = registry.register(
            tx, self.actor, model=name, project=name, run="run", tree=digest, reference=digest, snapshot=digest,
            policy=GatePolicy(("auc",), self.random.choice(["", "ops"])), fallback=0,
            evidence=[Evidence(check="auc", verdict=verdict) for verdict in verdicts[:1]],
        )  # fmt: skip
        for verdict in verdicts[1:]:
            registry.approvals.add_evidence(tx, self.actor, made.id, [Evidence(check="auc", verdict=verdict)], produced_by="test")
        state = registry.dossier(tx, made.id).gate.state
        if state is GateState.WAITING and self.random.random() < 0.5:
            registry.approvals.decide(tx, self.actor, made.id, approve=self.random.random() < 0.7, reason="said so")
        elif self.random.random() < 0.1:
            registry.approvals.bar(tx, self.actor, made.id, reason="test")
        return made.id

    def _deploy(self, tx: Transaction, name: str, version: str) -> None:
        what = self.random.choice(["nothing", "deploy", "deploy", "stop"])
        if what != "nothing":
            deployment = serving.service.deploy(tx, self.actor, name, version, answer=0)
            registry.placing.set_alias(tx, self.actor, name, "champion", version)
            if what == "stop" and deployment.stop is None:
                serving.service.stop(tx, self.actor, name, mode=StopMode.CONSTANT, reason="test")

    def _watch(self, tx: Transaction, name: str, version: str) -> None:
        if self.random.random() < 0.7:
            reference = registry.get_version(tx, version).reference
            watch(tx, self.actor, name, version, reference, project=name, window_length=HOUR)
            for variant in (CHAMPION, f"challenger-{version}"):
                for place in range(self.random.randrange(3)):
                    self._window(tx, name, variant, version, place * HOUR)

    def _window(self, tx: Transaction, name: str, variant: str, version: str, start: int) -> None:
        row = Window(
            deployment=name, variant=variant, version=version, window_start=start, window_length=HOUR, reference="", rows=7,
            dropped=0, errors=0, first=0, last=0, latency=(), agreed=0, compared=0, profile=b"", revision=1,
        )  # fmt: skip
        monitoring.save_window(tx, row)
        monitoring.mark_judged(tx, row.key, 1)
        if self.random.random() < 0.8:
            state = self.random.choice(list(WindowState))
            causes = (Cause("x", "alarm", None, None, None, "x moved"),) if state is WindowState.ALARM else ()
            verdict = WindowVerdict(
                deployment=name, variant=variant, version=version, window_start=start, window_length=HOUR, span_start=start,
                revision=1, state=state, rows=7, needed_rows=1, dropped_share=0.0, causes=causes,
            )  # fmt: skip
            monitoring.save_verdict(tx, verdict)

    def _alert(self, tx: Transaction, name: str, version: str) -> None:
        state = self.random.choice(list(AlertState))
        ended = None if state in (AlertState.PENDING, AlertState.FIRING) else 9
        fired = None if state in (AlertState.PENDING, AlertState.OK) else 5
        row = Alert(
            id=new_id(), deployment=name, version=version, rule=f"drift{self.random.randrange(10**9)}", state=state,
            severity=self.random.choice(list(Severity)), since=0, latest=0, summary=f"{name} drifts", opened=1, fired=fired,
            ended=ended, acknowledged_by=self.random.choice(["", "ada"]),
        )  # fmt: skip
        alert_store.save_alert(tx, row)

    def _episode(self, tx: Transaction, name: str) -> None:
        if episodes.find_open(tx, name) is None:
            state = self.random.choice(ENDED)
            row = Episode(new_id(), name, state, 0, Drift(), "drift", f"{name}@1", "", f"is {state}", 0, 0, None, 0, 0)
            episodes.insert(tx, row)
