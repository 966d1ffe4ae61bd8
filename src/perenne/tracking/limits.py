"""What may be logged: names, lengths and counts, checked before anything is written.

The limits are those of MLflow's clients and servers, so that what fits here fits there.
"""

import functools
import posixpath
import re
from collections.abc import Iterable, Sequence

from perenne.tracking.errors import Unfit
from perenne.tracking.model import Metric, Param, Tag

KEY = 250
PARAM_VALUE = 6_000
TAG_VALUE = 8_000
EXPERIMENT_NAME = 500
EXPERIMENT_TAG_VALUE = 20_000
ARTIFACT_LOCATION = 2_048
METRICS, PARAMS, TAGS, TOGETHER = 1_000, 100, 100, 1_000

_ALLOWED = re.compile(r"[/\w.\- :]*\Z")
_LONGEST_TIME = (1 << 63) - 1


def check_batch(metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[Tag]) -> None:
    """Check what is logged at once.

    Raises
    ------
    Unfit
        Names the first thing that does not fit.
    """
    for place, metric in enumerate(metrics):
        if metric.time < 0 or not _fits(metric.key):
            check_metric(metric, f"metrics[{place}].")
    for place, param in enumerate(params):
        if not _fits(param.key):
            check_key("Param key", param.key, f"params[{place}].key")
    for place, tag in enumerate(tags):
        if not _fits(tag.key):
            check_key(f"tags[{place}].key", tag.key, f"tags[{place}].key")
    _check_counts(len(metrics), len(params), len(tags))
    _check_once([param.key for param in params])


def check_metric(metric: Metric, path: str = "") -> None:
    """Check one point; `path` stands before the names of its fields. Raises Unfit."""
    check_characters(metric.key, f"{path}key")
    if not 0 <= metric.time <= _LONGEST_TIME:
        raise Unfit(
            f"the time of metric {metric.key!r} is {metric.time}",
            code="log.timestamp",
            hint="milliseconds since 1970, not negative",
            field=f"{path}timestamp",
            value=metric,
        )
    check_length("Metric name", metric.key, KEY)


def check_key(what: str, key: str, field: str = "key") -> None:
    """Check the name of a parameter or tag. Raises Unfit; `what` is how a name that is too long is called."""
    check_characters(key, field)
    check_length(what, key, KEY)


def check_characters(key: str, field: str) -> None:
    """Check that a name has only characters that names may have and is the same when it is taken for a path. Raises Unfit."""
    if not key:
        raise Unfit(f"{field} is missing", code="log.missing", hint="a name has at least one character", field=field, value=key)
    if not _ALLOWED.match(key):
        raise Unfit(
            f"{field} {key[:100]!r} has characters that names may not have",
            code="log.characters",
            hint="letters, digits, _ - . : / and spaces",
            field=field,
            value=key,
        )
    path = posixpath.normpath(key)
    if path != key or path == "." or path.startswith(("..", "/")):
        raise Unfit(
            f"{field} {key[:100]!r} would be {path[:100]!r} as a path",
            code="log.path",
            hint="no //, no . or .. between slashes, none at either end",
            field=field,
            value=key,
        )


def check_length(what: str, text: str, limit: int) -> None:
    """Check that a text is not too long. Raises Unfit."""
    if len(text) > limit:
        raise Unfit(
            f"{what} has {len(text)} characters",
            code="log.long",
            hint=f"at most {limit}",
            field=what,
            value=text,
            limit=limit,
        )


def cut(what: str, text: str, limit: int, cuts: list[str]) -> str:
    """Return a text no longer than its limit; that it was cut is added to `cuts`."""
    if len(text) <= limit:
        return text
    cuts.append(f"{what} was cut from {len(text)} to {limit} characters")
    return text[:limit]


@functools.lru_cache(maxsize=1 << 16)
def _fits(key: str) -> bool:
    """Tell whether a name is good; most have been seen before."""
    try:
        check_key("", key)
    except Unfit:
        return False
    return True


def _check_counts(metrics: int, params: int, tags: int) -> None:
    counts = (("metrics", metrics, METRICS), ("params", params, PARAMS), ("tags", tags, TAGS))
    for what, count, limit in (*counts, ("metrics, params, and tags", metrics + params + tags, TOGETHER)):
        if count > limit:
            raise Unfit(
                f"{count} {what} at once",
                code="log.too_many",
                hint=f"at most {limit}: send the rest after them",
                field=what,
                value=count,
                limit=limit,
            )


def _check_once(names: Iterable[str]) -> None:
    seen: set[str] = set()
    twice = [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    if twice:
        raise Unfit(
            f"parameter {twice[0]!r} is given twice",
            code="log.twice",
            hint="a parameter has one value",
            field="params",
            value=twice,
        )
