"""A call on its way to another process and back: the function by name, arguments and results as MessagePack, nothing pickled."""

import contextlib
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from perenne.core.errors import Invalid, PerenneError, Unavailable


class WorkTimeout(Unavailable):
    """A call took longer than it may, and its process was killed."""


class WorkerDied(Unavailable):
    """The process of a call ended without an answer: killed, out of memory or crashed, or its machine is gone."""


def took_too_long(timeout: float) -> WorkTimeout:
    """Return the error of a call whose process was killed at the end of its time."""
    return WorkTimeout(
        f"took longer than {timeout:g} s and was killed",
        code="compute.timeout",
        hint="give the step more time with @step(timeout=…), or less to do",
    )


def was_cancelled() -> WorkerDied:
    """Return the error of a call that was ended from here."""
    return WorkerDied("was cancelled", code="compute.cancelled", hint="run it again: what was done already is not done again")


class Call(msgspec.Struct, frozen=True, array_like=True):
    """A function by name, and plain arguments."""

    module: str
    name: str
    arguments: tuple[Any, ...]


class Raised(msgspec.Struct, frozen=True, array_like=True):
    """An exception on its way back: the caller raises its own kind again, and others as it can."""

    module: str
    name: str
    message: str
    code: str
    hint: str
    text: str
    arguments: tuple[Any, ...] | None = None


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """What a worker sends: a report while it works, then a value or what was raised."""

    report: Any = None
    value: Any = None
    raised: Raised | None = None
    final: bool = False


def call_of(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Call:
    """Return the call of a function.

    Raises
    ------
    Invalid
        If another process could not find the function by its name.
    """
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
    if getattr(sys.modules.get(module), name, None) is not function:
        raise Invalid(
            f"{name or function!r} cannot be called in another process",
            code="compute.function",
            hint="use a function at the top level of a module",
        )
    return Call(module, name, arguments)


_listeners: list[Callable[[Any], None]] = []


def report(value: Any) -> None:
    """Send a plain value to whoever handed out the call; does nothing outside a worker."""
    for listener in _listeners[-1:]:
        listener(value)


@contextlib.contextmanager
def reporting_to(listener: Callable[[Any], None]) -> Iterator[None]:
    """Let `report` of this process, which carries out one call at a time, reach a listener."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def carry_out(call: Call) -> Answer:
    """Call the function; whatever it raises becomes part of the answer."""
    try:
        function = getattr(importlib.import_module(call.module), call.name)
        return Answer(value=function(*call.arguments), final=True)
    except BaseException as error:  # also SystemExit: a call may not end the worker silently
        return Answer(raised=_raised(error), final=True)


def encoded(answer: Answer) -> bytes:
    """Return the bytes of an answer; of a TypeError, if its value is not plain."""
    try:
        return msgspec.msgpack.encode(answer)
    except (TypeError, OverflowError) as error:
        return msgspec.msgpack.encode(Answer(raised=_raised(TypeError(f"the result cannot travel: {error}")), final=True))


def _raised(error: BaseException) -> Raised:
    code, hint = (error.code, error.hint) if isinstance(error, PerenneError) else ("", "")
    plain = all(isinstance(argument, str | int | float | None) for argument in error.args)
    kind, text = type(error), "".join(traceback.format_exception(error))
    return Raised(kind.__module__, kind.__qualname__, str(error), code, hint, text, error.args if plain else None)


def exception_of(raised: Raised) -> BaseException:
    """Make the exception again: of its own class if that is known here and takes the same arguments, else a RuntimeError."""
    if raised.module.split(".")[0] == "perenne":
        importlib.import_module(raised.module)
    kind: Any = sys.modules.get(raised.module)
    for part in raised.name.split("."):
        kind = getattr(kind, part, None)
    error: BaseException = RuntimeError(f"{raised.name}: {raised.message}")
    if isinstance(kind, type) and issubclass(kind, PerenneError):
        error = kind.__new__(kind)
        PerenneError.__init__(error, raised.message, code=raised.code, hint=raised.hint)
    elif isinstance(kind, type) and issubclass(kind, Exception) and raised.arguments is not None:
        with contextlib.suppress(Exception):
            error = kind(*raised.arguments)
    error.add_note(raised.text)
    return error
