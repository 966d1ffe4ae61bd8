"""MLflow's database, read by SQL: SQLite or PostgreSQL, as MLflow 2 and 3 make it. A column that a schema lacks reads as null."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from perenne.core.errors import Invalid, Unavailable
from perenne.protocols.mlflow.migration.entities import (
    DELETED,
    Data,
    Experiment,
    LoggedModel,
    ModelMetric,
    Points,
    RegisteredModel,
    Run,
    Trace,
    Version,
)
from perenne.protocols.mlflow.migration.places import ElsewhereArtifacts, LocalArtifacts, local_path
from perenne.protocols.mlflow.migration.source import Artifacts
from perenne.storage.transaction import reason_of

PAGE = 500
POINTS = 10_000
_GONE = "Deleted_Internal"
Row = Any


class SqlSource:
    """A database of MLflow, read in one snapshot and never written.

    Parameters
    ----------
    url : str
        ``sqlite:////path/mlflow.db`` or ``postgresql://user@host/db``.
    """

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(_read_only(url))
        try:
            self._connection = self._engine.connect()
            if self._connection.dialect.name == "postgresql":
                self._connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            self._columns = _columns(self._connection)
        except sa.exc.DBAPIError as error:
            self._engine.dispose()
            raise Unavailable(
                f"MLflow's database cannot be read: {reason_of(error)}", code="import.source", hint="is the URL right?"
            ) from None
        if not {"experiments", "runs", "metrics"} <= set(self._columns):
            self.close()
            raise Invalid("this database is not MLflow's", code="import.source", hint="it has no tables of experiments and runs")

    def experiments(self) -> list[Experiment]:
        """Read all experiments."""
        tags = self._tags("experiment_tags", "experiment_id")
        names = "experiment_id name artifact_location lifecycle_stage creation_time last_update_time"
        return [
            Experiment(
                id=str(row.experiment_id),
                name=row.name,
                artifacts=row.artifact_location or "",
                created=row.creation_time,
                updated=row.last_update_time,
                deleted=row.lifecycle_stage == DELETED,
                tags=tags.get(row.experiment_id, {}),
            )
            for row in self._all("experiments", names)
        ]

    def runs(self, experiment: str) -> Iterator[Run]:
        """Go through the runs of an experiment."""
        table = self._table("runs")
        chosen = sa.select(table.c.run_uuid).where(table.c.experiment_id == int(experiment))
        ids = list(self._connection.scalars(chosen.order_by(table.c.start_time, table.c.run_uuid)))
        for start in range(0, len(ids), PAGE):
            yield from self._some_runs(ids[start : start + PAGE])

    def _some_runs(self, ids: Sequence[str]) -> Iterator[Run]:
        names = "run_uuid name user_id status start_time end_time lifecycle_stage artifact_uri experiment_id deleted_time"
        rows = {row.run_uuid: row for row in self._all("runs", names, "run_uuid", ids)}
        tags, params = self._tags("tags", "run_uuid", ids), self._tags("params", "run_uuid", ids)
        inputs, reads, makes = self._inputs(ids)
        for run in ids:
            row = rows[run]
            own = tags.get(run, {})
            yield Run(
                id=run,
                experiment=str(row.experiment_id),
                name=own.get("mlflow.runName") or row.name or "",
                user=row.user_id or "",
                status=row.status or "RUNNING",
                started=row.start_time,
                ended=row.end_time,
                deleted=row.lifecycle_stage == DELETED,
                deleted_at=row.deleted_time,
                artifacts=row.artifact_uri or "",
                params=params.get(run, {}),
                tags=own,
                inputs=tuple(inputs.get(run, ())),
                reads=tuple(reads.get(run, ())),
                makes=tuple(makes.get(run, ())),
            )

    def _inputs(self, ids: Sequence[str]) -> tuple[dict[str, list[Data]], dict[str, list[str]], dict[str, list[tuple[str, int]]]]:
        """Read what runs read, data and models, and which models they made, by run."""
        data: dict[str, list[Data]] = {}
        reads: dict[str, list[str]] = {}
        makes: dict[str, list[tuple[str, int]]] = {}
        names = "input_uuid source_type source_id destination_type destination_id step"
        found = self._all("inputs", names, "destination_id", ids)
        tags = self._tags("input_tags", "input_uuid", [row.input_uuid for row in found], key="name")
        columns = "dataset_uuid name digest dataset_source_type dataset_source dataset_schema dataset_profile"
        wanted = [row.source_id for row in found if row.source_type == "DATASET"]
        sets = {row.dataset_uuid: row for row in self._all("datasets", columns, "dataset_uuid", wanted)}
        for row in found:
            read = sets.get(row.source_id)
            if row.source_type == "DATASET" and read is not None:
                data.setdefault(row.destination_id, []).append(_data(read, tags.get(row.input_uuid, {})))
        for row in self._all("inputs", names, "source_id", ids):
            if row.destination_type == "MODEL_OUTPUT":
                makes.setdefault(row.source_id, []).append((row.destination_id, row.step or 0))
            elif row.destination_type == "MODEL_INPUT":
                reads.setdefault(row.source_id, []).append(row.destination_id)
        return data, reads, makes

    def points(self, run: str) -> Iterator[Points]:
        """Go through the history of every metric of a run, in pieces that fit into memory."""
        table = self._table("metrics")
        columns = [table.c.key, table.c.step, table.c.timestamp, table.c.value, table.c.is_nan]
        order = [table.c.key, table.c.timestamp, table.c.step, table.c.value]
        chosen = sa.select(*columns).where(table.c.run_uuid == run).order_by(*order)
        for rows in self._connection.execute(chosen.execution_options(yield_per=POINTS)).partitions(POINTS):
            start = 0
            for at in range(1, len(rows) + 1):
                if at == len(rows) or rows[at][0] != rows[start][0]:
                    yield _points(rows[start:at])
                    start = at

    def logged_models(self, experiment: str) -> Iterator[LoggedModel]:
        """Go through the logged models of an experiment."""
        names = (
            "model_id experiment_id name artifact_location creation_timestamp_ms last_updated_timestamp_ms status lifecycle_stage"
        )
        rows = self._all("logged_models", names + " model_type source_run_id status_message", "experiment_id", [int(experiment)])
        ids = [row.model_id for row in rows]
        params = self._tags("logged_model_params", "model_id", ids, key="param_key", value="param_value")
        tags = self._tags("logged_model_tags", "model_id", ids, key="tag_key", value="tag_value")
        metrics = self._model_metrics(ids)
        for row in rows:
            yield LoggedModel(
                id=row.model_id,
                experiment=str(row.experiment_id),
                name=row.name,
                artifacts=row.artifact_location or "",
                created=row.creation_timestamp_ms,
                updated=row.last_updated_timestamp_ms,
                status=row.status,
                deleted=row.lifecycle_stage == DELETED,
                kind=row.model_type or "",
                run=row.source_run_id or "",
                message=row.status_message or "",
                params=params.get(row.model_id, {}),
                tags=tags.get(row.model_id, {}),
                metrics=tuple(metrics.get(row.model_id, ())),
            )

    def _model_metrics(self, ids: Sequence[str]) -> dict[str, list[ModelMetric]]:
        found: dict[str, list[ModelMetric]] = {}
        names = "model_id metric_name metric_timestamp_ms metric_step metric_value run_id dataset_name dataset_digest"
        for row in self._all("logged_model_metrics", names, "model_id", ids):
            metric = ModelMetric(
                row.metric_name,
                row.metric_value,
                row.metric_timestamp_ms,
                row.metric_step,
                row.run_id,
                row.dataset_name or "",
                row.dataset_digest or "",
            )
            found.setdefault(row.model_id, []).append(metric)
        return found

    def registered_models(self) -> Iterator[RegisteredModel]:
        """Go through the registered models."""
        tags = self._tags("registered_model_tags", "name")
        aliases: dict[str, dict[str, int]] = {}
        for row in self._all("registered_model_aliases", "name alias version"):
            aliases.setdefault(row.name, {})[row.alias] = int(row.version)
        versions, highest = self._versions()
        for row in self._all("registered_models", "name creation_time last_updated_time description"):
            yield RegisteredModel(
                name=row.name,
                created=row.creation_time or 0,
                updated=row.last_updated_time or row.creation_time or 0,
                description=row.description or "",
                tags=tags.get(row.name, {}),
                aliases=aliases.get(row.name, {}),
                versions=tuple(versions.get(row.name, ())),
                highest=highest.get(row.name, 0),
            )

    def _versions(self) -> tuple[dict[str, list[Version]], dict[str, int]]:
        tags: dict[tuple[str, int], dict[str, str]] = {}
        for row in self._all("model_version_tags", "name version key value"):
            tags.setdefault((row.name, row.version), {})[row.key] = row.value or ""
        found: dict[str, list[Version]] = {}
        highest: dict[str, int] = {}
        names = "name version creation_time last_updated_time description user_id current_stage source storage_location"
        for row in self._all("model_versions", names + " run_id status status_message run_link"):
            highest[row.name] = max(highest.get(row.name, 0), int(row.version))
            if row.current_stage != _GONE:
                found.setdefault(row.name, []).append(_version(row, tags.get((row.name, row.version), {})))
        return found, highest

    def traces(self, experiment: str) -> Iterator[Trace]:
        """Go through the traces of an experiment."""
        if "trace_info" not in self._columns:
            return
        table = self._table("trace_info")
        chosen = sa.select(table.c.request_id).where(table.c.experiment_id == int(experiment))
        ids = list(self._connection.scalars(chosen.order_by(table.c.timestamp_ms, table.c.request_id)))
        for start in range(0, len(ids), PAGE):
            yield from self._some_traces(ids[start : start + PAGE])

    def _some_traces(self, ids: Sequence[str]) -> Iterator[Trace]:
        names = (
            "request_id experiment_id timestamp_ms execution_time_ms status client_request_id request_preview response_preview"
        )
        rows = {row.request_id: row for row in self._all("trace_info", names, "request_id", ids)}
        tags = self._tags("trace_tags", "request_id", ids)
        metadata = self._tags("trace_request_metadata", "request_id", ids)
        spans: dict[str, list[dict[str, Any]]] = {}
        for row in self._all("spans", "trace_id span_id content start_time_unix_nano", "trace_id", ids):
            spans.setdefault(row.trace_id, []).append(json.loads(row.content))
        assessments = self._assessments(ids)
        for trace in ids:
            row = rows[trace]
            yield Trace(
                id=trace,
                experiment=str(row.experiment_id),
                time=row.timestamp_ms,
                duration=row.execution_time_ms,
                status=row.status,
                client_request=row.client_request_id or "",
                request=row.request_preview or "",
                response=row.response_preview or "",
                tags=tags.get(trace, {}),
                metadata=metadata.get(trace, {}),
                spans=tuple(spans.get(trace, ())),
                assessments=tuple(assessments.get(trace, ())),
            )

    def _assessments(self, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        found: dict[str, list[dict[str, Any]]] = {}
        names = "assessment_id trace_id name assessment_type value error created_timestamp last_updated_timestamp"
        names += " source_type source_id span_id rationale overrides valid assessment_metadata"
        for row in self._all("assessments", names, "trace_id", ids):
            found.setdefault(row.trace_id, []).append(dict(row._mapping))
        return found

    def artifacts(self, location: str) -> Artifacts:
        """Look at an artifact location: a folder of this machine, or one that is not reached."""
        path = local_path(location)
        return ElsewhereArtifacts() if path is None else LocalArtifacts(path)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._engine.dispose()

    def _table(self, name: str) -> sa.TableClause:
        return sa.table(name, *[sa.column(column) for column in self._columns[name]])

    def _all(self, name: str, columns: str, where: str = "", values: Iterable[Any] | None = None) -> list[Row]:
        """Read columns of a table, of some rows if asked, in the order of the first two; nothing if there is no such table."""
        chosen = list(dict.fromkeys(values)) if values is not None else None
        if name not in self._columns or (chosen is not None and not chosen):
            return []
        table = self._table(name)
        names = columns.split()
        read = [table.c[column] if column in table.c else sa.null().label(column) for column in names]
        ordered = [table.c[column] for column in names[:2] if column in table.c]
        base = sa.select(*read).order_by(*ordered)
        if chosen is None:
            return list(self._connection.execute(base))
        pages = (chosen[start : start + PAGE] for start in range(0, len(chosen), PAGE))
        return [row for page in pages for row in self._connection.execute(base.where(table.c[where].in_(page)))]

    def _tags(
        self, name: str, of: str, ids: Iterable[Any] | None = None, *, key: str = "key", value: str = "value"
    ) -> dict[Any, dict[str, str]]:
        found: dict[Any, dict[str, str]] = {}
        for row in self._all(name, f"{of} {key} {value}", of if ids is not None else "", ids):
            found.setdefault(row[0], {})[row[1]] = row[2] or ""
        return found


def _read_only(url: str) -> sa.URL:
    """Return the URL under which the database cannot be written, for SQLite by the way it is opened."""
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError:
        raise Invalid(
            "the URL of MLflow's database cannot be read", code="import.source", hint="sqlite:////path/mlflow.db"
        ) from None
    if parsed.get_backend_name() == "sqlite":
        return parsed.set(drivername="sqlite", database=f"file:{parsed.database}", query={"mode": "ro", "uri": "true"})
    return parsed.set(drivername="postgresql+psycopg")


def _columns(connection: sa.Connection) -> dict[str, list[str]]:
    inspector = sa.inspect(connection)
    return {name: [column["name"] for column in inspector.get_columns(name)] for name in inspector.get_table_names()}


def _points(rows: Sequence[Row]) -> Points:
    values = [float("nan") if row[4] else float(row[3]) for row in rows]
    return Points(rows[0][0], [row[1] for row in rows], [row[2] for row in rows], values)


def _data(row: Row, tags: dict[str, str]) -> Data:
    return Data(
        row.name,
        row.digest,
        row.dataset_source_type or "",
        row.dataset_source or "",
        row.dataset_schema or "",
        row.dataset_profile or "",
        tags,
    )


def _version(row: Row, tags: dict[str, str]) -> Version:
    return Version(
        number=int(row.version),
        created=row.creation_time or 0,
        updated=row.last_updated_time or row.creation_time or 0,
        description=row.description or "",
        user=row.user_id or "",
        stage=row.current_stage or "None",
        source=row.source or "",
        location=row.storage_location or "",
        run=row.run_id or "",
        status=row.status or "READY",
        message=row.status_message or "",
        link=row.run_link or "",
        tags=tags,
    )
