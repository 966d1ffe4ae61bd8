"""Whatever is called in whatever order, natively or as MLflow's clients do: no guarded place is taken without what it needs."""

import functools
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.registry.people import ADA, ADMIN, APPROVER, DEPLOYER, OUTSIDE, VAL, VERA, policy

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.config import load_settings
from perenne.core.errors import PerenneError
from perenne.protocols.mlflow import model_versions, registered_models
from perenne.protocols.mlflow.endpoint import Call
from perenne.registry import Evidence, ReviewPolicy, Verdict, approvals, models, placing, policies, registrations, reviews, store
from perenne.registry.model import Target
from perenne.storage.database import Database
from perenne.storage.workspace import Workspace

NUMBERS = st.integers(1, 4)
PEOPLE = st.sampled_from([ADA, VERA, VAL, APPROVER, DEPLOYER, Principal("valery", roles=frozenset({Role.VALIDATOR}))])
PLACES = st.sampled_from(
    [Target("alias", "champion"), Target("alias", "live"), Target("stage", "Production"), Target("alias", "free")]
)
POLICIES = st.builds(
    policy,
    name=st.sampled_from(["one", "two"]),
    aliases=st.sampled_from([("champion",), ("live", "champion"), ("l*",)]),
    stages=st.sampled_from([(), ("Production",)]),
    approvals=st.integers(0, 2),
    checks=st.sampled_from([(), ("bias",)]),
    own=st.booleans(),
)


@functools.cache
def empty() -> bytes:
    """Return the file of a database with every table: to make one takes longer than to copy it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "perenne.db")
        Database.open(f"sqlite:///{path}").close()
        return path.read_bytes()


class NoWayRound(RuleBasedStateMachine):
    """One model whose versions want champion, live and Production."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        found = load_settings(Path(self.folder.name), {})
        found.home.mkdir(parents=True, exist_ok=True)
        (found.home / "perenne.db").write_bytes(empty())
        self.workspace = Workspace(found)
        self.policies: dict[str, ReviewPolicy] = {}
        self.approved: dict[int, list[tuple[str, frozenset[str]]]] = {}
        self.rejected: set[int] = set()
        self.bias: dict[int, Verdict] = {}
        self.makers: dict[int, str] = {}
        self.held: dict[Target, int] = {}

    @initialize()
    def begin(self) -> None:
        self.do(models.create, ADA, "m")

    @rule(who=st.sampled_from([ADA, VERA]), mlflow=st.booleans())
    def register(self, who: Principal, mlflow: bool) -> None:
        asked = model_versions.CreateVersion(name="m", source=OUTSIDE)
        native = (registrations.create, who, "m", OUTSIDE)
        made = self.ask(model_versions.create_version, who, asked) if mlflow else self.do(*native)
        if made is not None:
            number = int(made.model_version.version) if mlflow else made.number
            assert number not in self.makers, "a number was used twice"
            self.makers[number] = who.name

    @rule(stated=POLICIES)
    def state(self, stated: ReviewPolicy) -> None:
        if self.do(policies.state, ADMIN, stated) is not None:
            self.policies[stated.name] = stated

    @rule(name=st.sampled_from(["one", "two"]))
    def remove(self, name: str) -> None:
        self.do(policies.remove, ADMIN, name)
        self.policies.pop(name, None)

    @rule(number=NUMBERS, who=PEOPLE, approve=st.sampled_from([True, True, True, False]))
    def decide(self, number: int, who: Principal, approve: bool) -> None:
        self.note(number, who, approve, self.do(approvals.decide, who, f"m@{number}", approve=approve) is not None)

    @rule(number=NUMBERS, who=PEOPLE, place=PLACES)
    def review(self, number: int, who: Principal, place: Target) -> None:
        opened = self.do(reviews.open_review, ADA, f"m@{number}", place)
        if opened is not None:
            done = self.do(reviews.decide, who, opened.id, approve=True) is not None
            guarding = {item.digest for item in self.policies.values() if item.guards("m", place)}
            self.note(number, who, True, done, guarding)
            self.do(reviews.withdraw, ADA, opened.id)

    @rule(number=NUMBERS, verdict=st.sampled_from(list(Verdict)), who=st.sampled_from([VAL, ADA, VERA]))
    def evidence(self, number: int, verdict: Verdict, who: Principal) -> None:
        known = number in self.makers
        self.do(approvals.testify, who, f"m@{number}", [Evidence(check="bias", verdict=verdict)])
        if known and Role.VALIDATOR in who.roles and who.name != self.makers[number]:
            self.bias[number] = verdict

    @rule(number=NUMBERS, place=PLACES, mlflow=st.booleans(), who=st.sampled_from([DEPLOYER, ADA, ADMIN]))
    def take(self, number: int, place: Target, mlflow: bool, who: Principal) -> None:
        had = self.held.get(place) == number
        if place.kind == "alias":
            asked: Any = registered_models.SetAlias(name="m", alias=place.name, version=str(number))
            native: tuple[Any, ...] = (placing.set_alias, who, "m", place.name, f"m@{number}")
        else:
            asked = model_versions.Transition(name="m", version=str(number), stage=place.name)
            native = (placing.move_to_stage, who, f"m@{number}", place.name)
        handler = registered_models.set_alias if place.kind == "alias" else model_versions.transition
        done = self.succeeds(self.ask, handler, who, asked) if mlflow else self.succeeds(self.do, *native)
        if done and not had:
            assert not self.lacks(number, place), (number, place, self.lacks(number, place))
            if place.kind == "alias":
                self.held[place] = number
        elif not had and self.makers.get(number) and not self.lacks(number, place):
            raise AssertionError(f"{number} had all that {place} needs and was refused")

    @rule(number=NUMBERS, place=PLACES, mlflow=st.booleans())
    def give_up(self, number: int, place: Target, mlflow: bool) -> None:
        if place.kind == "alias":
            asked = registered_models.AskAlias(name="m", alias=place.name)
            native = (placing.drop_alias, DEPLOYER, "m", place.name)
            done = (
                self.succeeds(self.ask, registered_models.delete_alias, DEPLOYER, asked)
                if mlflow
                else self.succeeds(self.do, *native)
            )
            if done and place in self.held:
                assert not any(item.guards("m", place) for item in self.policies.values())
                del self.held[place]
        else:
            self.do(placing.move_to_stage, DEPLOYER, f"m@{number}", "Archived")

    @rule(number=NUMBERS, mlflow=st.booleans())
    def delete(self, number: int, mlflow: bool) -> None:
        asked = model_versions.OneVersion(name="m", version=str(number))
        native = (registrations.delete, ADA, "m", number)
        done = self.succeeds(self.ask, model_versions.delete_version, ADA, asked) if mlflow else self.succeeds(self.do, *native)
        if done:
            gone = [place for place, held in self.held.items() if held == number]
            assert all(place.name == "free" or not self.guarded(place) for place in gone)
            for place in gone:
                del self.held[place]
            self.makers[number] = ""

    @invariant()
    def places_are_where_they_were_last_let(self) -> None:
        with self.workspace.database.read() as tx:
            found = store.aliases_of_models(tx, ["m"])["m"]
            assert audit.verify(tx).bad_seq is None
        assert found == {place.name: f"m@{number}" for place, number in self.held.items()}

    def guarded(self, place: Target) -> bool:
        return place.name in ("champion", "Production") or any(item.guards("m", place) for item in self.policies.values())

    def lacks(self, number: int, place: Target) -> list[str]:
        """Say by the test's own books what a version lacks for a place."""
        if not self.guarded(place):
            return []
        missing = ["rejected"] if number in self.rejected else []
        for item in self.policies.values():
            if item.guards("m", place):
                people = {name for name, digests in self.approved.get(number, []) if item.digest in digests}
                missing += [f"{item.name}: approvals"] if len(people) < item.approvals else []
                missing += [f"{item.name}: bias"] if item.checks and self.bias.get(number) is not Verdict.PASS else []
        return missing

    def note(self, number: int, who: Principal, approve: bool, done: bool, asked: "set[str] | None" = None) -> None:
        """Keep what a decision counts for by the test's own books."""
        if not done:
            return
        if not approve:
            self.rejected.add(number)
            return
        counting = {
            item.digest
            for item in self.policies.values()
            if Role.VALIDATOR in who.roles and item.approvals and (item.own or self.makers.get(number) != who.name)
        }
        self.approved.setdefault(number, []).append((who.name, frozenset(counting if asked is None else counting & asked)))

    def do(self, work: Any, *arguments: Any, **named: Any) -> Any:
        """Do something natively; None if it is refused."""
        try:
            return self.workspace.database.write(lambda tx: work(tx, *arguments, **named))
        except PerenneError:
            return None

    def ask(self, handler: Any, who: Principal, asked: Any) -> Any:
        """Do something as a client of MLflow does; None if it is refused."""
        return self.do(lambda tx: handler(Call(tx, who, self.workspace, ()), asked))

    def succeeds(self, way: Any, *arguments: Any) -> bool:
        """Tell whether something is done, whatever it returns."""
        work, *rest = arguments
        done = []

        def noting(*inner: Any, **named: Any) -> Any:
            answer = work(*inner, **named)
            done.append(True)
            return answer

        way(noting, *rest)
        return bool(done)

    def teardown(self) -> None:
        self.workspace.close()
        self.folder.cleanup()


TestNoWayRound = NoWayRound.TestCase
TestNoWayRound.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)


class AtLength(NoWayRound):
    """The same, hundreds of times."""


TestAtLength = pytest.mark.long(AtLength.TestCase)
TestAtLength.settings = settings(max_examples=400, stateful_step_count=40, deadline=None)
