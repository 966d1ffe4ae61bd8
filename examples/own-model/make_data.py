"""Make `loans.csv`: two thousand loans that never were."""

import csv
import math
import random
from pathlib import Path

random.seed(11)
with (Path(__file__).parent / "loans.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["loan", "region", "debt", "late_payments", "income", "defaulted"])
    for number in range(2_000):
        region = random.choice(["north", "south", "east"])
        debt, late, income = random.lognormvariate(9, 0.6), random.randint(0, 6), random.lognormvariate(10.4, 0.4)
        score = -3.2 + 0.6 * late + 1.1 * debt / 10_000 + 0.4 * (region == "south")
        row = [f"l{number:05}", region, round(debt, 2), late, round(income) if random.random() > 0.05 else ""]
        table.writerow([*row, int(random.random() < 1 / (1 + math.exp(-score)))])
