"""`perenne data …`: a group that knows its commands by name and imports the module of the one that is called.

So the commands over files (`versions`) answer without the database, DuckDB, Arrow or numpy, which the others import.
"""

from importlib import import_module

import click

VERBS = {
    "init": ("perenne.data.versions.commands:init", "Make a repository of a folder, as DVC does."),
    "add": ("perenne.data.versions.commands:add", "Track files and folders."),
    "status": ("perenne.data.versions.commands:status", "Tell what has changed since it was recorded."),
    "commit": ("perenne.data.versions.commands:commit", "Record the present version of what is tracked."),
    "checkout": ("perenne.data.versions.commands:checkout", "Bring recorded versions into the workspace."),
    "remove": ("perenne.data.versions.commands:remove", "Track files and folders no longer."),
    "move": ("perenne.data.versions.commands:move", "Give what is tracked another name."),
    "unprotect": ("perenne.data.versions.commands:unprotect", "Make files your own to write to: no links to the cache."),
    "check-ignore": ("perenne.data.versions.commands:check_ignore", "Tell what `.dvcignore` passes over."),
    "diff": ("perenne.data.versions.history_commands:diff", "Tell what differs between two revisions, or one and the workspace."),
    "log": ("perenne.data.versions.history_commands:log", "Show the versions of a path: who recorded what, when."),
    "config": ("perenne.data.versions.history_commands:config", "Show or change settings."),
    "remote": ("perenne.data.versions.history_commands:remote", "Where objects are sent to."),
    "push": ("perenne.data.versions.moving_commands:push_", "Send objects to a remote."),
    "fetch": ("perenne.data.versions.moving_commands:fetch_", "Bring objects from a remote into the cache."),
    "pull": ("perenne.data.versions.moving_commands:pull_", "Fetch, and check out what came."),
    "gc": ("perenne.data.versions.collecting_commands:gc", "Take away objects that no version needs."),
    "import": ("perenne.data.versions.taking_commands:import_", "Track data of another repository."),
    "import-url": ("perenne.data.versions.taking_commands:import_url_", "Track what lies at a URL."),
    "update": ("perenne.data.versions.taking_commands:update_", "Bring imports to their source's present version."),
    "get": ("perenne.data.versions.taking_commands:get_", "Take data of another repository, without tracking it."),
    "get-url": ("perenne.data.versions.taking_commands:get_url_", "Take what lies at a URL, without tracking it."),
    "snapshot": ("perenne.data.snapshot_commands:snapshot_", "Keep the rows of a file for good, with their profile."),
    "ingest": ("perenne.data.ingest.commands:ingest", "Read rows from files, a database, the web or a lake, and remember where."),
    "refresh": ("perenne.data.ingest.commands:refresh", "Read sources again."),
    "sources": ("perenne.data.ingest.commands:sources", "Where rows come from, and how the last reading went."),
    "write": ("perenne.data.ingest.write_commands:write", "Write a snapshot to a lake or a folder of Parquet."),
    "catalogue": ("perenne.data.catalogue.commands:catalogue", "Find data sets by what is said of them."),
    "describe": ("perenne.data.catalogue.commands:describe", "Say whose a data set is, what it is, and how it may be used."),
    "list": ("perenne.data.list_commands:list_", "List snapshots, or the files of a repository."),
    "show": ("perenne.data.snapshot_commands:show", "Show a snapshot: where it came from, what was found in it, its columns."),
    "profile": ("perenne.data.explore.commands:profile", "Describe every column; as a page or a notebook to hand on."),
    "compare": ("perenne.data.explore.commands:compare_", "Hold two snapshots beside each other: what differs most first."),
    "schema": ("perenne.data.validation.commands:schema", "Write the schema that a source keeps, as YAML, or for other tools."),
    "validate": ("perenne.data.validation.commands:validate", "Hold a source against a schema; exit code 6 if it breaks a rule."),
    "personal": ("perenne.data.privacy.commands:personal", "Look for personal data."),
    "mask": ("perenne.data.privacy.commands:mask", "Hide personal data in a new file or snapshot."),
    "erase": ("perenne.data.privacy.commands:erase", "Remove one person's rows from every snapshot."),
    "erasures": ("perenne.data.privacy.commands:erasures", "What was erased, and its certificates."),
    "fix": ("perenne.data.validation.commands:fix", "Say how a schema would have to follow the data, if the change was meant."),
}
"""Every command: where it is, and what it does in a line."""

SECTIONS = {
    "Versions of files, in DVC's formats": (
        "init",
        "add",
        "status",
        "commit",
        "checkout",
        "remove",
        "move",
        "diff",
        "log",
        "unprotect",
        "check-ignore",
        "config",
    ),
    "Remotes": ("remote", "push", "pull", "fetch", "gc"),
    "Other repositories, and URLs": ("import", "import-url", "update", "get", "get-url"),
    "Tables": ("snapshot", "ingest", "refresh", "sources", "write", "list", "show"),
    "Catalogue": ("catalogue", "describe"),
    "Look": ("profile", "compare"),
    "Check": ("schema", "validate", "fix"),
    "Personal data": ("personal", "mask", "erase", "erasures"),
}
"""Which commands stand together in the help."""


class Verbs(click.Group):
    """The group itself."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order of the help."""
        return [name for names in SECTIONS.values() for name in names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command; None if there is none of that name."""
        if cmd_name not in VERBS:
            return None
        module, _, attribute = VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        if complete := ctx.meta.get("perenne.complete"):  # a shell asks how to go on
            complete(command, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by section, without importing them."""
        across = max(map(len, VERBS))
        for section, names in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(across), VERBS[name][1]) for name in names])


@click.group(cls=Verbs)
def data() -> None:
    """Versions of files, snapshots of tables, what is in them, and what they must keep.

    SOURCE is a file (CSV, Parquet, JSON lines), or the beginning of a snapshot's id.
    """
