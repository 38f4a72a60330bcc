"""`python -m tinyae` is the `tinyae` command."""

import sys

from tinyae.cli import main

sys.exit(main())
