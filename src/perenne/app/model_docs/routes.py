"""How what a model server says of itself is reached. The page and its files hold nothing of anybody's; the rest needs a token."""

from functools import partial
from typing import Any

import msgspec

from perenne.app.model_docs.calls import Call, calls_of, tensors_of
from perenne.app.model_docs.description import describe
from perenne.app.model_docs.form import Form, check_row, classes_of, inputs_of
from perenne.auth.roles import Action
from perenne.core.errors import Invalid, NotFound
from perenne.net.asgi import HTML, Handler, Reply, Request, Route
from perenne.net.aside import Aside
from perenne.net.inbound import error_reply
from perenne.serving import Runtime
from perenne.web.assets import Assets

MAIN = "serving/tryout.js"
_FOREVER = (b"cache-control", b"public, max-age=31536000, immutable")
_ANEW = (b"cache-control", b"no-cache")


class Asked(msgspec.Struct):
    """A row to write calls for, where the server is reached, and whether callers must show a token."""

    row: dict[str, Any]
    url: str
    token: bool = False


class Written(msgspec.Struct, frozen=True):
    """The request that the page sends, and the calls to copy."""

    path: str
    body: dict[str, Any]
    calls: list[Call]


_asked = msgspec.json.Decoder(Asked)


def routes(runtime: Runtime, others: list[Route]) -> list[Route]:
    """Return the routes of the page and the description of all others.

    Parameters
    ----------
    others : list of Route
        Every other route of the worker.
    """
    docs = Docs(runtime)
    public: dict[str, Handler] = {"/": docs.page, "/docs": docs.page}
    public |= {f"/static{'/{}' * depth}": docs.asset for depth in (3, 4)}
    described = {"/openapi.json": docs.description, "/docs/form": docs.form}
    own = [
        *(Route("GET", path, handler, error_reply, None) for path, handler in public.items()),
        *(Route("GET", path, handler, error_reply, Action.DESCRIBE) for path, handler in described.items()),
        Route("POST", "/docs/calls", docs.calls, error_reply, Action.DESCRIBE),
    ]
    docs.described = [*others, *own]
    return own


class Docs:
    """Answers for the page.

    Parameters
    ----------
    runtime : Runtime
        The worker.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._aside = Aside("perenne-docs")
        runtime.at_end.append(self._aside.close)
        self._assets: Assets | None = None
        self.described: list[Route] = []

    async def page(self, _: Request) -> Reply:
        """Give the page; what it shows it asks for itself, with a token if it is told to."""
        page = (await self._files()).page(MAIN)
        if self._runtime.asks_for_tokens:
            page = page.replace(b"<body>", b'<body data-token="asked">')
        return Reply(200, page, HTML, (_ANEW,))

    async def asset(self, request: Request) -> Reply:
        """Give a static file of the page."""
        assets = await self._files()
        found = assets.files.get("/".join(request.parts[1:])) if f"/static/{request.parts[0]}/" == assets.prefix else None
        if found is None:
            raise NotFound("there is nothing at this path", code="ENDPOINT_NOT_FOUND")
        if found.packed is None or "gzip" not in (request.header(b"accept-encoding") or ""):
            return Reply(200, found.body, found.kind.encode(), (_FOREVER,))
        return Reply(
            200, found.packed, found.kind.encode(), (_FOREVER, (b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
        )

    async def form(self, _: Request) -> Reply:
        """Say what the page asks for."""
        lineup = self._runtime.require_lineup()
        loaded = lineup.champion
        signature = loaded.signature
        form = Form(
            deployment=lineup.deployment.name,
            model=loaded.model,
            version=loaded.number,
            target=signature.target,
            task=signature.task.value,
            classes=classes_of(signature),
            inputs=inputs_of(signature, await self._runtime.explainer.background(loaded)),
            outputs=[output.name for output in signature.outputs],
            problem=self._runtime.problem,
        )
        return _json(form)

    async def calls(self, request: Request) -> Reply:
        """Write a row as the request the page sends, and as calls to copy."""
        try:
            asked = _asked.decode(request.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            said = str(error) if isinstance(error, msgspec.ValidationError) else "the body is not JSON"
            raise Invalid(said, code="BAD_REQUEST") from None
        lineup = self._runtime.require_lineup()
        name, signature = lineup.deployment.name, lineup.champion.signature
        row = check_row(signature, asked.row)
        body = {"inputs": [msgspec.to_builtins(tensor) for tensor in tensors_of(signature, row)]}
        calls = calls_of(asked.url, name, signature, row, token=asked.token)
        return _json(Written(f"/v2/models/{name}/infer", body, calls))

    async def description(self, _: Request) -> Reply:
        """Describe the server in OpenAPI 3.1."""
        lineup = self._runtime.require_lineup()
        known = await self._runtime.explainer.background(lineup.champion)
        versions = [version.number for version in (lineup.champion, lineup.previous) if version]
        signature = lineup.champion.signature
        document = partial(describe, lineup.deployment.name, signature, inputs_of(signature, known), versions, self.described)
        return _json(await self._aside.run(document))

    async def _files(self) -> Assets:
        """Read and compress the page's files when the first browser asks for them."""
        if self._assets is None:
            self._assets = await self._aside.run(Assets)
        return self._assets


def _json(value: Any) -> Reply:
    return Reply(200, msgspec.json.encode(value), headers=(_ANEW,))
