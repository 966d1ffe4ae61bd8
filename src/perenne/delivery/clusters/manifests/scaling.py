"""How many pods there are: the HorizontalPodAutoscaler, and the PodDisruptionBudget."""

from perenne.delivery.clusters.manifests.marking import metadata, selector
from perenne.delivery.clusters.model import Object, Plan, Shape

_KINDS = {Shape.DEPLOYMENT: ("apps/v1", "Deployment"), Shape.ARGO: ("argoproj.io/v1alpha1", "Rollout")}


def autoscaler(plan: Plan) -> Object:
    """Return the HorizontalPodAutoscaler: up at once, down slowly."""
    version, kind = _KINDS[plan.shape]
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": plan.target_cpu}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(plan),
        "spec": {
            "scaleTargetRef": {"apiVersion": version, "kind": kind, "name": plan.name},
            "minReplicas": plan.least,
            "maxReplicas": plan.most,
            "metrics": [{"type": "Resource", "resource": cpu}],
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 0,
                    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 30}],
                },
                "scaleDown": {
                    "stabilizationWindowSeconds": 300,
                    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}],
                },
            },
        },
    }


def disruption_budget(plan: Plan) -> Object:
    """Return the PodDisruptionBudget: whoever empties nodes takes one pod at a time."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(plan),
        "spec": {
            "maxUnavailable": 1,
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": selector(plan)},
        },
    }
