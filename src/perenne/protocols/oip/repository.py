"""The repository extension of the protocol: which versions there are; and, where that is enabled, taking them out of service.

Unloading frees nothing and changes no deployment: the version stays in memory and answers nobody, in every worker of this server,
until it is loaded again or the server ends. Requests that name no version then go to the champion or, if it is the one that is
unloaded, to whoever stands in for it; if none is left the server is not ready, so that whoever balances load asks another one.
"""

import asyncio
import logging
from typing import Any

import msgspec

from perenne.auth.roles import Action
from perenne.core.errors import Invalid, NotFound, Unavailable
from perenne.net.asgi import Reply, Request, Route
from perenne.net.inbound import error_reply
from perenne.serving import Runtime

log = logging.getLogger("perenne.serving")
EVERYTHING = "*"
_PATIENCE_SECONDS = 5.0


class _Index(msgspec.Struct):
    ready: bool = False


class _Parameters(msgspec.Struct):
    version: str | None = None


class _Change(msgspec.Struct):
    parameters: _Parameters | None = None


_index = msgspec.json.Decoder(_Index)
_change = msgspec.json.Decoder(_Change)


def routes(runtime: Runtime) -> list[Route]:
    """Return the extension's routes for a worker; those that change something only where that is enabled."""
    repository = Repository(runtime)
    index = Route("POST", "/v2/repository/index", repository.index, error_reply, Action.DESCRIBE)
    if runtime.switches is None:
        return [index]
    changes = {"load": repository.load, "unload": repository.unload}
    paths = {f"/v2/repository/models/{{}}/{word}": handler for word, handler in changes.items()}
    return [index, *(Route("POST", path, handler, error_reply, Action.DEPLOY) for path, handler in paths.items())]


class Repository:
    """Answers the extension's requests.

    Parameters
    ----------
    runtime : Runtime
        The worker.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def index(self, request: Request) -> Reply:
        """List the model's versions with their states."""
        only_ready = _decode(_index, request.body, _Index()).ready
        lineup, ready = self._runtime.require_lineup(), self._runtime.ready
        lines = []
        for version in lineup.loaded:
            answers = ready and not self._runtime.off.covers(version.version)
            reason = "" if answers else "unloaded" if self._runtime.off.covers(version.version) else "the server is not ready"
            if answers or not only_ready:
                state = "READY" if answers else "UNAVAILABLE"
                lines.append({"name": lineup.deployment.name, "version": version.number, "state": state, "reason": reason})
        return Reply(200, msgspec.json.encode(lines))

    async def load(self, request: Request) -> Reply:
        """Let a model, or the version that `parameters.version` names, answer again."""
        return await self._switch(request, off=False)

    async def unload(self, request: Request) -> Reply:
        """Let a model, or the version that `parameters.version` names, answer nobody until it is loaded again."""
        return await self._switch(request, off=True)

    async def _switch(self, request: Request, *, off: bool) -> Reply:
        runtime = self._runtime
        assert runtime.switches is not None
        parameters = _decode(_change, request.body, _Change()).parameters or _Parameters()
        runtime.find(request.parts[0])
        version = EVERYTHING if parameters.version is None else self._version(parameters.version)
        loaded = tuple(each.version for each in runtime.require_lineup().loaded)
        after = runtime.switches.switch(off=off, version=version, loaded=loaded)
        what = request.parts[0] if version == EVERYTHING else version
        log.warning("%s was %s by a caller", what, "unloaded" if off else "loaded")
        runtime.follow_switches()
        await self._taken_over(after.change)
        return Reply(200, b"{}")

    def _version(self, named: str) -> str:
        """Return the version that is meant. Raises NotFound if it is not in memory."""
        for version in self._runtime.require_lineup().loaded:
            if named in (version.number, version.version):
                return version.version
        raise NotFound("that version of the model is not loaded", code="RESOURCE_DOES_NOT_EXIST")

    async def _taken_over(self, change: int) -> None:
        """Wait until every worker that answers does as the switches say."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_SECONDS
        while self._runtime.behind(change):
            if loop.time() > deadline:
                raise Unavailable("a worker has not taken the change over yet", code="TEMPORARILY_UNAVAILABLE")
            await asyncio.sleep(0.01)


def _decode(decoder: "msgspec.json.Decoder[Any]", body: bytes, otherwise: Any) -> Any:
    """Read a body that may be empty."""
    if not body:
        return otherwise
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Invalid(f"the body must be empty or a JSON object: {error}", code="BAD_REQUEST") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid("the body must be empty or a JSON object", code="BAD_REQUEST") from None
