"""What a value must be like, and MLflow's words for one that is not: clients and their tests match these texts."""

import posixpath
import re
from collections.abc import Iterable, Sequence

from perenne.protocols.mlflow.decoding import WrongValue, shown

MOST_METRICS, MOST_PARAMS, MOST_TAGS, MOST_ENTITIES = 1_000, 100, 100, 1_000
KEY, PARAM_VALUE, TAG_VALUE = 250, 6_000, 8_000
EXPERIMENT_NAME, EXPERIMENT_TAG_VALUE, ARTIFACT_LOCATION = 500, 20_000, 2_048
DATASET_NAME, DATASET_DIGEST, DATASET_SOURCE = 500, 36, 65_535
DATASET_SCHEMA, DATASET_PROFILE = 1_048_575, 16_777_215
INPUT_TAG_KEY, INPUT_TAG_VALUE = 255, 500
MOST_VIEWS = 50
VIEW_TAG = "mlflow.customView.view"
GREATEST = 1.7976931348623157e308
"""What an infinity is kept as."""

_NAME = re.compile(r"[/\w.\- :]*")
_RUN_ID = re.compile(r"[a-zA-Z0-9][\w\-]{0,255}")
_EXPERIMENT_ID = re.compile(r"[+-]?\d{1,18}")
_REMEMBERED = 10_000
_CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)."
)
_good: set[str] = set()


def wrong(name: str, value: object, reason: str = "") -> WrongValue:
    """Return what is said of a parameter whose value will not do.

    >>> wrong("run_id", "a b").message
    'Invalid value "a b" for parameter \\'run_id\\' supplied.'
    """
    return WrongValue(f"Invalid value {shown(value)} for parameter '{name}' supplied" + (f": {reason}" if reason else "."))


def check_name(name: str, parameter: str) -> None:
    """Refuse the name of a metric, parameter or tag that has other characters, or that is another path once it is normal."""
    if name in _good:
        return
    if not _NAME.fullmatch(name):
        raise wrong(parameter, name, _CHARACTERS)
    normal = posixpath.normpath(name)
    if normal != name or normal == "." or normal.startswith(("..", "/")):
        raise wrong(
            parameter,
            name,
            "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. "
            f"This name would resolve to {normal!r}",
        )
    if len(name) <= KEY:
        if len(_good) >= _REMEMBERED:
            _good.clear()
        _good.add(name)


def check_length(what: str, value: str, limit: int) -> None:
    """Refuse a text that is too long."""
    if len(value) > limit:
        raise WrongValue(f"'{what}' exceeds the maximum length of {limit} characters")


def check_metric(key: str, value: float, timestamp: int, path: str = "") -> None:
    """Refuse a metric with a bad name or a negative time."""
    if key in _good and timestamp >= 0:
        return
    check_name(key, f"{path}name")
    if timestamp < 0:
        raise wrong(
            f"{path}timestamp",
            timestamp,
            f"metric '{key}' (value={value}). Timestamp must be a nonnegative long (64-bit integer) ",
        )
    check_length("Metric name", key, KEY)


def check_param(key: str, path: str = "") -> None:
    """Refuse a parameter with a bad name."""
    check_name(key, f"{path}key")
    check_length("Param key", key, KEY)


def check_tag(key: str, path: str = "") -> None:
    """Refuse a tag with a bad name."""
    check_name(key, f"{path}key")
    check_length(f"{path}key", key, KEY)


def cut(what: str, value: str, limit: int, warnings: list[str]) -> str:
    """Return a value cut to what is kept; one that is cut is warned of."""
    if len(value) <= limit:
        return value
    warnings.append(f"{what} was cut from {len(value)} to {limit} characters")
    return value[:limit]


def check_experiment_tag(key: str, value: str) -> None:
    """Refuse a tag of an experiment that is badly named or too long."""
    check_name(key, "key")
    check_length("key", key, KEY)
    check_length("value", value, EXPERIMENT_TAG_VALUE)


def check_views(keys: Iterable[str], identity: str = "") -> None:
    """Refuse more views kept in tags than an experiment may have."""
    if sum(key.startswith(VIEW_TAG) for key in keys) > MOST_VIEWS:
        where = f" for experiment {identity}" if identity else ""
        raise WrongValue(
            f"Unable to create another custom view{where}; the maximum number of custom views per experiment is {MOST_VIEWS}. "
            "Delete an existing custom view before creating a new one."
        )


def check_experiment_name(name: str) -> None:
    """Refuse a name of an experiment that is empty or too long."""
    if not name:
        raise WrongValue(f"Invalid experiment name: '{name}'")
    check_length("name", name, EXPERIMENT_NAME)


def check_run_id(identity: str) -> None:
    """Refuse an id that no run has."""
    if not _RUN_ID.fullmatch(identity):
        raise wrong("run_id", identity)


def experiment_number(identity: str) -> int:
    """Return the number an experiment's id stands for; an empty one is the default's.

    >>> experiment_number(""), experiment_number("12")
    (0, 12)
    """
    if not identity:
        return 0
    if not _EXPERIMENT_ID.fullmatch(identity) or not identity.isascii():
        raise WrongValue(f"Invalid experiment ID '{identity[:200]}'. Experiment ID must be a valid integer.")
    return int(identity)


def check_batch(metrics: int, params: int, tags: int) -> None:
    """Refuse more at once than MLflow takes."""
    total = metrics + params + tags
    for what, limit, count in (
        ("metrics", MOST_METRICS, metrics),
        ("params", MOST_PARAMS, params),
        ("tags", MOST_TAGS, tags),
        ("metrics, params, and tags", MOST_ENTITIES, total),
    ):
        if count > limit:
            raise WrongValue(
                f"A batch logging request can contain at most {limit} {what}. Got {count} {what}. "
                f"Please split up {what} across multiple requests and try again."
            )


def check_unique(keys: Sequence[str]) -> None:
    """Refuse parameters of the same name in one batch."""
    if len(set(keys)) == len(keys):
        return
    seen: set[str] = set()
    twice = [key for key in keys if key in seen or seen.add(key)]  # type: ignore[func-returns-value]
    raise WrongValue(
        f"Duplicate parameter keys have been submitted: {twice}. "
        "Please ensure the request contains only one param value per param key."
    )


def check_max_results(value: int, most: int, *, end: str = "") -> None:
    """Refuse a page without rows, or of more than there may be."""
    if value <= 0:
        raise WrongValue(f"Invalid value {value} for parameter 'max_results' supplied. It must be a positive integer{end}")
    if value > most:
        raise WrongValue(f"Invalid value {value} for parameter 'max_results' supplied. It must be at most {most}")


def finite(value: float) -> tuple[float, bool]:
    """Return what is kept of a value, and whether it is not a number.

    >>> finite(float("nan")), finite(float("-inf")), finite(0.5)
    ((0.0, True), (-1.7976931348623157e+308, False), (0.5, False))
    """
    if value != value:
        return 0.0, True
    if value > GREATEST:
        return GREATEST, False
    if value < -GREATEST:
        return -GREATEST, False
    return value, False
