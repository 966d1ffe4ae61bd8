"""Formulas over arrays, and nothing else: cells and profiles, drift, metrics, bootstrap, sequential tests, fairness.

Everything takes `perenne.stats.columns.Columns` or plain numpy arrays, so that training, validation, the observer and monitoring
get the same number from the same rows.

================ ==================================================================================
`columns`        the shape in which rows travel
`cells`          `Reference`: the cells of a model version and what its reference did in them
`profile`        `Profile`: rows counted in those cells; adds up
`drift`          `judge`: does a window differ from the reference in a way that matters?
`contribution`   do the inputs still go with the prediction as they did?
`performance`    `estimate`: metrics before labels are known
`metrics`        metrics of answers whose truth is known
`bootstrap`      their intervals, and two models on the same rows
`sequential`     one look, many looks, and a change of the error rate, as labels arrive
`fairness`       rates by group and how far they lie apart
`slices`         where a model does worst
`distances`      distances and tests between two rows of counts
`named`          the statistics that the field knows by name, and `names` what others call them
`multivariate`   statistics of whole rows; `joint` watches their combination from counts
`chosen`         a feature judged by a statistic of the project's choice
`report`         two tables in memory, by the rule
================ ==================================================================================

`bits`, `numeric`, `levels` and `layout` put values into cells; `spread` knows what the reference has done to itself; `archive`
stores references; `wording` says what changed; `ranks` and `moments` hold the formulas of `named` that `distances` has not.
"""
