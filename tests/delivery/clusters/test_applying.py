"""`perenne deploy apply`, `status` and `rollback`, as people type them, against the stand-in of an API server."""

import base64
import os
import signal
import ssl
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import trustme
from click.testing import CliRunner, Result
from tests.delivery.clusters.api import discovery
from tests.delivery.clusters.api.server import StandIn
from tests.delivery.clusters.plans import IMAGE, OTHER_IMAGE, plan

from perenne.auth import audit
from perenne.auth.principals import Principal
from perenne.cli.deploy import deploy
from perenne.core.errors import Conflict, Denied, Invalid, NotFound, PerenneError, Unavailable
from perenne.delivery.clusters import applying, revisions
from perenne.delivery.clusters.manifests import objects
from perenne.delivery.clusters.model import RevisionState
from perenne.delivery.clusters.target import Cluster, connect
from perenne.delivery.clusters.writing import to_yaml
from perenne.storage.links import Kind, links_from
from perenne.storage.workspace import Workspace

RENDERED = ("--image", IMAGE, "--namespace", "shop")
ALL = 9


def run(workspace: Workspace, *arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(deploy, arguments, obj=workspace, standalone_mode=False, input=text)


def done(workspace: Workspace, *arguments: str, text: str | None = None) -> Any:
    result = run(workspace, *arguments, text=text)
    assert result.exception is None, result.exception
    return result.return_value


def refused(workspace: Workspace, *arguments: str, text: str | None = None) -> PerenneError:
    error = run(workspace, *arguments, text=text).exception
    assert isinstance(error, PerenneError), error
    assert error.hint
    return error


@pytest.fixture
def where(api: StandIn, kubeconfig: Path) -> tuple[str, ...]:
    return ("--cluster", "stand-in", "--kubeconfig", str(kubeconfig))


def recorded(workspace: Workspace) -> list[tuple[int, str, int]]:
    with workspace.database.read() as tx:
        return [(item.number, item.state.value, item.undoes) for item in revisions.revisions(tx, "churn")]


def image_there(api: StandIn) -> str:
    return str(api.object("deployments", "shop", "churn")["spec"]["template"]["spec"]["containers"][0]["image"])


def test_apply_change_undo(workspace: Workspace, deployed: str, api: StandIn, where: tuple[str, ...]) -> None:
    first = done(workspace, "apply", "churn", *where, *RENDERED, "--reason", "first")
    assert [row["change"] for row in first.value] == ["create"] * ALL and first.exit_code == 0
    again = done(workspace, "apply", "churn", *where, *RENDERED)
    assert [row["change"] for row in again.value] == ["same"] * ALL and "already" in again.note
    second = ("--image", OTHER_IMAGE, "--namespace", "shop", "--replicas", "2")
    changed = done(workspace, "apply", "churn", *where, *second, "--prune")
    assert {"object": "HorizontalPodAutoscaler churn", "change": "remove"} in changed.value
    assert "horizontalpodautoscalers/churn" not in api.names("shop") and image_there(api) == OTHER_IMAGE
    undone = done(workspace, "rollback", "churn", *where, "--namespace", "shop")
    assert image_there(api) == IMAGE and "horizontalpodautoscalers/churn" in api.names("shop")
    assert "revision 3 runs" in undone.note
    assert recorded(workspace) == [(3, "applied", 2), (2, "applied", 0), (1, "applied", 0)]
    status = done(workspace, "status", "churn", *where, "--namespace", "shop")
    assert status.value.runs == "revision 3" and status.value.healthy is True and status.exit_code == 0


def test_what_differs_from_what_was_applied_is_shown(workspace: Workspace, deployed: str, where: tuple[str, ...]) -> None:
    done(workspace, "apply", "churn", *where, *RENDERED)
    assert "nothing differs" in done(workspace, "render", "churn", *RENDERED, "--diff").note
    shown = done(workspace, "render", "churn", "--image", OTHER_IMAGE, "--namespace", "shop", "--diff").value
    assert f"-        image: {IMAGE}" in shown.splitlines() and f"+        image: {OTHER_IMAGE}" in shown.splitlines()


def test_every_apply_is_audited_announced_and_linked(workspace: Workspace, deployed: str, where: tuple[str, ...]) -> None:
    done(workspace, "apply", "churn", *where, *RENDERED, "--reason", "first of all")
    with workspace.database.read() as tx:
        revision = revisions.revisions(tx, "churn")[0]
        told = [record for record in audit.trail(tx, limit=50) if record.entity_id == revision.id]
        links = {(link.relation, link.target) for link in links_from(tx, Kind.CLUSTER_REVISION, revision.id)}
        assert audit.verify(tx).bad_seq is None
    assert sorted(record.action for record in told) == ["cluster.apply", "cluster.begin", "cluster.settle"]
    assert {record.reason for record in told} == {"first of all"}
    assert links == {("runs", deployed), ("of", "churn")}
    assert revision.image == IMAGE and revision.version == deployed and revision.settled is not None


def test_a_dry_run_changes_nothing(workspace: Workspace, deployed: str, api: StandIn, where: tuple[str, ...]) -> None:
    shown = done(workspace, "apply", "churn", *where, *RENDERED, "--dry-run")
    assert [row["change"] for row in shown.value] == ["create"] * ALL and f"image: {IMAGE}" in shown.note
    assert api.names("shop") == set() and recorded(workspace) == []


def test_what_kustomize_writes_is_applied(workspace: Workspace, deployed: str, api: StandIn, where: tuple[str, ...]) -> None:
    made = to_yaml(objects(plan(namespace="shop", version=deployed)))
    done(workspace, "apply", "churn", *where, "--namespace", "shop", "--from", "-", text=made)
    assert image_there(api) == IMAGE
    with workspace.database.read() as tx:
        assert revisions.revisions(tx, "churn")[0].version == deployed


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [", "cluster.yaml"),
        ("kind: Deployment", "cluster.yaml"),
        ("", "cluster.yaml"),
        ("apiVersion: v1\nkind: Secret\nmetadata: {name: a}", "cluster.kind"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}", "cluster.owner"),
        ("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: elsewhere}", "cluster.namespace"),
    ],
)
def test_what_is_not_ours_is_not_applied(
    workspace: Workspace, deployed: str, api: StandIn, where: tuple[str, ...], text: str, code: str
) -> None:
    assert refused(workspace, "apply", "churn", *where, "--namespace", "shop", "--from", "-", text=text).code == code
    assert api.names("shop") == set() and recorded(workspace) == []


def test_a_missing_right_is_named_and_nothing_is_changed(
    workspace: Workspace, deployed: str, api: StandIn, where: tuple[str, ...]
) -> None:
    api.forbidden.add(("patch", "networkpolicies"))
    error = refused(workspace, "apply", "churn", *where, *RENDERED)
    assert isinstance(error, Denied) and error.code == "cluster.forbidden"
    assert "change networkpolicies.networking.k8s.io in namespace shop" in error.hint
    assert api.names("shop") == set() and recorded(workspace) == []


def test_what_may_not_be_listed_is_unknown_and_no_hindrance(
    workspace: Workspace, deployed: str, api: StandIn, where: tuple[str, ...]
) -> None:
    api.forbidden.add(("list", "rollouts"))
    done(workspace, "apply", "churn", *where, *RENDERED)
    unknown = done(workspace, "status", "churn", *where, "--namespace", "shop").value.unknown
    assert any("rollouts.argoproj.io" in text for text in unknown)


def test_fields_of_another_manager_are_kept_unless_taken(
    workspace: Workspace, deployed: str, api: StandIn, where: tuple[str, ...]
) -> None:
    fixed = (*RENDERED, "--replicas", "2")
    done(workspace, "apply", "churn", *where, *fixed)
    api.state.update(
        next(kind for kind in discovery.KINDS if kind.plural == "deployments"),
        "shop",
        "churn",
        lambda live: {**live, "spec": {**live["spec"], "replicas": 7}},
        "somebody",
        False,
    )
    error = refused(workspace, "apply", "churn", *where, *fixed)
    assert isinstance(error, Conflict) and "somebody" in error.message and ".spec.replicas" in error.message
    done(workspace, "apply", "churn", *where, *fixed, "--force")
    assert api.object("deployments", "shop", "churn")["spec"]["replicas"] == 2


def test_a_namespace_that_is_missing_is_said(workspace: Workspace, deployed: str, where: tuple[str, ...]) -> None:
    error = refused(workspace, "apply", "churn", *where, "--image", IMAGE, "--namespace", "nowhere")
    assert isinstance(error, NotFound) and "nowhere" in error.message


def test_what_the_cluster_does_not_take_is_said_with_its_place(
    workspace: Workspace, deployed: str, api: StandIn, where: tuple[str, ...]
) -> None:
    made = to_yaml(objects(plan(namespace="shop"))).replace("maxReplicas: 10", "maxReplicas: many")
    error = refused(workspace, "apply", "churn", *where, "--namespace", "shop", "--from", "-", text=made)
    assert isinstance(error, Invalid) and "maxReplicas" in error.message
    assert api.names("shop") == set()


def test_nothing_is_removed_that_nobody_agreed_to(
    workspace: Workspace, deployed: str, api: StandIn, where: tuple[str, ...]
) -> None:
    done(workspace, "apply", "churn", *where, *RENDERED)
    kept = done(workspace, "apply", "churn", *where, *RENDERED, "--replicas", "2")
    assert "HorizontalPodAutoscaler churn" in kept.note and "--prune" in kept.note
    assert "horizontalpodautoscalers/churn" in api.names("shop")


def test_other_deployments_are_left_alone(workspace: Workspace, deployed: str, api: StandIn, where: tuple[str, ...]) -> None:
    cluster = connect("stand-in", kubeconfig=where[3])
    for item in objects(plan(deployment="other", namespace="shop")):
        cluster.apply(item, "shop")
    before = api.names("shop")
    done(workspace, "apply", "churn", *where, *RENDERED, "--prune")
    assert before <= api.names("shop")


def test_a_rollout_that_does_not_end_is_said_and_recorded(workspace: Workspace, deployed: str, tmp_path: Path) -> None:
    with StandIn(settles=False) as api:
        api.add_namespace("shop")
        where = ("--cluster", "stand-in", "--kubeconfig", str(api.kubeconfig(tmp_path / "slow")))
        late = done(workspace, "apply", "churn", *where, *RENDERED, "--timeout", "1s")
        assert late.exit_code == 6 and "0 of 1 replicas are new" in late.note
        assert recorded(workspace) == [(1, "applied", 0)]
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "churn-1", "labels": {"app.kubernetes.io/instance": "churn"}},
        }
        pod["spec"] = {"containers": [{"name": "server", "image": IMAGE}]}
        api.state.create(next(kind for kind in discovery.KINDS if kind.plural == "pods"), "shop", pod, "test", False)
        waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}, "name": "server"}
        api.say_status("pods", "shop", "churn-1", {"containerStatuses": [waiting]})
        status = done(workspace, "status", "churn", *where, "--namespace", "shop")
        assert status.exit_code == 6 and status.value.healthy is False
        assert status.value.pods == ("churn-1 waits: ImagePullBackOff no such image",)
        api.forbidden.add(("list", "pods"))
        assert any("pods" in text for text in done(workspace, "status", "churn", *where, "--namespace", "shop").value.unknown)


def test_a_rollout_that_has_failed_is_not_waited_for(
    workspace: Workspace, actor: Principal, api: StandIn, kubeconfig: Path
) -> None:
    cluster = connect("stand-in", kubeconfig=str(kubeconfig))
    intent = applying.Intent(deployment="churn", project="churn", namespace="shop", items=objects(plan(namespace="shop")))
    cluster.apply(next(item for item in intent.items if item["kind"] == "Deployment"), "shop")
    condition = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "it took too long"}
    api.say_status("deployments", "shop", "churn", {"observedGeneration": 1, "conditions": [condition]})
    assert "it took too long" in applying.wait_until_settled(cluster, intent, lambda words: None, 60)


class Dying(Exception):
    """In the place of a kill."""


def test_killed_in_between_the_cluster_tells_what_is_there(
    workspace: Workspace, deployed: str, api: StandIn, where: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    done(workspace, "apply", "churn", *where, *RENDERED)
    sent = Cluster.apply

    def dies(self: Cluster, item: Any, namespace: str, **options: Any) -> Any:
        if item["kind"] == "Deployment" and not options.get("dry_run"):
            raise Dying
        return sent(self, item, namespace, **options)

    monkeypatch.setattr(Cluster, "apply", dies)
    assert isinstance(run(workspace, "apply", "churn", *where, "--image", OTHER_IMAGE, "--namespace", "shop").exception, Dying)
    monkeypatch.undo()
    assert recorded(workspace) == [(2, "begun", 0), (1, "applied", 0)]
    runs = done(workspace, "status", "churn", *where, "--namespace", "shop").value.runs
    assert "7 of 9 objects are of revision 2" in runs and "2 of 9 objects are of revision 1" in runs and "begun" in runs
    done(workspace, "apply", "churn", *where, "--image", OTHER_IMAGE, "--namespace", "shop")
    assert done(workspace, "status", "churn", *where, "--namespace", "shop").value.runs == "revision 3"


@pytest.mark.long
def test_killed_for_good_nothing_is_half_recorded(
    workspace: Workspace, deployed: str, api: StandIn, where: tuple[str, ...]
) -> None:
    command = [sys.executable, "-m", "perenne", "deploy", "apply", "churn", *where, *RENDERED]
    home, database = workspace.settings.home, workspace.settings.database
    environment = {**os.environ, "PERENNE_HOME": str(home), "PERENNE_DATABASE": database}
    waiting = threading.Event()

    def hold(kind: discovery.Kind, item: Any) -> None:
        if kind.kind == "PodDisruptionBudget":
            waiting.set()
            applying_process.kill()

    api.state.after_write = hold
    applying_process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    assert waiting.wait(60)
    assert applying_process.wait(60) == -signal.SIGKILL
    assert recorded(workspace) == [(1, "begun", 0)]
    status = done(workspace, "status", "churn", *where, "--namespace", "shop").value
    assert "7 of 7" in status.runs or "begun" in status.runs
    assert status.healthy is None, "no pods are there, so nothing can be told of them"
    api.state.after_write = api.settle
    done(workspace, "apply", "churn", *where, *RENDERED)
    assert recorded(workspace) == [(2, "applied", 0), (1, "begun", 0)]
    assert done(workspace, "status", "churn", *where, "--namespace", "shop").value.runs == "revision 2"


def test_an_apply_that_fails_half_way_is_recorded_as_failed(
    workspace: Workspace, actor: Principal, deployed: str, api: StandIn, kubeconfig: Path
) -> None:
    cluster = connect("stand-in", kubeconfig=str(kubeconfig))
    intent = applying.Intent(deployment="churn", project="churn", namespace="shop", items=objects(plan(namespace="shop")))
    changes = applying.look(workspace, cluster, intent)
    api.forbidden.add(("patch", "deployments"))
    with pytest.raises(Denied):
        applying.apply(workspace, actor, cluster, intent, changes, prune=False, hear=lambda words: None, wait_seconds=0)
    with workspace.database.read() as tx:
        revision = revisions.revisions(tx, "churn")[0]
        assert revision.state is RevisionState.FAILED and "deployments" in revision.problem
        with pytest.raises(NotFound):
            revisions.way_back(tx, "churn", "stand-in", "shop")
    with pytest.raises(Conflict):
        workspace.database.write(lambda tx: revisions.end(tx, actor, revision.id, 1))


def test_undo_without_anything_before_is_said(workspace: Workspace, deployed: str, where: tuple[str, ...]) -> None:
    assert refused(workspace, "rollback", "churn", *where, "--namespace", "shop").code == "cluster.no_revision"
    done(workspace, "apply", "churn", *where, *RENDERED)
    assert refused(workspace, "rollback", "churn", *where, "--namespace", "shop").code == "cluster.no_previous"
    assert refused(workspace, "rollback", "churn", *where, "--namespace", "shop", "--to", "9").code == "cluster.no_previous"


def test_undo_goes_further_back_each_time(workspace: Workspace, deployed: str, api: StandIn, where: tuple[str, ...]) -> None:
    for most in ("3", "4", "5"):
        done(workspace, "apply", "churn", *where, *RENDERED, "--replicas", f"2:{most}")
    for before in (4, 3):
        done(workspace, "rollback", "churn", *where, "--namespace", "shop")
        assert api.object("horizontalpodautoscalers", "shop", "churn")["spec"]["maxReplicas"] == before


def test_without_a_cluster_nobody_rolls_back_the_wrong_thing(workspace: Workspace, deployed: str) -> None:
    error = refused(workspace, "rollback", "churn")
    assert "perenne deploy roll-back" in error.hint and "--cluster" in error.hint


def test_status_shows_what_was_recorded_without_a_cluster(workspace: Workspace, deployed: str, where: tuple[str, ...]) -> None:
    assert "nothing" in done(workspace, "status", "churn").note
    done(workspace, "apply", "churn", *where, *RENDERED)
    row = done(workspace, "status", "churn").value[0]
    assert (row["revision"], row["where"], row["state"], row["version"]) == (1, "stand-in/shop", "settled", deployed)
    assert refused(workspace, "status", "nobody").code == "deployment.not_found"


def test_a_token_and_a_program_that_gives_one(tmp_path: Path) -> None:
    with StandIn(tokens={"good": "ada"}) as api:
        api.add_namespace("shop")
        wrong = api.kubeconfig(tmp_path / "wrong", user={"token": "bad"})
        with pytest.raises(Denied, match="does not know who asks"):
            connect("stand-in", kubeconfig=str(wrong)).version()
        program = tmp_path / "give.py"
        said = '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "good"}}'
        program.write_text(f"print({said!r})")
        plugin = {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(program)],
            "interactiveMode": "Never",
        }
        by_program = api.kubeconfig(tmp_path / "exec", user={"exec": plugin})
        token_file = tmp_path / "token"
        token_file.write_text("good\n")
        for cluster in (
            connect("stand-in", kubeconfig=str(api.kubeconfig(tmp_path / "token-in-it"))),
            connect("stand-in", kubeconfig=str(by_program)),
            connect(api.url, token_file=str(token_file)),
        ):
            assert cluster.version() == "v1.36.0"


def test_a_client_certificate_over_tls(tmp_path: Path) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    ada = authority.issue_cert("ada@example.org")
    blobs = {"ca": authority.cert_pem, "c": ada.cert_chain_pems[0], "k": ada.private_key_pem}
    encoded = {name: base64.b64encode(blob.bytes()).decode() for name, blob in blobs.items()}
    user = {"client-certificate-data": encoded["c"], "client-key-data": encoded["k"]}
    with StandIn(tls=context) as api:
        known = api.kubeconfig(tmp_path / "known", user=user, cluster={"certificate-authority-data": encoded["ca"]})
        assert connect("stand-in", kubeconfig=str(known)).version() == "v1.36.0"
        unknown = api.kubeconfig(tmp_path / "unknown", user=user)
        with pytest.raises(Unavailable, match="cannot be reached"):
            connect("stand-in", kubeconfig=str(unknown)).version()


@pytest.mark.parametrize("name", ["nobody", "http://example.org", "https://u:p@example.org", "in-cluster"])
def test_a_cluster_that_cannot_be_used_is_refused(kubeconfig: Path, name: str) -> None:
    with pytest.raises(Invalid) as caught:
        connect(name, kubeconfig=str(kubeconfig))
    assert caught.value.code == "cluster.context"


def test_a_cluster_that_is_away_is_said(tmp_path: Path) -> None:
    with StandIn() as api:
        kubeconfig = api.kubeconfig(tmp_path / "gone")
    with pytest.raises(Unavailable, match="cannot be reached"):
        connect("stand-in", kubeconfig=str(kubeconfig)).version()
