"""Models that perenne did not train: `finding` them, looking at them on the `workbench`, and `packaging` them."""
