"""The model server's own routes; those of others' protocols are in `perenne.protocols`."""

from perenne.auth.roles import Action
from perenne.formats import prometheus
from perenne.net.asgi import Reply, Request, Route
from perenne.net.inbound import error_reply
from perenne.serving.metrics import families
from perenne.serving.runtime import Runtime


def routes(runtime: Runtime) -> list[Route]:
    """Return the native routes of a worker."""

    async def metrics(_: Request) -> Reply:
        return Reply(200, prometheus.render(families(runtime.counters)), prometheus.CONTENT_TYPE)

    return [Route("GET", "/metrics", metrics, error_reply, Action.READ)]
