"""Real kubectl: it builds the overlays of Kustomize, and applies what is rendered to the stand-in of an API server."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.delivery.clusters.api.server import StandIn
from tests.delivery.clusters.plans import OTHER_IMAGE, VERSIONS, plan, problems

from perenne.core.errors import Invalid
from perenne.delivery.clusters.kustomize import OVERLAYS, kustomization, namespace_of
from perenne.delivery.clusters.manifests import objects
from perenne.delivery.clusters.manifests.control_plane import ControlPlan, control_objects
from perenne.delivery.clusters.model import Plan, Shape
from perenne.delivery.clusters.writing import from_yaml, to_yaml, write_files

KUBECTL = shutil.which("kubectl")
needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not on PATH")
pytestmark = needs_kubectl


def kubectl(kubeconfig: Path, *arguments: str, text: str = "", check: bool = True) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": os.environ["PATH"], "HOME": str(kubeconfig.parent), "KUBECONFIG": str(kubeconfig)}
    done = subprocess.run(
        [str(KUBECTL), *arguments], input=text, capture_output=True, text=True, env=environment, timeout=60, check=False
    )
    assert not check or done.returncode == 0, done.stderr
    return done


def overlays(folder: Path, of: Plan) -> dict[str, list[dict[str, Any]]]:
    write_files(folder, kustomization(of))
    made = {}
    for overlay in OVERLAYS:
        built = kubectl(folder / "none", "kustomize", str(folder / "overlays" / overlay)).stdout
        made[overlay] = from_yaml(built, overlay)
    return made


@pytest.mark.parametrize("shape", Shape)
def test_kustomize_builds_every_overlay(tmp_path: Path, shape: Shape) -> None:
    of = plan(shape=shape, namespace="shop", callers=("web",))
    made = overlays(tmp_path, of)
    for overlay, items in made.items():
        assert {item["metadata"]["namespace"] for item in items} == {namespace_of(of, overlay)}
        assert {item["metadata"]["labels"]["perenne/place"] for item in items} == {overlay}
        assert [problem for item in items for problem in problems(item, VERSIONS[-1])] == []
        binding = next(item for item in items if item["kind"] == "RoleBinding")
        assert binding["subjects"][0]["namespace"] == namespace_of(of, overlay)
    assert {item["kind"] for item in made["production"]} == {item["kind"] for item in objects(of)}


def test_a_namespace_that_gets_too_long_is_refused() -> None:
    with pytest.raises(Invalid, match="no namespace"):
        kustomization(plan(namespace="x" * 60))


def test_an_overlay_says_what_differs(tmp_path: Path) -> None:
    made = overlays(tmp_path, plan(namespace="shop", least=2, most=10))
    scaling = {
        overlay: next(item for item in items if item["kind"].startswith("Horiz"))["spec"] for overlay, items in made.items()
    }
    assert {name: (spec["minReplicas"], spec["maxReplicas"]) for name, spec in scaling.items()} == {
        "dev": (1, 1),
        "staging": (1, 3),
        "production": (2, 10),
    }


def test_kserve_is_reached_by_the_names_of_each_namespace(tmp_path: Path) -> None:
    made = overlays(tmp_path, plan(shape=Shape.KSERVE, namespace="shop"))
    for overlay, namespace in (("dev", "shop-dev"), ("production", "shop")):
        service = next(item for item in made[overlay] if item["kind"] == "InferenceService")
        environment = {item["name"]: item["value"] for item in service["spec"]["predictor"]["containers"][0]["env"]}
        assert f"churn-predictor.{namespace}.svc.cluster.local" in environment["PERENNE_NAMES"].split(",")


@pytest.mark.parametrize("server_side", [(), ("--server-side",)], ids=["client", "server"])
def test_what_is_rendered_is_applied_changed_and_removed(api: StandIn, kubeconfig: Path, server_side: tuple[str, ...]) -> None:
    first, second = plan(namespace="shop"), plan(namespace="shop", image=OTHER_IMAGE, most=20, environment={"A": "1"})
    kubectl(kubeconfig, "apply", *server_side, "-f", "-", text=to_yaml(objects(first)))
    assert len(api.names("shop")) == len(objects(first))
    number = api.state.number
    kubectl(kubeconfig, "apply", *server_side, "-f", "-", text=to_yaml(objects(first)))
    assert api.state.number == number, "the same again changes nothing"
    generation = api.object("deployments", "shop", "churn")["metadata"]["generation"]
    kubectl(kubeconfig, "apply", *server_side, "-f", "-", text=to_yaml(objects(second)))
    deployment = api.object("deployments", "shop", "churn")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == OTHER_IMAGE
    assert deployment["metadata"]["generation"] == generation + 1
    assert api.object("horizontalpodautoscalers", "shop", "churn")["spec"]["maxReplicas"] == 20
    assert "rolled out" in kubectl(kubeconfig, "-n", "shop", "rollout", "status", "deployment/churn").stdout
    kubectl(kubeconfig, "delete", "--wait=false", "-f", "-", text=to_yaml(objects(second)))
    assert api.names("shop") == set()


def test_the_control_plane_is_applied(api: StandIn, kubeconfig: Path) -> None:
    api.add_namespace("perenne")
    made = control_objects(ControlPlan(image=OTHER_IMAGE, tls_secret="tls", objects="s3://acme/perenne", claim="5Gi"))
    for _ in range(2):
        kubectl(kubeconfig, "apply", "--server-side", "-f", "-", text=to_yaml(made))
    assert {"deployments/perenne", "deployments/perenne-worker", "persistentvolumeclaims/perenne-home"} <= api.names("perenne")


def test_custom_resources_are_applied(api: StandIn, kubeconfig: Path) -> None:
    for shape in (Shape.ARGO, Shape.KSERVE):
        made = to_yaml(objects(plan(namespace="shop", shape=shape, monitor=True, canary=10)))
        kubectl(kubeconfig, "apply", "-f", "-", text=made)
        kubectl(kubeconfig, "apply", "-f", "-", text=made)
    assert {"rollouts/churn", "analysistemplates/churn-figures", "inferenceservices/churn", "servicemonitors/churn"} <= api.names(
        "shop"
    )


@pytest.mark.parametrize(
    ("field", "value", "said"), [("replicaz", 3, "unknown field|strict|Additional"), ("replicas", "three", "invalid")]
)
def test_what_the_api_does_not_take_is_refused(api: StandIn, kubeconfig: Path, field: str, value: object, said: str) -> None:
    made = objects(plan(namespace="shop", least=2, most=2))
    next(item for item in made if item["kind"] == "Deployment")["spec"][field] = value
    done = kubectl(kubeconfig, "apply", "--server-side", "-f", "-", text=yaml.safe_dump_all(made), check=False)
    assert done.returncode != 0
    assert any(word in done.stderr for word in said.split("|")), done.stderr


def test_two_managers_of_a_field_conflict(api: StandIn, kubeconfig: Path) -> None:
    made = to_yaml(objects(plan(namespace="shop", least=2, most=2)))
    kubectl(kubeconfig, "apply", "--server-side", "--field-manager", "perenne", "-f", "-", text=made)
    changed = made.replace("replicas: 2", "replicas: 5")
    done = kubectl(kubeconfig, "apply", "--server-side", "--field-manager", "other", "-f", "-", text=changed, check=False)
    assert done.returncode != 0 and ".spec.replicas" in done.stderr
    assert api.object("deployments", "shop", "churn")["spec"]["replicas"] == 2
    kubectl(kubeconfig, "apply", "--server-side", "--force-conflicts", "--field-manager", "other", "-f", "-", text=changed)
    assert api.object("deployments", "shop", "churn")["spec"]["replicas"] == 5
