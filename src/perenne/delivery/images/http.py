"""REST of images: those of a version, and which one a deployment is to run."""

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne import registry, serving
from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.roles import Action
from perenne.core import json
from perenne.delivery.images import records
from perenne.delivery.images.model import Image
from perenne.storage.transaction import Transaction


class RollOutBody(msgspec.Struct, forbid_unknown_fields=True):
    """Which image a deployment is to run, and why."""

    digest: str
    reason: str = ""


def project_of_version(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a version."""
    return registry.get_version(tx, path["version"]).project


def project_of_deployment(tx: Transaction, path: Mapping[str, str]) -> str:
    """Find the project of a deployment."""
    return serving.service.get_deployment(tx, path["deployment"]).project


@needs(Action.READ, project=project_of_version, returns=list[Image])
async def get_images(request: Request) -> Response:
    """List the images of a version, the newest first."""
    version = request.path_params["version"]
    return await answers.read(request, lambda tx, actor: records.images_of(tx, [registry.get_version(tx, version).id]))


@needs(
    Action.DEPLOY,
    project=project_of_deployment,
    body=RollOutBody,
    example={"digest": "sha256:" + "0" * 64, "reason": "a fix in numpy"},
    returns=Image,
)
async def post_image(request: Request) -> Response:
    """Say which image a deployment is to run from now on; it is one of the champion's version."""
    body = json.decode(await request.body(), RollOutBody, what="image")
    name = request.path_params["deployment"]
    return await answers.write(request, lambda tx, actor: records.roll_out(tx, actor, body.digest, name, reason=body.reason))


routes = [
    Route("/api/package/{version}", get_images, methods=["GET"]),
    Route("/api/deploy/{deployment}/image", post_image, methods=["POST"]),
]
