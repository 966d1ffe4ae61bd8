"""Kills processes that put objects in a bucket, and looks at what they leave. `bucket_trials.py URL FIRST_SEED TRIALS`.

Each trial forks a child that puts objects from several threads, small ones and some that go in parts, and says so through a pipe
after each. The child dies by SIGKILL at a moment drawn from the seed. Then another child, for a client must not be carried over a
fork, checks that every object it was told of is there and whole, and that whatever can be seen is whole.
"""

import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from perenne.core.hashing import digest_bytes
from perenne.storage.cloud_objects import PART
from perenne.storage.objects import CloudObjects

THREADS = 3
SECONDS = 0.4
SIZES = [0, 10, 5_000, 100_000, 100_000, PART + 1]


def put_for_ever(objects: CloudObjects, folder: Path, said: int, name: str) -> None:
    drawn = random.Random(name)
    while True:
        data = drawn.randbytes(drawn.choice(SIZES))
        if drawn.random() < 0.5:
            (folder / name).write_bytes(data)
            digest = objects.put_file(folder / name)
        else:
            digest = objects.put(data)
        os.write(said, f"{digest}\n".encode())


def write(url: str, folder: Path, pipe: tuple[int, int], seed: int) -> None:
    hear, said = pipe
    os.close(hear)
    objects = CloudObjects(url)
    threads = [threading.Thread(target=put_for_ever, args=(objects, folder, said, f"{seed}-{n}")) for n in range(THREADS)]
    os.write(said, b"begun\n")
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def check(url: str, acknowledged: set[str], seed: int) -> None:
    objects = CloudObjects(url)
    seen = set(objects.digests())
    assert acknowledged <= seen, f"seed {seed}: acknowledged and lost: {acknowledged - seen}"
    for digest in seen:
        assert digest_bytes(objects.get(digest)) == digest, f"seed {seed}: a damaged object"


def fork(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
    return child


def trial(url: str, folder: Path, seed: int) -> set[str]:
    """Run one child, kill it, and return what it said is kept."""
    hear, said = os.pipe()
    child = fork(lambda: write(url, folder, (hear, said), seed))
    os.close(said)
    with os.fdopen(hear) as stream:
        begun = stream.readline()
        time.sleep(random.Random(seed).uniform(0, SECONDS))
        os.kill(child, signal.SIGKILL)
        lines = {line.strip() for line in stream if line.endswith("\n")}
    _, status = os.waitpid(child, 0)
    assert begun == "begun\n", f"seed {seed}: the child did not begin"
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, f"seed {seed}: the child ended by itself: {status}"
    return lines


def main(url: str, first: int, trials: int) -> None:
    """Run trials, each below a prefix of its own; print how many objects were acknowledged in all."""
    total = 0
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + trials):
            acknowledged = trial(f"{url}/{seed}", Path(folder), seed)
            checking = fork(lambda: check(f"{url}/{seed}", acknowledged, seed))  # noqa: B023  (it runs at once)
            assert os.waitpid(checking, 0)[1] == 0, f"seed {seed}"
            total += len(acknowledged)
    print(total)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
