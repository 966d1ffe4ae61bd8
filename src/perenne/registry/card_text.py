"""A model card as Markdown, to be read, sent and filed."""

from collections.abc import Iterable, Iterator, Sequence

from perenne.core.clock import format_time
from perenne.registry.card import Card, CardCheck, CardData, is_open
from perenne.training import SliceMetric

UNKNOWN = "unknown"
_ESCAPED = str.maketrans({character: f"\\{character}" for character in "\\`*_[]<>|#"})


def markdown(card: Card) -> str:
    """Write a card as Markdown; whatever comes from users is escaped."""
    parts = [
        _head(card),
        _section("Intended use", _use(card)),
        _section("Data", _data(card.data)),
        _section("Model", _model(card)),
        _section("Evaluation", _evaluation(card)),
        _section("Objectives, guardrails and other checks", _checks(card)),
        _section("Gates", _gates(card)),
        _section("Not checked", _list(card.not_checked)),
        _section("Known limits", _list(card.limits)),
        _section("Approvals", _approvals(card)),
        _section("How to call it", _calling(card)),
        _section("How it was made", _making(card)),
    ]
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def _head(card: Card) -> list[str]:
    gate = card.gate if is_open(card) else f"{card.gate}: {'; '.join(card.reasons)}"
    when = _time(card.created)
    return [f"# Model card: {_text(card.version)}", "", f"Registered {when} by {_text(card.created_by)}. Gate {_text(gate)}.", ""]


def _section(title: str, lines: Iterable[str]) -> list[str]:
    return [f"## {title}", "", *lines, ""]


def _use(card: Card) -> Iterator[str]:
    yield f"- For: {_text(card.purpose) or UNKNOWN}"
    yield f"- Scope: {_text(card.scope) or 'not stated'}"
    yield f"- Owner: {_text(card.owner) or UNKNOWN} (project {_text(card.project)})"
    if card.description:
        yield f"- In the words of who registered it: {_text(card.description)}"
    if card.aliases or card.stage != "None":
        yield f"- Stands for: {_text(', '.join((*card.aliases, *([card.stage] if card.stage != 'None' else []))))}"


def _data(found: CardData) -> Iterator[str]:
    if not found.snapshot:
        yield "Not recorded: a client registered the version, and its run names no snapshot."
        return
    yield f"- Dataset {_text(found.dataset) or UNKNOWN}, snapshot `{found.snapshot}`: {found.rows:,} rows, {_span(found)}"
    if found.target:
        yield f"- Target: {_text(found.target)}"
    if found.train is not None:
        yield f"- Learned from {found.train:,} rows, chosen on {found.validation:,}, judged on {found.holdout:,} others"
    if found.holdout_start is not None:
        yield f"- Those it was judged on span {_time(found.holdout_start)} to {_time(found.holdout_end)}"


def _model(card: Card) -> Iterator[str]:
    parameters = ", ".join(f"{_text(name)} = {_text(value)}" for name, value in card.parameters.items())
    if card.unknown:
        yield card.unknown
        if parameters:
            yield ""
            yield f"- Parameters of its run: {parameters}"
        return
    yield f"- {_text(card.estimator)}{f' with {parameters}' if parameters else ''}"
    yield f"- Answers: {', '.join(map(_text, card.classes)) if card.classes else 'a number'}"
    yield ""
    yield from _table(("input", "kind"), [(_text(item.name), item.kind) for item in card.inputs])


def _evaluation(card: Card) -> Iterator[str]:
    rows = [(item.metric, _number(item.value), _interval(item.low, item.high)) for item in card.figures]
    yield from _table(("metric", "value", "95 % interval"), rows)
    if card.slices:
        yield ""
        groups = [
            (
                _text(item.by),
                _text(item.group),
                f"{item.rows:,}",
                item.metric,
                _number(item.value),
                _interval(item.low, item.high),
            )
            for item in card.slices
        ]
        yield from _table(("by", "group", "rows", "metric", "value", "95 % interval"), groups)
    found = card.compared
    if found is not None:
        yield ""
        if found.difference is None:
            yield f"Against {_text(card.champion)}: unknown, {_text(found.reason)}."
        else:
            yield (
                f"Against {_text(card.champion)} on the same {found.rows:,} rows: {found.metric} {_number(found.challenger)} "
                f"instead of {_number(found.champion)}, in its favour by {_number(found.difference)} "
                f"({_interval(found.low, found.high)}), p = {_number(found.p_superior)}."
            )


def _checks(card: Card) -> Iterator[str]:
    rows = [
        (_text(item.check), item.verdict, _number(item.value), _number(item.limit), _text(item.detail)) for item in card.checks
    ]
    yield from _table(("check", "verdict", "value", "limit", "detail"), rows)


def _gates(card: Card) -> Iterator[str]:
    rows = [
        (_text(item.gate), item.verdict, "yes" if item.required else "no", _figure(item.value, item.unit), _limit(item.limit),
         _text(item.detail))
        for item in card.gates
    ]  # fmt: skip
    yield from _table(("gate", "verdict", "required", "value", "limit", "found"), rows)


def _figure(value: float | None, unit: str) -> str:
    return "" if value is None else f"{_number(value)} {_text(unit)}".strip()


def _limit(value: float | None) -> str:
    return "" if value is None else _number(value)


def _slice(item: SliceMetric) -> tuple[str, ...]:
    value, interval = _number(item.value), _interval(item.low, item.high)
    return _text(item.by), _text(item.group), f"{item.rows:,}", item.metric, value, interval


def _check(item: CardCheck) -> tuple[str, ...]:
    value, limit = ("" if number is None else _number(number) for number in (item.value, item.limit))
    return _text(item.check), item.verdict, value, limit, _text(item.detail)


def _approvals(card: Card) -> Iterator[str]:
    if not card.approvals:
        yield "Nobody has decided."
    for item in card.approvals:
        alone = ", alone: there was nobody else" if item.solo else ""
        verb = "Approved" if item.approved else "Rejected"
        yield f"- {verb} by {_text(item.approver)}{alone}, {_time(item.time)}: {_text(item.reason) or 'no reason given'}"


def _calling(card: Card) -> Iterator[str]:
    number = card.version.rpartition("@")[2]
    if card.form != "package":
        what = "mlflow.genai.load_prompt" if card.form == "prompt" else "mlflow.pyfunc.load_model"
        place = f"{'prompts' if card.form == 'prompt' else 'models'}:/{card.model}/{number}"
        yield "With a client of MLflow:"
        yield ""
        yield "```"
        yield f"{what}({place!r})".replace("```", "")
        yield "```"
        return
    inputs = ", ".join(f'{{"name": "{item.name}", …}}' for item in card.inputs[:3]) + (", …" if len(card.inputs) > 3 else "")
    yield f"Once it is deployed (`perenne deploy version {card.model} {card.version}`), by the Open Inference Protocol:"
    yield ""
    yield "```"
    yield f"POST /v2/models/{card.model}/infer"
    yield f'{{"inputs": [{inputs or "…"}]}}'.replace("```", "")
    yield "```"


def _making(card: Card) -> Iterator[str]:
    changed = ", with uncommitted changes that were kept" if card.dirty else ""
    yield f"- Code: {f'commit {card.commit}{changed}' if card.commit else 'no commit: the project is in no Git repository'}"
    yield f"- Packages of the environment: object `{card.environment or UNKNOWN}`"
    yield f"- Seed: {card.seed}"
    yield f"- Files: `{card.digest}`" if card.digest else "- Files: elsewhere; nobody vouches for what they hold"
    if card.source:
        yield f"- Registered from: {_text(card.source)}"
    if card.tags:
        yield f"- Tags: {', '.join(f'{_text(key)} = {_text(value[:200])}' for key, value in card.tags.items())}"


def _list(lines: Sequence[str]) -> list[str]:
    return [f"- {_text(line)}" for line in lines] or ["None are recorded."]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    body = list(rows)
    if not body:
        yield "Not recorded."
        return
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in body:
        yield f"| {' | '.join(row)} |"


def _text(text: str) -> str:
    return " ".join(text.translate(_ESCAPED).split())


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.4g}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{low:.4g} to {high:.4g}"


def _time(instant: int | None) -> str:
    return UNKNOWN if instant is None else format_time(instant)[:16].replace("T", " ") + " UTC"


def _span(found: CardData) -> str:
    if found.end is None:
        return "of no stated time"
    return f"up to {_time(found.end)}" if not found.start else f"{_time(found.start)} to {_time(found.end)}"
