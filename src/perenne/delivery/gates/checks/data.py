"""The data: the rows the version was trained on keep the project's schema and expectations as these are now."""

from collections.abc import Mapping

from perenne import data
from perenne.delivery.gates.model import Finding, passed, unknown
from perenne.delivery.gates.port import Setting, Untold
from perenne.delivery.gates.subject import Subject
from perenne.projects import Dataset

SHOWN = 5


class Data:
    """The rows keep the schema."""

    name = "data"
    title = "the rows it was trained on keep the schema"
    rests_on: tuple[str, ...] = ("project",)
    settings: Mapping[str, Setting] = {}

    def unasked(self, subject: Subject) -> str:
        """It is asked where the project has a schema, or expectations."""
        dataset = _dataset(subject)
        if subject.project is None or dataset is None:
            return "the project's folder is not at hand"
        return "" if dataset.expect or _has_schema(subject, dataset) else "the project states no schema and expects nothing"

    def look(self, subject: Subject) -> Finding:
        """Hold the snapshot against the project's rules."""
        dataset = _dataset(subject)
        if subject.project is None or dataset is None:
            raise Untold("the project's folder is not at hand")
        if not subject.version.snapshot:
            return unknown("no snapshot of its data is recorded")
        objects, digest = subject.workspace.objects, subject.version.snapshot
        table = data.snapshots.read_snapshot(objects, digest)
        profile = data.profile_table(table, target=None, dataset=dataset.name, digest=digest)
        if _has_schema(subject, dataset):
            file = subject.project.root / _schema(dataset)
            schema = data.validation.read_schema(data.validation.schema_text(file), file.name)
        else:
            schema = data.validation.infer_schema(profile)
        root = subject.project.root if schema.checks else None
        found = data.validation.validate(table, schema, expectations=dataset.expect, key=dataset.key, root=root)
        errors = [anomaly for anomaly in found if anomaly.severity == "error"]
        said = data.validation.sentences(profile, errors)
        detail = f"{table.num_rows} rows" + (f": {'; '.join(said[:SHOWN])}" if said else "")
        return passed(float(len(errors)), at_most=0.0, unit="broken rules", detail=detail, facts={"broken": said})


def _dataset(subject: Subject) -> Dataset | None:
    models = subject.project.project.models if subject.project else {}
    return next(iter(models.values())).dataset if len(models) == 1 else None


def _schema(dataset: Dataset) -> str:
    return dataset.schema or f"schemas/{dataset.name}.yaml"


def _has_schema(subject: Subject, dataset: Dataset) -> bool:
    return subject.project is not None and (subject.project.root / _schema(dataset)).is_file()
