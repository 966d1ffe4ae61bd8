"""Names that senders of traces use: MLflow's for what a trace says of itself, and the conventions for what a span is about.

MLflow's clients and pages read traces by the names that begin with `mlflow.`; what a span says in another convention is put
under these as well. The conventions are OpenTelemetry's for generative models (older names of theirs too), OpenInference's and
Traceloop's. Version of this table: 2026-11.
"""

TRACE_NAME = "mlflow.traceName"
SPANS_LOCATION = "mlflow.trace.spansLocation"
ARTIFACT_LOCATION = "mlflow.artifactLocation"
LINKED_PROMPTS = "mlflow.linkedPrompts"
FIXED_TAGS = frozenset({SPANS_LOCATION, "mlflow.trace.archiveLocation", "mlflow.trace.archivalFailure"})
"""Tags that nobody sets: they say where spans lie."""
IN_STORE = "TRACKING_STORE"

SESSION = "mlflow.trace.session"
USER = "mlflow.trace.user"
TOKEN_USAGE = "mlflow.trace.tokenUsage"  # noqa: S105
COST = "mlflow.trace.cost"
SIZE = "mlflow.trace.sizeStats"
FINALIZED = "mlflow.trace.infoFinalized"
SOURCE_RUN = "mlflow.sourceRun"
ASSESSED_BY_RUN = "mlflow.assessment.sourceRunId"
MADE_BY = "mlflow.user"

REQUEST_ID = "mlflow.traceRequestId"
SPAN_TYPE = "mlflow.spanType"
INPUTS = "mlflow.spanInputs"
OUTPUTS = "mlflow.spanOutputs"
USAGE = "mlflow.chat.tokenUsage"
SPAN_COST = "mlflow.llm.cost"
MODEL = "mlflow.llm.model"
PROVIDER = "mlflow.llm.provider"
TOOLS = "mlflow.chat.tools"
TAG_PREFIX = "mlflow.traceTag."
OWN = "mlflow."

UNKNOWN = "UNKNOWN"

TYPES: tuple[tuple[str, dict[str, str]], ...] = (
    (
        "openinference.span.kind",
        {
            name: name
            for name in ("TOOL", "CHAIN", "LLM", "RETRIEVER", "EMBEDDING", "AGENT", "RERANKER", "GUARDRAIL", "EVALUATOR")
        },
    ),
    (
        "gen_ai.operation.name",
        {
            "chat": "CHAT_MODEL",
            "create_agent": "AGENT",
            "embeddings": "EMBEDDING",
            "execute_tool": "TOOL",
            "generate_content": "LLM",
            "invoke_agent": "AGENT",
            "invoke_workflow": "WORKFLOW",
            "response": "LLM",
            "retrieval": "RETRIEVER",
            "text_completion": "LLM",
        },
    ),
    ("traceloop.span.kind", {"workflow": "WORKFLOW", "task": "TASK", "agent": "AGENT", "tool": "TOOL"}),
)
"""By which attribute a span says its kind, and what MLflow calls each."""

READ: dict[str, tuple[str, ...]] = {
    INPUTS: ("input.value", "gen_ai.input.messages", "gen_ai.tool.call.arguments", "gen_ai.prompt", "traceloop.entity.input"),
    OUTPUTS: (
        "output.value",
        "gen_ai.output.messages",
        "gen_ai.tool.call.result",
        "gen_ai.completion",
        "traceloop.entity.output",
    ),
    MODEL: (
        "llm.response.model_name",
        "llm.model_name",
        "llm.request.model_name",
        "embedding.model_name",
        "gen_ai.response.model",
        "gen_ai.request.model",
        "ai.model.id",
    ),
    PROVIDER: ("llm.provider", "gen_ai.provider.name", "gen_ai.system"),
    TOOLS: ("gen_ai.tool.definitions",),
}
"""Under which names each of MLflow's attributes is also found; the first one that says something counts."""

TOKENS: dict[str, tuple[str, ...]] = {
    "input_tokens": ("llm.token_count.prompt", "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
    "output_tokens": ("llm.token_count.completion", "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
    "total_tokens": ("llm.token_count.total", "llm.usage.total_tokens"),
    "cache_read_input_tokens": ("llm.token_count.prompt_details.cache_read", "gen_ai.usage.cache_read.input_tokens"),
    "cache_creation_input_tokens": (
        "llm.token_count.prompt_details.cache_write",
        "gen_ai.usage.cache_write.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
    ),
}
COSTS = ("input_cost", "output_cost", "total_cost")

SESSIONS = ("session.id", "gen_ai.conversation.id")
USERS = ("user.id",)
MESSAGES_IN = {"gen_ai.system.message": "system", "gen_ai.user.message": "user", "gen_ai.assistant.message": "assistant"}
MESSAGES_OUT = {"gen_ai.choice": "assistant"}
"""Events of a span that are messages, and whose."""
