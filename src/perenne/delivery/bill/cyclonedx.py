"""A bill of materials as CycloneDX 1.6 in JSON, by cyclonedx-python-lib, and checked against the schema that it brings along.

The library has no model cards yet: the model's component and its data are added to what it writes, before the check. The same
version gives the same bytes: the serial number comes from the package's digest, the time is that of the registration.
"""

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec

import perenne
from perenne.core.clock import SECOND
from perenne.core.errors import PerenneError, Unavailable
from perenne.delivery.bill.model import Materials, Part, Subject

_NAMESPACE = uuid.UUID("6c2a3e0e-3b52-5c7e-9a3f-7b3e0f6a9d11")


def write(subject: Subject, materials: Materials) -> bytes:
    """Write the bill of a version.

    Raises
    ------
    Unavailable
        Without the library.
    PerenneError
        If what was written does not keep to the schema, which is a defect.
    """
    try:
        text = _libraries(subject, materials)
    except ImportError:
        raise Unavailable(
            "a bill of materials needs cyclonedx-python-lib", code="bill.library", hint="pip install 'perenne[sign]'"
        ) from None
    bill = msgspec.json.decode(text)
    _add_model(bill, subject, materials)
    data = msgspec.json.format(msgspec.json.encode(bill), indent=2)
    problem = find_problem(data)
    if problem:
        raise PerenneError(
            f"the bill of materials does not keep to the schema: {problem}",
            code="bill.schema",
            hint="this is a defect of perenne; `perenne debug` puts together what a report needs",
        )
    return data + b"\n"


def find_problem(data: bytes) -> str:
    """Say how a bill breaks the schema of CycloneDX 1.6; an empty text if it does not."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    found = JsonStrictValidator(SchemaVersion.V1_6).validate_str(data.decode())
    return "" if found is None else str(found.data)[:500]


def _libraries(subject: Subject, materials: Materials) -> str:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.model.dependency import Dependency
    from cyclonedx.output.json import JsonV1Dot6

    made = {part.name: _component(part) for part in materials.parts}
    if materials.python:
        made["python"] = Component(
            name="python", version=materials.python, type=ComponentType.PLATFORM, bom_ref=f"python@{materials.python}"
        )
    root = Component(
        name=subject.name, version=subject.number, type=ComponentType.APPLICATION, bom_ref=f"{subject.name}@{subject.number}"
    )
    tool = Component(name="perenne", version=perenne.__version__, type=ComponentType.APPLICATION, bom_ref="perenne")
    time = datetime.fromtimestamp(subject.created // SECOND, UTC)
    metadata = BomMetaData(component=root, timestamp=time)
    metadata.tools.components.add(tool)
    dependencies = [
        Dependency(made[part.name].bom_ref, [Dependency(made[name].bom_ref) for name in part.requires if name in made])
        for part in materials.parts
    ]
    dependencies.append(Dependency(root.bom_ref, [Dependency(component.bom_ref) for component in made.values()]))
    bom = Bom(
        components=made.values(), serial_number=uuid.uuid5(_NAMESPACE, subject.tree), metadata=metadata, dependencies=dependencies
    )
    return JsonV1Dot6(bom).output_as_string()


def _component(part: Part) -> Any:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentScope, ComponentType
    from packageurl import PackageURL

    said = part.licence or part.said
    properties = [Property(name="perenne:hash-of", value="RECORD of the installed files")] if part.digest else []
    properties += [Property(name="perenne:unknown", value=part.gap)] if part.gap else []
    return Component(
        name=part.name,
        version=part.version,
        type=ComponentType.LIBRARY,
        bom_ref=part.purl,
        purl=PackageURL("pypi", None, part.name, part.version),
        scope=ComponentScope.REQUIRED if part.runtime else ComponentScope.OPTIONAL,
        licenses=[LicenseFactory().make_from_string(said)] if said else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.digest)] if part.digest else [],
        properties=properties,
    )


def _add_model(bill: dict[str, Any], subject: Subject, materials: Materials) -> None:
    reference = f"model:{subject.tree}"
    data = f"data:{subject.snapshot}"
    model: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": reference,
        "name": subject.name,
        "version": subject.number,
        "hashes": [{"alg": "SHA-256", "content": subject.tree}],
        "modelCard": _model_card(subject, data if subject.snapshot else ""),
        "components": [
            {
                "type": "file",
                "bom-ref": f"file:{subject.tree}:{path}",
                "name": path,
                "hashes": [{"alg": "SHA-256", "content": digest}],
            }
            for path, digest in sorted(subject.files.items())
        ],
    }
    if subject.licence:
        model["licenses"] = [{"expression": subject.licence}]
    added = [model]
    if subject.snapshot:
        facts = [("rows", str(subject.rows))] if subject.rows else []
        added.append(
            {
                "type": "data",
                "bom-ref": data,
                "name": subject.dataset or "snapshot",
                "version": subject.snapshot[:12],
                "hashes": [{"alg": "SHA-256", "content": subject.snapshot}],
                "data": [{"type": "dataset", "name": subject.dataset or subject.snapshot[:12]}],
                "properties": [{"name": f"perenne:{name}", "value": value} for name, value in facts],
            }
        )
    bill["components"] = [*added, *bill.get("components", [])]
    parts = [part.purl for part in materials.parts]
    needs = [{"ref": f"{subject.name}@{subject.number}", "dependsOn": [reference]}]
    needs.append({"ref": reference, "dependsOn": sorted([*parts, *([data] if subject.snapshot else [])])})
    kept = [item for item in bill.get("dependencies", []) if item["ref"] not in {needs[0]["ref"], reference}]
    bill["dependencies"] = [*needs, *kept]


def _model_card(subject: Subject, data: str) -> dict[str, Any]:
    signature = subject.signature
    outputs = [f"{signature.target}: {', '.join(map(str, signature.classes)) or 'number'}"]
    parameters: dict[str, Any] = {
        "task": signature.task.value,
        "architectureFamily": subject.form,
        "modelArchitecture": subject.estimator,
        "inputs": [{"format": f"{field.name}: {field.kind.value} ({field.datatype})"} for field in signature.fields],
        "outputs": [{"format": text} for text in outputs],
    }
    if data:
        parameters["datasets"] = [{"ref": data}]
    card: dict[str, Any] = {"bom-ref": f"card:{subject.tree}", "modelParameters": parameters}
    if subject.parameters:
        card["properties"] = [{"name": f"parameter:{name}", "value": value} for name, value in sorted(subject.parameters.items())]
    return card
