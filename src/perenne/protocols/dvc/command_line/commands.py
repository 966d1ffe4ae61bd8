"""Every command by name: where it is, and what it does in a line."""

_HERE = "perenne.protocols.dvc.command_line"

COMMANDS = {
    "add": (f"{_HERE}.changing:add", "Track files or folders."),
    "cache dir": (f"{_HERE}.settings:cache_dir", "Show or set where the cache is."),
    "cache migrate": (f"{_HERE}.changing:cache_migrate", "Bring what DVC 2.x kept to where 3.x keeps it."),
    "check-ignore": (f"{_HERE}.places:check_ignore", "Tell whether .dvcignore leaves paths out."),
    "checkout": (f"{_HERE}.changing:checkout", "Bring the workspace to what the metafiles say."),
    "commit": (f"{_HERE}.changing:commit", "Record what has changed."),
    "config": (f"{_HERE}.settings:config", "Show or set options."),
    "data status": (f"{_HERE}.looking:data_status", "Show what differs between commit, metafiles and workspace."),
    "destroy": (f"{_HERE}.places:destroy", "Remove metafiles, config and cache."),
    "diff": (f"{_HERE}.looking:diff", "Show what differs between two revisions, or one and the workspace."),
    "du": (f"{_HERE}.listing:du", "Show how much space files take."),
    "fetch": (f"{_HERE}.transferring:fetch", "Bring objects from a remote into the cache."),
    "gc": (f"{_HERE}.collecting:gc", "Remove objects that nothing uses."),
    "get": (f"{_HERE}.taking:get", "Download a file or folder of a repository."),
    "get-url": (f"{_HERE}.taking:get_url", "Download a file or folder from a URL."),
    "import": (f"{_HERE}.taking:import_", "Download a file or folder of a repository, and track where it came from."),
    "import-url": (f"{_HERE}.taking:import_url", "Download a file or folder from a URL, and track where it came from."),
    "init": (f"{_HERE}.places:init", "Make a repository."),
    "list": (f"{_HERE}.listing:list_", "List what a repository holds, tracked by DVC or Git."),
    "move": (f"{_HERE}.changing:move", "Move or rename what is tracked."),
    "pull": (f"{_HERE}.transferring:pull", "Fetch, and check out."),
    "push": (f"{_HERE}.transferring:push", "Bring objects from the cache to a remote."),
    "remote add": (f"{_HERE}.settings:remote_add", "Add a remote."),
    "remote default": (f"{_HERE}.settings:remote_default", "Show or set the default remote."),
    "remote list": (f"{_HERE}.settings:remote_list", "List the remotes."),
    "remote modify": (f"{_HERE}.settings:remote_modify", "Change an option of a remote."),
    "remote remove": (f"{_HERE}.settings:remote_remove", "Remove a remote."),
    "remote rename": (f"{_HERE}.settings:remote_rename", "Rename a remote."),
    "remove": (f"{_HERE}.changing:remove", "Stop tracking, or take a stage out of dvc.yaml."),
    "root": (f"{_HERE}.places:root", "Show the repository's top folder."),
    "status": (f"{_HERE}.looking:status", "Show what has changed."),
    "unprotect": (f"{_HERE}.places:unprotect", "Make links into the cache files of their own."),
    "update": (f"{_HERE}.taking:update", "Bring imports to the newest state of their source."),
    "version": (f"{_HERE}.places:version", "Show the version, and what is around it."),
}

STAGE_COMMANDS = {
    "dag": "Show which stage takes what another makes.",
    "freeze": "Keep stages from running for what they need.",
    "metrics": "Show and compare metrics.",
    "params": "Compare parameters.",
    "plots": "Show and compare plots.",
    "repro": "Bring stages up to date.",
    "stage": "List and add stages.",
    "unfreeze": "Let frozen stages run again.",
}
"""Commands over stages, which are elsewhere (`clicked`)."""

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
    "list-url": "`dvc import-url` tracks what lies at a URL; the store's own tools list it",
    "ls-url": "`dvc import-url` tracks what lies at a URL; the store's own tools list it",
    "queue": "jobs wait in perenne's own queue: `perenne job`",
    "studio": "the page is perenne's own: `perenne open`",
}
"""Commands of DVC's that are not here, and what to do instead."""
