"""`@step` and `@pipeline`: plain functions that can also be run by an `Engine`."""

import functools
import inspect
import math
import typing
from collections.abc import Callable, Mapping
from typing import Any, Generic, ParamSpec, TypeVar, overload

import msgspec

from perenne.core.clock import SECOND, parse_duration
from perenne.core.errors import Invalid
from perenne.pipelines.context import entered, is_inside, outside
from perenne.pipelines.graph import Graph, Reference, build, graph_in_progress

P = ParamSpec("P")
R = TypeVar("R")

UNKNOWN: Any = inspect.Parameter.empty


class StepOptions(msgspec.Struct, frozen=True):
    """How a step is run; see `step`."""

    retries: int = 0
    retry_on: tuple[type[BaseException], ...] = (Exception,)
    timeout: float | None = None
    cache: bool = True
    isolate: bool = False
    environment: str = ""
    resources: dict[str, float] = {}


class Step(Generic[P, R]):
    """A function whose results an engine keeps. Called outside a pipeline, it is the function."""

    def __init__(self, function: Callable[P, R], options: StepOptions) -> None:
        self.function = function
        self.options = options
        self.name = function.__qualname__.rsplit("<locals>.", 1)[-1]
        functools.update_wrapper(self, function)

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The function's parameters."""
        return inspect.signature(self.function)

    @functools.cached_property
    def annotations(self) -> dict[str, Any]:
        """The types of parameters and, under ``return``, of the result; what cannot be resolved is left out."""
        try:
            return typing.get_type_hints(self.function)
        except (NameError, TypeError, AttributeError):
            raw = getattr(self.function, "__annotations__", {})
            return {name: kind for name, kind in raw.items() if not isinstance(kind, str)}

    @functools.cached_property
    def returns(self) -> Any:
        """The type of the result, or `UNKNOWN`."""
        kind = self.annotations.get("return", UNKNOWN)
        return UNKNOWN if kind is Any else kind

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function, or inside a pipeline note the call."""
        graph = graph_in_progress()
        if graph is None:
            if is_inside():
                return self.function(*args, **kwargs)
            with entered(outside(self.name)):
                return self.function(*args, **kwargs)
        return typing.cast("R", graph.add(self, self.bind(args, kwargs)))

    def map(self, items: Any, *args: Any, **kwargs: Any) -> list[R]:
        """Call the function with each item as its first argument, and the others the same each time.

        Parameters
        ----------
        items : list, or what a step returns
            A list that an earlier step makes is taken apart once that step has run.
        """
        graph = graph_in_progress()
        call = typing.cast("Callable[..., R]", self)
        if graph is None or not isinstance(items, Reference):
            return [call(item, *args, **kwargs) for item in items]
        over = next(iter(self.signature.parameters))
        arguments = self.bind((items, *args), kwargs)
        return typing.cast("list[R]", graph.add(self, arguments, over))

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments by parameter name, defaults included.

        Raises
        ------
        Invalid
            If they do not fit the function's parameters.
        """
        if not kwargs and self._plain is not None and len(args) <= len(self._plain):
            arguments = {**self._plain, **dict(zip(self._plain, args, strict=False))}
            if all(value is not UNKNOWN for value in arguments.values()):
                return arguments
        try:
            bound = self.signature.bind(*args, **kwargs)
        except TypeError as error:
            raise Invalid(
                f"step {self.name!r}: {error}", code="pipelines.arguments", hint="call it as its definition says"
            ) from None
        bound.apply_defaults()
        return bound.arguments

    @functools.cached_property
    def _plain(self) -> dict[str, Any] | None:
        """Parameters and their defaults, if all can be passed by position: then binding is a matter of counting."""
        parameters = self.signature.parameters.values()
        plain = all(parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for parameter in parameters)
        return {parameter.name: parameter.default for parameter in parameters} if plain else None

    def unbind(self, arguments: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Turn arguments by name into what the function is called with."""
        if self._plain is not None:
            return tuple(arguments.values()), {}
        bound = inspect.BoundArguments(self.signature, arguments)
        return bound.args, bound.kwargs

    def __repr__(self) -> str:
        return f"<step {self.name}>"


class Pipeline(Generic[P, R]):
    """A function that calls steps. Called directly it runs them at once, without keeping anything."""

    def __init__(self, function: Callable[P, R]) -> None:
        self.function = function
        self.name = function.__qualname__.rsplit("<locals>.", 1)[-1]
        functools.update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function."""
        return self.function(*args, **kwargs)

    def build(self, *args: P.args, **kwargs: P.kwargs) -> Graph:
        """Return the graph of steps for these arguments; nothing runs."""
        return build(lambda: self.function(*args, **kwargs))

    def __repr__(self) -> str:
        return f"<pipeline {self.name}>"


@overload
def step(function: Callable[P, R], /) -> Step[P, R]: ...


@overload
def step(
    *,
    retries: int = 0,
    retry_on: tuple[type[BaseException], ...] = (Exception,),
    timeout: str | float | None = None,
    cache: bool = True,
    isolate: bool | None = None,
    environment: str = "",
    resources: Mapping[str, float] | None = None,
) -> Callable[[Callable[P, R]], Step[P, R]]: ...


def step(
    function: Callable[P, R] | None = None,
    /,
    *,
    retries: int = 0,
    retry_on: tuple[type[BaseException], ...] = (Exception,),
    timeout: str | float | None = None,
    cache: bool = True,
    isolate: bool | None = None,
    environment: str = "",
    resources: Mapping[str, float] | None = None,
) -> Step[P, R] | Callable[[Callable[P, R]], Step[P, R]]:
    """Make a function a step of pipelines.

    The function should be pure: its result depends on its arguments and its code alone. The result is kept by the annotated
    return type: plain values and Structs, numpy arrays, Arrow tables, bytes, and a `Path` to a file or folder it wrote.

    Parameters
    ----------
    retries : int
        How often it is tried again after an error, with a growing delay.
    retry_on : tuple of exception types
        Which errors are worth another try.
    timeout : str or float, optional
        Kill it after this time (``"10m"``, or seconds); it then runs in a child process.
    cache : bool
        False for a step that reads the outside world: it runs each time. What follows from it still is not done again if it
        returns the same as before.
    isolate : bool, optional
        Run it in a child process.
    environment : str
        Part of the key, for what the key cannot see, such as the version of a program that it calls.
    resources : mapping, optional
        What it needs on a cluster: ``cpu``, ``gpu``, ``memory`` in bytes, and the cluster's own by name; no part of the key.

    >>> @step
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> double(4)
    8
    """
    seconds = parse_duration(timeout) / SECOND if isinstance(timeout, str) else timeout
    if seconds is not None and isolate is False:
        raise Invalid(
            "a timeout needs isolate=True", code="pipelines.timeout", hint="only a child process can be stopped from outside"
        )
    isolated = seconds is not None if isolate is None else isolate
    options = StepOptions(retries, retry_on, seconds, cache, isolated, environment, _checked(resources or {}))
    return Step(function, options) if function is not None else lambda inner: Step(inner, options)


def _checked(resources: Mapping[str, float]) -> dict[str, float]:
    for name, amount in resources.items():
        if not name or isinstance(amount, bool) or not isinstance(amount, int | float) or not 0 <= amount < math.inf:
            raise Invalid(
                f"resource {name!r} is {amount!r}",
                code="pipelines.resources",
                hint='numbers by name, as in {"cpu": 2, "memory": 4 * 2**30}',
            )
    return dict(resources)


def pipeline(function: Callable[P, R]) -> Pipeline[P, R]:
    """Make a function that calls steps a pipeline, to be run by `Engine.run`."""
    return Pipeline(function)
