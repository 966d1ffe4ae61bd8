"""What is logged at once, and how much that may be."""

from collections.abc import Sequence

import msgspec

from perenne.tracking.client.records import Input, Metrics

MAX_METRICS, MAX_OTHERS, MAX_TOGETHER = 1_000, 100, 1_000
"""What one batch holds at most, as in MLflow's protocol: metrics, parameters and tags each, all of them."""


class Batch(msgspec.Struct, frozen=True):
    """What is logged at once."""

    metrics: Sequence[Metrics] = ()
    params: dict[str, str] = {}
    tags: dict[str, str] = {}
    inputs: Sequence[Input] = ()
