"""`python -m perenne`."""

import sys

from perenne.cli import main

sys.exit(main())
