"""The programs that are timed: each runs a chain of steps that do nothing, in a process of its own, and prints one line of JSON.

They are texts, because each runs in an environment of its own, in which the others' packages are not installed.
`STEPS` is how long the chain is, `FOLDER` an empty folder.
"""

_CLOCKS = """
import json, os, resource, sys, time
STEPS, FOLDER = int(sys.argv[1]), sys.argv[2]

def fields_of(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()
    except OSError:
        return None

def mine():
    used, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime + ended.ru_utime + ended.ru_stime

def below():
    # processor seconds of all that was started from here and still runs, such as a server
    found = {int(name): fields for name in os.listdir("/proc") if name.isdigit() and (fields := fields_of(name))}
    family, size = {os.getpid()}, 0
    while len(family) > size:
        size = len(family)
        family |= {pid for pid, fields in found.items() if int(fields[1]) in family}
    ticks = sum(int(found[pid][place]) for pid in family - {os.getpid()} if pid in found for place in (11, 12, 13, 14))
    return ticks / os.sysconf("SC_CLK_TCK")

def timed(function):
    started, used, wall = below(), mine(), time.perf_counter()
    function()
    wall, used = time.perf_counter() - wall, mine() - used
    return wall, used + below() - started

def tell(version, **measured):
    rss = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    print(json.dumps({"version": version, "steps": STEPS, "rss_mb": rss, **measured}), flush=True)

imported = mine()
"""

PERENNE = (
    _CLOCKS
    + """
from pathlib import Path
import perenne
from perenne.pipelines import Engine, pipeline, step
from perenne.storage.database import Database
from perenne.storage.objects import FileObjects

@step
def work(x: int, first: int) -> int:
    return x + 1

@pipeline
def chain(steps: int, first: int) -> int:
    x = first
    for _ in range(steps):
        x = work(x, first)
    return x

@pipeline
def fan(steps: int, first: int) -> list[int]:
    return [work(first + number, first) for number in range(steps)]

imported = mine() - imported
database = Database.open(f"sqlite:///{FOLDER}/bench.db")
engine = Engine(database, FileObjects(Path(FOLDER) / "objects"))
engine.run(chain, 1, 7)

def run(flow, first):
    done = engine.run(flow, STEPS, first)
    assert done.state == "done", done.error

run_chain = timed(lambda: run(chain, 0))
run_fan = timed(lambda: run(fan, 10_000))
cached = timed(lambda: run(chain, 0))
assert engine.run(chain, STEPS, 0).hits == STEPS
tell(perenne.__version__, imported=imported, chain=run_chain, fan=run_fan, cached=cached)
engine.close()
database.close()
"""
)

ON_RAY = (
    _CLOCKS
    + """
from pathlib import Path
Path(FOLDER, "nothing.py").write_text('''
from perenne.pipelines import pipeline, step

@step
def work(x: int, first: int) -> int:
    return x + 1

@pipeline
def chain(steps: int, first: int) -> int:
    x = first
    for _ in range(steps):
        x = work(x, first)
    return x

@pipeline
def fan(steps: int, first: int) -> list[int]:
    return [work(first + number, first) for number in range(steps)]
''')
sys.path.insert(0, FOLDER)
import nothing
import ray
from perenne.compute import open_executor
from perenne.pipelines import Engine
from perenne.storage.database import Database
from perenne.storage.objects import FileObjects
imported = mine() - imported

database = Database.open(f"sqlite:///{FOLDER}/bench.db")
executor = open_executor("ray:local")
engine = Engine(database, FileObjects(Path(FOLDER) / "objects"), executor=executor)
engine.run(nothing.fan, 8, 7_000_000)

def run(flow, first):
    done = engine.run(flow, STEPS, first)
    assert done.state == "done", done.error

run_chain = timed(lambda: run(nothing.chain, 0))
run_fan = timed(lambda: run(nothing.fan, 10_000))
cached = timed(lambda: run(nothing.chain, 0))
tell(ray.__version__, imported=imported, chain=run_chain, fan=run_fan, cached=cached)
engine.close()
executor.close()
database.close()
"""
)

RAY = (
    _CLOCKS
    + """
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
import ray
imported = mine() - imported
ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level="ERROR")

@ray.remote
def work(x, first):
    return x + 1

def chain(first):
    x = first
    for _ in range(STEPS):
        x = ray.get(work.remote(x, first))
    assert x == first + STEPS

def fan(first):
    assert len(ray.get([work.remote(first + number, first) for number in range(STEPS)])) == STEPS

fan(7_000_000)
tell(ray.__version__, imported=imported, chain=timed(lambda: chain(0)), fan=timed(lambda: fan(10_000)))
ray.shutdown()
"""
)

SQLITE = (
    _CLOCKS
    + """
import sqlite3
imported = mine() - imported
connection = sqlite3.connect(f"{FOLDER}/floor.db", isolation_level=None)
connection.execute("pragma journal_mode=wal")
connection.execute("pragma synchronous=normal")
connection.execute("create table step (key text primary key, state text, out text)")

def run(first):
    for number in range(STEPS):
        connection.execute("begin immediate")
        connection.execute("insert into step values (?, 'done', '1')", (f"{first} {number}",))
        connection.execute("commit")

run("warm")
tell(sqlite3.sqlite_version, imported=imported, chain=timed(lambda: run("a")), fan=timed(lambda: run("b")))
"""
)

PREFECT = (
    _CLOCKS
    + """
os.environ.update(PREFECT_HOME=FOLDER, PREFECT_LOGGING_LEVEL="ERROR", DO_NOT_TRACK="1", PREFECT_SERVER_ANALYTICS_ENABLED="false",
                  PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="120")
import prefect
from prefect import flow, task
from prefect.cache_policies import INPUTS

@task(cache_policy=INPUTS, persist_result=True)
def work(x: int, first: int) -> int:
    return x + 1

@flow
def chain(steps: int, first: int) -> int:
    x = first
    for _ in range(steps):
        x = work(x, first)
    return x

imported = mine() - imported
start = timed(lambda: chain(1, 7))
run_chain = timed(lambda: chain(STEPS, 0))
cached = timed(lambda: chain(STEPS, 0))
tell(prefect.__version__, imported=imported, start=start, chain=run_chain, cached=cached)
"""
)

DAGSTER = (
    _CLOCKS
    + """
os.environ.update(DAGSTER_HOME=FOLDER, DAGSTER_DISABLE_TELEMETRY="1")
import logging
import dagster
from dagster import job, op

@op
def first() -> int:
    return 0

@op
def work(x: int) -> int:
    return x + 1

def make(steps):
    @job(config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}})
    def chain():
        x = first()
        for number in range(steps - 1):
            x = work.alias(f"work_{number}")(x)
    return chain

imported = mine() - imported
long = make(STEPS)
start = timed(lambda: make(1).execute_in_process())
run_chain = timed(long.execute_in_process)
tell(dagster.__version__, imported=imported, start=start, chain=run_chain)
"""
)

METAFLOW = (
    _CLOCKS
    + """
import subprocess
os.environ.update(METAFLOW_DATASTORE_SYSROOT_LOCAL=FOLDER, METAFLOW_USER="bench", METAFLOW_DEFAULT_DATASTORE="local",
                  METAFLOW_DEFAULT_METADATA="local")
import metaflow
imported = mine() - imported

def write(steps):
    lines = ["from metaflow import FlowSpec, step", "class Chain(FlowSpec):"]
    names = ["start", *(f"work_{number}" for number in range(steps - 2)), "end"]
    for name, following in zip(names, [*names[1:], None]):
        body = f"self.next(self.{following})" if following else "pass"
        lines += ["    @step", f"    def {name}(self):", "        self.x = getattr(self, 'x', 0) + 1", f"        {body}"]
    path = os.path.join(FOLDER, f"chain_{steps}.py")
    open(path, "w").write("\\n".join([*lines, "if __name__ == '__main__':", "    Chain()"]) + "\\n")
    return path

def run(steps):
    command = [sys.executable, write(steps), "--no-pylint", "--quiet", "run"]
    subprocess.run(command, check=True, cwd=FOLDER, stdout=subprocess.DEVNULL)

start = timed(lambda: run(2))
whole = timed(lambda: run(STEPS + 2))
tell(metaflow.__version__, imported=imported, start=start, chain=[long - short for long, short in zip(whole, start)])
"""
)

DVC = (
    _CLOCKS
    + """
import subprocess
os.environ.update(DVC_NO_ANALYTICS="1")
import dvc
imported = mine() - imported

def dvc_command(folder, *arguments):
    subprocess.run([sys.executable, "-m", "dvc", *arguments, "-q"], check=True, cwd=folder, stdout=subprocess.DEVNULL)

def make(steps):
    folder = os.path.join(FOLDER, f"chain_{steps}")
    os.makedirs(folder)
    dvc_command(folder, "init", "--no-scm")
    open(os.path.join(folder, "s0"), "w").write("0")
    lines = ["stages:"]
    for number in range(steps):
        lines += [f"  work_{number}:", f"    cmd: cp s{number} s{number + 1}", "    deps:", f"    - s{number}",
                  "    outs:", f"    - s{number + 1}"]
    open(os.path.join(folder, "dvc.yaml"), "w").write("\\n".join(lines) + "\\n")
    return folder

short, long = make(1), make(STEPS + 1)
start = timed(lambda: dvc_command(short, "repro"))
whole = timed(lambda: dvc_command(long, "repro"))
start_again = timed(lambda: dvc_command(short, "repro"))
again = timed(lambda: dvc_command(long, "repro"))
less = lambda one, other: [a - b for a, b in zip(one, other)]
tell(dvc.__version__, imported=imported, start=start, chain=less(whole, start), cached=less(again, start_again))
"""
)
