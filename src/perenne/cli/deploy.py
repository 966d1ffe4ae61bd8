"""`perenne deploy …`: verbs of serving and of delivery under one noun; each imports its module when it is called."""

import click

from perenne.cli.lazy import LazyGroup

VERBS = {
    "list": ("perenne.serving.commands:list_", "List deployments, of one project if named."),
    "show": ("perenne.serving.commands:show", "Show a deployment with its variants, and how its servers do."),
    "log": ("perenne.serving.log_commands:log", "What is kept of predictions, and where it goes."),
    "score": ("perenne.serving.scoring_commands:score_", "Score a file, a folder, a snapshot or a query into a file."),
    "version": ("perenne.serving.commands:version", "Let a version answer."),
    "challenger": ("perenne.serving.commands:challenger", "Let a version answer in shadow, or no more."),
    "canary": ("perenne.serving.step_commands:canary", "Let a version answer a share of the callers."),
    "split": ("perenne.serving.step_commands:split", "Give several versions their shares of the callers."),
    "route": ("perenne.serving.step_commands:route", "Split callers by chance, by a key, or by what earns most."),
    "holdout": ("perenne.serving.step_commands:holdout", "Answer a share of the callers without the model."),
    "variant": ("perenne.serving.step_commands:variant", "Give a variant another time-out or mirror share."),
    "fallback": ("perenne.serving.step_commands:fallback", "Name the version that answers where another one fails."),
    "park": ("perenne.serving.step_commands:park", "Ask a challenger or canary no more."),
    "unpark": ("perenne.serving.step_commands:unpark", "Ask a challenger again that was parked."),
    "rules": ("perenne.serving.step_commands:rules", "Show or change when a version is taken back by itself."),
    "undo": ("perenne.serving.step_commands:undo", "Return to what the deployment was before its last change."),
    "promote": ("perenne.serving.commands:promote", "Make a challenger or canary the champion."),
    "roll-back": ("perenne.serving.commands:roll_back", "Let the previous champion answer again."),
    "stop": ("perenne.serving.commands:stop", "Stop a champion's answers: a constant or the previous version answers."),
    "queue": ("perenne.serving.queue_commands:queue_", "List the requests that wait for a person."),
    "decide": ("perenne.serving.queue_commands:decide", "Answer a request in the place of a stopped model."),
    "answer": ("perenne.serving.queue_commands:answer_", "Show a ticket and its answer."),
    "resume": ("perenne.serving.commands:resume", "Let a stopped champion answer again."),
    "render": ("perenne.delivery.clusters.commands:render", "Write manifests for Kubernetes, or a cluster as code."),
    "apply": ("perenne.delivery.clusters.cluster_commands:apply", "Apply a deployment's manifests to a cluster, and wait."),
    "status": ("perenne.delivery.clusters.cluster_commands:status", "Show what runs in a cluster, as it says itself."),
    "rollback": ("perenne.delivery.clusters.cluster_commands:rollback", "Put back what was applied to a cluster before."),
}
"""Every command: where it is, and what it does in a line."""

SECTIONS = {
    "Look": ("list", "show"),
    "Keep": ("log",),
    "In batches": ("score",),
    "Who answers": ("version", "challenger", "promote", "roll-back"),
    "Step by step": ("canary", "split", "route", "holdout", "variant", "fallback", "park", "unpark", "rules", "undo"),
    "Stop": ("stop", "resume"),
    "A person's queue": ("queue", "decide", "answer"),
    "Clusters": ("render", "apply", "status", "rollback"),
}
"""Which commands stand together in the help."""


@click.group(cls=LazyGroup, table=VERBS, sections=SECTIONS)
def deploy() -> None:
    """What answers whom: champion, canaries, challengers, roll-back, stop."""
