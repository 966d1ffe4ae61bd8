"""What must not get worse, in figures: pure rules, tables, and how all of it looks over time.

`model` holds outcomes and what is kept of guardrails while they are watched, `figures` what a window that runs shows with limits
that hold at every look, `effects` concentration, feedback, outcomes and groups of a window that has ended, `series` all of it
over time; `store` has the tables. What is done with them in a turn of the loop is in `guarding`.
"""
