"""The commands over stages, metrics, parameters and plots, by name; `command_line` gives them to DVC's own command line."""

VERBS = {
    "repro": ("perenne.protocols.dvc.stage_commands:repro", "Bring stages up to date."),
    "dag": ("perenne.protocols.dvc.stage_commands:dag", "Which stage takes what another makes."),
    "stage": ("perenne.protocols.dvc.stage_commands:stage", "Add stages, and list them."),
    "freeze": ("perenne.protocols.dvc.stage_commands:freeze", "Keep stages from running for what they need."),
    "unfreeze": ("perenne.protocols.dvc.stage_commands:unfreeze", "Let frozen stages run again."),
    "params": ("perenne.protocols.dvc.report_commands:params", "Parameters between revisions."),
    "metrics": ("perenne.protocols.dvc.report_commands:metrics", "Metrics, and what differs between revisions."),
    "plots": ("perenne.protocols.dvc.report_commands:plots", "Plots as a page of HTML."),
}
"""Every command: where it is, and what it does in a line."""
