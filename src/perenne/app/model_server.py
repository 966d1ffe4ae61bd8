"""The model server's processes, as `serving.ModelServer` starts them: `… worker OPTIONS` and `… observer OPTIONS`."""

import sys
from typing import TYPE_CHECKING

from perenne import serving

if TYPE_CHECKING:
    from perenne.net.asgi import Route


def build_routes(runtime: "serving.Runtime") -> "list[Route]":
    """Return the routes of every protocol a worker speaks."""
    from perenne.app.model_docs import routes as docs
    from perenne.protocols.kserve import routes as kserve
    from perenne.protocols.mlflow import scoring
    from perenne.protocols.oip import routes as oip

    spoken = [*oip.routes(runtime), *scoring.routes(runtime), *kserve.routes(runtime)]
    return [*spoken, *docs.routes(runtime, spoken)]


if __name__ == "__main__":
    serving.run_process(sys.argv[1:], build_routes)
