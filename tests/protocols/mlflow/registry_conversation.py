"""A conversation about registered models and versions; recorded from MLflow's own server, and held with ours in the tests.

python -m tests.protocols.mlflow.registry_conversation http://127.0.0.1:5000 > tests/protocols/mlflow/registry_recorded.json
"""

import json
import sys
from typing import Any

import httpx
import msgspec
from tests.protocols.mlflow.conversation import OLD, Step, hold


def _step(method: str, name: str, path: str, given: Any = None, **keep: str) -> Step:
    return Step(name, method, f"{OLD}/{path}", {} if given is None else given, keep)


def _get(name: str, path: str, given: Any = None, **keep: str) -> Step:
    return _step("GET", name, path, given, **keep)


def _post(name: str, path: str, given: Any = None, **keep: str) -> Step:
    return _step("POST", name, path, given, **keep)


def _patch(name: str, path: str, given: Any = None) -> Step:
    return _step("PATCH", name, path, given)


def _delete(name: str, path: str, given: Any = None) -> Step:
    return _step("DELETE", name, path, given)


PROMPT = {"key": "mlflow.prompt.is_prompt", "value": "true"}
M, V = "registered-models", "model-versions"
ONE, TWO = ({"name": "alpha", "version": number} for number in ("1", "2"))

MODELS = [
    _post("create", f"{M}/create", {"name": "alpha", "tags": [{"key": "team", "value": "a"}], "description": "first"}),
    _post("create it again", f"{M}/create", {"name": "alpha"}),
    _post("create without a name", f"{M}/create", {}),
    _post("create with a blank name", f"{M}/create", {"name": " "}),
    _post("create with a slash", f"{M}/create", {"name": "a/b"}),
    _post("create with a colon", f"{M}/create", {"name": "a:b"}),
    _post("create as a path", f"{M}/create", {"name": ".."}),
    _post("create with a number", f"{M}/create", {"name": 5}),
    _post("create with tags that are no list", f"{M}/create", {"name": "x", "tags": "t"}),
    _post("create with a bad tag", f"{M}/create", {"name": "x", "tags": [{"key": "a$b", "value": "1"}]}),
    _post("create with a long tag", f"{M}/create", {"name": "x", "tags": [{"key": "k" * 251, "value": "1"}]}),
    _post("create a bare one", f"{M}/create", {"name": "beta"}),
    _get("get", f"{M}/get", {"name": "alpha"}),
    _get("get the bare one", f"{M}/get", {"name": "beta"}),
    _get("get none", f"{M}/get", {"name": "nobody"}),
    _get("get without a name", f"{M}/get"),
    _patch("describe", f"{M}/update", {"name": "beta", "description": "second"}),
    _patch("describe none", f"{M}/update", {"name": "nobody", "description": "second"}),
    _post("set a tag", f"{M}/set-tag", {"name": "beta", "key": "k", "value": "v"}),
    _post("set a tag without a key", f"{M}/set-tag", {"name": "beta", "value": "v"}),
    _post("set a tag of none", f"{M}/set-tag", {"name": "nobody", "key": "k", "value": "v"}),
    _post("set a tag too long", f"{M}/set-tag", {"name": "beta", "key": "k", "value": "v" * 100_001}),
    _delete("delete a tag", f"{M}/delete-tag", {"name": "beta", "key": "k"}),
    _delete("delete it again", f"{M}/delete-tag", {"name": "beta", "key": "k"}),
    _delete("delete a tag of none", f"{M}/delete-tag", {"name": "nobody", "key": "k"}),
    _post("rename", f"{M}/rename", {"name": "beta", "new_name": "gamma"}),
    _post("rename without a name", f"{M}/rename", {"name": "gamma"}),
    _post("rename none", f"{M}/rename", {"name": "nobody", "new_name": "delta"}),
    _post("rename to a slash", f"{M}/rename", {"name": "gamma", "new_name": "a/b"}),
    _get("see the new name", f"{M}/get", {"name": "gamma"}),
    _get("latest versions of one without", f"{M}/get-latest-versions", {"name": "gamma"}),
]

VERSIONS = [
    _post("a run", "runs/create", {"experiment_id": "0", "run_name": "r"}, run="run.info.run_id", root="run.info.artifact_uri"),
    _post(
        "register",
        f"{V}/create",
        {
            "name": "alpha",
            "source": "runs:/{run}/model",
            "run_id": "{run}",
            "description": "v1",
            "run_link": "https://ci/1",
            "tags": [{"key": "t", "value": "1"}],
        },
    ),
    _post("register by its place", f"{V}/create", {"name": "alpha", "source": "{root}/model", "run_id": "{run}"}),
    _post("register elsewhere", f"{V}/create", {"name": "alpha", "source": "s3://bucket/model"}),
    _post("register a copy", f"{V}/create", {"name": "gamma", "source": "models:/alpha/1"}),
    _post("register in none", f"{V}/create", {"name": "nobody", "source": "s3://bucket/model"}),
    _post("register without a source", f"{V}/create", {"name": "alpha"}),
    _post("register without a name", f"{V}/create", {"source": "s3://bucket/model"}),
    _post("register a file", f"{V}/create", {"name": "alpha", "source": "/etc/passwd"}),
    _post("register a file of a run", f"{V}/create", {"name": "alpha", "source": "file:///etc", "run_id": "{run}"}),
    _post("register above", f"{V}/create", {"name": "alpha", "source": "{root}/../../x", "run_id": "{run}"}),
    _post("register above in signs", f"{V}/create", {"name": "alpha", "source": "mlflow-artifacts:/0/..%2f..%2fx"}),
    _post("register a run's without it", f"{V}/create", {"name": "alpha", "source": "runs:/{run}/model"}),
    _post("register another run's", f"{V}/create", {"name": "alpha", "source": "runs:/" + "0" * 32 + "/m", "run_id": "{run}"}),
    _post("register a stranger's", f"{V}/create", {"name": "alpha", "source": "mlflow-artifacts:/0/other", "run_id": "{run}"}),
    _post("register of a host", f"{V}/create", {"name": "alpha", "source": "runs://h/{run}/m", "run_id": "{run}"}),
    _post("register a logged model's", f"{V}/create", {"name": "alpha", "source": "models:/m-0123"}),
    _post("register what is not there", f"{V}/create", {"name": "alpha", "source": "models:/alpha/99"}),
    _post("register with another run", f"{V}/create", {"name": "alpha", "source": "models:/alpha/1", "run_id": "0" * 32}),
    _get("get a version", f"{V}/get", ONE),
    _get("get a version that is not there", f"{V}/get", {"name": "alpha", "version": "99"}),
    _get("get a version of none", f"{V}/get", {"name": "nobody", "version": "1"}),
    _get("get a word", f"{V}/get", {"name": "alpha", "version": "abc"}),
    _get("get without a version", f"{V}/get", {"name": "alpha"}),
    _get("where it lies", f"{V}/get-download-uri", ONE),
    _get("where the copy lies", f"{V}/get-download-uri", {"name": "gamma", "version": "1"}),
    _get("where nothing lies", f"{V}/get-download-uri", {"name": "alpha", "version": "99"}),
    _patch("describe a version", f"{V}/update", {**ONE, "description": "better"}),
    _patch("describe a version of none", f"{V}/update", {"name": "alpha", "version": "99", "description": "x"}),
    _post("tag a version", f"{V}/set-tag", {**ONE, "key": "k", "value": "v"}),
    _post("tag a version badly", f"{V}/set-tag", {**ONE, "key": "a$b", "value": "v"}),
    _post("tag a version of none", f"{V}/set-tag", {"name": "alpha", "version": "99", "key": "k", "value": "v"}),
    _delete("delete a tag of a version", f"{V}/delete-tag", {**ONE, "key": "k"}),
    _delete("delete it again", f"{V}/delete-tag", {**ONE, "key": "k"}),
]

PLACES = [
    _post("set an alias", f"{M}/alias", {"name": "alpha", "alias": "best", "version": "1"}),
    _post("set it again", f"{M}/alias", {"name": "alpha", "alias": "best", "version": "1"}),
    _post("set one with a reserved name", f"{M}/alias", {"name": "alpha", "alias": "Latest", "version": "1"}),
    _post("set one like a version", f"{M}/alias", {"name": "alpha", "alias": "v1", "version": "1"}),
    _post("set one with a blank", f"{M}/alias", {"name": "alpha", "alias": "a b", "version": "1"}),
    _post("set one without a name", f"{M}/alias", {"name": "alpha", "version": "1"}),
    _post("set a long one", f"{M}/alias", {"name": "alpha", "alias": "a" * 256, "version": "1"}),
    _post("set one on nothing", f"{M}/alias", {"name": "alpha", "alias": "best", "version": "99"}),
    _post("set one on a word", f"{M}/alias", {"name": "alpha", "alias": "best", "version": "abc"}),
    _get("get by alias", f"{M}/alias", {"name": "alpha", "alias": "best"}),
    _get("get by the alias of nobody", f"{M}/alias", {"name": "alpha", "alias": "nobody"}),
    _get("get the latest", f"{M}/alias", {"name": "alpha", "alias": "latest"}),
    _get("get by an alias of none", f"{M}/alias", {"name": "nobody", "alias": "best"}),
    _get("see the alias", f"{M}/get", {"name": "alpha"}),
    _get("see it at the version", f"{V}/get", ONE),
    _post("to production", f"{V}/transition-stage", {**ONE, "stage": "production", "archive_existing_versions": True}),
    _post("another", f"{V}/transition-stage", {**TWO, "stage": "Production", "archive_existing_versions": True}),
    _post("to no stage", f"{V}/transition-stage", {**TWO, "stage": "prod", "archive_existing_versions": False}),
    _post("without a stage", f"{V}/transition-stage", {**TWO, "archive_existing_versions": False}),
    _post("of nothing", f"{V}/transition-stage", {"name": "alpha", "version": "99", "stage": "Staging"}),
    _post("latest versions", f"{M}/get-latest-versions", {"name": "alpha"}),
    _post("latest versions of stages", f"{M}/get-latest-versions", {"name": "alpha", "stages": ["Production"]}),
    _get("latest versions by query", f"{M}/get-latest-versions", {"name": "alpha", "stages": ["Archived", "None"]}),
    _post("latest versions of no stage", f"{M}/get-latest-versions", {"name": "alpha", "stages": ["prod"]}),
    _post("latest versions of none", f"{M}/get-latest-versions", {"name": "nobody"}),
    _delete("delete an alias", f"{M}/alias", {"name": "alpha", "alias": "best"}),
    _delete("delete it again", f"{M}/alias", {"name": "alpha", "alias": "best"}),
]

SEARCHES = [
    _get("search models", f"{M}/search"),
    _get("search models by name", f"{M}/search", {"filter": "name LIKE 'al%'"}),
    _get("search models by tag", f"{M}/search", {"filter": "tags.team = 'a'"}),
    _get("search models in order", f"{M}/search", {"order_by": ["name DESC"]}),
    _get("search models in order of time", f"{M}/search", {"order_by": ["timestamp DESC"]}),
    _get("search models in no order", f"{M}/search", {"order_by": ["size"]}),
    _get("search models for none", f"{M}/search", {"max_results": "0"}),
    _get("search models for too many", f"{M}/search", {"max_results": "1001"}),
    _get("search models for a word", f"{M}/search", {"max_results": "ten"}),
    _get("search models by nothing", f"{M}/search", {"filter": "things.a = '1'"}),
    _get("search models by an unknown key", f"{M}/search", {"filter": "size = '1'"}),
    _get("a page of models", f"{M}/search", {"max_results": "1"}, page="next_page_token"),
    _get("the next page of models", f"{M}/search", {"max_results": "1", "page_token": "{page}"}),
    _get("a forged page of models", f"{M}/search", {"max_results": "1", "page_token": "forged"}),
    _get("search versions", f"{V}/search", {"filter": "name = 'alpha'", "order_by": ["version_number ASC"]}),
    _get("search versions of a run", f"{V}/search", {"filter": "run_id = '{run}'", "order_by": ["name", "version_number ASC"]}),
    _get("search versions by source", f"{V}/search", {"filter": "source_path LIKE 's3%'"}),
    _get("search versions by tag", f"{V}/search", {"filter": "tags.t = '1'"}),
    _get("search versions by number", f"{V}/search", {"filter": "version_number >= 2", "order_by": ["version_number DESC"]}),
    _get("search versions by nothing", f"{V}/search", {"filter": "things.a = '1'"}),
    _get("search versions for none", f"{V}/search", {"max_results": "0"}),
    _get("search versions for too many", f"{V}/search", {"max_results": "200001"}),
    _get(
        "a page of versions", f"{V}/search", {"max_results": "1", "order_by": ["name", "version_number"]}, more="next_page_token"
    ),
    _get("the next", f"{V}/search", {"max_results": "1", "order_by": ["name", "version_number"], "page_token": "{more}"}),
]

PROMPTS = [
    _post("create a prompt", f"{M}/create", {"name": "hello", "tags": [PROMPT]}),
    _post("create it again", f"{M}/create", {"name": "hello", "tags": [PROMPT]}),
    _post("create a model of its name", f"{M}/create", {"name": "hello"}),
    _post("create a prompt of a model's name", f"{M}/create", {"name": "alpha", "tags": [PROMPT]}),
    _post(
        "write it",
        f"{V}/create",
        {"name": "hello", "source": "dummy-source", "tags": [PROMPT, {"key": "mlflow.prompt.text", "value": "Hello {{name}}"}]},
    ),
    _post("write it from a file", f"{V}/create", {"name": "hello", "source": "/etc/passwd", "tags": [PROMPT]}),
    _post("copy it", f"{V}/create", {"name": "gamma", "source": "models:/hello/1"}),
    _post("alias it", f"{M}/alias", {"name": "hello", "alias": "production", "version": "1"}),
    _get("get it", f"{V}/get", {"name": "hello", "version": "1"}),
    _get("models without prompts", f"{M}/search"),
    _get("prompts", f"{M}/search", {"filter": "tags.`mlflow.prompt.is_prompt` = 'true'"}),
    _get("versions without prompts", f"{V}/search", {"filter": "name = 'hello'"}),
    _get("versions of prompts", f"{V}/search", {"filter": "name = 'hello' AND tags.`mlflow.prompt.is_prompt` = 'true'"}),
]

ENDINGS = [
    _delete("delete a version", f"{V}/delete", {"name": "alpha", "version": "3"}),
    _delete("delete it again", f"{V}/delete", {"name": "alpha", "version": "3"}),
    _get("get the deleted", f"{V}/get", {"name": "alpha", "version": "3"}),
    _post("the next number", f"{V}/create", {"name": "alpha", "source": "s3://bucket/model"}),
    _delete("delete a version of none", f"{V}/delete", {"name": "alpha", "version": "99"}),
    _delete("delete a word", f"{V}/delete", {"name": "alpha", "version": "abc"}),
    _delete("delete a model", f"{M}/delete", {"name": "gamma"}),
    _delete("delete it again", f"{M}/delete", {"name": "gamma"}),
    _get("get the deleted model", f"{M}/get", {"name": "gamma"}),
    _get("get a version of it", f"{V}/get", {"name": "gamma", "version": "1"}),
    _post("create it anew", f"{M}/create", {"name": "gamma"}),
]

STEPS = [*MODELS, *VERSIONS, *PLACES, *SEARCHES, *PROMPTS, *ENDINGS]


def main() -> None:
    """Print the conversation with the server of a URL."""
    with httpx.Client(base_url=sys.argv[1], timeout=60) as client:
        answers = hold(client, STEPS)
    print(msgspec.json.format(json.dumps(answers), indent=1))


if __name__ == "__main__":
    main()
