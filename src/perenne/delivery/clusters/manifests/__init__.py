"""Objects of a plan, each kind made by a module of its own: pure functions from a `Plan` to plain values.

`marking` gives names and labels, `pods` the pod that `deployment`, `argo` and `kserve` run; `network`, `scaling`, `access`,
`settings` and `scraping` stand around it. `control_plane` is `perenne up` itself, for a team.
"""

from perenne.delivery.clusters.manifests import access, argo, deployment, kserve, network, scaling, scraping, settings
from perenne.delivery.clusters.model import Object, Plan, Shape


def objects(plan: Plan) -> list[Object]:
    """Return the objects of a plan, in the order in which they are applied: what others refer to comes first."""
    made = [access.service_account(plan), access.role(plan), access.role_binding(plan), settings.config_map(plan)]
    if plan.shape is Shape.KSERVE:
        made.append(kserve.inference_service(plan))  # whose parts come from namespaces that only KServe knows: no NetworkPolicy
    else:
        made += [network.service(plan), network.network_policy(plan), scaling.disruption_budget(plan)]
        made += [argo.analysis_template(plan), argo.rollout(plan)] if plan.shape is Shape.ARGO else [deployment.deployment(plan)]
        made += [scaling.autoscaler(plan)] if plan.scales else []
    return made + ([scraping.service_monitor(plan)] if plan.monitor else [])
