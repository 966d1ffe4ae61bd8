"""Why a step ran again: which part of its key is not what it was in the run before."""

from typing import Any

import msgspec
import sqlalchemy as sa

from perenne.core.errors import NotFound
from perenne.pipelines.model import Argument
from perenne.pipelines.store import flow_run, run_step, step, step_code
from perenne.storage.database import Database, Transaction

_arguments = msgspec.msgpack.Decoder(dict[str, Argument])
_parts = msgspec.msgpack.Decoder(dict[str, str])


class Explanation(msgspec.Struct, frozen=True):
    """How a step's last execution differs from the one before.

    Attributes
    ----------
    step : str
        The step's name.
    run, previous : str
        The newest run with the step, and the one before; empty if there was none.
    hit : bool
        Whether the newest run found a result.
    reasons : list of str
        What differs, in words.
    """

    step: str
    run: str
    previous: str
    hit: bool
    reasons: list[str]


def explain(database: Database, name: str) -> Explanation:
    """Say which part of a step's key changed since the run before.

    Parameters
    ----------
    name : str
        The step's name, or the label of one of its calls, such as ``fit#2`` or ``clean[3]``.

    Raises
    ------
    NotFound
        If no run had such a step.
    """
    with database.read() as tx:
        newest, previous = _last_two(tx, name)
        if previous is None:
            return Explanation(name, newest.run, "", newest.hit, ["there was no run of this step before"])
        return Explanation(name, newest.run, previous.run, newest.hit, _reasons(tx, newest, previous))


def _last_two(tx: Transaction, name: str) -> tuple[Any, Any]:
    columns = (run_step.c.run, run_step.c.hit, run_step.c.key, step.c.code, step.c.environment, step.c.arguments, step.c.error)
    query = (
        sa.select(*columns, flow_run.c.flow)
        .join(step, step.c.key == run_step.c.key)
        .join(flow_run, flow_run.c.id == run_step.c.run)
        .where(sa.or_(run_step.c.label == name, step.c.name == name))
        .order_by(flow_run.c.started.desc(), flow_run.c.id.desc(), run_step.c.ordinal)
    )
    newest = tx.execute(query.limit(1)).one_or_none()
    if newest is None:
        raise NotFound(
            f"no run had a step {name!r}", code="pipelines.step_not_found", hint="`perenne pipeline list` shows the runs"
        )
    previous = tx.execute(query.where(flow_run.c.flow == newest.flow, run_step.c.run != newest.run).limit(1)).one_or_none()
    return newest, previous


def _reasons(tx: Transaction, newest: Any, previous: Any) -> list[str]:
    if newest.key == previous.key:
        return ["nothing changed"] if newest.hit else ["nothing changed, but there was no whole result: it failed or was damaged"]
    reasons = []
    if newest.code != previous.code:
        reasons += _code_reasons(_code(tx, newest.code), _code(tx, previous.code))
    if newest.environment != previous.environment:
        reasons.append(f"the declared environment: {previous.environment!r} became {newest.environment!r}")
    reasons += _argument_reasons(tx, _arguments.decode(newest.arguments), _arguments.decode(previous.arguments))
    return reasons or ["its inputs were made anew, and came out the same" if newest.hit else "it runs each time (cache=False)"]


def _code(tx: Transaction, code: str) -> dict[str, str]:
    data = tx.scalar(sa.select(step_code.c.parts).where(step_code.c.hash == code))
    return {} if data is None else _parts.decode(data)


def _code_reasons(new: dict[str, str], old: dict[str, str]) -> list[str]:
    reasons = [f"code of {name} changed" for name in new if name in old and new[name] != old[name]]
    reasons += [f"code now reaches {name}" for name in new if name not in old]
    reasons += [f"code no longer reaches {name}" for name in old if name not in new]
    return reasons or ["the version of perenne changed"]


def _argument_reasons(tx: Transaction, new: dict[str, Argument], old: dict[str, Argument]) -> list[str]:
    reasons = []
    for name in sorted({*new, *old}):
        if name not in old or name not in new:
            reasons.append(f"argument {name!r} is {'new' if name in new else 'gone'}")
        elif new[name].digest != old[name].digest:
            makers = ", ".join(_names(tx, new[name].sources))
            reasons.append(f"argument {name!r} changed" + (f", made by {makers}" if makers else ""))
    return reasons


def _names(tx: Transaction, keys: tuple[str, ...]) -> list[str]:
    query = sa.select(step.c.name).where(step.c.key.in_(keys)).distinct().order_by(step.c.name)
    return [str(row.name) for row in tx.execute(query)]
