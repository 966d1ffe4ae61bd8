"""What must not get worse: guardrails held while their window runs, outcomes of answers, what a model does to its world.

`running` holds guardrails that are known at once against the window that runs, by intervals that stay right however often one
looks (`figures`); `reporting` accepts outcomes, decisions of people and aggregates, `joining` finds the predictions they belong
to, `sums` puts both into figures by window; `effects` measures concentration and feedback; `fairness` compares the groups of
attributes that come with labels; `series` gives all of it over time. `store` has the tables.
"""
