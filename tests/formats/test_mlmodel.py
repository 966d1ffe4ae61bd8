"""`MLmodel` read without MLflow: what its clients wrote, and what somebody might have written instead."""

from pathlib import Path

import pytest

from perenne.core.errors import Invalid
from perenne.formats.mlmodel import LARGEST, inner_path, read_mlmodel

LOGGED = Path(__file__).parents[1] / "inference" / "foreign" / "logged"


def test_flavors_signatures_and_examples_are_read() -> None:
    forest = read_mlmodel((LOGGED / "sklearn_skops" / "MLmodel").read_bytes())
    assert forest.flavors["sklearn"]["serialization_format"] == "skops"
    assert [(spec.name, spec.type, spec.datatype) for spec in forest.inputs or ()] == [
        ("height", "double", "float64"),
        ("weight", "double", "float64"),
        ("age", "double", "float64"),
    ]
    assert forest.outputs is not None and forest.outputs[0].datatype == "string"
    assert forest.example is not None and (forest.example.path, forest.example.type) == ("input_example.json", "dataframe")
    assert forest.mlflow_version == "3.17.2"
    tensor = '[{"type": "tensor", "tensor-spec": {"dtype": "<U8", "shape": [-1, 3]}}]'
    signed = read_mlmodel(f"flavors: {{onnx: {{}}}}\nsignature: {{inputs: '{tensor}'}}".encode())
    assert signed.inputs is not None and (signed.inputs[0].shape, signed.inputs[0].datatype) == ((-1, 3), "string")


def test_what_is_not_signed_is_none() -> None:
    read = read_mlmodel(b"flavors: {python_function: {loader_module: x}}\nmodel_uuid: 3\n")
    assert read.inputs is None and read.example is None and read.params == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not an object"),
        ("[1, 2]", "is not an object"),
        ("flavors: 3", "no flavors"),
        ("flavors: {sklearn: x}", "no flavors"),
        ("{", "not YAML"),
        ("flavors: !!python/object/apply:os.system [true]", "not YAML"),
        ("\x00", "not YAML"),
        ("flavors: {}\nsignature: x", "signature that is no object"),
        ("flavors: {}\nsignature: {inputs: '{'}", "inputs are no JSON"),
        ("flavors: {}\nsignature: {inputs: '{}'}", "no list of objects"),
        ("flavors: {}\nsignature: {inputs: '[{}]'}", "lack a type"),
        ('flavors: {}\nsignature: {inputs: \'[{"type": "tensor"}]\'}', "without dtype or shape"),
        ("flavors: {}\nsaved_input_example_info: {artifact_path: ../../etc/passwd}", "may lead out"),
        ("flavors: {}\nsaved_input_example_info: {artifact_path: 3}", "no path"),
        ("a: " + "[" * 5_000, "not YAML"),
    ],
)
def test_what_is_no_such_file_is_refused(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        read_mlmodel(text.encode())


def test_a_file_without_end_is_refused() -> None:
    with pytest.raises(Invalid, match="larger than"):
        read_mlmodel(b"a" * (LARGEST + 1))


@pytest.mark.parametrize("path", ["../model.pkl", "/etc/passwd", "a/../../b", "C:/x", "a\\b", "a\0b", "", None, 3, "%2e%2e/x"])
def test_a_path_stays_inside(path: object) -> None:
    with pytest.raises(Invalid):
        inner_path(path, "data")
