"""Write `wine.csv`: the wines that scikit-learn ships, with five of their measurements."""

import csv
from pathlib import Path

from sklearn.datasets import load_wine

found = load_wine()
with (Path(__file__).parent / "wine.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["alcohol", "malic_acid", "ash", "hue", "proline", "cultivar"])
    places = [found.feature_names.index(name) for name in ("alcohol", "malic_acid", "ash", "hue", "proline")]
    for row, target in zip(found.data, found.target, strict=True):
        table.writerow([*(round(float(row[place]), 2) for place in places), f"cultivar {target + 1}"])
