"""What MLflow's own server answered about models and versions, held against what ours does over a real socket."""

import json
from pathlib import Path
from typing import Any

import httpx
from tests.protocols.mlflow.conversation import hold
from tests.protocols.mlflow.registry_conversation import STEPS

RECORDED = Path(__file__).with_name("registry_recorded.json")
OURS = {
    "a run": "its times are held elsewhere",
    "register a file of a run": "the source is repeated as it was given",
    "search models for none": "a page without models has no next one",
    "search models in no order": "the keys that may be sorted by are named",
    "search models by an unknown key": "the keys that may be asked are named",
}
"""Where we answer otherwise on purpose: with the same status and code, in other words."""


def test_every_answer_is_that_of_mlflows_server_but_for_ids_and_times(client: httpx.Client) -> None:
    recorded: list[dict[str, Any]] = json.loads(RECORDED.read_bytes())
    answers = hold(client, STEPS)
    assert [one["step"] for one in recorded] == [step.name for step in STEPS], "it was recorded after the last change"
    for answer, expected in zip(answers, recorded, strict=True):
        name = answer["step"]
        assert answer["status"] == expected["status"], (name, answer["answer"])
        if name in OURS:
            assert answer["answer"].get("error_code") == expected["answer"].get("error_code"), OURS[name]
        else:
            assert comparable(answer["answer"]) == comparable(expected["answer"]), name


def comparable(answer: Any) -> Any:
    """Return an answer without what only ours has, and lists in one order where none is promised."""
    if isinstance(answer, dict):
        found = {name: comparable(value) for name, value in answer.items() if name != "hint"}
        for name in ("latest_versions", "tags", "aliases"):
            if isinstance(found.get(name), list):
                found[name] = sorted(found[name], key=json.dumps)
        return found
    return [comparable(item) for item in answer] if isinstance(answer, list) else answer
