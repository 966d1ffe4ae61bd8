"""What MLflow says of tracking's errors: clients and their tests match these texts to the letter."""

from typing import Any

from perenne.core.errors import PerenneError
from perenne.protocols.mlflow.wire import MlflowError, Words, missing, unfit, wrong

ABSENT = "RESOURCE_DOES_NOT_EXIST"
CHARACTERS = (
    "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)."
)


def _field(error: Any) -> str:
    """Return the field as MLflow calls it: a metric's key is its name where it is wrong, and its key where it is missing."""
    name: str = error.field
    return f"{name[:-3]}name" if name.startswith("metrics[") and name.endswith(".key") else name


def _path(error: Any) -> MlflowError:
    import posixpath

    return unfit(
        _field(error),
        error.value,
        "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. "
        f"This name would resolve to {posixpath.normpath(error.value)!r}",
    )


def _timestamp(error: Any) -> MlflowError:
    metric = error.value
    return unfit(
        error.field,
        metric.time,
        f"metric '{metric.key}' (value={metric.value}). Timestamp must be a nonnegative long (64-bit integer) ",
    )


def _too_many(error: Any) -> MlflowError:
    what, limit, count = error.field, error.limit, error.value
    return wrong(
        f"A batch logging request can contain at most {limit} {what}. Got {count} {what}. "
        f"Please split up {what} across multiple requests and try again."
    )


def _twice(error: Any) -> MlflowError:
    return wrong(
        f"Duplicate parameter keys have been submitted: {error.value}. "
        "Please ensure the request contains only one param value per param key."
    )


def _param_changed(error: Any) -> MlflowError:
    changes = [{"key": key, "old_value": old, "new_value": new} for key, old, new in error.changes]
    return wrong(f"Changing param values is not allowed. Params were already logged='{changes}' for run ID='{error.run}'.")


def one_param_changed(error: Any) -> MlflowError:
    """Return what is said when one parameter by itself would have become another."""
    key, old, new = error.changes[0]
    return wrong(
        f"Changing param values is not allowed. Param with key='{key}' was already logged with value='{old}' "
        f"for run ID='{error.run}'. Attempted logging new value '{new}'."
    )


def _not_active(kind: str) -> Any:
    return lambda error: wrong(f"The {kind} {error.identity} must be in the 'active' state. Current state is deleted.")


def _absent(text: str) -> Any:
    return lambda error: MlflowError(ABSENT, text.format(error=error))


def _exists(error: PerenneError) -> MlflowError:
    return MlflowError("RESOURCE_ALREADY_EXISTS", error.message)


WORDS: Words = {
    "log.missing": lambda error: missing(error.field),
    "log.characters": lambda error: unfit(_field(error), error.value, CHARACTERS),
    "log.path": _path,
    "log.long": lambda error: wrong(f"'{error.field}' exceeds the maximum length of {error.limit} characters"),
    "log.timestamp": _timestamp,
    "log.too_many": _too_many,
    "log.twice": _twice,
    "param.changed": _param_changed,
    "run.deleted": _not_active("run"),
    "experiment.deleted": _not_active("experiment"),
    "run.not_found": _absent("Run with id={error.identity} not found"),
    "experiment.not_found": _absent("No Experiment with id={error.identity} exists"),
    "run.tag_not_found": _absent("No tag with name: {error.key} in run with id {error.identity}"),
    "experiment.tag_not_found": _absent("No tag with name: {error.key} in experiment with id {error.identity}"),
    "run.name_twice": lambda error: wrong(
        "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values "
        f"(run_name='{error.name}', mlflow.runName='{error.tag}')."
    ),
    "experiment.location": lambda error: wrong(f"Artifact location cannot be a runs:/ URI. Given: '{error.value}'"),
    "run.exists": _exists,
}
