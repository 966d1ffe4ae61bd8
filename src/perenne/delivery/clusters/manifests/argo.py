"""Argo Rollouts: a new revision gets the deployment's canary weight first, then more, while Prometheus says that it does well."""

from perenne.delivery.clusters.manifests.deployment import replicas
from perenne.delivery.clusters.manifests.marking import SIZING, metadata, selector
from perenne.delivery.clusters.manifests.pods import pod_template
from perenne.delivery.clusters.model import Object, Plan

_FIRST = 10
_PAUSE = "5m"
_WINDOW = "2m"


def weights(canary: int) -> tuple[int, ...]:
    """Return the shares of callers that a new revision gets, one after the other, before it gets all.

    >>> weights(5), weights(40), weights(0)
    ((5, 25, 50), (40, 50), (10, 25, 50))
    """
    first = canary or _FIRST
    return (first, *(step for step in (25, 50) if step > first))


def rollout(plan: Plan) -> Object:
    """Return the Rollout."""
    steps: list[Object] = []
    for weight in weights(plan.canary):
        steps += [{"setWeight": weight}, {"pause": {"duration": _PAUSE}}, {"analysis": _analysis(plan)}]
    canary = {"maxSurge": 1, "maxUnavailable": 0, "steps": steps}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": metadata(plan, **{SIZING: plan.sizes.source}),
        "spec": {
            **replicas(plan),
            "revisionHistoryLimit": 5,
            "progressDeadlineSeconds": 600,
            "progressDeadlineAbort": True,
            "minReadySeconds": 5,
            "selector": {"matchLabels": selector(plan)},
            "strategy": {"canary": canary},
            "template": pod_template(plan),
        },
    }


def analysis_template(plan: Plan) -> Object:
    """Return the AnalysisTemplate: by our own figures, of the pods of the new revision alone.

    Nothing asked, nothing known: without requests a query gives no number; the analysis is inconclusive, which stops the rollout.
    """
    pods = f'deployment="{plan.deployment}",pod=~"{plan.name}-{{{{args.hash}}}}-.*"'
    asked = f"sum(rate(perenne_requests_total{{{pods}}}[{_WINDOW}]))"
    failed = f'sum(rate(perenne_requests_total{{{pods},outcome=~"failed|unavailable"}}[{_WINDOW}]))'
    slow = f"histogram_quantile(0.99, sum by (le) (rate(perenne_predict_seconds_bucket{{{pods}}}[{_WINDOW}])))"
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": metadata(plan, "figures"),
        "spec": {
            "args": [{"name": "hash"}],
            "metrics": [
                _metric(plan, "error-rate", f"({failed} or vector(0)) / ({asked} > 0)", plan.error_rate),
                _metric(plan, "p99-seconds", f"{slow} > 0", plan.p99_ms / 1_000),
            ],
        },
    }


def _metric(plan: Plan, name: str, query: str, most: float) -> Object:
    known = "len(result) > 0 && !isNaN(result[0])"
    return {
        "name": name,
        "interval": "1m",
        "count": 3,
        "failureLimit": 0,
        "inconclusiveLimit": 1,
        "successCondition": f"{known} && result[0] <= {most:g}",
        "failureCondition": f"{known} && result[0] > {most:g}",
        "provider": {"prometheus": {"address": plan.prometheus, "query": query}},
    }


def _analysis(plan: Plan) -> Object:
    latest = {"podTemplateHashValue": "Latest"}
    return {"templates": [{"templateName": f"{plan.name}-figures"}], "args": [{"name": "hash", "valueFrom": latest}]}
