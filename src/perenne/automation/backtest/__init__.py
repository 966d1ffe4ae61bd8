"""A policy before it is switched on: the past replayed under it, beside what happened and beside simple rules.

`replay` lives through the past, window by window, and asks a `World` (pure); `history` is that of a workspace, `models` answer
its rows again; `training` does rounds as of an instant in a place of their own, `rounds` lets past ones stand for them; `really`
tells what happened in the same words; `running` puts a backtest together, `reports` keeps what came out, `model` has the words.
"""
