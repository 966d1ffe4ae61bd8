"""The flights of the demo: `project.py` is copied into the demo's folder as it stands; `tables` makes its data."""
