"""What is done about guards: `running` holds guardrails against windows that run, `comparing` callers against each other.

`reporting` accepts outcomes, decisions of people and aggregates, `attributes` those of labels; `joining` finds the predictions
they belong to; `realising` does in a turn of the loop what there is to do. `http` and `commands` are the ways in.
"""
