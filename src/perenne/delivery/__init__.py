"""What stands between a version and where it answers: gates, images, clusters, and packages for the edge and the browser.

========== ==============================================================================
`gates`    what a version must show before it is delivered, in order of cost
`bill`     bill of materials, vulnerabilities, licences
`images`   OCI images without a daemon, pushed to a registry; rebuilt on newer libraries
`clusters` Kubernetes manifests, clusters as code, what is applied there
`portable` packages without perenne: edge and browser
========== ==============================================================================

`events` says what the others hear of.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perenne.delivery import bill as bill
    from perenne.delivery import clusters as clusters
    from perenne.delivery import events as events
    from perenne.delivery import gates as gates
    from perenne.delivery import images as images
    from perenne.delivery import portable as portable

_ROOMS = frozenset({"bill", "clusters", "events", "gates", "images", "portable"})


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted(_ROOMS)
