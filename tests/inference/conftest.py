"""One thread for the small fits of these tests: waiting for a second one costs more than the work."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
