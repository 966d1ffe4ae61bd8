"""Plans: from a deployment's record, from what its gates measured, and from what a person asks for."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.delivery.clusters.plans import IMAGE, OTHER_IMAGE

from perenne import registry
from perenne.auth.principals import Principal
from perenne.core import json
from perenne.core.errors import Invalid, NotFound
from perenne.delivery.clusters.model import Shape
from perenne.delivery.clusters.planning import Wishes, plan_deployment, planned
from perenne.delivery.clusters.sizing import Measured, sizes
from perenne.delivery.images import store as image_store
from perenne.delivery.images.model import Image
from perenne.serving.model import Deployment, Role, Rollback, Variant
from perenne.storage.workspace import Workspace

CHAMPION = Variant("champion", Role.CHAMPION, "churn@3", "t" * 64)
DEPLOYMENT = Deployment(name="churn", project="churn", generation=1, variants=(CHAMPION,))


def wished(*settings: str, **values: Any) -> Wishes:
    return Wishes(image=IMAGE, settings=settings, **values)


def test_what_was_measured_is_asked_for_and_named() -> None:
    found = Measured(memory_mb=100.0, cpu_us=50.0, source="gate memory")
    size = sizes(found, workers=2, rate=28_000, replicas=2)
    assert (size.memory, size.memory_limit) == ("336Mi", "512Mi")
    assert (size.cpu, size.cpu_limit) == ("1000m", "2500m"), "14,000 requests/s of 50 µs at 70 % of a core"
    assert "100 MB a worker" in size.source and "gate memory" in size.source and "default" not in size.source


def test_what_was_not_measured_is_called_a_default() -> None:
    assert "nothing was measured" in sizes(Measured(), workers=1).source
    only_memory = sizes(Measured(memory_mb=100.0, source="gate memory"), workers=1)
    assert "CPU: nothing was measured" in only_memory.source and only_memory.cpu == "1000m"


def test_settings_are_taken() -> None:
    settings = (
        "cpu=250m",
        "memory-limit=1Gi",
        "workers=3",
        "port=9000",
        "target-cpu=50",
        "env.LOG=a=b",
        "label.team=ml",
        "annotation.x/y=z",
    )
    plan = planned(DEPLOYMENT, Measured(), wished(*settings, replicas="3"))
    assert (plan.sizes.cpu, plan.sizes.memory_limit, plan.workers, plan.port, plan.target_cpu) == ("250m", "1Gi", 3, 9000, 50)
    assert (plan.environment, plan.labels, plan.annotations) == ({"LOG": "a=b"}, {"team": "ml"}, {"x/y": "z"})
    assert (plan.least, plan.most) == (3, 3)
    assert plan.sizes.source.startswith("cpu, memory_limit as told")


WRONG = ("cpu", "cpus=1", "workers=0", "workers=many", "port=70000", "cpu=much", "memory=0", "error-rate=-1", "env.=1", "x.y=1")


@pytest.mark.parametrize("setting", [*WRONG, "env.DB_PASSWORD=1"])
def test_settings_that_cannot_be_are_refused(setting: str) -> None:
    with pytest.raises(Invalid) as caught:
        planned(DEPLOYMENT, Measured(), wished(setting))
    assert caught.value.hint


def test_the_weight_of_canaries_is_taken_from_the_deployment() -> None:
    canary = Variant("canary-churn@4", Role.CANARY, "churn@4", "u" * 64, weight=0.15)
    deployment = msgspec.structs.replace(DEPLOYMENT, variants=(CHAMPION, canary))
    assert planned(deployment, Measured(), wished(shape=Shape.KSERVE)).canary == 15
    assert planned(DEPLOYMENT, Measured(), wished(shape=Shape.KSERVE)).canary == 0


def test_the_rules_of_roll_back_are_taken_from_the_deployment() -> None:
    ruled = msgspec.structs.replace(DEPLOYMENT, rollback=Rollback(error_rate=0.1, p99_ms=40.0))
    plan = planned(ruled, Measured(), wished(shape=Shape.ARGO))
    assert (plan.error_rate, plan.p99_ms) == (0.1, 40.0)
    assert planned(ruled, Measured(), wished("p99-ms=80", shape=Shape.ARGO)).p99_ms == 80.0


def test_the_image_and_the_figures_are_found_where_others_keep_them(
    workspace: Workspace, actor: Principal, deployed: str
) -> None:
    def plan(image: str = "") -> Any:
        with workspace.database.read() as tx:
            return plan_deployment(tx, workspace.objects, "churn", Wishes(image=image))

    with pytest.raises(Invalid, match="no image of late@1 is known"):
        plan()
    digest = "sha256:" + "e" * 64
    made = Image(
        digest=digest, version=deployed, tree="t", build=1, reference="registry.example.org/churn:1", platforms=(), base="host",
        base_digest="", layers=(), components=(), size=1, deployment="", created=1, created_by="ada",
    )  # fmt: skip
    workspace.database.write(lambda tx: image_store.insert(tx, made))
    kept = workspace.objects.put(json.canonical({"gate": "memory", "facts": {"resident_mb": 80.0, "cpu_us": 33.0}}))
    evidence = [
        registry.Evidence(check="gate: memory", verdict=registry.Verdict.PASS, value=80.0, digest=kept),
        registry.Evidence(check="gate: latency", verdict=registry.Verdict.PASS, value=1.0, digest="0" * 64),
    ]
    workspace.database.write(lambda tx: registry.approvals.add_evidence(tx, actor, deployed, evidence, produced_by="test"))
    found = plan()
    assert found.image == f"registry.example.org/churn:1@{digest}"
    assert "80 MB a worker" in found.sizes.source and "33 µs" in found.sizes.source
    assert plan(OTHER_IMAGE).image == OTHER_IMAGE


def test_a_deployment_that_is_not_there_is_said(workspace: Workspace) -> None:
    with workspace.database.read() as tx, pytest.raises(NotFound):
        plan_deployment(tx, workspace.objects, "nobody", wished())


def test_rendering_writes_compares_and_checks(workspace: Workspace, deployed: str, tmp_path: Path) -> None:
    from tests.delivery.clusters.test_applying import done, run

    folder = tmp_path / "rendered"
    options = ("render", "churn", "--image", IMAGE, "--tls-secret", "tls")
    text = done(workspace, *options).value
    assert text.startswith("# Written by") and f"image: {IMAGE}" in text and text == done(workspace, *options).value
    to = ("--to", str(folder))
    assert done(workspace, *options, *to, "--check").exit_code == 6 and not folder.exists()
    assert {row["change"] for row in done(workspace, *options, *to).value} == {"written"}
    assert {row["change"] for row in done(workspace, *options, *to).value} == {"same"}
    assert done(workspace, *options, *to, "--check").exit_code == 0
    assert done(workspace, *options, *to, "--replicas", "3:4", "--check").exit_code == 6
    assert run(workspace, *options, "--diff").exception is not None, "nothing was applied yet"
    control = ("render", "--control-plane", "--image", IMAGE, "--tls-secret", "tls", "--objects", "s3://acme/perenne")
    assert "kind: Job" in done(workspace, *control).value
    for wrong in (("render",), ("render", "churn", "--check"), ("render", "--cluster", "kind"), (*options, "--kserve", "--argo")):
        assert run(workspace, *wrong).exception is not None, wrong
