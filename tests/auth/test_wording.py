"""Audit records in words: every action that the program records has its own, and says what became of it."""

import ast
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.auth.test_audit import make_trail

import perenne
from perenne.auth.chain import AuditRecord
from perenne.auth.wording import _PHRASES, told
from perenne.automation import EpisodeState
from perenne.core import json
from perenne.monitoring.model import AlertState

CHANGES = ("deployed", "promoted", "rolled_back", "challenger_set", "challenger_removed", "stopped", "resumed")
FILLED_IN = {
    "episode": {state.value for state in EpisodeState},
    "alert": {state.value for state in AlertState},
    "deployment": set(CHANGES),
    "run": {"finished", "failed"},
}


def recorded_actions() -> set[str]:
    """Every action that is written out in a call of `record`, in all of the source."""
    found = set()
    for path in Path(perenne.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("audit.record") and len(node.args) > 2:
                action = node.args[2]
                if isinstance(action, ast.Constant):
                    found.add(str(action.value))
                elif isinstance(action, ast.JoinedStr):
                    area = ast.unparse(action).removeprefix("f'").partition(".")[0]
                    found |= {f"{area}.{verb}" for verb in FILLED_IN.get(area, ())}
    return found


def row(action: str, entity_id: str = "churn@3", *, before: Any = None, after: Any = None, **fields: str) -> AuditRecord:
    texts = [None if state is None else json.canonical(state).decode() for state in (before, after)]
    entity = action.partition(".")[0]
    made = AuditRecord(1, 0, "ada", "user", "", action, entity, entity_id, texts[0], texts[1], "", "", "")
    return msgspec.structs.replace(made, **fields)


def test_whatever_the_program_records_has_words_of_its_own() -> None:
    actions = recorded_actions()
    assert len(actions) > 35, "the source was read"
    assert sorted(actions - set(_PHRASES)) == []


DEPLOYED = {"variants": [{"version": "churn@3", "role": "champion"}, {"version": "churn@4", "role": "challenger"}]}
BEFORE = {"variants": [{"version": "churn@3", "role": "champion"}]}


@pytest.mark.parametrize(
    ("record", "sentence"),
    [
        (row("version.approve", reason="better for all"), "ada approved churn@3: better for all"),
        (row("version.register", after={"gate": "waiting"}), "ada registered churn@3: it waits for approval"),
        (row("alias.move", "churn/champion", after="churn@4", reason="won"), "ada made churn@4 champion of churn: won"),
        (row("deployment.promoted", "churn", after=DEPLOYED), "ada promoted churn@3 to champion of churn"),
        (row("deployment.challenger_set", "churn", before=BEFORE, after=DEPLOYED), "ada put churn@4 in shadow beside churn"),
        (row("deployment.rolled_back", "churn", after=BEFORE, reason="p99"), "ada rolled back churn to churn@3: p99"),
        (row("snapshot.take", "f" * 64, after={"dataset": "calls", "rows": 12_000}), "ada took a snapshot of calls: 12,000 rows"),
        (row("run.failed", "r1", after={"outcome": "no rows"}), "ada gave up run r1: no rows"),
        (row("run.failed", "r1", after={"outcome": "no rows"}, reason="no rows"), "ada gave up run r1: no rows"),
        (row("labels.accept", "d", after={"rows": 1204}), "ada labelled 1,204 answers"),
        (
            row("episode.training", "e", after={"project": "churn"}, actor="policy:churn", actor_kind="policy", reason="drift"),
            "the loop started training in the retraining of churn: drift",
        ),
        (row("deployment.stopped", "churn", actor="guardrail:churn", actor_kind="system"), "the guardrail stopped churn"),
        (
            row("deployment.stopped", "churn", after={"stop": {"mode": "constant"}}, reason="log_loss is 3"),
            "ada stopped churn: the constant answers; log_loss is 3",
        ),
        (row("thing.turn_around", "t"), "ada recorded “turn around” for thing t"),
    ],
)
def test_a_record_is_a_sentence(record: AuditRecord, sentence: str) -> None:
    assert told(record).sentence == sentence


def test_no_record_is_too_bare_for_words() -> None:
    for action in _PHRASES:
        said = told(row(action, "thing")).sentence
        assert said and "None" not in said and not re.search(r"\s{2}|\{", said), (action, said)
    assert told(make_trail(1)[0]).sentence == "ada recorded “do” for thing t1: why"


def test_a_record_leads_to_what_it_is_about() -> None:
    assert told(row("version.approve")).path == "/model/churn?version=3"
    assert told(row("alias.move", "churn/champion")).path == "/model/churn"
    assert told(row("monitor.watch", "churn")).path == "/monitor/churn"
    assert told(row("token.create", "t")).path == ""
