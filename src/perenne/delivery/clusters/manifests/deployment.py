"""The Deployment: never fewer pods than before while a new revision comes up."""

from perenne.delivery.clusters.manifests.marking import SIZING, metadata, selector
from perenne.delivery.clusters.manifests.pods import pod_template
from perenne.delivery.clusters.model import Object, Plan


def deployment(plan: Plan) -> Object:
    """Return the Deployment. It names no number of replicas where an autoscaler does."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(plan, **{SIZING: plan.sizes.source}),
        "spec": {
            **replicas(plan),
            "revisionHistoryLimit": 5,
            "progressDeadlineSeconds": 600,
            "minReadySeconds": 5,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "selector": {"matchLabels": selector(plan)},
            "template": pod_template(plan),
        },
    }


def replicas(plan: Plan) -> Object:
    """Return the number of replicas, if it is fixed."""
    return {} if plan.scales else {"replicas": plan.least}
