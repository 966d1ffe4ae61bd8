"""A schema in the forms of other tools; pandera itself runs what was written, where it is found (`PERENNE_PANDERA`)."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from perenne.data.validation.exporting import to_json_schema, to_pandera
from perenne.data.validation.schema import read_schema

TEXT = r"""
table: {rows_min: 2, rows_max: 9, key: [id], time: at, freshness: 1d}
columns:
  id: {type: int64, nullable: false, min: 1, unique: true}
  age: {type: int64, null_max: 0.4, min: 0, max: 120, drift: {metric: js, threshold: 0.1}}
  x: {type: float64, nullable: false, min: -0.5, max: .inf}
  plan: {type: string, domain: [basic, "it's \"plus\""], nullable: false}
  zip: {type: string, regex: '[0-9]{5}|\\', min_length: 1, max_length: 5}
  at: {type: timestamp, ascending: true, min: 2013-01-01, nullable: false}
  "new\nline '''\"\"\"": {type: bool}
rules: {grown up: "age > 0 -- '''\"\"\""}
checks: {mine: checks:mine}
environments: {serving: {absent: [plan]}}
"""
SCHEMA = read_schema(TEXT)


def test_json_schema_says_what_is_of_one_row_and_names_the_rest() -> None:
    document = json.loads(to_json_schema(SCHEMA, "customers"))
    assert document["$schema"].endswith("2020-12/schema")
    assert document["properties"]["age"] == {"type": ["integer", "null"], "minimum": 0, "maximum": 120}
    assert document["properties"]["x"] == {"type": "number", "minimum": -0.5}
    assert document["properties"]["plan"] == {"type": "string", "enum": ["basic", 'it\'s "plus"']}
    assert document["properties"]["at"] == {"type": "string", "format": "date-time"}
    zip_code = {"type": ["string", "null"], "pattern": r"^(?:[0-9]{5}|\\)$", "minLength": 1, "maxLength": 5}
    assert document["properties"]["zip"] == zip_code
    assert document["required"] == list(SCHEMA.columns)
    for left in ("rows_min 2", "freshness 1d", "key id", "null_max of age", "drift of age", "ascending of at", "rule grown up"):
        assert left in document["$comment"]


def test_the_source_for_pandera_is_a_module_whatever_the_names_are() -> None:
    source = to_pandera(SCHEMA, 'a"""b')
    compile(source, "schema.py", "exec")
    assert "# left out: freshness 1d" in source
    assert "# left out: rule grown up: age > 0" in source


PROGRAM = """
import sys, pandas as pd, pandera.errors
sys.path.insert(0, sys.argv[1])
from customers import schema
good = pd.DataFrame({
    "id": [1, 2, 3], "age": [30, None, 50], "x": [0.5, 1e300, 2], "plan": ["basic", "it's \\"plus\\"", "basic"],
    "zip": ["12345", None, "\\\\"], "at": pd.to_datetime(["2013-01-01", "2013-01-02", "2013-01-02"]),
    "new\\nline \\'\\'\\'\\"\\"\\"": [True, None, False],
})
schema.validate(good, lazy=True)
broken = {
    "id": [1, 1, 3], "age": [None, None, 50], "x": [-1.0, 1, 1], "plan": ["gold", "basic", "basic"],
    "zip": ["123456", "1234", "12345"], "at": pd.to_datetime(["2013-01-02", "2013-01-01", "2012-12-31"]),
}
for name, values in broken.items():
    try:
        schema.validate(good.assign(**{name: values}), lazy=True)
    except pandera.errors.SchemaErrors as error:
        print(name, sorted(set(map(str, error.failure_cases["check"]))))
try:
    schema.validate(good.iloc[:1], lazy=True)
except pandera.errors.SchemaErrors as error:
    print("table", sorted(set(map(str, error.failure_cases["check"]))))
"""


@pytest.mark.long
@pytest.mark.skipif("PERENNE_PANDERA" not in os.environ, reason="PERENNE_PANDERA names no Python that has pandera")
def test_pandera_accepts_what_keeps_the_schema_and_refuses_what_breaks_it(tmp_path: Path) -> None:
    (tmp_path / "customers.py").write_text(to_pandera(SCHEMA, "customers"))
    done = subprocess.run(
        [os.environ["PERENNE_PANDERA"], "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    told = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert set(told) == {"id", "age", "x", "plan", "zip", "at", "table"}
    checks = {"id": "unique", "age": "null_max", "x": "greater_than", "plan": "isin", "zip": "str_", "table": "rows_min"}
    for name, words in checks.items():
        assert words in told[name]
    assert "ascending" in told["at"] and "greater_than" in told["at"]
