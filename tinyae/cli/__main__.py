"""`python -m tinyae.cli`: the `tinyae` command."""

import sys

from tinyae.cli import main

sys.exit(main())
