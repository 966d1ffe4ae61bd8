"""Contracts: what every adapter of a port must do, as test classes for pytest. Needs pytest; nothing else imports this module.

Whoever writes an adapter subclasses the contract in a test module and gives it the fixtures it names::

    class TestMyObjects(ObjectStoreContract):
        @pytest.fixture
        def objects(self, tmp_path):
            return MyObjects(tmp_path)

        def damage(self, objects, digest):
            ...
"""

from perenne.testing.blobs import BlobsContract
from perenne.testing.database import DatabaseContract
from perenne.testing.executors import ExecutorContract
from perenne.testing.gates import GateCheckContract
from perenne.testing.objects import ObjectStoreContract, RemoteObjectStoreContract
from perenne.testing.queue import JobQueueContract, LockContract, ScheduleContract
from perenne.testing.remotes import ReadableRemoteContract, ReadOnlyRemoteContract, RemoteContract
from perenne.testing.sources import SourceContract
from perenne.testing.worlds import WorldContract

__all__ = [
    "BlobsContract",
    "DatabaseContract",
    "ExecutorContract",
    "GateCheckContract",
    "JobQueueContract",
    "LockContract",
    "ObjectStoreContract",
    "ReadOnlyRemoteContract",
    "ReadableRemoteContract",
    "RemoteContract",
    "RemoteObjectStoreContract",
    "ScheduleContract",
    "SourceContract",
    "WorldContract",
]
