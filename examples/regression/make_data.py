"""Write `diabetes.csv`: the patients that scikit-learn ships, in plain units, with some measurements missing."""

import csv
import random
from pathlib import Path

from sklearn.datasets import load_diabetes

WANTED = {"age": "age", "sex": "sex", "bmi": "bmi", "bp": "pressure", "s5": "lipids", "s6": "sugar"}

random.seed(1)
found = load_diabetes(as_frame=False, scaled=False)
places = [found.feature_names.index(name) for name in WANTED]
with (Path(__file__).parent / "diabetes.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["patient", *WANTED.values(), "progression"])
    for number, (row, target) in enumerate(zip(found.data, found.target, strict=True)):
        values = [round(float(row[place]), 2) for place in places]
        values[1] = "one" if values[1] == 1 else "two"  # the data set does not say which is which
        shown = ["" if place > 1 and random.random() < 0.03 else value for place, value in enumerate(values)]
        table.writerow([f"p{number:03}", *shown, int(target)])
