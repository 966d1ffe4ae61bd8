"""dvc.yaml: stages with every `foreach`, `matrix` and `${…}` worked out.

`resolve` gives the plain mappings that DVC's own resolver gives; `read_pipeline` the same as Structs. Nothing is opened here: who
calls hands in a function that reads a file beside dvc.yaml.
"""

import posixpath
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import msgspec

from perenne.core.errors import Invalid, PerenneError
from perenne.formats.dvc.documents import load
from perenne.formats.dvc.interpolation import Scope, TemplateError, check, has_expression, resolve, to_text
from perenne.formats.dvc.pipeline_schema import check_pipeline
from perenne.formats.dvc.values import read_values

DEFAULT_PARAMS = "params.yaml"
JOIN = "@"

ReadFile = Callable[[str], bytes | None]


class StageOutput(msgspec.Struct, frozen=True, kw_only=True):
    """An output of a stage.

    Attributes
    ----------
    path : str
        As it is written, relative to the stage's working directory.
    kind : str
        `out`, `metric` or `plot`.
    plot : dict
        How a plot is drawn.
    """

    path: str
    kind: str = "out"
    cache: bool = True
    persist: bool = False
    push: bool = True
    remote: str | None = None
    plot: dict[str, Any] = {}
    desc: str | None = None
    type: str | None = None
    labels: list[str] = []
    meta: Any = None


class StageParams(msgspec.Struct, frozen=True):
    """The parameters a stage takes of one file: those keys, all if there are none."""

    path: str
    keys: tuple[str, ...] = ()


class PipelineStage(msgspec.Struct, frozen=True, kw_only=True):
    """A stage with everything worked out; paths are relative to `wdir`, and `wdir` to the folder of dvc.yaml.

    Attributes
    ----------
    group : str
        The stage with `foreach` or `matrix` that it was made from; empty for any other.
    """

    name: str
    cmd: str | list[str]
    wdir: str = ""
    deps: tuple[str, ...] = ()
    params: tuple[StageParams, ...] = ()
    outs: tuple[StageOutput, ...] = ()
    frozen: bool = False
    always_changed: bool = False
    desc: str | None = None
    meta: Any = None
    group: str = ""


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """What a dvc.yaml says."""

    name: str
    stages: dict[str, PipelineStage] = {}
    metrics: list[str] = []
    params: list[str] = []
    plots: list[Any] = []
    artifacts: dict[str, Any] = {}
    datasets: list[dict[str, Any]] = []


def read_pipeline(data: bytes, name: str, read: ReadFile, options: Mapping[str, str] | None = None) -> Pipeline:
    """Read a dvc.yaml.

    Parameters
    ----------
    name : str
        How messages call the file.
    read : callable
        Returns the bytes of a file named relative to the folder of dvc.yaml, None if there is none.
    options : mapping, optional
        The section `parsing` of the configuration: how a mapping in a command becomes options.

    Raises
    ------
    Invalid
        If it is no dvc.yaml, or something in it cannot be worked out: file, stage and key are named.

    >>> text = b"stages:\\n  a:\\n    cmd: echo ${lr}\\n"
    >>> read_pipeline(text, "dvc.yaml", {"params.yaml": b"lr: 1e-3"}.get).stages["a"].cmd
    'echo 0.001'
    """
    resolver = Resolver(data, name, read, options)
    stages = {key: _stage(key, body, name, group) for key, body, group in resolver.stages()}
    return Pipeline(
        name=name,
        stages=stages,
        metrics=resolver.listed("metrics"),
        params=resolver.listed("params"),
        plots=resolver.listed("plots"),
        artifacts=resolver.artifacts(),
        datasets=resolver.listed("datasets"),
    )


class Resolver:
    """Works out one dvc.yaml; see `read_pipeline`."""

    def __init__(self, data: bytes, name: str, read: ReadFile, options: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.document = load(data, name)
        self._read = read
        self._options = options
        check_pipeline(self.document, name)
        self._scope = Scope()
        variables = self.document.get("vars") or []
        with _named(name, "'vars'"):
            _check_plain(variables)
            if read(DEFAULT_PARAMS) is not None:
                self._load(self._scope, DEFAULT_PARAMS, "")
            self._add(self._scope, variables, "", "")

    def stages(self) -> Iterator[tuple[str, dict[str, Any], str]]:
        """Go through the stages: name, what it says, and the group it was made from if any."""
        for name, definition in (self.document.get("stages") or {}).items():
            if "matrix" in definition:
                body = {key: value for key, value in definition.items() if key != "matrix"}
                yield from self._generated(name, body, self._matrix(name, definition["matrix"]))
            elif "foreach" in definition:
                yield from self._generated(name, definition["do"], self._items(name, definition["foreach"]))
            else:
                self._check(name, definition)
                yield name, self._stage(name, definition, self._scope), ""

    def listed(self, section: str) -> list[Any]:
        """Return a section that is a list: metrics, params, plots or datasets."""
        found = []
        for place, item in enumerate(self.document.get(section) or []):
            with _named(self.name, f"'{section}.{place}'"):
                check(item)
                found.append(resolve(item, self._scope))
        return found

    def artifacts(self) -> dict[str, Any]:
        """Return the section `artifacts`."""
        found = {}
        for name, item in (self.document.get("artifacts") or {}).items():
            with _named(self.name, f"'artifacts.{name}'"):
                check([name, item])
                found[str(resolve(name, self._scope))] = resolve(item, self._scope)
        return found

    # --- foreach and matrix -----------------------------------------------------------------------------------------

    def _generated(
        self, group: str, body: dict[str, Any], items: dict[str, dict[str, Any]]
    ) -> Iterator[tuple[str, dict[str, Any], str]]:
        self._check(group, body)
        for key, names in items.items():
            name = f"{group}{JOIN}{key}"
            with self._scope.with_items(names):
                yield name, self._stage(name, body, self._scope), group

    def _items(self, name: str, data: Any) -> dict[str, dict[str, Any]]:
        with _named(self.name, f"'stages.{name}.foreach'"):
            items = resolve(data, self._scope)
        if isinstance(items, dict):
            return {to_text(key): {"item": value, "key": to_text(key)} for key, value in items.items()}
        if not isinstance(items, list):
            raise _error(self.name, f"'stages.{name}.foreach'", f"expected list/dictionary, got {type(items).__name__}")
        if any(isinstance(item, dict | list) for item in items):
            return {str(place): {"item": item} for place, item in enumerate(items)}
        return {to_text(item): {"item": item} for item in items}

    def _matrix(self, name: str, data: dict[str, Any]) -> dict[str, dict[str, Any]]:
        with _named(self.name, f"'stages.{name}.matrix'"):
            axes = resolve(data, self._scope)
            for axis, values in axes.items():
                if not isinstance(values, list | dict):
                    raise TemplateError(f"'{axis}' should be a list, got {type(values).__name__}")
        found: dict[str, dict[str, Any]] = {}
        for combination in product(*(list(enumerate(values)) for values in axes.values())):
            parts = [
                f"{axis}{place}" if isinstance(value, dict | list) else to_text(value)
                for axis, (place, value) in zip(axes, combination, strict=True)
            ]
            key = "-".join(parts)
            item = {axis: value for axis, (_, value) in zip(axes, combination, strict=True)}
            found[key] = {"key": key, "item": item}
        return found

    # --- one stage --------------------------------------------------------------------------------------------------

    def _check(self, name: str, body: dict[str, Any]) -> None:
        for key, value in body.items():
            with _named(self.name, f"'stages.{name}.{key}'"):
                check(value)

    def _stage(self, name: str, body: dict[str, Any], scope: Scope) -> dict[str, Any]:
        variables = body.get("vars") or []
        if variables:
            with _named(self.name, f"'stages.{name}.vars'"):
                _check_plain(variables)
            with _named(self.name, f"'stages.{name}.wdir'"):
                wdir = to_text(resolve(body.get("wdir") or "", scope))
            scope = scope.copy()
            with _named(self.name, f"stage '{name}'"):
                self._add(scope, variables, wdir, name)
        resolved = {}
        for key, value in body.items():
            if key != "vars":
                with _named(self.name, f"'stages.{name}.{key}'"):
                    resolved[key] = resolve(value, scope, key, self._options)
        return resolved

    # --- vars -------------------------------------------------------------------------------------------------------

    def _add(self, scope: Scope, variables: list[Any], wdir: str, stage: str) -> None:
        for place, item in enumerate(variables):
            if isinstance(item, str):
                self._load(scope, item, wdir)
            else:
                scope.add(item, f"{stage}.vars[{place}]" if stage else f"vars[{place}]")

    def _load(self, scope: Scope, item: str, wdir: str) -> None:
        file, _, listed = item.partition(":")
        path = posixpath.normpath(posixpath.join(wdir, file))
        keys = [key for key in listed.split(",") if key] or None
        if path in scope.loaded:
            if keys is None and scope.loaded[path] is None:
                return
            _check_loaded(scope.loaded[path], keys, item)
        scope.add(self._taken(path, keys), path)
        before = scope.loaded.get(path)
        scope.loaded[path] = [*before, *keys] if before and keys else keys

    def _taken(self, path: str, keys: list[str] | None) -> dict[str, Any]:
        data = self._read(path)
        if data is None:
            raise TemplateError(f"'{path}' does not exist")
        values = read_values(data, path)
        if not isinstance(values, dict):
            raise TemplateError(f"expected a dictionary, got '{type(values).__name__}' in file '{path}'")
        for key in keys or ():
            if key not in values:
                raise TemplateError(f"could not find '{key}' in '{path}'")
        return values if keys is None else {key: values[key] for key in keys}


def _check_loaded(loaded: list[str] | None, keys: list[str] | None, item: str) -> None:
    if loaded is None:
        raise TemplateError(f"cannot partially load '{item}' as it's already loaded.")
    if keys is None or set(keys) & set(loaded):
        raise TemplateError(f"cannot load '{item}' as it's partially loaded already")


def _check_plain(value: Any) -> None:
    """Refuse expressions where they are not worked out."""
    for item in value if isinstance(value, list) else [*value.keys(), *value.values()] if isinstance(value, dict) else [value]:
        if isinstance(item, list | dict):
            _check_plain(item)
        elif isinstance(item, str) and has_expression(item):
            raise TemplateError("interpolating is not allowed", hint="write the value itself")


class _named:  # noqa: N801  (reads as a preposition: `with _named(file, key):`)
    """Put file and key in front of what a template complains about."""

    def __init__(self, file: str, key: str) -> None:
        self._file = file
        self._key = key

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TemplateError):
            raise _error(self._file, self._key, error.message, error.hint) from None


def _error(file: str, key: str, message: str, hint: str = "") -> PerenneError:
    return Invalid(f"failed to parse {key} in '{file}': {message}", code="dvc.pipeline", hint=hint)


# --- Structs ----------------------------------------------------------------------------------------------------------


def _stage(name: str, body: dict[str, Any], file: str, group: str) -> PipelineStage:
    with _named(file, f"'stages.{name}'"):
        outs = [out for key, kind in KINDS.items() for out in _outputs(body.get(key) or [], kind)]
        return PipelineStage(
            name=name,
            cmd=_command(body["cmd"]),
            wdir=to_text(body.get("wdir") or ""),
            deps=tuple(to_text(dep) for dep in body.get("deps") or []),
            params=tuple(_params(body.get("params") or [])),
            outs=tuple(outs),
            frozen=bool(body.get("frozen", False)),
            always_changed=bool(body.get("always_changed", False)),
            desc=body.get("desc"),
            meta=body.get("meta"),
            group=group,
        )


KINDS = {"outs": "out", "metrics": "metric", "plots": "plot"}
PLOT_KEYS = ("template", "x", "y", "x_label", "y_label", "title", "header")


def _command(value: Any) -> str | list[str]:
    if isinstance(value, list):
        return [to_text(item) for item in value]
    if isinstance(value, dict):
        raise TemplateError(
            "a command cannot be a mapping alone", hint="write the program before it: cmd: python train.py ${train}"
        )
    return to_text(value)


def _outputs(items: list[Any], kind: str) -> Iterator[StageOutput]:
    merged: dict[str, dict[str, Any]] = {}
    for item in items:
        for path, flags in ({item: {}} if not isinstance(item, dict) else item).items():
            for one in flags if isinstance(flags, list) else [flags or {}]:
                merged.setdefault(to_text(path), {}).update(one)
    for path, flags in merged.items():
        plot = {key: value for key, value in flags.items() if key in PLOT_KEYS} if kind == "plot" else {}
        kept = {
            key: value
            for key, value in flags.items()
            if key in StageOutput.__struct_fields__ and key not in ("path", "kind", "plot")
        }
        yield StageOutput(path=path, kind=kind, plot=plot, **kept)


def _params(items: list[Any]) -> Iterator[StageParams]:
    """Sort the parameters of a stage by file; a file that is named without keys is taken whole."""
    whole = {file for item in items if isinstance(item, dict) for file, keys in item.items() if not keys}
    merged: dict[str, list[str]] = {}
    for item in items:
        for file, keys in (item if isinstance(item, dict) else {DEFAULT_PARAMS: [to_text(item)]}).items():
            merged.setdefault(file, [])
            if file not in whole:
                if not isinstance(keys, list):
                    raise TemplateError(f"Expected list of params for custom params file '{file}', got '{type(keys).__name__}'.")
                merged[file] += [to_text(key) for key in keys if to_text(key) not in merged[file]]
    return iter([StageParams(file, tuple(keys)) for file, keys in merged.items()])
