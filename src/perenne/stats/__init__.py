"""Formulas over arrays, and nothing else: cells and profiles, drift, metrics, bootstrap, sequential tests, fairness.

Everything takes `perenne.stats.columns.Columns` or plain numpy arrays, so that training, validation, the observer and monitoring
get the same number from the same rows.
"""
