"""A small world of runs, and what should be found in it: filters are written and, beside that, worked out in plain Python."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import hypothesis.strategies as st

from perenne.storage.database import Transaction
from perenne.tracking.keys import keys_of
from perenne.tracking.model import Provenance, RunState, number_in
from perenne.tracking.tables import experiment, input_dataset, run, run_input, run_latest, run_param, run_tag

LARGE = 1.7976931348623157e308
LONG = "x" * 300


class Tried(NamedTuple):
    """A run as the tests know it."""

    number: int
    experiment: int
    project: str
    name: str
    state: RunState
    user: str
    started: int
    ended: int | None
    deleted: bool
    metrics: Mapping[str, float]
    parameters: Mapping[str, str]
    tags: Mapping[str, str]
    datasets: tuple[tuple[str, str, str], ...]


Holds = Callable[[Tried], bool]
"""Whether a filter holds for a run."""

_VALUES = [0.0, 0.5, -1.0, 2.0, math.nan, LARGE]
_TEXTS = ["adam", "Adam", "sgd", "0.1", "1e-3", "10", "ä%_b", "", LONG]
_STATES = list(RunState)


def make_world(tx: Transaction, count: int = 40) -> list[Tried]:
    """Put runs into a database: every value meets every other sooner or later."""
    ids = make_experiments(tx)
    made = [_make(place, ids[place % 3 // 2], ("one", "two")[place % 3 // 2]) for place in range(count)]
    return put(tx, made)


def make_experiments(tx: Transaction) -> list[int]:
    """Make two experiments."""
    return [_experiment(tx, name) for name in ("one", "two")]


def put(tx: Transaction, world: list[Tried]) -> list[Tried]:
    """Put runs into the database; return them with their numbers."""
    ids = sorted({tried.experiment for tried in world})
    made = [tried._replace(number=_insert(tx, place, tried)) for place, tried in enumerate(world)]
    sets = {(home, name): _dataset(tx, home, name) for home in ids for name in ("flights", "trains")}
    for tried in made:
        for name, _, context in tried.datasets:
            values = {"run": tried.number, "dataset": sets[tried.experiment, name], "context": context, "tags": {}}
            tx.execute(run_input.insert(), values)
    return made


def _experiment(tx: Transaction, name: str) -> int:
    values = {"name": name, "project": name, "artifact_location": "", "created": 1, "updated": 1}
    return int(tx.scalar(experiment.insert().returning(experiment.c.id), values))


def _dataset(tx: Transaction, home: int, name: str) -> int:
    values = {"experiment": home, "name": name, "digest": name[:3], "source_type": "", "source": ""}
    return int(tx.scalar(input_dataset.insert().returning(input_dataset.c.number), values))


def _make(place: int, home: int, project: str) -> Tried:
    def one(values: list[Any], step: int) -> Any:
        return values[(place * step + place // 5) % len(values)]

    return Tried(
        0, home, project, one(["bold-fox-1", "calm-owl-2", "", "Bold-Fox-3"], 3), one(_STATES, 7), one(["ada", "bob", ""], 5),
        1_700_000_000_000_000 + place % 17 * 1_500, None if place % 4 == 0 else 1_700_000_000_000_000 + place * 90_000_500,
        place % 9 == 8,
        {name: one(_VALUES, step) for name, step in (("a", 1), ("b", 5), ("c", 11)) if (place + step) % 4},
        {name: one(_TEXTS, step) for name, step in (("p", 1), ("my q", 4)) if (place + step) % 3},
        {name: one(_TEXTS, step) for name, step in (("t", 2), ("u.v", 7)) if (place + step) % 3},
        tuple((name, name[:3], one(["train", "test"], 1)) for name in ("flights", "trains") if (place + len(name)) % 3 == 0),
    )  # fmt: skip


def _insert(tx: Transaction, place: int, tried: Tried) -> int:
    values = {
        "id": f"{place:032x}", "experiment": tried.experiment, "project": tried.project, "name": tried.name, "kind": "",
        "started_by": tried.user, "state": tried.state, "data": (), "provenance": Provenance(), "flow": "", "outcome": "",
        "artifact_uri": f"x:/{place}", "started": tried.started, "ended": tried.ended, "deleted": 1 if tried.deleted else None,
    }  # fmt: skip
    number = int(tx.scalar(run.insert().returning(run.c.number), values))
    keys = keys_of(tx, [*tried.metrics, *tried.parameters, *tried.tags])
    for name, value in tried.metrics.items():
        nan = math.isnan(value)
        row = {"run": number, "key": keys[name], "value": 0.0 if nan else value, "time": 1, "step": 0, "nan": nan}
        tx.execute(run_latest.insert(), row)
    for name, text in tried.parameters.items():
        tx.execute(run_param.insert(), {"run": number, "key": keys[name], "value": text, "number": number_in(text)})
    for name, text in tried.tags.items():
        tx.execute(run_tag.insert(), {"run": number, "key": keys[name], "value": text})
    return number


COMPARING: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b, "!=": lambda a, b: a != b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


def _like(text: str, pattern: str) -> bool:
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(_like(text[place:], pattern[1:]) for place in range(len(text) + 1))
    return bool(text) and pattern[0] in ("_", text[0]) and _like(text[1:], pattern[1:])


def _in(negated: bool, values: Sequence[object]) -> str:
    return f"{'NOT ' * negated}IN ({', '.join(map(repr, values))})"


def _took(tried: Tried) -> float | None:
    return None if tried.ended is None else (tried.ended - tried.started) // 1000


def _texts(key: str, of: Callable[[Tried], str | None]) -> st.SearchStrategy[tuple[str, Holds]]:
    """Clauses about a text that a run may have."""

    def there(test: Callable[[str], bool]) -> Holds:
        return lambda tried: (value := of(tried)) is not None and test(value)

    quoted = st.sampled_from([*_TEXTS, "ada", "bold-fox-1", "train", "flights"])
    pattern = st.sampled_from(["%", "a%", "A%", "%d%", "_dam", "", "%0.1", "%\\%_b", "bold%", "%o_-%", "ä%"])
    same = st.tuples(st.sampled_from(["=", "!="]), quoted).map(
        lambda got: (f"{key} {got[0]} '{got[1]}'", there(lambda value: COMPARING[got[0]](value, got[1])))
    )
    like = st.tuples(st.booleans(), pattern).map(
        lambda got: (f"{key} {'NOT ' * got[0]}LIKE '{got[1]}'", there(lambda value: _like(value, got[1]) != got[0]))
    )
    ilike = pattern.filter(str.isascii).map(
        lambda got: (f"{key} ILIKE '{got}'", there(lambda value: _like(value.lower(), got.lower())))
    )
    among = st.tuples(st.booleans(), st.lists(quoted, min_size=1, max_size=3)).map(
        lambda got: (
            f"{key} {'NOT ' * got[0]}IN ({', '.join(map(repr, got[1]))})",
            there(lambda value: (value in got[1]) != got[0]),
        )
    )
    rlike = st.sampled_from(["^[aA]", "am$", "^$", "[0-9]+", "x{100}"]).map(
        lambda got: (f"{key} RLIKE '{got}'", there(lambda value: _found(got, value)))
    )
    return st.one_of(same, like, ilike, among, rlike)


def _found(pattern: str, value: str) -> bool:
    return re.search(pattern, value) is not None


def _nulls(key: str, absent: Holds) -> st.SearchStrategy[tuple[str, Holds]]:
    return st.booleans().map(lambda negated: (f"{key} IS {'NOT ' * negated}NULL", lambda tried: absent(tried) != negated))


def _numbers(key: str, of: Callable[[Tried], float | None], values: list[float]) -> st.SearchStrategy[tuple[str, Holds]]:
    """Clauses about a number that a run may have; NaN is unequal to everything."""

    def there(test: Callable[[float], bool]) -> Holds:
        return lambda tried: (value := of(tried)) is not None and test(value)

    value = st.sampled_from(values)
    plain = st.tuples(st.sampled_from(list(COMPARING)), value).map(
        lambda got: (f"{key} {got[0]} {got[1]!r}", there(lambda mine: COMPARING[got[0]](mine, got[1])))
    )
    between = st.tuples(st.booleans(), value, value).map(
        lambda got: (
            f"{key} {'NOT ' * got[0]}BETWEEN {got[1]!r} AND {got[2]!r}",
            there(lambda mine: (got[1] <= mine <= got[2]) != got[0]),
        )
    )
    among = st.tuples(st.booleans(), st.lists(value, min_size=1, max_size=3)).map(
        lambda got: (
            f"{key} {'NOT ' * got[0]}IN ({', '.join(map(repr, got[1]))})",
            there(lambda mine: (mine in got[1]) != got[0]),
        )
    )
    return st.one_of(plain, between, among)


def _number_of(text: str | None) -> float | None:
    return None if text is None else number_in(text)


def _dataset_clause(field: int, name: str) -> st.SearchStrategy[tuple[str, Holds]]:
    value = st.sampled_from(["flights", "trains", "fli", "train", "test", "x"])
    return st.tuples(st.sampled_from(["=", "!="]), value).map(
        lambda got: (
            f"dataset.{name} {got[0]} '{got[1]}'",
            lambda tried: any(COMPARING[got[0]](used[field], got[1]) for used in tried.datasets),
        )
    )


def _state() -> st.SearchStrategy[tuple[str, Holds]]:
    return st.tuples(st.sampled_from(["=", "!="]), st.sampled_from(["RUNNING", "FINISHED", "failed", "odd"])).map(
        lambda got: (f"status {got[0]} '{got[1]}'", lambda tried: COMPARING[got[0]](tried.state.name, got[1].upper()))
    )


_TIMES: list[float] = [1_700_000_000_000 + ms for ms in (0, 1, 3, 7, 7.5, 20)]
_ENDS: list[float] = [1_700_000_000_000 + ms for ms in (90_000, 900_004, 900_005, 3e6)]
CLAUSES = st.one_of(
    *(_numbers(f"metrics.{name}", lambda tried, name=name: tried.metrics.get(name), [-1.0, 0.0, 0.5, 0.7, 2]) for name in "abc"),  # type: ignore[misc]
    _nulls("metrics.a", lambda tried: "a" not in tried.metrics),
    _nulls("metrics.nobody", lambda tried: True),
    _texts("params.p", lambda tried: tried.parameters.get("p")),
    _texts("params.`my q`", lambda tried: tried.parameters.get("my q")),
    _numbers("params.p", lambda tried: _number_of(tried.parameters.get("p")), [0.1, 0.001, 10, 5]),
    _nulls("params.p", lambda tried: "p" not in tried.parameters),
    _texts("tags.t", lambda tried: tried.tags.get("t")),
    _texts("tag.u.v", lambda tried: tried.tags.get("u.v")),
    _nulls('tags."u.v"', lambda tried: "u.v" not in tried.tags),
    _texts("run_name", lambda tried: tried.name),
    _texts("attributes.user_id", lambda tried: tried.user),
    _nulls("user_id", lambda tried: not tried.user),
    _state(),
    _numbers("start_time", lambda tried: tried.started // 1000, _TIMES),
    _numbers("end_time", lambda tried: None if tried.ended is None else tried.ended // 1000, _ENDS),
    _nulls("end_time", lambda tried: tried.ended is None),
    _numbers(
        "duration",
        lambda tried: None if tried.ended is None else (tried.ended - tried.started) // 1000,
        [0, 90_000, 900_004, 1e6],
    ),
    *(_dataset_clause(field, name) for field, name in enumerate(("name", "digest", "context"))),
)


def _joined(parts: list[tuple[str, Holds]], word: str) -> tuple[str, Holds]:
    held = all if word == "AND" else any
    text = f" {word} ".join(f"({text})" for text, _ in parts)
    return text, lambda tried: held(holds(tried) for _, holds in parts)


FILTERS: st.SearchStrategy[tuple[str, Holds]] = st.recursive(
    CLAUSES,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: _joined(parts, "AND")),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: _joined(parts, "OR")),
        inner.map(lambda part: (f"NOT ({part[0]})", lambda tried: not part[1](tried))),
    ),
    max_leaves=6,
)

ORDERS: dict[str, Callable[[Tried], Any]] = {
    "metrics.a": lambda tried: tried.metrics.get("a"),
    "metrics.c": lambda tried: tried.metrics.get("c"),
    "params.p": lambda tried: tried.parameters.get("p"),
    "tags.t": lambda tried: tried.tags.get("t"),
    "number.p": lambda tried: _number_of(tried.parameters.get("p")),
    "metrics.nobody": lambda tried: None,
    "end_time": lambda tried: tried.ended,
    "start_time": lambda tried: tried.started,
    "status": lambda tried: tried.state.value,
    "attribute.run_name": lambda tried: tried.name,
}


def in_order(found: list[Tried], orders: list[tuple[str, bool]]) -> list[int]:
    """Sort as it should be: NaN, then what is absent, last; then the newest first."""
    found = sorted(found, key=lambda tried: (-tried.started, -tried.number))
    for key, ascending in reversed(orders):
        of = ORDERS[key]

        def has(tried: Tried, of: Callable[[Tried], Any] = of) -> int:
            value = of(tried)
            return 2 if value is None else int(isinstance(value, float) and math.isnan(value))

        there = sorted((tried for tried in found if not has(tried)), key=of, reverse=not ascending)
        found = there + [tried for tried in found if has(tried) == 1] + [tried for tried in found if has(tried) == 2]
    return [tried.number for tried in found]
