"""Serve the champion on a free port, and let `score.py` ask it: the model server as a Python object."""

import subprocess
import sys
from pathlib import Path

from perenne.core.config import load_settings
from perenne.serving import ModelServer

here = Path(__file__).parent
settings = load_settings(here)
with ModelServer(settings.releases / "wine", settings.logs, settings.spool) as server:
    server.wait_ready()
    subprocess.run([sys.executable, str(here / "score.py"), server.url], check=True)
