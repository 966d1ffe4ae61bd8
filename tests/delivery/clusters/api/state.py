"""What the stand-in holds: objects, their versions, who manages which field; checked strictly before anything is kept."""

import copy
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tests.delivery.clusters.api.discovery import VERSION, Kind
from tests.delivery.clusters.api.fields import Owners, built, conflicts, fields_v1, managed, merged, shown
from tests.delivery.clusters.plans import problems

Object = dict[str, Any]
Key = tuple[str, str, str]


class Refused(Exception):
    """What the API refuses, as a `Status` says it."""

    def __init__(self, code: int, reason: str, message: str, causes: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            "details": {"causes": causes or []},
            "code": code,
        }


class State:
    """Objects by kind, namespace and name; every change gets the next number and is an event that watchers hear."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.owners: dict[Key, Owners] = {}
        self.events: list[tuple[int, str, Key, Object]] = []
        self.changed = threading.Condition(threading.RLock())
        self.number = 1
        self.after_write: Callable[[Kind, Object], None] = lambda kind, item: None

    def get(self, kind: Kind, namespace: str, name: str) -> Object:
        with self.changed:
            found = self.objects.get((kind.plural, namespace, name))
            if found is None:
                group = f".{kind.group}" if kind.group else ""
                raise Refused(404, "NotFound", f'{kind.plural}{group} "{name}" not found')
            return copy.deepcopy(found)

    def listed(self, kind: Kind, namespace: str, chosen: Callable[[Object], bool]) -> list[Object]:
        with self.changed:
            found = [item for (plural, where, _), item in self.objects.items() if plural == kind.plural and where == namespace]
            return [copy.deepcopy(item) for item in found if chosen(item)]

    def create(self, kind: Kind, namespace: str, item: Object, manager: str, dry_run: bool) -> Object:
        with self.changed:
            name = item["metadata"]["name"]
            if (kind.plural, namespace, name) in self.objects:
                raise Refused(409, "AlreadyExists", f'{kind.plural} "{name}" already exists')
            return self._keep(kind, namespace, item, None, {manager: set(managed(item))}, dry_run)

    def update(
        self, kind: Kind, namespace: str, name: str, change: Callable[[Object], Object], manager: str, dry_run: bool
    ) -> Object:
        with self.changed:
            live = self.get(kind, namespace, name)
            item = change(live)
            wanted = item["metadata"].get("resourceVersion")
            if wanted and wanted != live["metadata"]["resourceVersion"]:
                raise Refused(
                    409, "Conflict", f'Operation cannot be fulfilled on {kind.plural} "{name}": the object has been modified'
                )
            before, after = managed(live), managed(item)
            touched = {path for path, leaf in after.items() if before.get(path, ...) != leaf}
            owners = {
                who: {path for path in paths if path in after} - touched
                for who, paths in self._owners(kind, namespace, name).items()
            }
            owners[manager] = owners.get(manager, set()) | touched
            return self._keep(kind, namespace, item, live, owners, dry_run)

    def apply(self, kind: Kind, namespace: str, item: Object, manager: str, force: bool, dry_run: bool) -> Object:
        with self.changed:
            name = item["metadata"]["name"]
            live = self.objects.get((kind.plural, namespace, name))
            before = managed(live) if live else {}
            owners = copy.deepcopy(self._owners(kind, namespace, name))
            wanted = managed(item)
            clashes = conflicts(wanted, before, owners, manager)
            if clashes and not force:
                causes = [
                    {"reason": "FieldManagerConflict", "message": f'conflict with "{who}"', "field": shown(path)}
                    for who, path in clashes
                ]
                said = "; ".join(f'conflict with "{who}": {shown(path)}' for who, path in clashes)
                raise Refused(409, "Conflict", f"Apply failed with {len(clashes)} conflicts: {said}", causes)
            for who, path in clashes:
                owners[who].discard(path)
            leaves = merged(wanted, before, owners, manager)
            owners[manager] = set(wanted)
            made = built(leaves)
            about = {**made.pop("metadata", {}), "name": name, "namespace": namespace}
            whole = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": about, **made}
            if live and "status" in live:
                whole["status"] = live["status"]
            return self._keep(kind, namespace, whole, live, owners, dry_run)

    def delete(self, kind: Kind, namespace: str, name: str) -> None:
        with self.changed:
            gone = self.get(kind, namespace, name)
            del self.objects[kind.plural, namespace, name]
            self.owners.pop((kind.plural, namespace, name), None)
            self._announce("DELETED", (kind.plural, namespace, name), gone)

    def set_status(self, kind: Kind, namespace: str, name: str, status: Object) -> None:
        """Say how an object does, as its controller would."""
        with self.changed:
            live = self.get(kind, namespace, name)
            live["status"] = status
            self.objects[kind.plural, namespace, name] = live
            self._announce("MODIFIED", (kind.plural, namespace, name), live)

    def _owners(self, kind: Kind, namespace: str, name: str) -> Owners:
        return self.owners.get((kind.plural, namespace, name), {})

    def _keep(self, kind: Kind, namespace: str, item: Object, live: Object | None, owners: Owners, dry_run: bool) -> Object:
        if kind.namespaced and ("namespaces", "", namespace) not in self.objects:
            raise Refused(404, "NotFound", f'namespaces "{namespace}" not found')
        _check(kind, item)
        _default(kind, item)
        name = item["metadata"]["name"]
        about = item["metadata"]
        key = (kind.plural, namespace, name)
        if kind.namespaced:
            about["namespace"] = namespace
        old = live["metadata"] if live else {}
        about["uid"] = old.get("uid") or str(uuid.uuid4())
        about["creationTimestamp"] = old.get("creationTimestamp") or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        same = live is not None and _said(live) == _said(item)
        same_spec = live is not None and live.get("spec") == item.get("spec")
        about["generation"] = old.get("generation", 0) + (0 if same_spec else 1)
        about["resourceVersion"] = old.get("resourceVersion", "") if same else str(self.number + 1)
        about["managedFields"] = _managed_fields(kind, owners)
        if not dry_run:
            self.objects[key], self.owners[key] = copy.deepcopy(item), owners
            if not same:
                self._announce("MODIFIED" if live else "ADDED", key, self.objects[key])
                self.after_write(kind, copy.deepcopy(item))
        return copy.deepcopy(item)

    def _announce(self, what: str, key: Key, item: Object) -> None:
        self.number += 1
        item["metadata"]["resourceVersion"] = str(self.number)
        self.events.append((self.number, what, key, copy.deepcopy(item)))
        self.changed.notify_all()


def _check(kind: Kind, item: Object) -> None:
    """Refuse what the schema does not take: an unknown field as strict decoding does, anything else as validation does."""
    bare = {key: value for key, value in item.items() if key != "status"}
    bare["metadata"] = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    found = problems(bare, VERSION)
    unknown = [problem for problem in found if "Additional properties" in problem]
    if unknown:
        raise Refused(400, "BadRequest", f"strict decoding error: {'; '.join(unknown)}")
    if found:
        causes = [{"reason": "FieldValueInvalid", "message": problem, "field": problem.partition(":")[0]} for problem in found]
        raise Refused(422, "Invalid", f'{kind.kind} "{item["metadata"]["name"]}" is invalid: {"; ".join(found)}', causes)


def _default(kind: Kind, item: Object) -> None:
    """Fill in what the server fills in and nobody manages."""
    if kind.kind == "Deployment":
        item["spec"].setdefault("replicas", 1)
    if kind.kind == "Service":
        item["spec"].setdefault("sessionAffinity", "None")


def _said(item: Object) -> Object:
    about = {key: value for key, value in item["metadata"].items() if key in ("labels", "annotations")}
    return {**{key: value for key, value in item.items() if key not in ("metadata", "status")}, "about": about}


def _managed_fields(kind: Kind, owners: Owners) -> list[Object]:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    return [
        {
            "manager": who,
            "operation": "Update" if who == "kubectl-client-side-apply" else "Apply",
            "apiVersion": kind.api_version,
            "time": now,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields_v1(paths),
        }
        for who, paths in owners.items()
        if paths
    ]
