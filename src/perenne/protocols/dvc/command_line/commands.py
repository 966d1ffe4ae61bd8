"""Every command by name: where it is, and what it does in a line."""

_HERE = "perenne.protocols.dvc.command_line"

COMMANDS = {
    "cache dir": (f"{_HERE}.settings:cache_dir", "Show or set where the cache is."),
    "check-ignore": (f"{_HERE}.places:check_ignore", "Tell whether .dvcignore leaves paths out."),
    "config": (f"{_HERE}.settings:config", "Show or set options."),
    "init": (f"{_HERE}.places:init", "Make a repository."),
    "remote add": (f"{_HERE}.settings:remote_add", "Add a remote."),
    "remote default": (f"{_HERE}.settings:remote_default", "Show or set the default remote."),
    "remote list": (f"{_HERE}.settings:remote_list", "List the remotes."),
    "remote modify": (f"{_HERE}.settings:remote_modify", "Change an option of a remote."),
    "remote remove": (f"{_HERE}.settings:remote_remove", "Remove a remote."),
    "remote rename": (f"{_HERE}.settings:remote_rename", "Rename a remote."),
    "root": (f"{_HERE}.places:root", "Show the repository's top folder."),
    "version": (f"{_HERE}.places:version", "Show the version, and what is around it."),
}

ALIASES = {"ls": "list", "mv": "move", "rm": "remove", "doctor": "version"}

LEFT_OUT = {
    "artifacts": "models have a registry of their own: `perenne model`",
    "completion": "`perenne completion` makes a shell complete commands",
    "daemon": "nothing runs in the background",
    "dataset": "datasets of DVC's Studio are not here; `perenne data import-url` tracks a source",
    "exp": "experiments are runs here: `perenne runs`",
    "experiments": "experiments are runs here: `perenne runs`",
    "import-db": "`perenne data ingest` takes queries of databases",
    "install": "a hook of Git may call `perenne dvc status` and `perenne dvc push` itself",
    "queue": "jobs wait in perenne's own queue: `perenne job`",
    "studio": "the page is perenne's own: `perenne open`",
}
"""Commands of DVC's that are not here, and what to do instead."""
