"""The pure machine: random orders of events keep every promise, and each decision says what decided it."""

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.automation import deciding
from perenne.automation.deciding import Decision, Harm, Move, Signal, Spent, Trial, Wait
from perenne.automation.model import ANSWERING, CLOSED, IN_TRIAL, Episode, EpisodeState, may_follow
from perenne.core.clock import DAY, HOUR, MINUTE, parse_time
from perenne.projects import (
    AllOf,
    Blackout,
    Concept,
    Cron,
    Drift,
    Manual,
    Missed,
    Mode,
    NewData,
    Promotion,
    RetrainPolicy,
    Trigger,
)

BEGIN = parse_time("2026-01-05")
S = EpisodeState
CLOSED_HOURS = Blackout(hours="08:00-12:00")


def policies() -> st.SearchStrategy[RetrainPolicy]:
    return st.builds(
        RetrainPolicy,
        on=st.just((Drift(), Missed())),
        promote=st.sampled_from([Promotion(), Promotion(mode=Mode.BY_TRIGGER), Promotion(alpha=0.2)]),
        approve_by=st.sampled_from(["", "ops"]),
        debounce=st.sampled_from([0, HOUR]),
        shadow=st.sampled_from([0, HOUR, DAY]),
        shadow_rows=st.sampled_from([0, 100]),
        canary=st.sampled_from([0.0, 0.1]),
        prove_live=st.booleans(),
        trial_time=st.sampled_from([DAY, 10 * DAY]),
        soak=st.sampled_from([0, DAY]),
        runs_per_month=st.sampled_from([0, 3]),
        blackout=st.sampled_from([(), (CLOSED_HOURS,)]),
    )


class Life:
    """One episode, moved by the pure machine and by whatever happens."""

    def __init__(self, policy: RetrainPolicy, now: int) -> None:
        self.policy, self.now, self.entered, self.due = policy, now, now, now + policy.debounce
        self.path, self.approved, self.answers = [S.TRIGGERED], False, "p@1"
        self.trial, self.gate = Trial(entered=now, rows=0), "closed"

    @property
    def state(self) -> EpisodeState:
        return self.path[-1]

    def apply(self, decision: Decision | None) -> None:
        if decision is None:
            return
        if isinstance(decision, Wait):
            assert decision.until > self.now, "or the loop would spin"
            self.due = decision.until
            return
        assert may_follow(self.state, decision.to), (self.state, decision)
        closed = self.policy.closed_until(self.now)
        assert closed is None or decision.to not in (S.BUDGET_OK, S.CANARY, S.PROMOTED), "nothing changes in a blackout"
        assert decision.note and msgspec.json.encode(decision.evidence)
        self.path.append(decision.to)
        self.entered, self.due = self.now, self.now if decision.due is None else decision.due
        if decision.to in IN_TRIAL:
            self.trial = msgspec.structs.replace(self.trial, entered=self.now)

    def step(self) -> None:
        """Do what is due."""
        policy, now = self.policy, self.now
        if self.state in CLOSED or self.due > now:
            return
        match self.state:
            case S.TRIGGERED:
                self.apply(deciding.gathered(policy, self.entered, now))
            case S.DEBOUNCED:
                self.apply(deciding.affordable(policy, Spent(2), now))
            case S.INFRA_CHECKED:
                gate = "waiting" if policy.approve_by and not self.approved else "open"
                self.apply(deciding.allowed(policy, gate, (), "", "p@2", now))
            case S.AWAITING_APPROVAL:
                self.apply(deciding.waited_out(policy, self.entered, now))
            case S.SHADOW | S.CANARY:
                self.apply(deciding.tried(policy, self.state, self.trial, now))
            case S.PROMOTED:
                self.apply(Move(S.SOAKING, "watched", due=now + policy.soak))
            case S.SOAKING:
                self.apply(deciding.soaked(policy, self.entered, now))

    def hear(self, event: tuple[str, int]) -> None:
        """Have something happen."""
        what, size = event
        match what:
            case "time":
                self.now += size * HOUR
            case "round" if self.state is S.BUDGET_OK:
                self.gate = ("open", "closed")[size % 5 == 0]
                for state in (S.DATA_READY, S.TRAINING, S.EVALUATED):
                    self.apply(Move(state, "as told"))
                self.apply(deciding.examined(self.gate, ("worse",), again=size % 7 == 0, sentence="better", evidence={}))
                if self.path[-1] is S.BLESSED:
                    self.apply(Move(S.INFRA_CHECKED, "loads", due=self.now))
            case "approve" if self.state is S.AWAITING_APPROVAL:
                self.approved = True
                self.apply(deciding.shadowed(self.policy, "approved", self.now))
            case "rows" if self.state in IN_TRIAL:
                wins, losses = (size, 0) if size % 2 else (0, size)
                more = self.trial
                self.trial = msgspec.structs.replace(
                    more, rows=more.rows + 60, labelled=more.labelled + 60, wins=more.wins + wins, losses=more.losses + losses
                )
            case "park" if self.state in IN_TRIAL:
                self.trial = msgspec.structs.replace(self.trial, parked="too slow")
            case "other":
                self.answers = "p@9"
        episode = Episode("e", "p", self.state, 0, Drift(), "", "p@1", "p@2", "", 0, 0, None, 0, 0)
        self.apply(deciding.superseded(episode, self.answers))

    def settle(self) -> None:
        """Go on until nothing is due at this instant."""
        for _ in range(20):
            before = (self.state, self.due)
            self.step()
            if (self.state, self.due) == before:
                return
        raise AssertionError(f"the machine spins: {self.path}")


EVENTS = st.tuples(st.sampled_from(["time", "time", "round", "approve", "rows", "rows", "park", "other"]), st.integers(0, 30))


@given(policies(), st.lists(EVENTS, max_size=40), st.integers(0, 47))
@settings(max_examples=120, deadline=None)
def test_whatever_happens_in_whatever_order_the_promises_hold(
    policy: RetrainPolicy, events: list[tuple[str, int]], hour: int
) -> None:
    life = Life(policy, BEGIN + hour * HOUR)
    for event in events:
        life.hear(event)
        life.settle()
    path = life.path
    assert len(path) == len(set(path)), "no state twice"
    if S.PROMOTED in path:
        before = path[: path.index(S.PROMOTED)]
        assert life.gate == "open" and S.SHADOW in before and S.INFRA_CHECKED in before
        assert not policy.approve_by or (life.approved and S.AWAITING_APPROVAL in before)
        assert not policy.canary or S.CANARY in before
        assert not life.trial.parked or life.state in ANSWERING | CLOSED
        assert life.trial.rows >= policy.shadow_rows
    for _ in range(80):  # nothing more happens than the work that was asked for: the episode comes to its end
        life.now += 12 * HOUR + 30 * MINUTE
        life.hear(("round", 6))
        life.settle()
    assert life.state in CLOSED, path


@pytest.mark.long
@given(policies(), st.lists(EVENTS, max_size=120), st.integers(0, 47))
@settings(max_examples=20_000, deadline=None)
def test_the_promises_hold_in_many_orders(policy: RetrainPolicy, events: list[tuple[str, int]], hour: int) -> None:
    test_whatever_happens_in_whatever_order_the_promises_hold.hypothesis.inner_test(policy, events, hour)  # type: ignore[attr-defined]


def test_each_trigger_hears_its_own_signal_and_no_other() -> None:
    signals = [
        Signal(kind="drift", features=("age",), windows=(("age",), (), ("fare",))),
        Signal(kind="missed", name="mae"),
        Signal(kind="concept", name="cusum"),
        Signal(kind="rows", count=100),
        Signal(kind="versions", name="trips", count=2),
        Signal(kind="cron", name="UTC/0 3 * * *"),
        Signal(kind="manual"),
    ]
    triggers: list[Trigger] = [
        Drift(features=("age",)), Missed("mae"), Concept("cusum"), NewData(rows=100), NewData(versions=2, dataset="trips"),
        Cron("0 3 * * *"), Manual(),
    ]  # fmt: skip
    heard = [[deciding.speaks_for(trigger, signal) for signal in signals] for trigger in triggers]
    assert heard == [[row == column for column in range(7)] for row in range(7)]
    deaf: list[Trigger] = [
        Drift(features=("sex",)), Drift(for_windows=2, of=2), Missed("rmse"), Concept("gap"), NewData(rows=101),
        NewData(versions=3), NewData(versions=1, dataset="other"), Cron("0 4 * * *"), AllOf((Drift(), Manual())),
    ]  # fmt: skip
    assert not any(deciding.speaks_for(trigger, signal) for trigger in deaf for signal in signals)


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(1, 6), st.integers(0, 6))
def test_drift_holds_in_so_many_of_the_newest_windows(windows: list[bool], wanted: int, more: int) -> None:
    trigger = Drift(for_windows=wanted, of=wanted + more)
    signal = Signal(kind="drift", features=("x",), windows=tuple(("x",) if alarm else () for alarm in windows))
    one = wanted == 1 and more == 0 and not trigger.of
    assert deciding.speaks_for(trigger, signal) == (one or sum(windows[: wanted + more]) >= wanted)


def test_harmless_drift_needs_no_retraining_and_nothing_else_is_called_harmless() -> None:
    policy = RetrainPolicy()
    met = Harm(impact=0.2, labels=500, met=("roc_auc",))
    assert (move := deciding.unneeded(policy, [Drift()], met)) is not None and move.to is S.NOT_NEEDED
    assert "roc_auc" in move.note and move.evidence["labels"] == 500
    for harm in (
        msgspec.structs.replace(met, labels=10), msgspec.structs.replace(met, open=("mae",)), Harm(), Harm(impact=0.1),
        msgspec.structs.replace(met, unknown=("mae",)), msgspec.structs.replace(met, alarms=("objective:mae",)),
        Harm(impact=0.0, open=("mae",)),
    ):  # fmt: skip
        assert deciding.unneeded(policy, [Drift()], harm) is None
    assert deciding.unneeded(msgspec.structs.replace(policy, skip_unneeded=False), [Drift()], met) is None
    assert deciding.unneeded(policy, [AllOf((Drift(), Manual()))], met) is None


@pytest.mark.parametrize(
    ("policy", "spent", "word"),
    [
        (RetrainPolicy(runs_per_month=2), Spent(2), "training runs"),
        (RetrainPolicy(cpu_hours_per_month=1.0), Spent(0, 1.5), "CPU hours"),
        (RetrainPolicy(money_per_month=1.0, cpu_hour_costs=0.5), Spent(0, 2.5), "spent"),
    ],
)
def test_each_budget_ends_an_episode_before_anything_is_trained(policy: RetrainPolicy, spent: Spent, word: str) -> None:
    over = deciding.affordable(policy, spent, BEGIN)
    assert isinstance(over, Move) and over.to is S.FAILED and word in over.note
    within = deciding.affordable(policy, Spent(0), BEGIN)
    assert isinstance(within, Move) and within.to is S.BUDGET_OK
    closed = msgspec.structs.replace(policy, blackout=(CLOSED_HOURS,))
    waits = deciding.affordable(closed, Spent(0), BEGIN + 9 * HOUR)
    assert waits == Wait(BEGIN + 12 * HOUR, "blackout until 2026-01-05T12:00:00.000Z")


def test_labels_end_a_bad_trial_early_and_prove_a_good_one() -> None:
    policy = RetrainPolicy(shadow=DAY, shadow_rows=0, prove_live=True, trial_time=3 * DAY)
    now = BEGIN + HOUR
    worse = deciding.tried(policy, S.SHADOW, Trial(entered=BEGIN, rows=500, labelled=500, wins=2, losses=30), now)
    assert isinstance(worse, Move) and worse.to is S.REJECTED and worse.evidence["log_e_worse"] >= math.log(20)
    alike = Trial(entered=BEGIN, rows=500, labelled=500, wins=10, losses=10)
    assert isinstance(deciding.tried(policy, S.SHADOW, alike, BEGIN + 2 * DAY), Wait)
    late = deciding.tried(policy, S.SHADOW, alike, BEGIN + 3 * DAY)
    assert isinstance(late, Move) and late.to is S.EXPIRED
    better = deciding.tried(policy, S.SHADOW, msgspec.structs.replace(alike, wins=60), BEGIN + 2 * DAY)
    assert isinstance(better, Move) and better.to is S.PROMOTED


def test_a_years_mistakes_have_a_budget_that_each_test_takes_from() -> None:
    policy = RetrainPolicy(false_promotions_per_year=1.0)
    spent: list[tuple[int, float]] = []
    begin = BEGIN // deciding.QUARTER * deciding.QUARTER
    for day in range(365):
        now = begin + day * DAY
        rule = deciding.terms(policy, [Missed()], spent, now)
        assert 0 < rule.alpha <= policy.promote.alpha and rule.mode is Mode.SUPERIOR
        spent.append((now, rule.alpha))
    assert sum(alpha for _, alpha in spent) <= 1.0 + 1e-6
    assert deciding.terms(RetrainPolicy(), [Drift()], spent, begin).alpha == 0.05
