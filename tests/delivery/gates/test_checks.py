"""Each gate by itself: what passes, what fails, and what it cannot tell."""

from pathlib import Path

import msgspec
import pytest
from tests.delivery.bill.test_advisories import record, write
from tests.delivery.gates.conftest import Done, lost

from perenne.delivery.gates.checks.answers import Example, Parity
from perenne.delivery.gates.checks.bounds import Fairness, Objectives, Slices
from perenne.delivery.gates.checks.budgets import Size
from perenne.delivery.gates.checks.code import Lint, Tests, read_junit
from perenne.delivery.gates.checks.compatible import Compatible, differences
from perenne.delivery.gates.checks.data import Data
from perenne.delivery.gates.checks.not_worse import NotWorse
from perenne.delivery.gates.checks.parts import Bill, Licences, Vulnerabilities
from perenne.delivery.gates.checks.review import Review
from perenne.delivery.gates.checks.signature import Signature as Signature_
from perenne.delivery.gates.order import all_gates
from perenne.delivery.gates.port import GateCheck
from perenne.delivery.gates.running import look
from perenne.delivery.gates.subject import Rules, Subject
from perenne.inference import Signature
from perenne.inference.model import Output
from perenne.projects import Gate, Guardrail, Objective
from perenne.registry import Decision, Verdict
from perenne.stats.columns import Field, FieldKind, Task
from perenne.testing import GateCheckContract

PROCESSES = {"latency", "throughput", "start", "memory", "tests"}


@pytest.mark.parametrize("gate", [gate for gate in all_gates() if gate.name not in PROCESSES], ids=lambda gate: gate.name)
class TestGates(GateCheckContract):
    @pytest.fixture
    def gate(self, request: pytest.FixtureRequest) -> GateCheck:
        found: GateCheck = request.param
        return found

    @pytest.fixture
    def subject(self, shared: Subject) -> Subject:
        return shared

    @pytest.fixture
    def broken(self, shared: Subject) -> Subject:
        return lost(shared)


def test_the_example_of_a_sound_package_is_answered_as_stored_and_a_damaged_one_fails(subject: Subject) -> None:
    found = look(subject, Example(), 60)
    assert (found.verdict, found.unit) == (Verdict.PASS, "rows")
    (subject.package / "example.json").write_text("{}")
    damaged = look(subject, Example(), 60)
    assert damaged.verdict is Verdict.FAIL
    assert "not the file that was packaged" in damaged.detail


def test_parity_is_read_from_the_package(subject: Subject) -> None:
    found = look(subject, Parity(), 60)
    assert found.verdict is Verdict.PASS
    assert found.value is not None and found.limit is not None and found.value < found.limit


def test_objectives_are_measured_anew_and_the_one_that_is_missed_is_shown(shared: Subject, subject: Subject) -> None:
    assert look(shared, Objectives(), 60).verdict is Verdict.PASS
    assert look(shared, Slices(), 60).verdict is Verdict.PASS
    assert Fairness().unasked(shared)
    subject.rules = Rules(
        (Objective("roc_auc", at_least=0.5), Objective("accuracy", at_least=0.999)),
        (Guardrail("accuracy", by="group", at_least=0.9999),),
    )
    missed = look(subject, Objectives(), 60)
    assert (missed.verdict, missed.limit) == (Verdict.FAIL, 0.999)
    assert missed.value is not None and missed.value < 0.999
    assert "roc_auc ≥ 0.5" in missed.detail
    assert look(subject, Slices(), 60).verdict is Verdict.FAIL


def test_groups_that_were_not_recorded_leave_it_unknown(subject: Subject) -> None:
    subject.rules = Rules((), (Guardrail("selection_rate_ratio", by="shoe size", at_least=0.5),))
    found = look(subject, Fairness(), 60)
    assert found.verdict is Verdict.UNKNOWN
    assert "shoe size" in found.detail


def test_a_version_is_compared_with_the_champion_on_its_own_holdout(subject: Subject) -> None:
    found = look(subject, NotWorse(), 60)
    assert found.verdict in (Verdict.PASS, Verdict.UNKNOWN)
    assert found.facts["against"] == "lumps@1"
    subject.rules = Rules(gates=(Gate("not-worse", at_least=0.5),))
    assert look(subject, NotWorse(), 60).verdict is Verdict.FAIL


def test_who_compares_with_itself_is_not_asked(done: Done, tmp_path: Path) -> None:
    champion = done.subject(tmp_path / "champion", "lumps@1")
    assert "champion itself" in NotWorse().unasked(champion)
    assert "champion itself" in Compatible().unasked(champion)
    alone = done.subject(tmp_path / "alone", champion=False)
    assert look(alone, NotWorse(), 60).verdict is Verdict.UNKNOWN


NUMBER, TEXT = Field("n", FieldKind.NUMBER), Field("t", FieldKind.CATEGORY, "string")
FLAG = Field("f", FieldKind.CATEGORY, "bool")
IMAGE = Field("image", FieldKind.TENSOR, "float32", (3, 8, 8))


def signature(*fields: Field, task: Task = Task.BINARY, classes: tuple[str, ...] = ("no", "yes"), **more: object) -> Signature:
    return Signature(fields, task, classes, "y", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after", "breaks"),
    [
        (signature(NUMBER, TEXT), signature(TEXT, NUMBER), ""),
        (signature(NUMBER, TEXT), signature(NUMBER), ""),
        (signature(NUMBER), signature(NUMBER, TEXT), "input t is new"),
        (signature(NUMBER), signature(msgspec.structs.replace(NUMBER, kind=FieldKind.TIME)), "input n takes time"),
        (signature(FLAG), signature(msgspec.structs.replace(FLAG, datatype="string")), ""),
        (signature(TEXT), signature(msgspec.structs.replace(TEXT, datatype="bool")), "input t takes category (bool)"),
        (signature(NUMBER), signature(NUMBER, classes=("yes", "no")), "other classes"),
        (signature(NUMBER), signature(NUMBER, task=Task.REGRESSION, classes=()), "answers regression"),
        (signature(IMAGE), signature(msgspec.structs.replace(IMAGE, shape=(3, -1, -1))), ""),
        (signature(msgspec.structs.replace(IMAGE, shape=(3, -1, -1))), signature(IMAGE), "input image takes tensor"),
        (
            signature(IMAGE, task=Task.OUTPUTS, classes=(), outputs=(Output("y", "float32", (2,)),)),
            signature(IMAGE, task=Task.OUTPUTS, classes=(), outputs=(Output("y", "float32", (3,)),)),
            "other tensors",
        ),
    ],
)
def test_callers_of_the_champion_are_served_or_the_break_is_named(before: Signature, after: Signature, breaks: str) -> None:
    found = "; ".join(differences(before, after))
    assert breaks in found
    assert bool(found) is bool(breaks)


def test_the_size_is_held_against_a_budget(subject: Subject) -> None:
    assert "no budget" in Size().unasked(subject)
    for limit, verdict in ((50.0, Verdict.PASS), (0.001, Verdict.FAIL)):
        subject.rules = Rules(gates=(Gate("size", at_most=limit),))
        assert look(subject, Size(), 60).verdict is verdict


def test_people_are_asked_only_where_the_policy_says_so(subject: Subject) -> None:
    assert Review().unasked(subject)
    version = subject.version
    no = Decision(version.id, version.tree, False, "abe", False, "biased", 0)
    elsewhere = Decision(version.id, "x" * 64, False, "abe", False, "of other files", 0)
    subject.dossier = msgspec.structs.replace(subject.dossier, decisions=(elsewhere,))
    assert Review().unasked(subject)
    subject.dossier = msgspec.structs.replace(subject.dossier, decisions=(no,))
    assert not Review().unasked(subject)
    assert look(subject, Review(), 60).verdict is Verdict.FAIL
    asked = msgspec.structs.replace(version, policy=msgspec.structs.replace(version.policy, approve_by="ops"))
    subject.dossier = msgspec.structs.replace(subject.dossier, version=asked, decisions=())
    assert look(subject, Review(), 60).verdict is Verdict.UNKNOWN
    yes = Decision(version.id, version.tree, True, "abe", False, "", 0)
    subject.dossier = msgspec.structs.replace(subject.dossier, decisions=(yes,))
    assert look(subject, Review(), 60).verdict is Verdict.PASS


def test_ruff_looks_at_the_project_as_it_is_set_up(done: Done, tmp_path: Path) -> None:
    (done.folder / "ruff.toml").write_text('lint.select = ["F401"]\n')
    subject = done.subject(tmp_path / "scratch")
    assert not Lint().unasked(subject)
    assert look(subject, Lint(), 60).verdict is Verdict.PASS
    (done.folder / "more.py").write_text("import os\n")
    found = look(subject, Lint(), 60)
    assert (found.verdict, found.value) == (Verdict.FAIL, 1.0)
    assert "more.py:1 F401" in found.detail
    (done.folder / "ruff.toml").write_text("nonsense = true\n")
    assert look(subject, Lint(), 60).verdict is Verdict.UNKNOWN


def test_the_projects_own_tests_are_run(done: Done, tmp_path: Path) -> None:
    (done.folder / "test_sum.py").write_text("def test_sum():\n    assert 1 + 1 == 3\n")
    found = look(done.subject(tmp_path / "scratch"), Tests(), 60)
    assert found.verdict is Verdict.FAIL
    assert "test_sum" in found.detail


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        ('tests="3" failures="0" errors="0" skipped="0"', Verdict.PASS),
        ('tests="3" failures="1" errors="0" skipped="0"', Verdict.FAIL),
        ('tests="3" failures="0" errors="1" skipped="1"', Verdict.FAIL),
        ('tests="3" failures="0" errors="0" skipped="1"', Verdict.UNKNOWN),
        ('tests="0" failures="0" errors="0" skipped="0"', Verdict.UNKNOWN),
    ],
)
def test_a_junit_report_says_what_it_says(counts: str, verdict: Verdict) -> None:
    assert read_junit(f"<testsuites><testsuite {counts}/></testsuites>").verdict is verdict


@pytest.mark.parametrize("text", ["", "no xml", "<testsuite", '<!DOCTYPE a [<!ENTITY b "c">]><testsuite tests="1"/>'])
def test_what_is_no_report_is_not_read(subject: Subject, text: str) -> None:
    class Reads(Tests):
        def look(self, subject: Subject):  # type: ignore[no-untyped-def]
            return read_junit(text)

    assert look(subject, Reads(), 60).verdict is Verdict.UNKNOWN


def test_rows_are_held_against_the_projects_schema(done: Done, tmp_path: Path) -> None:
    subject = done.subject(tmp_path / "scratch")
    assert Data().unasked(subject)
    (done.folder / "schemas").mkdir()
    for least, verdict in ((100, Verdict.PASS), (100_000, Verdict.FAIL)):
        (done.folder / "schemas" / "samples.yaml").write_text(f"table: {{rows_min: {least}}}\ncolumns: {{}}\n")
        assert not Data().unasked(subject)
        assert look(subject, Data(), 60).verdict is verdict


def test_parts_are_judged_by_the_source_and_the_policy_that_are_configured(
    shared: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PERENNE_ADVISORIES", raising=False)
    monkeypatch.delenv("PERENNE_BILL_POLICY", raising=False)
    bill = look(shared, Bill(), 120)
    assert (bill.verdict, bill.unit) == (Verdict.PASS, "parts")
    assert "scikit-learn" in {part["name"] for part in bill.facts["parts"]}
    assert "no source" in Vulnerabilities().unasked(shared)
    assert look(shared, Vulnerabilities(), 60).verdict is Verdict.UNKNOWN
    wrong = record(name="scikit-learn", events=({"introduced": "0"},))
    monkeypatch.setenv("PERENNE_ADVISORIES", str(write(tmp_path / "osv", wrong)))
    assert not Vulnerabilities().unasked(shared)
    found = look(shared, Vulnerabilities(), 60)
    assert (found.verdict, found.value) == (Verdict.FAIL, 1.0)
    assert Licences().unasked(shared)
    policy = tmp_path / "parts.yaml"
    policy.write_text("licences: {allow: [MIT], deny: [BSD-*]}\n")
    monkeypatch.setenv("PERENNE_BILL_POLICY", str(policy))
    assert not Licences().unasked(shared)
    assert look(shared, Licences(), 60).verdict is Verdict.FAIL


def test_a_signature_of_this_installation_passes_and_one_that_is_missing_does_not(done: Done, tmp_path: Path) -> None:
    subject = done.subject(tmp_path / "scratch")
    assert not Signature_().unasked(subject)
    found = look(subject, Signature_(), 60)
    assert (found.verdict, found.facts["own"]) == (Verdict.PASS, True)
    elsewhere = msgspec.structs.replace(subject.version, tree="e" * 64)
    subject.dossier = msgspec.structs.replace(subject.dossier, version=elsewhere)
    assert "nobody has signed it" in Signature_().unasked(subject)
    assert look(subject, Signature_(), 60).verdict is not Verdict.PASS
