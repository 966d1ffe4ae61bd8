"""What is kept of predictions: changed by command and by REST, audited, and released with the deployment."""

from pathlib import Path
from typing import Any

from tests.asked import ask, seen
from tests.serving.test_commands import run
from tests.serving.test_deployments import change, package, register

from perenne import data
from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.core.clock import DAY
from perenne.serving.redaction import KEY
from perenne.serving.releases import read_release
from perenne.storage.workspace import Workspace


def test_the_rules_are_changed_one_by_one_and_released_with_the_key_of_hashes(
    workspace: Workspace, actor: Principal, packages: dict[str, Path]
) -> None:
    made = run(workspace, "version", "delays", package(workspace, actor, packages["first"], "first"))
    assert made.exception is None, made.exception
    folder = workspace.settings.releases / "delays"
    assert run(workspace, "log", "delays").return_value["keep"] == "for good"
    steps: list[tuple[str, ...]] = [
        ("--sample", "10", "--redact", "carrier=hash", "--redact", "seats=round:10"),
        ("--keep", "30d", "--ecs", "--reason", "Kibana"),
        ("--cloudevents", "https://events.example.org/", "--mode", "structured"),
        ("--no-redact",),
    ]
    for number, step in enumerate(steps):
        done = run(workspace, "log", "delays", *step)
        assert done.exception is None, done.exception
        if not number:
            assert (folder / KEY).read_bytes() == data.privacy.installation_key(workspace.settings.home)
            assert (folder / KEY).stat().st_mode & 0o077 == 0
            assert read_release(folder).deployment.log.redact == ("carrier=hash", "seats=round:10")
    rules = read_release(folder).deployment.log
    assert (rules.sample, rules.keep, rules.ecs, rules.redact) == (0.1, 30 * DAY, True, ())
    assert (rules.cloudevents_url, rules.cloudevents_mode) == ("https://events.example.org/", "structured")
    again = run(workspace, "log", "delays", "--sample", "10")
    assert again.exception is not None and "is kept so already" in str(again.exception)


def test_rules_that_are_none_change_nothing(workspace: Workspace, actor: Principal, packages: dict[str, Path]) -> None:
    run(workspace, "version", "delays", package(workspace, actor, packages["first"], "first"))
    for step in (
        ("--redact", "carier=hash"),
        ("--redact", "carrier"),
        ("--redact", "carrier=encrypt"),
        ("--keep", "1h"),
        ("--cloudevents", "events"),
    ):
        assert run(workspace, "log", "delays", *step).exception is not None, step
    assert read_release(workspace.settings.releases / "delays").deployment.generation == 1


def test_by_rest_with_the_same_record(workspace: Workspace, actor: Principal) -> None:
    change(workspace.database, actor, "deploy", register(workspace.database, actor, "a"))
    body = {"sample": 0.5, "redact": ["carrier=hash"], "reason": "half is enough"}
    answer = ask(workspace, actor, "POST", "/api/deploy/delays/log", json=body)
    assert answer.status_code == 200 and answer.json()["generation"] == 2, answer.text
    shown: dict[str, Any] = seen(workspace, actor, "/api/deploy/delays/log")
    assert (shown["sample"], shown["redact"], shown["ecs"]) == (0.5, ["carrier=hash"], False)
    with workspace.database.read() as tx:
        newest = audit.trail(tx, entity="deployment", entity_id="delays")[0]
    assert (newest.action, newest.reason) == ("deployment.log_changed", "half is enough")


def test_by_rest_a_bad_rule_is_refused(workspace: Workspace, actor: Principal) -> None:
    change(workspace.database, actor, "deploy", register(workspace.database, actor, "a"))
    for body in ({"sample": 2}, {"sample": "x"}, {"keep": 5}, {"redact": ["x"]}, {"colour": "red"}):
        assert ask(workspace, actor, "POST", "/api/deploy/delays/log", json=body).status_code == 400, body
    assert seen(workspace, actor, "/api/deploy/delays")["generation"] == 1
