"""`perenne model …`: verbs of the registry and of delivery under one noun; each imports its module when it is called."""

import click

from perenne.cli.lazy import LazyGroup

VERBS = {
    "list": ("perenne.registry.lookup_commands:list_", "List versions, newest first."),
    "show": ("perenne.registry.lookup_commands:show", "Show a version: gate, evidence, decisions."),
    "search": ("perenne.registry.lookup_commands:search", "Find models or versions by name, tags and whatever else is known."),
    "diff": ("perenne.registry.lookup_commands:diff", "Show what differs between two versions."),
    "card": ("perenne.registry.lookup_commands:card_", "Write the model card of a version."),
    "impact": ("perenne.registry.impact_commands:impact", "Hold the model fixed and change the data: what each version did."),
    "approve": ("perenne.registry.change_commands:approve", "Approve a version whose evidence is complete."),
    "reject": ("perenne.registry.change_commands:reject", "Reject a version for good."),
    "clear": ("perenne.registry.change_commands:clear", "Take away the bar of a version that was rolled back."),
    "promote": ("perenne.registry.change_commands:promote", "Make a version the champion of its model."),
    "alias": ("perenne.registry.change_commands:alias", "Point an alias to a version, or take it away."),
    "archive": ("perenne.registry.change_commands:archive", "Put a version into the archive."),
    "restore": ("perenne.registry.change_commands:restore", "Take a version out of the archive, or put it into a stage."),
    "tag": ("perenne.registry.change_commands:tag", "Give a version tags, or take them away."),
    "comment": ("perenne.registry.change_commands:comment", "Say something about a version, or read what was said."),
    "sign": ("perenne.registry.trust_commands:sign", "Sign a version, or keep a signature made elsewhere."),
    "verify": ("perenne.registry.trust_commands:verify", "Verify the signature of a version, or of a folder."),
    "keys": ("perenne.registry.trust_commands:keys", "Whose signatures count: list, make, trust, withdraw keys."),
    "trust": ("perenne.registry.trust_commands:trust_", "What is asked of packages before they are served."),
    "bill": ("perenne.delivery.bill.commands:bill", "What a version is made of: parts, advisories, licences."),
}
"""Every command: where it is, and what it does in a line."""

SECTIONS = {
    "Look": ("list", "show", "search", "diff", "card", "impact"),
    "Decide": ("approve", "reject", "clear", "promote"),
    "Name": ("alias", "archive", "restore", "tag", "comment"),
    "Trust": ("sign", "verify", "keys", "trust", "bill"),
}
"""Which commands stand together in the help."""


@click.group(cls=LazyGroup, table=VERBS, sections=SECTIONS)
def model() -> None:
    """Models and their versions: evidence, gate, decisions, aliases."""
