"""MLflow's webhook routes as its client calls them: create, list, change, try out, delete; and what is refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.registry.receivers import Receiver, receiving

WEBHOOKS = "/api/2.0/mlflow/webhooks"
CREATED = {"entity": "MODEL_VERSION", "action": "CREATED"}
SET = {"entity": "REGISTERED_MODEL", "action": "SET"}
PRIVATE = "Webhook URL must not resolve to a non-public IP address."


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving(tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def made(client: httpx.Client, receiver: Receiver) -> dict[str, Any]:
    given = {"name": "hook", "url": receiver.url, "events": [CREATED], "secret": "hush", "description": "d"}
    webhook: dict[str, Any] = client.post(WEBHOOKS, json=given).json()["webhook"]
    return webhook


def test_a_webhook_lives(client: httpx.Client, made: dict[str, Any], receiver: Receiver) -> None:
    assert made["events"] == [CREATED]
    assert (made["status"], made["description"], "secret" in made) == ("ACTIVE", "d", False)
    path = f"{WEBHOOKS}/{made['webhook_id']}"
    assert client.get(path).json()["webhook"] == made
    changed = client.patch(path, json={"name": "other", "status": "DISABLED", "events": [{"entity": 5, "action": 1}]}).json()[
        "webhook"
    ]
    assert changed["events"] == [{"entity": "PROMPT", "action": "CREATED"}]
    assert (changed["name"], changed["status"], changed["url"]) == ("other", "DISABLED", receiver.url)
    assert client.delete(path).json() == {}
    gone = client.get(path)
    assert (gone.status_code, gone.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert gone.json()["message"] == f"Webhook with ID {made['webhook_id']} not found."


def test_trying_one_out_tells_what_came_back(client: httpx.Client, made: dict[str, Any], receiver: Receiver) -> None:
    path = f"{WEBHOOKS}/{made['webhook_id']}/test"
    good = client.post(path, json={}).json()["result"]
    assert good == {"success": True, "response_status": 200, "response_body": "thanks"}
    receiver.statuses = [500]
    assert client.post(path, json={"event": {"entity": "PROMPT", "action": "CREATED"}}).json()["result"]["success"] is False
    assert receiver.seen[0][0]["x-mlflow-signature"].startswith("v1,")


def test_lists_come_in_pages(client: httpx.Client, receiver: Receiver) -> None:
    assert client.get(WEBHOOKS).json() == {}
    for number in range(3):
        client.post(WEBHOOKS, json={"name": f"hook{number}", "url": receiver.url, "events": [CREATED]})
    first = client.get(WEBHOOKS, params={"max_results": 2}).json()
    rest = client.get(WEBHOOKS, params={"max_results": 2, "page_token": first["next_page_token"]}).json()
    assert [webhook["name"] for webhook in first["webhooks"] + rest["webhooks"]] == ["hook2", "hook1", "hook0"]
    assert "next_page_token" not in rest
    for params in ({"max_results": 0}, {"max_results": 1001}, {"page_token": "forged"}):
        assert client.get(WEBHOOKS, params=params).status_code == 400


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": ""}, "Missing value for required parameter 'name'."),
        ({"url": "http://example.org/x"}, "Invalid webhook URL scheme: 'http'. Allowed schemes are: https."),
        ({"url": "https://127.0.0.1/x"}, f"{PRIVATE} '127.0.0.1' resolves to 127.0.0.1."),
        ({"url": "https://[::ffff:10.0.0.1]/x"}, PRIVATE),
        ({"events": [SET]}, "Invalid action 'set' for entity 'registered_model'. Valid actions are: ['created']"),
        ({"events": [{"entity": "MOON", "action": "SET"}]}, "Invalid value"),
        ({"events": []}, "Webhook events must be a non-empty list"),
        ({"name": "a b"}, "Webhook name 'a b' is invalid."),
        ({"status": "ASLEEP"}, "Invalid value"),
        ({"name": 5}, "Invalid value 5 for parameter 'name'"),
    ],
)  # fmt: skip
def test_what_will_not_do_is_a_400_in_the_words_of_mlflow(
    client: httpx.Client, receiver: Receiver, given: dict[str, Any], message: str
) -> None:
    answer = client.post(WEBHOOKS, json={"name": "hook", "url": receiver.url, "events": [CREATED], **given})
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert answer.json()["message"].startswith(message)
    assert client.get(WEBHOOKS).json() == {}


def test_what_was_told_is_listed_with_what_became_of_it(client: httpx.Client, made: dict[str, Any]) -> None:
    path = f"/api/model/webhooks/{made['webhook_id']}/deliveries"
    assert client.get(path).json() == []
    assert client.get("/api/model/webhooks").json()[0]["id"] == made["webhook_id"]
    assert client.get("/api/model/webhooks/none/deliveries").status_code == 404
