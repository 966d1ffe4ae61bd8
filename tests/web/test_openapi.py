"""What a lived-in installation answers has the shape that the description of the API says."""

import re
from typing import Any

import httpx
import msgspec
import pytest
from tests.web.conftest import World

from perenne import delivery, labels, registry
from perenne.app.control import control_routes
from perenne.app.openapi import describe, described
from perenne.auth.access import declared
from perenne.auth.principals import local_principal
from perenne.auth.sealing import Seal, seal_of
from perenne.core import json
from perenne.monitoring import alerts
from perenne.serving import ticket_store
from perenne.storage.database import Transaction

ROUTES = control_routes()
READ = [route for route in described(ROUTES) if "GET" in (route.methods or ()) and route.path != "/api/live"]


@pytest.fixture(scope="module")
def names(world: World) -> dict[str, str]:
    """Return something that is there for each parameter of a path."""

    def get(path: str) -> Any:
        return httpx.get(world.url + path).raise_for_status().json()

    version = get("/api/model/churn")[0]
    asked = httpx.post(f"{world.url}/api/model/version/hard@1/review", json={"target": "champion", "reason": "nearly there"})
    flow = get("/api/view/pipeline")["rows"][0]
    add_label_set(world)
    delivery.gates.run_gates(world.workspace, local_principal(), version["id"], delivery.gates.Wish(just=("parity",)))
    return {
        "revision": add_revision(world),
        "deployment": "churn",
        "model": "churn",
        "project": "churn",
        "version": version["id"],
        "run": version["run"],
        "flow": flow["id"],
        "snapshot": version["snapshot"],
        "episode": get("/api/policy/churn/episodes")[0]["id"],
        "prediction": world.prediction,
        "dataset": get("/api/view/data")["rows"][0]["name"],
        "job": get("/api/jobs")[0]["id"],
        "seq": "1",
        "gate": "parity",
        "kind": "version",
        "id": version["id"],
        "entity": "run",
        "entity_id": version["run"],
        "experiment": "0",
        "label_set": "described",
        "review": asked.raise_for_status().json()["id"],
        "alert": world.workspace.database.write(add_alert),
        "ticket": world.workspace.database.write(add_ticket),
        "webhook": world.workspace.database.write(lambda tx: add_webhook(tx, seal_of(world.workspace.settings.home)).id),
    }


def add_alert(tx: Transaction) -> str:
    return alerts.raise_alert(tx, "churn", "churn@1", "intake", "a post is damaged", 1, project="churn").id


def add_ticket(tx: Transaction) -> str:
    waits = ticket_store.QueuedTicket(
        id="01M7Y3F63RVMJ4B0S800000002", deployment="churn", version="churn@1", opened=1, rows=({"plan": "basic"},),
        classes=("no", "yes"), suggested=("no",),
    )  # fmt: skip
    ticket_store.add(tx, waits)
    return waits.id


def add_webhook(tx: Transaction, seal: Seal) -> registry.webhooks.Webhook:
    event = registry.webhooks.Event("model_version", "created")
    url = "https://example.org/hook"
    return registry.webhooks.create(tx, local_principal(), name="page", url=url, events=[event], seal=seal)


def add_revision(world: World) -> str:
    """Record that something was applied to a cluster."""
    clusters = delivery.clusters
    applied = clusters.Revision(
        id="", deployment="churn", project="churn", cluster="kind", namespace="shop", server="https://127.0.0.1:6443", number=0,
        manifests=clusters.revisions.keep_manifests(world.workspace.objects, [{"kind": "Service"}]), image="churn@sha256:0",
        version="churn@1", state=clusters.RevisionState.BEGUN, began=1, by="",
    )  # fmt: skip
    return world.workspace.database.write(lambda tx: clusters.revisions.begin(tx, local_principal(), applied)).id


def add_label_set(world: World) -> None:
    """Make a label set over the snapshot of the model, so that every route of labels has something to tell."""
    classes = (labels.model.LabelClass("no"), labels.model.LabelClass("yes"))
    definition = labels.model.Definition(kind=labels.model.TaskKind.BINARY, classes=classes, keys=("customer",))
    workspace, who = world.workspace, local_principal()
    workspace.database.write(lambda tx: labels.sets.create(tx, who, "described", definition, project="churn"))
    snapshot = httpx.get(f"{world.url}/api/model/churn").json()[0]["snapshot"]
    labels.choosing.choose(workspace.database, workspace.objects, who, "described", snapshot)


QUERIES = {
    "/api/runs/done": "experiment=churn&fingerprint=none",
    "/api/runs/{run}/artifacts/preview": "path=rows.csv",
    "/api/runs/{run}/artifacts/raw": "path=rows.csv",
    "/api/model/version/{version}/diff": "with=churn@1",
    "/api/data/snapshot/{snapshot}/compare.html": "against={snapshot}",
    "/api/data/snapshot/{snapshot}/changes": "against={snapshot}",
    "/api/data/catalogue/entry": "dataset=subscriptions",
    "/api/view/runs/groups": "group=attributes.status",
    "/api/view/runs/diff": "left={run}&right={run}",
    "/api/view/runs/curves": "ids={run}&key=roc_auc",
}
"""What must stand in the query."""


@pytest.mark.parametrize("path", [route.path for route in READ])
def test_an_answer_is_what_is_declared(path: str, world: World, names: dict[str, str]) -> None:
    chosen = {**names, "run": names["flow"]} if "/pipeline/" in path else names
    if "/artifacts/" in path:
        logged = httpx.get(f"{world.url}/api/view/runs?filter=tags.team+%3D+'vision'&order=attributes.start_time").json()
        chosen = {**names, "run": logged["rows"][0]["id"]}
    if "/foreign/" in path:
        httpx.post(f"{world.url}/api/monitor/foreign", json={"name": "fraud", "kserve": "payments/fraud"}).raise_for_status()
        chosen = {**names, "deployment": "fraud"}
    asked = f"{path}?{QUERIES[path]}" if path in QUERIES else path
    answer = httpx.get(world.url + re.sub(r"\{(\w+)(?::\w+)?\}", lambda part: chosen[part[1]], asked))
    assert answer.status_code == 200, answer.text
    (route,) = (route for route in READ if route.path == path)
    declares = declared(route.endpoint)
    assert declares is not None
    if declares.returns is not None:
        msgspec.json.decode(answer.content, type=declares.returns)


def test_the_description_is_served_as_it_is_made(world: World) -> None:
    answer = httpx.get(f"{world.url}/api/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == msgspec.json.decode(json.encode(describe(ROUTES)))
