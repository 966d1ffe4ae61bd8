"""Runs kept in the database of the workspace, where there is no server."""

from pathlib import Path

import msgspec

from perenne.auth.principals import local_principal
from perenne.core.config import Settings
from perenne.storage.database import Transaction
from perenne.storage.file_objects import FileObjects
from perenne.storage.workspace import Workspace
from perenne.tracking import arrivals, artifacts, logs, service
from perenne.tracking.arrivals import Arrival, named_objects
from perenne.tracking.client.batch import Batch
from perenne.tracking.client.records import Begin, End, Input
from perenne.tracking.model import DATASET_CONTEXT, Metric, Param, RunState, Tag, UsedDataset


class Local:
    """A workspace, opened when it is first needed.

    Parameters
    ----------
    settings : Settings
        Where it lies.
    """

    def __init__(self, settings: Settings) -> None:
        self._workspace = Workspace(settings)
        self._actor = local_principal()

    def begin(self, begin: Begin, objects: Path) -> None:
        """Make the run, after what its provenance names."""
        kept, store = FileObjects(objects), self._workspace.objects
        for digest in sorted(named_objects(begin.provenance)):
            if not store.exists(digest):
                store.put(kept.get(digest))
        self._workspace.database.write(lambda tx: arrivals.begin(tx, self._actor, arrival(begin)))

    def log(self, run: str, batch: Batch) -> None:
        """Keep a batch."""
        metrics = [
            Metric(key, value, record.time, record.step) for record in batch.metrics for key, value in record.values.items()
        ]
        params = [Param(key, value) for key, value in batch.params.items()]
        tags = [Tag(key, value) for key, value in batch.tags.items()]

        def work(tx: Transaction) -> None:
            logs.log_batch(tx, self._actor, run, metrics=metrics, params=params, tags=tags)
            if batch.inputs:
                logs.log_inputs(tx, self._actor, run, datasets=[_dataset(item) for item in batch.inputs])

        self._workspace.database.write(work, durable=False)

    def put(self, run: str, path: str, file: Path) -> None:
        """Keep a file as an artifact."""
        artifacts.put_file(self._workspace, self._actor, run, path, file)

    def end(self, run: str, end: End) -> None:
        """Close the run."""
        state = RunState(end.state)
        self._workspace.database.write(lambda tx: service.update_run(tx, self._actor, run, state=state, ended=end.ended))

    def find_done(self, experiment: str, fingerprint: str) -> str:
        """Look for a finished run of the same fingerprint."""
        with self._workspace.database.read() as tx:
            return arrivals.find_done(tx, self._actor, experiment, fingerprint)

    def close(self) -> None:
        """Close the database."""
        self._workspace.close()


def arrival(begin: Begin) -> Arrival:
    """Return what the domain reads of a run that begins."""
    said = msgspec.structs.asdict(begin)
    del said["destination"]
    return Arrival(id=said.pop("run"), **said)


def _dataset(item: Input) -> UsedDataset:
    tags = {DATASET_CONTEXT: item.context} if item.context else {}
    return UsedDataset(name=item.name, digest=item.digest, source_type=item.source_type, source=item.source, tags=tags)
