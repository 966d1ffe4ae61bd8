"""Write `flights.parquet`: flights of January to March 2013; with `--fast`, every eighth of them."""

import sys
from pathlib import Path

from perenne.cli.demo.flights.tables import write_flights

write_flights(Path(__file__).parent / "flights.parquet", until="2013-04-01", every=8 if "--fast" in sys.argv else 1)
