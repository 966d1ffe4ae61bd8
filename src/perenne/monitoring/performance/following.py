"""How right a deployment's answers were over its windows: estimates beside what came true, gaps, detectors, labels, slices."""

