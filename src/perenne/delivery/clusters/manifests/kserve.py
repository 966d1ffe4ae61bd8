"""The InferenceService of KServe: our image as a custom predictor that speaks the Open Inference Protocol v2."""

from perenne.delivery.clusters.manifests.marking import SIZING, metadata
from perenne.delivery.clusters.manifests.pods import USER, container, pull_secrets, reached_by, volumes
from perenne.delivery.clusters.model import Object, Plan

NAMES_POINTER = "/spec/predictor/containers/0/env/1/value"
"""Where the names stand, which differ by namespace: overlays of Kustomize replace them."""


def inference_service(plan: Plan) -> Object:
    """Return the InferenceService.

    KServe itself makes the Service, the autoscaler and, with a canary, the second revision. Knative takes no start-up probe,
    no security context of the whole pod and no variable read from the pod, so there are none.
    """
    served = container(plan, "kserve-container")
    del served["startupProbe"]
    served["ports"] = [{"name": "http1", "containerPort": plan.port, "protocol": "TCP"}]
    served["env"] = [{"name": "PROTOCOL", "value": "v2"}, {"name": "PERENNE_NAMES", "value": names(plan, plan.namespace)}]
    served["securityContext"] = {**served["securityContext"], "runAsUser": USER, "runAsGroup": USER}
    for probe in ("readinessProbe", "livenessProbe"):
        served[probe]["httpGet"]["port"] = plan.port
    predictor: Object = {
        "serviceAccountName": plan.name,
        "automountServiceAccountToken": False,
        **pull_secrets(plan.pull_secret),
        "minReplicas": plan.least,
        "maxReplicas": plan.most,
        "scaleMetric": "cpu",
        "scaleTarget": plan.target_cpu,
        "timeout": 60,
        "containers": [served],
        "volumes": volumes(plan),
    }
    if plan.canary:
        predictor = {"canaryTrafficPercent": plan.canary, **predictor}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": metadata(plan, **{SIZING: plan.sizes.source, "serving.kserve.io/deploymentMode": _mode(plan)}),
        "spec": {"predictor": predictor},
    }


def names(plan: Plan, namespace: str) -> str:
    """Return the names by which KServe reaches the predictor, as one text."""
    return ",".join(
        [
            *reached_by(f"{plan.name}-predictor", namespace or "default"),
            *reached_by(plan.name, namespace or "default"),
            *plan.names,
        ]
    )


def _mode(plan: Plan) -> str:
    """Return how KServe runs it: only Knative can split callers between two revisions."""
    return "Knative" if plan.canary else "Standard"
