"""REST of images, as a client sees it."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient
from tests.delivery.images.conftest import Register

from perenne.app.control import control_routes
