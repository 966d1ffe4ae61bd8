"""Manifests: held against the schemas of three versions of Kubernetes, and against what the model server really does."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.delivery.clusters.plans import IMAGE, VERSIONS, plan, problems

from perenne.core.errors import Invalid
from perenne.delivery.clusters.manifests import objects
from perenne.delivery.clusters.manifests.control_plane import ControlPlan, control_objects
from perenne.delivery.clusters.manifests.marking import label_value, selector
from perenne.delivery.clusters.manifests.pods import GRACE_SECONDS
from perenne.delivery.clusters.model import DRAIN_SECONDS, LEAVE_SECONDS, Object, Plan, Shape, checked, object_name
from perenne.delivery.clusters.writing import from_yaml, to_yaml
from perenne.serving.counters import Counters, Outcome
from perenne.serving.metrics import families
from perenne.serving.options import GRACE_SECONDS as WORKER_GRACE_SECONDS

CHOICES: dict[str, tuple[Any, ...]] = {
    "shape": tuple(Shape),
    "secured": ({}, {"tls_secret": "tls"}, {"proxies": ("10.0.0.0/8", "fd00::/8")}),
    "replicas": ((1, 1), (2, 10)),
    "token_secret": ("", "tokens"),
    "monitor": (False, True),
    "telemetry": ("", "https://otel.example.org"),
    "callers": ((), ("web", "shop"), ("*",)),
    "canary": (0, 10),
    "namespace": ("", "shop"),
    "pull_secret": ("", "pull"),
    "env_secret": ("", "more"),
}
"""Every option that changes what is rendered, with its values."""


def plans(combinations: "Iterator[tuple[Any, ...]] | zip[tuple[Any, ...]]") -> Iterator[Plan]:
    for combination in combinations:
        values = dict(zip(CHOICES, combination, strict=True))
        least, most = values.pop("replicas")
        yield checked(plan(**values.pop("secured"), least=least, most=most, **values))


def few() -> Iterator[Plan]:
    """Give every value of every option at least twice, not every combination."""
    longest = max(map(len, CHOICES.values()))
    turned = [[values[(turn + turn // longest) % len(values)] for turn in range(2 * longest)] for values in CHOICES.values()]
    return plans(zip(*turned, strict=True))


def refused(made: Iterator[Plan]) -> list[str]:
    return [
        f"{version}: {problem}"
        for item in made
        for one in objects(item)
        for version in VERSIONS
        for problem in problems(one, version)
    ]


def one(made: list[Object], kind: str) -> Object:
    return next(item for item in made if item["kind"] == kind)


def test_what_is_rendered_is_valid_in_three_versions() -> None:
    assert refused(few()) == []


@pytest.mark.long
def test_every_combination_of_options_is_valid_in_three_versions() -> None:
    assert refused(plans(itertools.product(*CHOICES.values()))) == []


@pytest.mark.parametrize("path", ["spec.template.spec.containers.0.imagePulPolicy", "spec.strategy.rollingUpdate.maxUnavailable"])
def test_the_check_is_strict(path: str) -> None:
    deployment = one(objects(plan()), "Deployment")
    at: Any = deployment
    *steps, last = path.split(".")
    for step in steps:
        at = at[int(step)] if step.isdigit() else at[step]
    at[last] = [1]
    assert all(problems(deployment, version) for version in VERSIONS)


def test_the_check_of_custom_resources_is_strict() -> None:
    service = one(objects(plan(shape=Shape.KSERVE)), "InferenceService")
    service["spec"]["predictor"] |= {"canaryTrafficPercent": "ten", "nobodyKnows": 1}
    said = " ".join(problems(service, VERSIONS[0]))
    assert "canaryTrafficPercent" in said and "nobodyKnows" in said


def test_the_same_plan_gives_the_same_bytes_and_comes_back() -> None:
    first, second = to_yaml(objects(plan(namespace="shop"))), to_yaml(objects(plan(namespace="shop")))
    assert first == second
    assert from_yaml(first, "it") == objects(plan(namespace="shop"))


def test_a_pod_may_do_nothing_but_answer() -> None:
    made = objects(plan())
    pod = one(made, "Deployment")["spec"]["template"]["spec"]
    container = pod["containers"][0]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["readOnlyRootFilesystem"] and not container["securityContext"]["allowPrivilegeEscalation"]
    assert not pod["automountServiceAccountToken"] and one(made, "Role")["rules"] == []
    assert set(container["resources"]) == {"requests", "limits"}
    assert container["image"] == IMAGE


def test_a_pod_has_longer_to_end_than_the_server_takes() -> None:
    pod = one(objects(plan()), "Deployment")["spec"]["template"]["spec"]
    workers, observer = 2 * WORKER_GRACE_SECONDS + 5, 30  # what `ModelServer.stop` waits for
    assert workers + observer <= DRAIN_SECONDS
    assert pod["terminationGracePeriodSeconds"] == GRACE_SECONDS > LEAVE_SECONDS + DRAIN_SECONDS


def test_a_rolling_update_never_has_fewer_pods_and_an_autoscaler_has_the_number_to_itself() -> None:
    scaled = one(objects(plan(least=2, most=5)), "Deployment")["spec"]
    assert scaled["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert "replicas" not in scaled
    fixed = objects(plan(least=3, most=3))
    assert one(fixed, "Deployment")["spec"]["replicas"] == 3
    assert "HorizontalPodAutoscaler" not in [item["kind"] for item in fixed]


def test_everything_that_chooses_pods_chooses_those_of_the_plan_only() -> None:
    made = objects(plan(monitor=True))
    wanted = selector(plan())
    assert one(made, "Service")["spec"]["selector"] == wanted
    for kind, path in (("Deployment", "selector"), ("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        assert one(made, kind)["spec"][path] == {"matchLabels": wanted}
    labels = one(made, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert wanted.items() <= labels.items()


def test_out_go_names_traces_and_events_only() -> None:
    def ports(**values: Any) -> list[int]:
        policy = one(objects(plan(**values)), "NetworkPolicy")["spec"]
        return [port["port"] for rule in policy["egress"] for port in rule["ports"]]

    assert ports() == [53, 53]
    assert ports(telemetry="http://otel.obs:4318", events="https://events.example.org/in") == [53, 53, 443, 4318]
    assert ports(telemetry="https://a.example.org", events="https://b.example.org") == [53, 53, 443]


def test_changed_settings_replace_the_pods() -> None:
    marks = {
        one(objects(plan(environment=environment)), "Deployment")["spec"]["template"]["metadata"]["annotations"][
            "perenne/settings"
        ]
        for environment in ({}, {"A": "1"}, {"A": "2"})
    }
    assert len(marks) == 3


def test_argo_goes_by_the_canary_weight_and_our_figures() -> None:
    made = objects(plan(shape=Shape.ARGO, canary=5, error_rate=0.01, p99_ms=80.0))
    steps = one(made, "Rollout")["spec"]["strategy"]["canary"]["steps"]
    assert [step["setWeight"] for step in steps if "setWeight" in step] == [5, 25, 50]
    metrics = one(made, "AnalysisTemplate")["spec"]["metrics"]
    assert [metric["successCondition"].rpartition("<= ")[2] for metric in metrics] == ["0.01", "0.08"]
    assert one(made, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["kind"] == "Rollout"


def test_the_figures_that_argo_asks_for_are_those_the_server_shows() -> None:
    queries = " ".join(
        metric["provider"]["prometheus"]["query"]
        for metric in one(objects(plan(shape=Shape.ARGO)), "AnalysisTemplate")["spec"]["metrics"]
    )
    shown = {family.name: family.kind for family in families(Counters.create(2))}
    assert shown["perenne_requests_total"] == "counter" and shown["perenne_predict_seconds"] == "histogram"
    assert {"perenne_requests_total", "perenne_predict_seconds_bucket"} == set(re.findall(r"perenne_\w+", queries))
    asked = re.search(r'outcome=~"([a-z|]+)"', queries)
    assert asked and set(asked[1].split("|")) <= {outcome.name.lower() for outcome in Outcome}


def test_kserve_splits_callers_by_the_canary_weight() -> None:
    service = one(objects(plan(shape=Shape.KSERVE, canary=15, namespace="shop")), "InferenceService")
    predictor = service["spec"]["predictor"]
    assert predictor["canaryTrafficPercent"] == 15
    assert {"name": "PROTOCOL", "value": "v2"} in predictor["containers"][0]["env"]
    assert "canaryTrafficPercent" not in one(objects(plan(shape=Shape.KSERVE)), "InferenceService")["spec"]["predictor"]


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"image": "acme/churn:latest"}, "cluster.image"),
        ({"image": "acme/churn@sha256:abc"}, "cluster.image"),
        ({"namespace": "Shop"}, "cluster.name"),
        ({"least": 3, "most": 2}, "cluster.replicas"),
        ({"canary": 101}, "cluster.canary"),
        ({"proxies": ("10.0.0.0/8",), "tls_secret": "both"}, "cluster.tls"),
        ({"proxies": ("ingress",)}, "cluster.proxy"),
    ],
)
def test_what_cannot_run_is_not_rendered(values: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as caught:
        checked(plan(**values))
    assert caught.value.code == code and caught.value.hint


def test_a_tag_is_taken_when_told_and_then_pulled_each_time() -> None:
    made = objects(checked(plan(image="acme/churn:latest", allow_tag=True)))
    assert one(made, "Deployment")["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "Always"


@given(st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", fullmatch=True), min_size=2, max_size=4, unique=True))
@settings(max_examples=50)
def test_names_that_differ_stay_different_and_fit(names: list[str]) -> None:
    made = [object_name(name) for name in names]
    assert len(set(made)) == len(names)
    for name in made:
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name) and len(f"{name}-predictor-00001") <= 63


@given(st.text(max_size=120))
@settings(max_examples=50)
def test_any_text_becomes_a_label(text: str) -> None:
    assert re.fullmatch(r"|[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9._-]{0,61}[A-Za-z0-9]", label_value(text))


def test_a_plain_name_stays_as_it_is() -> None:
    assert object_name("churn-eu") == "churn-eu"


def control(**values: Any) -> list[Object]:
    chosen = {"image": IMAGE, "tls_secret": "tls", "objects": "s3://acme/perenne"} | values
    return control_objects(ControlPlan(**chosen))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {
            "claim": "5Gi",
            "objects_secret": "keys",
            "workers": 3,
            "annotations": {"a/b": "c"},
            "labels": {"d": "e"},
            "pull_secret": "p",
        },
        {"tls_secret": "", "proxies": ("10.0.0.0/8",), "names": ("ml.example.org",)},
    ],
)
def test_the_control_plane_is_valid_in_three_versions(values: dict[str, Any]) -> None:
    assert [problem for item in control(**values) for version in VERSIONS for problem in problems(item, version)] == []


def test_the_control_plane_has_its_database_from_a_secret_and_migrates_first() -> None:
    made = control(claim="5Gi")
    kinds = [item["kind"] for item in made]
    assert kinds.index("Job") < kinds.index("Deployment")
    for item in made:
        if item["kind"] in ("Deployment", "Job"):
            env = item["spec"]["template"]["spec"]["containers"][0]["env"]
            assert env[0] == {
                "name": "PERENNE_DATABASE",
                "valueFrom": {"secretKeyRef": {"name": "perenne-database", "key": "url"}},
            }
    server = next(item for item in made if item["kind"] == "Deployment" and item["metadata"]["name"] == "perenne")
    assert server["spec"]["strategy"] == {"type": "Recreate"}
    assert "secrets" not in to_yaml([one(made, "Role")])


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"image": "perenne:1"}, "cluster.image"),
        ({"objects": ""}, "cluster.objects"),
        ({"objects": "file:///srv"}, "cluster.objects"),
        ({"tls_secret": ""}, "cluster.tls"),
        ({"claim": "much"}, "cluster.quantity"),
        ({"workers": -1}, "cluster.replicas"),
    ],
)
def test_a_control_plane_that_cannot_run_is_not_rendered(values: dict[str, Any], code: str) -> None:
    with pytest.raises(Invalid) as caught:
        control(**values)
    assert caught.value.code == code and caught.value.hint
