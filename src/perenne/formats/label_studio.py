"""Label Studio's JSON: tasks with `data`, `annotations[].result[]` and `predictions`, read and written.

Only what a label is made of is read; an annotation as a whole stays as it was beside it, so that it can go back unchanged.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from perenne.core.errors import Invalid

CONTROLS = {
    "class": ("choices",),
    "classes": ("choices",),
    "number": ("number", "rating"),
    "text": ("textarea",),
    "spans": ("labels", "hypertextlabels"),
}
"""The types of result that say a class, several, a number, a text, spans."""


class Annotation(msgspec.Struct, frozen=True):
    """What somebody said of a task.

    Attributes
    ----------
    result : list
        The results as they are.
    by : str
        The address, name or number of who said it.
    time : str
        When it was changed last, as ISO 8601; may be empty.
    truth, cancelled : bool
        Whether it is the known answer, and whether the task was skipped.
    raw : dict
        All of it.
    """

    result: list[Any]
    by: str
    time: str
    truth: bool
    cancelled: bool
    raw: dict[str, Any]


class Prediction(msgspec.Struct, frozen=True):
    """What a model said of a task, with its score if there is one."""

    result: list[Any]
    model: str
    score: float | None
    time: str
    raw: dict[str, Any]


class Task(msgspec.Struct, frozen=True):
    """A task: its fields, and what was said of it."""

    data: dict[str, Any]
    annotations: tuple[Annotation, ...]
    predictions: tuple[Prediction, ...]

    @property
    def said(self) -> list[Annotation | Prediction]:
        """Everything that was said of it."""
        return [*self.annotations, *self.predictions]


def read_tasks(document: bytes, name: str = "tasks") -> list[Task]:
    """Read an export: a list of tasks, one task, or one task a line.

    Raises
    ------
    Invalid
        If it is not that; the message names the task.
    """
    try:
        found = msgspec.json.decode(document)
    except RecursionError:
        raise _wrong(name, "it is nested too deeply") from None
    except msgspec.DecodeError:
        found = [_line(line, number, name) for number, line in enumerate(document.splitlines(), 1) if line.strip()]
    tasks = found if isinstance(found, list) else [found]
    return [_task(task, f"{name}: task {place}") for place, task in enumerate(tasks, 1)]


def _line(line: bytes, number: int, name: str) -> Any:
    try:
        return msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError) as error:
        raise _wrong(f"{name}: line {number}", str(error)[:200]) from None


def _wrong(where: str, problem: str) -> Invalid:
    return Invalid(f"{where}: {problem}", code="label_studio.shape", hint="an export as JSON, with data and annotations")


def _task(task: Any, where: str) -> Task:
    if not isinstance(task, dict) or not isinstance(task.get("data"), dict):
        raise _wrong(where, "it has no data")
    said = task.get("annotations", task.get("completions")) or []
    guessed = task.get("predictions") or []
    if not isinstance(said, list) or not isinstance(guessed, list):
        raise _wrong(where, "annotations and predictions are lists")
    annotations = tuple(_annotation(each, f"{where}, annotation {place}") for place, each in enumerate(said, 1))
    predictions = tuple(_prediction(each, f"{where}, prediction {place}") for place, each in enumerate(guessed, 1))
    return Task(task["data"], annotations, predictions)


def _results(each: Any, where: str) -> list[Any]:
    result = each.get("result") if isinstance(each, dict) else None
    if not isinstance(result, list) or not all(isinstance(one, dict) for one in result):
        raise _wrong(where, "it has no list of results")
    return result


def _annotation(each: Any, where: str) -> Annotation:
    result = _results(each, where)
    time = each.get("updated_at") or each.get("created_at") or ""
    truth, cancelled = each.get("ground_truth") is True, each.get("was_cancelled") is True
    return Annotation(result, _who(each.get("completed_by")), time if isinstance(time, str) else "", truth, cancelled, each)


def _who(by: Any) -> str:
    if isinstance(by, dict):
        by = by.get("email") or by.get("username") or by.get("id")
    return str(by)[:200] if isinstance(by, str | int) and not isinstance(by, bool) else "unknown"


def _prediction(each: Any, where: str) -> Prediction:
    result = _results(each, where)
    score, time = each.get("score"), each.get("created_at")
    sure = float(score) if isinstance(score, int | float) and not isinstance(score, bool) and 0 <= score <= 1 else None
    return Prediction(result, str(each.get("model_version") or "model")[:200], sure, time if isinstance(time, str) else "", each)


def controls_of(tasks: Iterable[Task], means: str) -> list[str]:
    """Return the names of the controls whose results can say what is meant, in the order they come."""
    said = (one for task in tasks for each in task.said for one in each.result)
    return list(dict.fromkeys(str(one.get("from_name", "")) for one in said if one.get("type") in CONTROLS[means]))


def answer_of(results: Sequence[Mapping[str, Any]], means: str, control: str) -> Any:
    """Return what the results of a control say: a class, a list of classes, a number, a text or spans; None if nothing.

    >>> answer_of([{"from_name": "tone", "type": "choices", "value": {"choices": ["good"]}}], "class", "tone")
    'good'
    """
    mine = [one for one in results if one.get("from_name", "") == control and one.get("type") in CONTROLS[means]]
    values = [(one["type"], one["value"]) for one in mine if isinstance(one.get("value"), dict)]
    if not values:
        return None
    if means == "spans":
        return [span for kind, value in values for span in _spans(value, kind)]
    kind, value = values[0]
    if means == "text":
        text = value.get("text")
        return "\n".join(text) if isinstance(text, list) and all(isinstance(one, str) for one in text) else text
    if means == "number":
        return value.get(kind)
    choices = value.get("choices")
    if means == "classes" or not isinstance(choices, list):
        return choices
    return choices[0] if len(choices) == 1 else None


def _spans(value: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    names, text = value.get(kind), value.get("text")
    more = {"text": text} if isinstance(text, str) and text else {}
    place = {"start": value.get("start"), "end": value.get("end")}
    return [place | {"label": name} | more for name in names] if isinstance(names, list) else []


def results_of(value: Any, means: str, *, control: str, target: str) -> list[dict[str, Any]]:
    """Return the results that say a value.

    >>> results_of(3.0, "number", control="stars", target="text")
    [{'from_name': 'stars', 'to_name': 'text', 'type': 'number', 'value': {'number': 3.0}}]
    """
    plain = {"from_name": control, "to_name": target}
    if means == "spans":
        return [plain | {"type": "labels", "value": _span(span)} for span in value]
    if means == "number":
        return [plain | {"type": "number", "value": {"number": value}}]
    if means == "text":
        return [plain | {"type": "textarea", "value": {"text": [value]}}]
    return [plain | {"type": "choices", "value": {"choices": value if means == "classes" else [value]}}]


def _span(span: Mapping[str, Any]) -> dict[str, Any]:
    more = {"text": span["text"]} if "text" in span else {}
    return {"start": span["start"], "end": span["end"], **more, "labels": [span["label"]]}
