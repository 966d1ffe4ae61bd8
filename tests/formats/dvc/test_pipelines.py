"""What is made of a dvc.yaml is what DVC makes of it: `golden/pipelines.json` holds its answers."""

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from perenne.core.errors import Invalid
from perenne.formats.dvc.interpolation import Scope, TemplateError, resolve
from perenne.formats.dvc.pipelines import PipelineStage, Resolver, read_pipeline

FOLDER = Path(__file__).parent / "golden"
CASES: dict[str, dict[str, str]] = yaml.safe_load((FOLDER / "pipeline_cases.yaml").read_text("utf-8"))
GOLDEN: dict[str, Any] = json.loads((FOLDER / "pipelines.json").read_text("utf-8"))
GOOD = [name for name in CASES if "error" not in GOLDEN[name]]
BAD = [name for name in CASES if "error" in GOLDEN[name]]


def reader(files: dict[str, str]) -> Any:
    return lambda path: files[path].encode() if path in files else None


def described(stage: PipelineStage) -> dict[str, Any]:
    return {
        "cmd": stage.cmd,
        "wdir": stage.wdir or ".",
        "deps": list(stage.deps),
        "params": {params.path: list(params.keys) for params in stage.params},
        "outs": {
            out.path: [
                out.cache,
                out.persist,
                out.remote,
                out.push,
                out.kind == "metric",
                (out.plot or True) if out.kind == "plot" else None,
                {key: value for key in ("desc", "type", "labels", "meta") if (value := getattr(out, key))},
            ]
            for out in stage.outs
        },
        "frozen": stage.frozen,
        "always_changed": stage.always_changed,
        "desc": stage.desc,
        "meta": stage.meta,
    }


def test_every_case_was_recorded() -> None:
    assert set(GOLDEN) == set(CASES)
    assert len(GOOD) > 30 and len(BAD) > 30


@pytest.mark.parametrize("name", GOOD)
def test_stages_are_those_of_dvc(name: str) -> None:
    files, expected = CASES[name], GOLDEN[name]
    resolver = Resolver(files["dvc.yaml"].encode(), "dvc.yaml", reader(files))
    # As JSON, so that true is not 1 and the order counts.
    assert json.dumps({key: body for key, body, _ in resolver.stages()}) == json.dumps(expected["resolved"])
    pipeline = read_pipeline(files["dvc.yaml"].encode(), "dvc.yaml", reader(files))
    for stage in expected["loaded"].values():
        stage["params"] = {file: list(dict.fromkeys(keys)) for file, keys in stage["params"].items()}
    assert {key: described(stage) for key, stage in pipeline.stages.items()} == expected["loaded"]
    assert [pipeline.metrics, pipeline.params, pipeline.plots, pipeline.artifacts] == [
        expected[key] for key in ("metrics", "params", "plots", "artifacts")
    ]


@pytest.mark.parametrize("name", BAD)
def test_what_dvc_refuses_is_refused(name: str) -> None:
    files, expected = CASES[name], GOLDEN[name]["error"]
    with pytest.raises(Invalid) as caught:
        read_pipeline(files["dvc.yaml"].encode(), "dvc.yaml", reader(files))
    kind, _, message = expected.partition(": ")
    said = str(caught.value)
    assert "dvc.yaml" in said
    if kind == "ResolveError" and "\x1b" not in message:
        assert " ".join(said.split()).startswith(" ".join(message.split()).replace("failed to resolve", "failed to parse"))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("stages:\n  s:\n    cmd: run\n    outputs: [a]\n", "stages.s.outputs"),
        ("stages:\n  s:\n    deps: [a]\n", "stages.s.cmd"),
        ("stages:\n  s:\n    cmd: run\n    outs:\n    - a:\n        cached: true\n", "stages.s.outs[0].a.cached"),
        ("stages:\n  s:\n    cmd: run\n    outs:\n    - a:\n        cache: 1\n", "stages.s.outs[0].a.cache"),
        ("stages:\n  l:\n    foreach: [a]\n    do:\n      cmdd: x\n", "stages.l.do.cmdd"),
        ("metrics: [1]\n", "metrics[0]"),
        ("stages: [a]\n", "stages"),
        ("- a\n", "expected a mapping"),
        ("stages:\n  s:\n    cmd: a\n   x: b\n", "line 4"),
        ("a: \x00", "dvc.yaml"),
    ],
)
def test_the_place_of_a_mistake_is_named(text: str, where: str) -> None:
    with pytest.raises(Invalid) as caught:
        read_pipeline(text.encode(), "dvc.yaml", lambda path: None)
    assert "dvc.yaml" in str(caught.value)
    assert where in str(caught.value)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8)


@settings(max_examples=60, deadline=None)
@given(values=st.dictionaries(st.from_regex(r"[a-z]{1,3}", fullmatch=True), scalars, max_size=4), text=st.text(max_size=30))
def test_a_text_without_expressions_stays_as_it_is(values: dict[str, Any], text: str) -> None:
    scope = Scope()
    scope.add(values, "vars[0]")
    if "${" not in text:
        assert resolve(text, scope, "cmd") == text
    for name, value in values.items():
        assert resolve(f"${{{name}}}", scope, "cmd") is value
        assert resolve(f"\\${{{name}}}", scope, "cmd") == f"${{{name}}}"


@settings(max_examples=100, deadline=None)
@given(text=st.text(alphabet="${}\\[].ab 0", max_size=20))
def test_any_text_is_worked_out_or_refused(text: str) -> None:
    scope = Scope()
    scope.add({"a": 1, "b": {"a": [1, 2]}}, "vars[0]")
    with contextlib.suppress(TemplateError):
        assert isinstance(resolve(text, scope, "cmd"), str | int | dict)
