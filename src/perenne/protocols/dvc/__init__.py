"""DVC at the edge: its command line and its stages, on our own verbs, cache and engine.

`command_line` is `perenne dvc`. `stages` has those of a repository and which needs which, `choosing` which are meant; `changes`
tells what changed (`parameters`), `reproducing` does one stage (`running` its commands, `remembering` the run-cache, `pulling`
what is missing, `saving` what it made, `rwlock` who works on what), `engine` makes a run of many, `bringing` does it all;
`recording` and `lineage` are where it is seen. `revisions` reads any version of a repository, `reporting` its metrics and
parameters, `plots` its plots (`plot_data`, `charts`), `drawing` its graph; `editing` changes dvc.yaml, `status` answers.
"""
