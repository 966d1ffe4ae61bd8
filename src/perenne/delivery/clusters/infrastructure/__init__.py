"""Clusters as code: files to look at, change and run, one folder for each kind of cluster.

`kind` and `k3s` are a cluster on this machine, by a script; `gke` and `aks` are modules for OpenTofu: network, cluster,
nodes that scale, registry, PostgreSQL, bucket, and an account with the least rights that the control plane needs.
"""

from pathlib import Path

from perenne.core.errors import Invalid

KINDS = ("gke", "aks", "kind", "k3s")


def files_of(kind: str) -> dict[str, str]:
    """Return the files of a kind of cluster, by name. Raises Invalid if there is no such kind."""
    if kind not in KINDS:
        raise Invalid(f"{kind[:40]!r} is no kind of cluster that is known", code="cluster.kind", hint=", ".join(KINDS))
    folder = Path(__file__).parent / kind
    return {path.name: path.read_text() for path in sorted(folder.iterdir()) if path.is_file()}
