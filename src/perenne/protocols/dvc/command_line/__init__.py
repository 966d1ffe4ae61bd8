"""DVC's own command line, answered by perenne: ``alias dvc='perenne dvc'``.

====================  ======================================================================================================
`entry`               what was typed -> the command, its exit code; only the module of that command is imported
`commands`            every command by name
`grammar`             options as DVC has them, and its way of refusing what it does not know
`speech`              where DVC prints what; `refusals`: our errors in its words and exit codes
`places`              init, root, version, destroy, check-ignore, unprotect
`settings`            config, remote, cache dir
`changing`            add, commit, checkout, remove, move, cache migrate
`looking`             status, diff, data status; `listing`: list, du
`transferring`        push, pull, fetch; `collecting`: gc; `taking`: get, import, update
`clicked`             repro, stage, dag, metrics, params, plots, which are elsewhere
====================  ======================================================================================================
"""
