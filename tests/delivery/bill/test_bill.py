"""Bills of materials: what a package needs, as CycloneDX that keeps to the schema, and licences."""

from importlib.metadata import version
from typing import Any

import msgspec
import pytest

from perenne.core.clock import parse_time
from perenne.delivery.bill import checking, cyclonedx
from perenne.delivery.bill.gathering import gather
from perenne.delivery.bill.licences import expression, judge
from perenne.delivery.bill.model import BillSettings, LicencePolicy, Materials, Part, Subject
from perenne.inference import Signature
from perenne.registry import Verdict
from perenne.stats.columns import Field, FieldKind, Task

BSD = "Copyright us\n\nRedistribution and use in source and\nbinary forms, with or without … Neither the name of us …"
NOW = parse_time("2027-01-01")


def subject(**said: Any) -> Subject:
    fields = (Field("distance", FieldKind.NUMBER), Field("carrier", FieldKind.CATEGORY, "string"))
    given: dict[str, Any] = {
        "name": "late",
        "number": "3",
        "tree": "a" * 64,
        "form": "onnx",
        "estimator": "sklearn.ensemble.HistGradientBoostingClassifier",
        "signature": Signature(fields, Task.BINARY, ("on time", "late"), "late"),
        "created": NOW,
        "snapshot": "b" * 64,
        "dataset": "flights",
        "rows": 1_000,
        "parameters": {"max_iter": "10"},
        "files": {"package.json": "c" * 64},
    }
    return Subject(**(given | said))


def recorded() -> dict[str, str]:
    return {"python": "3.11.4", **{name: version(name) for name in ("numpy", "onnxruntime", "scikit-learn")}}


def test_the_closure_is_found_and_told_apart() -> None:
    found = gather(recorded(), "onnx")
    parts = {part.name: part for part in found.parts}
    assert {"numpy", "onnxruntime", "scikit-learn", "scipy", "joblib", "msgspec"} <= parts.keys() and not found.gaps
    assert parts["numpy"].runtime and parts["msgspec"].runtime and not parts["scikit-learn"].runtime
    assert "numpy" in parts["scikit-learn"].requires and len(parts["numpy"].digest) == 64
    assert parts["scikit-learn"].licence == "BSD-3-Clause" and "pytest" not in parts


def test_what_is_not_installed_as_recorded_is_a_gap() -> None:
    found = gather({"numpy": "1.0", "no-such-library": "2.0"})
    parts = {part.name: part for part in found.parts}
    assert parts["numpy"].version == "1.0" and "installed here is" in parts["numpy"].gap
    assert f"numpy: {parts['numpy'].gap}" in found.gaps and parts["no-such-library"].gap == "it is not installed here"
    assert checking.bill(subject(), found).verdict is Verdict.UNKNOWN


def test_a_bill_keeps_to_the_schema_and_is_the_same_each_time() -> None:
    materials = gather(recorded(), "onnx")
    data = cyclonedx.write(subject(), materials)
    assert data == cyclonedx.write(subject(), materials)
    bill = msgspec.json.decode(data)
    kinds = {part["type"] for part in bill["components"]}
    assert bill["specVersion"] == "1.6" and kinds == {"machine-learning-model", "data", "library", "platform"}
    model = bill["components"][0]
    assert model["hashes"][0]["content"] == "a" * 64 and model["components"][0]["name"] == "package.json"
    card = model["modelCard"]["modelParameters"]
    assert card["datasets"] == [{"ref": "data:" + "b" * 64}] and card["inputs"][1]["format"] == "carrier: category (string)"
    needs = {item["ref"]: item.get("dependsOn", []) for item in bill["dependencies"]}
    assert needs["late@3"] == ["model:" + "a" * 64] and any(ref.startswith("pkg:pypi/scipy@") for ref in needs)
    assert set().union(*needs.values()) <= needs.keys() | {"data:" + "b" * 64}


def test_the_check_against_the_schema_can_fail() -> None:
    bill = msgspec.json.decode(cyclonedx.write(subject(), gather(recorded(), "onnx")))
    bill["components"][0]["type"] = "teapot"
    assert "teapot" in cyclonedx.find_problem(msgspec.json.encode(bill))


def test_a_version_without_data_or_libraries_has_a_bill_that_says_little() -> None:
    data = cyclonedx.write(subject(snapshot="", dataset="", rows=0), Materials(python="", parts=()))
    assert [part["type"] for part in msgspec.json.decode(data)["components"]] == ["machine-learning-model"]
    rows = checking.check(subject(), Materials(python="", parts=()), BillSettings(advisories="."), NOW)
    assert {row.verdict for row in rows} == {Verdict.UNKNOWN}


@pytest.mark.parametrize(
    ("metadata", "classifiers", "found"),
    [
        ({"License-Expression": "BSD-3-Clause AND MIT"}, [], "BSD-3-Clause AND MIT"),
        ({"License-Expression": "Whatever we like"}, [], ""),
        ({"License": "MIT License"}, [], "MIT"),
        ({"License": "Apache License v2.0"}, ["License :: OSI Approved :: Apache Software License"], "Apache-2.0"),
        ({"License": "GPL-3.0-or-later"}, [], "GPL-3.0-or-later"),
        ({"License": BSD}, [], "BSD-3-Clause"),
        ({}, ["License :: OSI Approved :: MIT License"], "MIT"),
        ({}, [f"License :: OSI Approved :: {name} License" for name in ("MIT", "Apache Software")], "MIT OR Apache-2.0"),
        ({}, ["License :: OSI Approved :: BSD License"], ""),
        ({}, ["License :: OSI Approved"], ""),
        ({"License": "see LICENSE"}, [], ""),
        ({}, [], ""),
        ({"License": BSD + "\nand those of the libraries in the wheel: GNU …" + "x" * 4_000}, [], ""),
    ],
)  # fmt: skip
def test_licences_are_told_or_unknown(metadata: dict[str, str], classifiers: list[str], found: str) -> None:
    assert expression(metadata, classifiers)[0] == found


@pytest.mark.parametrize(
    ("licence", "policy", "answer"),
    [
        ("MIT", LicencePolicy(), "allowed"),
        ("GPL-3.0-or-later", LicencePolicy(), "denied"),
        ("LGPL-3.0-only", LicencePolicy(), "allowed"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", LicencePolicy(), "denied"),
        (
            "GPL-2.0-only WITH Classpath-exception-2.0",
            LicencePolicy(allow=("GPL-2.0-only WITH Classpath-exception-2.0",)),
            "allowed",
        ),
        ("Apache-2.0 WITH LLVM-exception", LicencePolicy(allow=("Apache-2.0",)), "allowed"),
        ("BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1", LicencePolicy(), "allowed"),
        ("MPL-2.0", LicencePolicy(allow=("MIT", "BSD-*")), "denied"),
        ("(MIT OR GPL-2.0-only) AND BSD-3-Clause", LicencePolicy(), "allowed"),
        ("Proprietary stuff", LicencePolicy(), "unknown"),
    ],
)
def test_a_licence_is_allowed_denied_or_unknown(licence: str, policy: LicencePolicy, answer: str) -> None:
    assert judge(licence, policy) == answer


def test_one_unknown_licence_makes_the_row_unknown_and_one_denied_fails_it() -> None:
    good, odd, bad = (
        Part(name=name, version="1", licence=licence) for name, licence in (("a", "MIT"), ("b", ""), ("c", "GPL-3.0-only"))
    )
    rows = [
        checking.licences_of(Materials(python="", parts=parts), LicencePolicy()) for parts in ((good,), (good, odd), (odd, bad))
    ]
    assert [row.verdict for row in rows] == [Verdict.PASS, Verdict.UNKNOWN, Verdict.FAIL]
    told = checking.licences_of(Materials(python="", parts=(good, odd)), LicencePolicy(stated={"b": "Apache-2.0"}))
    assert told.verdict is Verdict.PASS
    assert rows[1].detail == "1 not known: b (nothing said)" and rows[2].detail == "1 not allowed: c (GPL-3.0-only)"
