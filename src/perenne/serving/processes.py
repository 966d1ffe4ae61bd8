"""Which process this is: a worker, the observer or a challenger, with the options its parent gave it as JSON."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from perenne.net.asgi import Route
    from perenne.serving.runtime import Runtime


def run_process(arguments: Sequence[str], build_routes: "Callable[[Runtime], list[Route]]") -> None:
    """Be what the arguments say: `worker`, `observer` or `challenger`, then the options."""
    from perenne.serving.options import ObserverOptions, WorkerOptions

    kind, options = arguments
    if kind == "worker":
        from perenne.serving import worker

        worker.run(msgspec.json.decode(options, type=WorkerOptions), build_routes)
    elif kind == "challenger":
        from perenne.serving import shadow

        shadow.run(msgspec.json.decode(options, type=shadow.ShadowOptions))
    else:
        from perenne.serving import observer

        observer.run(msgspec.json.decode(options, type=ObserverOptions))
