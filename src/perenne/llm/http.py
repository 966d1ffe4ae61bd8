"""REST of feedback: `/v1/feedback`, for an application's buttons."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers
from perenne.auth.access import needs
from perenne.auth.roles import Action
from perenne.core import json
from perenne.llm import reactions
from perenne.llm.reactions import Reaction

EXAMPLE = {"trace_id": "tr-4bf92f3577b34da6a3ce929d0e0e4736", "kind": "thumb", "value": True, "user": "u-17"}


class Taken(msgspec.Struct, frozen=True):
    """What was kept."""

    feedback_id: str


@needs(Action.COMMENT, filters=True, body=Reaction, example=EXAMPLE, returns=Taken, status=201)
async def post_feedback(request: Request) -> Response:
    """Say how an answer was, by the id of its trace: 201 when kept; the last word of a user counts."""
    said = json.decode(await request.body(), Reaction, what="feedback")
    return await answers.write(request, lambda tx, actor: Taken(reactions.take(tx, actor, said)), 201)


routes = [Route("/v1/feedback", post_feedback, methods=["POST"])]
