"""What clients ask a server about itself: what it can do."""

import msgspec

from perenne.protocols.mlflow.endpoint import Call, Empty, Endpoint, Kind


class ServerInfo(msgspec.Struct, frozen=True):
    """What the server can do."""

    store_type: str = "SqlStore"
    workspaces_enabled: bool = False
    trace_archival_enabled: bool = False
    multipart_uploads_enabled: bool = False
    multipart_downloads_enabled: bool = False
    presigned_upload_run_id_supported: bool = False
    presigned_upload_model_id_supported: bool = False
    features_enabled: dict[str, bool] = msgspec.field(default_factory=lambda: {"gateway": False})


def server_info(call: Call, _: Empty) -> ServerInfo:
    """Say what the server can do: whatever the store, files come in parts, and past the server if it gives addresses for that."""
    return ServerInfo(multipart_uploads_enabled=True, multipart_downloads_enabled=call.workspace.blobs.signs)


ENDPOINTS = [
    Endpoint("GET", "3.0/mlflow/server-info", Kind.READ, server_info),
]
