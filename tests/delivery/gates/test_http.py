"""The gates by REST and by the command: what is answered, what is refused, and what a worker does with it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.delivery.gates.conftest import ADA, Done
from tests.web.control_plane import control_plane

from perenne import registry
from perenne.app.wiring import Platform
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.auth.roles import Role
from perenne.cli.root import invoke
from perenne.core import json
from perenne.core.errors import Denied
from perenne.delivery.gates import Wish, run_gates
from perenne.delivery.gates.jobs import GateWish, ask, open_job
from perenne.delivery.views import gate_view, versions_view
from perenne.registry import card_text, dossier
from perenne.storage import jobs

ELSE = Principal("elle", roles=frozenset(Role), projects=frozenset({"other"}))


@pytest.fixture
def client(done: Done) -> Iterator[httpx.Client]:
    with control_plane(done.workspace) as url, httpx.Client(base_url=url, timeout=60) as opened:
        yield opened


def test_gates_are_asked_for_run_by_a_worker_and_read(done: Done, client: httpx.Client) -> None:
    assert client.get("/api/gate/lumps@2").json()["verdict"] == "unknown"
    assert client.get("/api/gate/lumps@2/evidence/example").status_code == 404
    answer = client.post("/api/gate/lumps@2", json={"only": ["example"]})
    assert answer.status_code == 202
    job = answer.json()["id"]
    assert client.post("/api/gate/lumps@2", json={}).json()["id"] == job, "asked again meanwhile, it is the same job"
    assert Platform(done.workspace).trainer.drain() == 1
    assert client.get(f"/api/jobs/{job}").json()["state"] == "done"
    report = client.get("/api/gate/lumps@2").json()
    verdicts = {row["gate"]: row["verdict"] for row in report["rows"]}
    assert (verdicts["example"], verdicts["parity"], report["verdict"]) == ("pass", "unknown", "unknown")
    assert "parity: skipped" in report["not_checked"]
    found = client.get("/api/gate/lumps@2/evidence/example").json()
    assert (found["gate"], found["verdict"], found["version"]) == ("example", "pass", "lumps@2")
    with done.workspace.database.read() as tx:
        actions = [record.action for record in audit.trail(tx, entity="version", limit=3)]
    assert actions[:2] == ["version.evidence", "version.gate"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"only": ["latnecy"]}, 422, "only"),
        ({"skip": ["x"]}, 422, "skip"),
        ({"oops": 1}, 422, "oops"),
        ({"fresh": "yes"}, 422, "fresh"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_field(
    done: Done, client: httpx.Client, body: dict[str, Any], status: int, words: str
) -> None:
    answer = client.post("/api/gate/lumps@2", json=body)
    assert 400 <= answer.status_code < 500
    assert words in answer.text
    assert client.post("/api/gate/lumps@9", json={}).status_code == 404
    with done.workspace.database.read() as tx:
        assert jobs.jobs(tx, limit=10) == []


def test_others_see_and_run_nothing_of_it(done: Done) -> None:
    with done.workspace.database.read() as tx:
        assert versions_view(tx, ELSE).rows == ()
        with pytest.raises(Exception, match="does not exist"):
            gate_view(tx, ELSE, "lumps@2")
        shown = gate_view(tx, Principal("vic", roles=frozenset({Role.VIEWER})), "lumps@2")
    assert not shown.may_run
    assert {row.detail for row in shown.rows} == {"nobody has looked"}
    with pytest.raises(Denied):
        done.workspace.database.write(lambda tx: ask(tx, Principal("vic", roles=frozenset({Role.VIEWER})), "lumps@2", GateWish()))


def test_a_job_whose_version_cannot_be_run_is_told_as_failed(done: Done) -> None:
    job = done.workspace.database.write(lambda tx: ask(tx, ADA, "lumps@2", GateWish(against="nobody")))
    Platform(done.workspace).trainer.drain()
    with done.workspace.database.read() as tx:
        ended = jobs.get_job(tx, job.id)
        assert open_job(tx, "lumps@2") is None
    assert ended is not None and (ended.state, "no alias 'nobody'" in (ended.error or "")) == ("failed", True)


@pytest.fixture
def command(done: Done, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Call `perenne gate` in the project's folder."""
    monkeypatch.setenv("PERENNE_HOME", str(done.workspace.settings.home))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(done.folder)

    def call(*words: str) -> tuple[int, str, str]:
        code = invoke(["gate", *words])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_the_command_ends_with_what_the_gates_come_to(done: Done, command: Any, tmp_path: Path) -> None:
    code, out, err = command("lumps@champion", "--json")
    assert (code, json.decode(out, dict)["version"]) == (0, "lumps@1"), err
    code, out, err = command("lumps@1", "--only", "example", "--fresh")
    assert (code, "parity\tpass" in out, "held back by signature\n" in err.replace(";", "\n")) == (7, True, True), (
        "what was found before still holds, but for what rests on the moment"
    )
    done.state("gates: {fairness: {required: true}}")
    code, _, err = command("lumps@1")
    assert (code, "held back by fairness" in err) == (7, True)
    done.state("gates: {fairness: {required: true}, size: {at_most: 0.00001}}")
    files = [tmp_path / name for name in ("gates.xml", "gates.md", "said")]
    code, _, err = command("lumps@1", "--junit", str(files[0]), "--markdown", str(files[1]), "--output", str(files[2]))
    assert (code, "held back by size, fairness" in err) == (6, True), "a failure weighs more than what is unknown"
    assert files[2].read_text() == "version=lumps@1\nverdict=fail\n"
    assert 'failures="1" errors="1"' in files[0].read_text()
    assert "❌ fail" in files[1].read_text()


def test_without_a_name_it_is_the_projects_newest_version(command: Any) -> None:
    code, out, _ = command("--only", "example", "--json")
    assert (code, json.decode(out, dict)["version"]) == (7, "lumps@2")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("lumps@9",), 3, "does not exist"),
        (("lumps@nobody",), 3, "no alias"),
        (("lumps",), 1, "names no version"),
        (("lumps@2", "--only", "latnecy"), 1, "no gate"),
        (("lumps@2", "--against", "nobody"), 3, "no alias"),
        (("lumps@2", "--bogus"), 2, "bogus"),
        (("--folder", "/nonexistent"), 3, "no project.py"),
    ],
)
def test_mistakes_have_their_code_and_keep_nothing(
    done: Done, command: Any, words: tuple[str, ...], code: int, said: str
) -> None:
    found, _, err = command(*words)
    assert (found, said in err) == (code, True), err
    with done.workspace.database.read() as tx:
        assert not [item for item in dossier(tx, "lumps@2").evidence if item.check.startswith("gate: ")]


def test_what_was_run_elsewhere_counts_for_whoever_reads_it(done: Done) -> None:
    run_gates(done.workspace, ADA, "lumps@2", Wish(just=("example",)))
    with done.workspace.database.read() as tx:
        (line, _) = versions_view(tx, ADA).rows
        view = gate_view(tx, ADA, "lumps@2")
    assert (line.version, line.passed, line.verdict) == ("lumps@2", 1, "pass")
    assert [row.gate for row in view.rows if row.digest] == ["example"]


def test_the_card_lists_gates_and_what_was_not_checked(done: Done) -> None:
    before = registry.card.card(done.workspace, "lumps@2")
    assert "No gate was run" in before.not_checked[0]
    run_gates(done.workspace, ADA, "lumps@2", Wish(just=("example", "review")))
    card = registry.card.card(done.workspace, "lumps@2")
    assert [(gate.gate, gate.verdict) for gate in card.gates] == [("example", "pass"), ("review", "unknown")]
    assert card.not_checked == ("review: nobody is asked to approve it",)
    assert not [check for check in card.checks if check.check.startswith("gate: ")]
    text = card_text.markdown(card)
    assert "| example | pass | yes | 3 rows |" in text
    assert "- review: nobody is asked to approve it" in text
