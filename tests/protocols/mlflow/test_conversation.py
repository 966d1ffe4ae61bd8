"""What MLflow's own server answered, held against what ours does."""

import json
from pathlib import Path
from typing import Any

import httpx
from tests.protocols.mlflow.conversation import STEPS, hold

RECORDED = Path(__file__).with_name("recorded.json")


def test_every_answer_is_that_of_mlflows_server_but_for_ids_and_times(client: httpx.Client) -> None:
    recorded: list[dict[str, Any]] = json.loads(RECORDED.read_bytes())
    answers = hold(client, STEPS)
    assert [one["step"] for one in recorded] == [step.name for step in STEPS], "it was recorded after the last change"
    for answer in answers:
        if isinstance(answer["answer"], dict):
            answer["answer"].pop("hint", None)  # ours alone
    assert answers == recorded
