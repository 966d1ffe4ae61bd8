"""`perenne deploy …`: verbs of serving and of delivery under one noun; each imports its module when it is called."""

import click

from perenne.cli.lazy import LazyGroup

VERBS = {
    "list": ("perenne.serving.commands:list_", "List deployments, of one project if named."),
    "show": ("perenne.serving.commands:show", "Show a deployment with its variants, and how its servers do."),
    "version": ("perenne.serving.commands:version", "Let a version answer."),
    "challenger": ("perenne.serving.commands:challenger", "Let a version answer in shadow, or no more."),
    "promote": ("perenne.serving.commands:promote", "Make a challenger the champion."),
    "roll-back": ("perenne.serving.commands:roll_back", "Let the previous champion answer again."),
    "stop": ("perenne.serving.commands:stop", "Stop a champion's answers: a constant or the previous version answers."),
    "resume": ("perenne.serving.commands:resume", "Let a stopped champion answer again."),
    "render": ("perenne.delivery.clusters.commands:render", "Write manifests for Kubernetes, or a cluster as code."),
    "apply": ("perenne.delivery.clusters.cluster_commands:apply", "Apply a deployment's manifests to a cluster, and wait."),
    "status": ("perenne.delivery.clusters.cluster_commands:status", "Show what runs in a cluster, as it says itself."),
    "undo": ("perenne.delivery.clusters.cluster_commands:undo", "Put back what was applied to a cluster before."),
    "rollback": ("perenne.delivery.clusters.cluster_commands:undo", "The same as undo; asks for --cluster."),
}
"""Every command: where it is, and what it does in a line."""

SECTIONS = {
    "Look": ("list", "show"),
    "Who answers": ("version", "challenger", "promote", "roll-back"),
    "Stop": ("stop", "resume"),
    "Clusters": ("render", "apply", "status", "undo"),
}
"""Which commands stand together in the help."""


@click.group(cls=LazyGroup, table=VERBS, sections=SECTIONS)
def deploy() -> None:
    """What answers whom: champion, challengers, roll-back, stop."""
