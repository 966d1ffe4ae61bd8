"""Running gates: nothing unknown becomes a pass, what was found is kept and counts, and what is required holds back."""

import threading
from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.delivery.gates.conftest import ADA, Done

from perenne import serving
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.core.clock import DAY, SystemClock, format_time
from perenne.core.errors import Conflict, Denied, Invalid, NotFound
from perenne.delivery.gates.model import Finding, GateRow, combine, not_checked, passed, worst
from perenne.delivery.gates.port import Setting, Untold
from perenne.delivery.gates.running import Wish, evidence_of, known_rows, look, run_gates
from perenne.delivery.gates.subject import Subject
from perenne.projects import load_project
from perenne.registry import Evidence, GateState, Verdict, dossier, placing
from perenne.registry.model import GatePolicy, Version, VersionState, gate
from perenne.storage.outbox import events
from perenne.storage.transaction import Transaction

QUICK = ("compatible", "example", "parity", "size")
VERDICTS = st.sampled_from(list(Verdict))


def row(verdict: Verdict, required: bool = True, waived: str = "") -> GateRow:
    return GateRow(gate="g", title="t", verdict=verdict, required=required, waived=waived)


ROWS = st.lists(st.builds(row, VERDICTS, st.booleans(), st.sampled_from(["", "no source here"])), max_size=6)


@given(ROWS)
def test_what_gates_come_to_is_a_pass_only_if_nothing_failed_and_nothing_required_is_unknown(rows: list[GateRow]) -> None:
    failed = any(item.verdict is Verdict.FAIL for item in rows)
    missing = any(item.verdict is Verdict.UNKNOWN and item.required and not item.waived for item in rows)
    seen = any(item.verdict is Verdict.PASS for item in rows)
    expected = Verdict.FAIL if failed else Verdict.PASS if seen and not missing else Verdict.UNKNOWN
    assert combine(rows) is expected
    assert len(not_checked(rows)) == sum(item.verdict is Verdict.UNKNOWN for item in rows)


@given(st.lists(VERDICTS, max_size=5))
def test_parts_come_to_a_pass_only_if_each_passed(verdicts: list[Verdict]) -> None:
    assert (worst(verdicts) is Verdict.PASS) is (bool(verdicts) and set(verdicts) == {Verdict.PASS})
    assert (worst(verdicts) is Verdict.FAIL) is (Verdict.FAIL in verdicts)


@given(st.none() | st.floats(), st.none() | st.floats(), st.none() | st.floats(-1, 1))
def test_a_figure_passes_only_against_a_limit_that_it_keeps(value: float | None, high: float | None, low: float | None) -> None:
    found = passed(value, at_most=high, at_least=low)
    if found.verdict is Verdict.PASS:
        assert value is not None
        assert (low is not None and value >= low) or (low is None and high is not None and value <= high)


@given(st.lists(st.tuples(VERDICTS, st.booleans(), st.booleans()), max_size=6), st.integers(0, 20))
def test_the_registry_lets_nothing_through_that_the_gates_hold_back(said: list[tuple[Verdict, bool, bool]], now: int) -> None:
    version = Version(
        "m@1", "m", 1, "p", "run", "t" * 64, "r" * 64, "s" * 64, VersionState.CANDIDATE, GatePolicy(("gate: g0",)), None, 0, "ada"
    )
    facts = [
        Evidence(check=f"gate: g{number % 3}", verdict=verdict, required=required, waived="why" if waived else "", until=10)
        for number, (verdict, required, waived) in enumerate(said)
    ]
    newest = {item.check: item for item in facts}
    asked = [item for item in newest.values() if item.required or item.check == "gate: g0"]
    fine = "gate: g0" in newest and all(
        item.verdict is Verdict.PASS or (item.verdict is Verdict.UNKNOWN and bool(item.waived) and now < 10) for item in asked
    )
    assert (gate(version, facts, (), now=now).state is GateState.OPEN) is fine
    assert gate(version, facts, ()).state is not GateState.OPEN or all(item.verdict is Verdict.PASS for item in asked)


class Odd:
    """A gate that does what it is told."""

    name, title = "odd", "it does what it is told"
    rests_on: tuple[str, ...] = ("moment",)
    settings: Mapping[str, Setting] = {}

    def __init__(self, work: object) -> None:
        self._work = work

    def unasked(self, subject: Subject) -> str:
        return ""

    def look(self, subject: Subject) -> Finding:
        if isinstance(self._work, BaseException):
            raise self._work
        return self._work() if callable(self._work) else self._work  # type: ignore[return-value]


@pytest.mark.parametrize(
    "work",
    [Untold("no"), ValueError("x"), Invalid("x", code="a.b", hint="c"), SystemExit(0), None, "pass"],
)
def test_a_gate_that_breaks_or_says_nonsense_is_unknown(subject: Subject, work: object) -> None:
    assert look(subject, Odd(work), 60).verdict is Verdict.UNKNOWN


def test_a_gate_that_does_not_end_is_unknown_and_what_it_says_later_counts_for_nothing(subject: Subject) -> None:
    ready = threading.Event()

    def late() -> Finding:
        ready.wait(30)
        return Finding(verdict=Verdict.PASS)

    found = look(subject, Odd(late), 0.05)
    ready.set()
    assert (found.verdict, found.detail) == (Verdict.UNKNOWN, "it did not end within 0.05 s")


def run(done: Done, identity: str = "lumps@2", **wish: object) -> dict[str, GateRow]:
    report = run_gates(done.workspace, ADA, identity, Wish(**wish), project=load_project(done.folder))  # type: ignore[arg-type]
    return {item.gate: item for item in report.rows}


def state(done: Done, identity: str = "lumps@2") -> GateState:
    with done.workspace.database.read() as tx:
        return dossier(tx, identity).gate.state


def test_every_gate_leaves_a_row_with_all_that_was_found(done: Done) -> None:
    rows = run(done)
    with done.workspace.database.read() as tx:
        known = dossier(tx, "lumps@2")
        (record, *_) = audit.trail(tx, entity="version", limit=1)
        told = [event for event in events(tx, limit=50) if event.name == "delivery.gates_passed"]
    assert list(rows) == [item.gate for item in known_rows(known)]
    assert {"example", "compatible", "objectives", "slices", "latency", "review"} <= rows.keys()
    assert (record.action, record.entity_id, record.reason) == ("version.evidence", "lumps@2", "gate")
    found = rows["objectives"]
    kept = msgspec.json.decode(done.workspace.objects.get(found.digest))
    assert (kept["tree"], kept["verdict"], kept["value"]) == (known.version.tree, found.verdict.value, found.value)
    assert {check["check"] for check in kept["facts"]["checks"]} == {"objective: roc_auc ≥ 0.8"}
    assert found.started is not None and found.seconds is not None
    assert bool(told) is not any(item.holds_back for item in rows.values())


def test_what_was_found_is_taken_over_for_the_same_files_and_limits_only(done: Done) -> None:
    first = run(done, just=QUICK)
    assert first["compatible"].verdict is Verdict.PASS and not first["compatible"].taken_over
    again = run(done, just=QUICK)
    assert [again[name].taken_over for name in QUICK] == [True, True, True, False]
    assert again["parity"].digest == first["parity"].digest
    assert not any(item.taken_over for item in run(done, just=QUICK, fresh=True).values())
    done.state("gates: {size: {at_most: 100}}")
    assert run(done, just=QUICK)["size"].verdict is Verdict.PASS
    done.state("gates: {size: {at_most: 0.00001}}")
    tight = run(done, just=QUICK)["size"]
    assert (tight.verdict, tight.taken_over) == (Verdict.FAIL, False)
    assert state(done) is GateState.CLOSED


def test_what_is_skipped_is_unknown_unless_it_was_found_before(done: Done) -> None:
    rows = run(done, only={"example"})
    assert rows["example"].verdict is Verdict.PASS
    assert (rows["parity"].verdict, rows["parity"].detail) == (Verdict.UNKNOWN, "skipped")
    assert rows["parity"].holds_back
    assert state(done) is GateState.CLOSED
    assert run(done, only={"parity"})["example"].taken_over
    assert run(done, just=QUICK, skip=QUICK)["parity"].verdict is Verdict.PASS


def test_a_required_gate_that_is_unknown_holds_back_until_it_is_let_go_for_a_time(done: Done) -> None:
    (done.folder / "ruff.toml").write_text("nonsense = true\n")
    done.state("gates: {lint: {required: true}}")
    rows = run(done, just=("example", "lint"))
    assert rows["lint"].verdict is Verdict.UNKNOWN and rows["lint"].holds_back
    assert state(done) is GateState.CLOSED
    with pytest.raises(Conflict, match="gate: lint: unknown"):
        done.workspace.database.write(lambda tx: placing.set_alias(tx, ADA, "lumps", "champion", "lumps@2"))
    tomorrow = format_time(SystemClock().now() + DAY)[:10]
    done.state(f"gates: {{lint: {{required: true, waive: written next week, until: {tomorrow}}}}}")
    rows = run(done, just=("example", "lint"))
    assert (rows["lint"].verdict, rows["lint"].waived) == (Verdict.UNKNOWN, "written next week")
    with done.workspace.database.read() as tx:
        known = dossier(tx, "lumps@2")
    assert not any("gate: lint" in reason for reason in known.gate.reasons)
    later = gate(known.version, known.evidence, known.decisions, now=SystemClock().now() + 3 * DAY)
    assert any("gate: lint" in reason for reason in later.reasons)


def test_a_failure_is_never_let_go(done: Done) -> None:
    tomorrow = format_time(SystemClock().now() + DAY)[:10]
    done.state(f"gates: {{size: {{at_most: 0.00001, waive: it will shrink, until: {tomorrow}}}}}")
    found = run(done, just=("size",))["size"]
    assert (found.verdict, found.waived, found.holds_back) == (Verdict.FAIL, "", True)
    assert not evidence_of(found).lets_through(0)


def test_a_version_that_has_served_is_gone_back_to_though_a_later_gate_fails_it(done: Done) -> None:
    def champion(tx: Transaction, identity: str) -> None:
        placing.set_alias(tx, ADA, "lumps", "champion", identity)

    done.workspace.database.write(lambda tx: serving.service.deploy(tx, ADA, "lumps", "lumps@1"))
    done.workspace.database.write(lambda tx: champion(tx, "lumps@2"))
    done.state("gates: {size: {at_most: 0.00001}}")
    for identity in ("lumps@1", "lumps@2"):
        assert run(done, identity, just=("size",))["size"].verdict is Verdict.FAIL
        assert state(done, identity) is GateState.CLOSED
    done.workspace.database.write(lambda tx: champion(tx, "lumps@1"))
    with pytest.raises(Conflict, match="gate: size: fail"):
        done.workspace.database.write(lambda tx: champion(tx, "lumps@2"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gates: {latnecy: {required: true}}", "no gate 'latnecy'"),
        ("gates: {latency: {settings: {callers: 3}}}", "no setting 'callers'"),
        ("gates: {size: {at_most: 1, settings: {timeout: soon}}}", "timeout is 'soon'"),
    ],
)
def test_words_on_what_there_is_not_are_refused_before_anything_is_kept(done: Done, text: str, message: str) -> None:
    done.state(text)
    with pytest.raises(Invalid, match=message):
        run(done, just=QUICK)
    with done.workspace.database.read() as tx:
        assert known_rows(dossier(tx, "lumps@2")) == []


def test_who_may_not_log_or_see_runs_nothing(done: Done) -> None:
    for who, error in (
        (Principal("vic", roles=frozenset({Role.VIEWER})), Denied),
        (Principal("elle", roles=frozenset(Role), projects=frozenset({"other"})), NotFound),
    ):
        with pytest.raises(error):
            run_gates(done.workspace, who, "lumps@2", Wish(just=QUICK))
    for name in ("lumps@9", "lumps@nobody", "lumps", "@1"):
        with pytest.raises((NotFound, Invalid)):
            run_gates(done.workspace, ADA, name, Wish(just=QUICK))


class Ours(Odd):
    """A gate of another package."""

    name, title = "ours", "it is ours"

    def __init__(self) -> None:
        super().__init__(Finding(verdict=Verdict.FAIL, detail="never"))


class Offered:
    def __init__(self, name: str, made: object) -> None:
        self.name, self._made = name, made

    def load(self) -> object:
        if isinstance(self._made, Exception):
            raise self._made
        return self._made


def test_packages_offer_gates_of_their_own(monkeypatch: pytest.MonkeyPatch, done: Done) -> None:
    from perenne.delivery.gates import order

    offered = [Offered("ours", Ours)]
    monkeypatch.setattr(order, "entry_points", lambda group: offered)
    assert run(done, just=("ours",))["ours"].verdict is Verdict.FAIL
    offered.append(Offered("again", Ours))
    with pytest.raises(Invalid, match="offered twice"):
        order.all_gates()
    offered[:] = [Offered("lost", ImportError("no"))]
    with pytest.raises(Invalid, match="cannot be imported"):
        order.all_gates()


def test_a_round_runs_the_gates_that_its_project_requires(done: Done) -> None:
    from perenne.automation.rounds import run_round

    (done.folder / "project.py").write_text((done.folder / "project.py").read_text().replace("[0.1, 1.0]", "[0.2]"))
    done.state("gates: {parity: {required: true}, size: {required: true, at_most: 0.00001}, review: {required: true}}")
    made = run_round(done.workspace, ADA, load_project(done.folder))
    with done.workspace.database.read() as tx:
        known = dossier(tx, made.version.id)
    assert {"gate: parity", "gate: size"} <= set(known.version.policy.required)
    assert "gate: review" not in known.version.policy.required
    assert [item.gate for item in known_rows(known)] == ["parity", "size"]
    assert any("gate: size: fail" in reason for reason in known.gate.reasons)


def test_a_misspelt_gate_ends_a_round_before_it_begins(done: Done) -> None:
    from perenne.automation.rounds import run_round

    done.state("gates: {parrity: {required: true}}")
    with pytest.raises(Invalid, match="parrity"):
        run_round(done.workspace, ADA, load_project(done.folder))
