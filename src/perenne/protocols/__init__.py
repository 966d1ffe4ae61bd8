"""Others' protocols: their routes, statuses and error texts, and nothing else. Rules live in the domains.

`columns` reads plain values and tensors as a signature's columns; `oip` speaks the Open Inference Protocol, `mlflow` MLflow's.
"""
