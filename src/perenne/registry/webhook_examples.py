"""What is sent to try a webhook out: for each entity, data as a change of it would have."""

from typing import Any

_MODEL = {"name": "example_model", "tags": {"example_key": "example_value"}, "description": "An example registered model"}
_VERSION = {
    "name": "example_model",
    "version": "1",
    "source": "models:/123",
    "run_id": "abcd1234abcd5678",
    "tags": {"example_key": "example_value"},
    "description": "An example model version",
}
_PROMPT_VERSION = {
    "name": "example_prompt",
    "version": "1",
    "template": "Hello {{name}}!",
    "tags": {"example_key": "example_value"},
    "description": "An example prompt version",
}
_TAG = {"key": "example_key", "value": "example_value"}

EXAMPLES: dict[str, dict[str, Any]] = {
    "registered_model": _MODEL,
    "model_version": _VERSION,
    "model_version_tag": {"name": "example_model", "version": "1", **_TAG},
    "model_version_alias": {"name": "example_model", "alias": "example_alias", "version": "1"},
    "prompt": {"name": "example_prompt", "tags": {"example_key": "example_value"}, "description": "An example prompt"},
    "prompt_version": _PROMPT_VERSION,
    "prompt_tag": {"name": "example_prompt", **_TAG},
    "prompt_version_tag": {"name": "example_prompt", "version": "1", **_TAG},
    "prompt_alias": {"name": "example_prompt", "alias": "example_alias", "version": "1"},
    "budget_policy": {"budget_policy_id": "bp-example", "budget_unit": "USD", "budget_amount": 100.0, "current_spend": 105.5},
}
