"""A whole backtest: what is read, which rules are replayed, and what they come to beside what happened."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from perenne import projects, registry
from perenne.automation.backtest.history import History, Past, read_past
from perenne.automation.backtest.model import Report, Track
from perenne.automation.backtest.models import Model, Models
from perenne.automation.backtest.really import what_happened
from perenne.automation.backtest.replay import Rule, World, replay, simple_rules
from perenne.automation.backtest.rounds import PastEpisode, PastRounds, past_episodes
from perenne.automation.backtest.training import RealTraining
from perenne.core.clock import SystemClock, format_time
from perenne.core.errors import Conflict, Invalid
from perenne.projects import ProjectRecord, RetrainPolicy, get_project
from perenne.storage.workspace import Workspace

SIMULATED, REAL = "simulated", "real"
Hear = Callable[[str, int, int], None]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be replayed.

    Attributes
    ----------
    policies : tuple of (str, RetrainPolicy)
        Each with its name; the project's own if none is given.
    start, end : int
        The windows that begin between them; 0 for the first and the last there are.
    train : str
        `simulated`: past rounds stand for those that would have been; `real`: every round is done.
    seconds : float
        After so long no further rule is begun and the one at hand is left; what was trained is found again the next time.
    price : float, optional
        Of an hour of CPU; that of the policy if not given.
    """

    policies: tuple[tuple[str, RetrainPolicy], ...] = ()
    start: int = 0
    end: int = 0
    train: str = SIMULATED
    seconds: float = 600.0
    price: float | None = None


class _OutOfTimeError(Exception):
    """The time limit has come."""


def backtest(workspace: Workspace, name: str, asked: Asked, *, hear: Hear | None = None) -> Report:
    """Replay the past of a project; nothing in the workspace changes.

    Parameters
    ----------
    hear : callable, optional
        Told which rule is at which window of how many.

    Raises
    ------
    NotFound, Conflict
        If there is no such project, no policy, or no window to replay.
    """
    with workspace.database.read() as tx:
        project = get_project(tx, name)
    policies = asked.policies or (("policy", _own(project)),)
    past = read_past(workspace, project, policies[0][1], asked.start, asked.end or NO_END)
    if not past.windows:
        raise Conflict(
            f"{name} has no window between these instants",
            code="backtest.empty",
            hint=f"`perenne monitor show {name}` lists the windows; --from and --to choose among them",
        )
    with _world(workspace, project, past, asked) as (world, episodes):
        return _Backtest(world, past, episodes, policies, asked, hear).run()


NO_END = 1 << 62


def folder_of(workspace: Workspace, project: str) -> Path:
    """Return where a project's backtests keep their rounds and reports."""
    return workspace.settings.home / "backtest" / project


def _own(project: ProjectRecord) -> RetrainPolicy:
    if project.policy is None:
        raise Conflict(
            f"{project.name} has no policy",
            code="policy.missing",
            hint="`project.retrain(…)` states one",
        )
    return project.policy


@contextmanager
def _world(workspace: Workspace, project: ProjectRecord, past: Past, asked: Asked) -> Iterator[tuple[History, list[PastEpisode]]]:
    models = Models()
    start, end = past.windows[0].window.window_start, asked.end or NO_END
    try:
        with workspace.database.read() as tx:
            episodes = past_episodes(tx, project.name, start, end)
            rounds = [item.round for item in episodes if item.round is not None]
            names = {item.window.version for item in past.windows} | {item.challenger for item in rounds}
            versions = registry.summary.some(tx, names)
        until = {item.challenger: item.time for item in rounds}
        for version in versions.values():
            if version.tree and version.reference:
                models.add(Model(version.id, version.tree, version.reference, until.get(version.id, 0), workspace.objects))
        if asked.train == REAL:
            with RealTraining(workspace, Path(project.folder), folder_of(workspace, project.name), models) as trainer:
                yield History(workspace, past, models, trainer), episodes
        else:
            stand_ins = PastRounds(rounds)
            world = History(workspace, past, models, stand_ins)
            stand_ins.hold_against = world.compare
            yield world, episodes
    finally:
        models.close()


class _Backtest:
    """Replays one rule after the other, as long as there is time."""

    def __init__(
        self,
        world: History,
        past: Past,
        episodes: Sequence[PastEpisode],
        policies: Sequence[tuple[str, RetrainPolicy]],
        asked: Asked,
        hear: Hear | None,
    ) -> None:
        self._world, self._past, self._episodes, self._asked, self._hear = world, past, episodes, asked, hear
        self._rules = [Rule(name, policy, projects.wording.policy_words(policy)) for name, policy in policies]
        self._rules += simple_rules(policies[0][1])
        own = policies[0][1].cpu_hour_costs or None
        self._price = own if asked.price is None else asked.price
        self._until = time.monotonic() + asked.seconds

    def run(self) -> Report:
        """Replay everything and return the report; one that the time limit cut short has fewer rules."""
        tracks, whole = [], True
        try:
            for rule in self._rules:
                tracks.append(self._replay(rule))
        except _OutOfTimeError:
            whole = False
        tracks.insert(len(self._rules) - 2 if whole else len(tracks), what_happened(self._world, self._episodes, self._price))
        objective = self._past.objective
        stretches = self._world.stretches
        return Report(
            project=self._past.project.name,
            start=stretches[0].start,
            end=stretches[-1].end,
            train=self._asked.train,
            metric=self._past.metric,
            limit=None if objective is None else objective.limit,
            tracks=tuple(tracks),
            notes=tuple(self._notes(whole=whole)),
            made=SystemClock().now(),
            whole=whole,
        )

    def _replay(self, rule: Rule) -> Track:
        total = len(self._world.stretches)

        def hear(done: int) -> None:
            if self._hear is not None:
                self._hear(rule.name, done, total)
            if time.monotonic() > self._until:
                raise _OutOfTimeError

        return replay(self._world, rule, self._world.who(0), price=self._price, hear=hear)

    def _notes(self, *, whole: bool) -> Iterator[str]:
        if not whole:
            yield f"The time limit of {self._asked.seconds:g} s came first; what was trained is kept for the next try."
        if self._asked.train == SIMULATED:
            count = sum(item.round is not None for item in self._episodes)
            yield f"Nothing was trained: for each training the nearest of {count} past rounds stands, with its cost and its test."
        if self._world.lacking:
            first = min(self._world.lacking)
            yield (
                f"{len(self._world.lacking)} windows have no rows in the log to be answered again, the first "
                f"from {format_time(self._world.stretches[first].start)}: they are judged as they were."
            )
        if not any(self._world.labelled_at(place) for place in range(len(self._world.stretches))):
            yield "No window has labels: nobody can tell how well any model did."
        yield "Whoever must approve is taken to approve at once; a model answers from the window after its promotion."


def changed(policy: RetrainPolicy, settings: Sequence[str]) -> RetrainPolicy:
    """Return a policy with other settings, each as `name=value`.

    Raises
    ------
    Invalid
        If one has no `=`, or there is no such setting or value.

    >>> changed(RetrainPolicy(), ["cooldown=2d", "alpha=0.01", "runs_per_month=4"]).promote.alpha
    0.01
    """
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise Invalid(f"--set {setting!r} has no value", code="backtest.set", hint="name=value, such as cooldown=2d")
        policy = _with(policy, name.strip(), text.strip())
    return policy


def _with(policy: RetrainPolicy, name: str, text: str) -> RetrainPolicy:
    if name in policy.promote.__struct_fields__ and name not in policy.__struct_fields__:
        promote = {**msgspec.to_builtins(policy.promote), name: _value(text)}
        return RetrainPolicy.of(**{**_plain(policy), "promote": promote})
    return RetrainPolicy.of(**{**_plain(policy), name: _value(text)})


def _plain(policy: RetrainPolicy) -> dict[str, object]:
    return {name: getattr(policy, name) for name in policy.__struct_fields__}


def _value(text: str) -> object:
    """Read a value: JSON where it is some, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


__all__ = ["REAL", "SIMULATED", "Asked", "World", "backtest", "changed", "folder_of"]
