"""A client of a scoring server of MLflow: `python score.py http://127.0.0.1:5000`. Nothing in it is about perenne."""

import json
import sys
from urllib.request import Request, urlopen

ADDRESS = sys.argv[1]
COLUMNS = ["alcohol", "malic_acid", "ash", "hue", "proline"]
ROWS = [[14.23, 1.71, 2.43, 1.04, 1065.0], [12.37, 0.94, 1.36, 1.05, 520.0], [12.86, 1.35, 2.32, 0.7, 630.0]]


def score(body, kind="application/json"):
    """Post a body and return the predictions."""
    request = Request(f"{ADDRESS}/invocations", body.encode(), {"content-type": kind})
    with urlopen(request) as reply:
        return json.load(reply)["predictions"]


assert urlopen(f"{ADDRESS}/ping").status == 200
split = score(json.dumps({"dataframe_split": {"columns": COLUMNS, "data": ROWS}}))
records = score(json.dumps({"dataframe_records": [dict(zip(COLUMNS, row, strict=True)) for row in ROWS]}))
lines = score("\n".join([",".join(COLUMNS), *(",".join(map(str, row)) for row in ROWS)]) + "\n", "text/csv")
assert split == records == lines, (split, records, lines)
print(split)
