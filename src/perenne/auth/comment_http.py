"""REST of comments: `/api/comments/…`, for every kind of thing whose project the application can find."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from perenne.auth import answers, comments, queries
from perenne.auth.access import needs
from perenne.auth.comments import Comment
from perenne.auth.principals import Principal
from perenne.auth.roles import Action
from perenne.core import json
from perenne.core.errors import NotFound
from perenne.storage.transaction import Transaction

ProjectOf: TypeAlias = Callable[[Transaction, str], str]
"""Finds the project of a thing by its id. Raises NotFound."""


class CommentBody(msgspec.Struct, forbid_unknown_fields=True):
    """What somebody says."""

    text: str


EXAMPLE = {"text": "The weakest group got better; the rest is as before."}


def comment_routes(projects: Mapping[str, ProjectOf]) -> list[Route]:
    """Return the routes of comments on some kinds of thing: for each, what finds the project of one."""

    def project_of_thing(tx: Transaction, path: Mapping[str, str]) -> str:
        find = projects.get(path["entity"])
        if find is None:
            raise NotFound("nobody comments on that", code="comment.entity", hint=f"one of: {', '.join(sorted(projects))}")
        return find(tx, path["entity_id"])

    @needs(Action.READ, project=project_of_thing, returns=list[Comment])
    async def get_comments(request: Request) -> Response:
        """List what was said about a thing, newest first: `?before=` is the comment after which to go on."""
        path, before = request.path_params, queries.whole_number(request, "before", 0) or None
        limit = queries.whole_number(request, "limit", comments.ROWS)

        def read(tx: Transaction, _: Principal) -> list[Comment]:
            project_of_thing(tx, path)
            return comments.of(tx, path["entity"], path["entity_id"], before=before, limit=limit)

        return await answers.read(request, read)

    @needs(Action.COMMENT, project=project_of_thing, body=CommentBody, example=EXAMPLE, returns=Comment, status=201)
    async def post_comment(request: Request) -> Response:
        """Say something about a thing: 201 when kept."""
        body = json.decode(await request.body(), CommentBody, what="comment")
        path = dict(request.path_params)

        def add(tx: Transaction, actor: Principal) -> Comment:
            project = project_of_thing(tx, path)
            return comments.add(tx, actor, path["entity"], path["entity_id"], body.text, project=project)

        return await answers.write(request, add, 201)

    return [
        Route("/api/comments/{entity}/{entity_id}", get_comments, methods=["GET"]),
        Route("/api/comments/{entity}/{entity_id}", post_comment, methods=["POST"]),
        Route("/api/comments/{number}", put_comment, methods=["PUT"]),
        Route("/api/comments/{number}", delete_comment, methods=["DELETE"]),
    ]


@needs(Action.COMMENT, filters=True, body=CommentBody, example=EXAMPLE, returns=Comment)
async def put_comment(request: Request) -> Response:
    """Say it otherwise: its author may."""
    body = json.decode(await request.body(), CommentBody, what="comment")
    number = queries.read_number(request.path_params["number"], "number")
    return await answers.write(request, lambda tx, actor: comments.edit(tx, actor, number, body.text))


@needs(Action.COMMENT, filters=True, returns=None)
async def delete_comment(request: Request) -> Response:
    """Take a comment back: its author may, and an owner."""
    number = queries.read_number(request.path_params["number"], "number")
    return await answers.write(request, lambda tx, actor: comments.remove(tx, actor, number))
