"""Moving between MLflow's stores and perenne: runs, models and what belongs to them, both ways.

`source` is what is read, by `sql`, from a `folder` or from a `server`, as `entities`; `opening` chooses, `places` are where
artifacts lie. `importing` brings all of it in, with `registry` for models and `tracing` for traces, and makes a
`report`. The other way
`exporting` reads what is here, `own`, and has it written to a folder, `writing`, or sent to a server, `sending`.
"""
