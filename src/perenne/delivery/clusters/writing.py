"""Objects as text: the same objects, the same bytes; and folders of such texts, written, compared, checked."""

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from perenne.core.errors import Invalid
from perenne.delivery.clusters.model import Object
from perenne.storage.files import write_atomically

GENERATED = "# Written by `perenne deploy render`; change its options, not this file."


class _Dumper(yaml.SafeDumper):
    """Writes without anchors: what stands in two places is written twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def to_yaml(objects: Iterable[Object]) -> str:
    """Write objects as one text of several documents, keys in the order given."""
    return yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=120, allow_unicode=True, explicit_start=True)


def from_yaml(text: str, what: str) -> list[Object]:
    """Read objects. Raises Invalid if the text is none, or something in it is no object of Kubernetes."""
    try:
        found = [item for item in yaml.safe_load_all(text) if item is not None]
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" at line {place.line + 1}" if place else ""
        raise Invalid(
            f"{what} is no YAML{where}", code="cluster.yaml", hint="`kubectl kustomize FOLDER` writes what is read"
        ) from None
    objects = [part for item in found for part in (item["items"] if _is_list(item) else [item])]
    for number, item in enumerate(objects, 1):
        named = isinstance(item, dict) and isinstance(item.get("metadata"), dict) and item["metadata"].get("name")
        if not named or not isinstance(item.get("kind"), str) or not isinstance(item.get("apiVersion"), str):
            raise Invalid(
                f"document {number} of {what} is no object of Kubernetes",
                code="cluster.yaml",
                hint="each has apiVersion, kind and metadata.name",
            )
    return objects


def _is_list(item: object) -> bool:
    return isinstance(item, dict) and item.get("kind") == "List" and isinstance(item.get("items"), list)


def write_files(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Write files below a folder; return the names of those that were not like that already."""
    changed = outdated(folder, files)
    for name in changed:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, files[name].encode())
        if name.endswith(".sh"):
            path.chmod(0o755)
    return changed


def outdated(folder: Path, files: Mapping[str, str]) -> list[str]:
    """Return the names of the files below a folder that are not there or say something else."""
    return [name for name, text in files.items() if _read(folder / name) != text]


def diff(before: str, after: str, old: str, new: str) -> str:
    """Return what differs between two texts, as a unified diff."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), old, new, lineterm="")
    return "\n".join(lines)


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError):
        return ""
