"""Who the pods are and what they may ask of the cluster: nothing, and without a token to ask with."""

from perenne.delivery.clusters.manifests.marking import metadata
from perenne.delivery.clusters.model import Object, Plan

GROUP = "rbac.authorization.k8s.io"


def service_account(plan: Plan) -> Object:
    """Return the ServiceAccount, whose token no pod gets."""
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata(plan), "automountServiceAccountToken": False}


def role(plan: Plan) -> Object:
    """Return the Role: a model server asks the API for nothing, so it allows nothing; what is added later is seen in the diff."""
    return {"apiVersion": f"{GROUP}/v1", "kind": "Role", "metadata": metadata(plan), "rules": []}


def role_binding(plan: Plan) -> Object:
    """Return the RoleBinding of account and role."""
    placed = {"namespace": plan.namespace} if plan.namespace else {}
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "RoleBinding",
        "metadata": metadata(plan),
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": plan.name},
        "subjects": [{"kind": "ServiceAccount", "name": plan.name, **placed}],
    }
