"""``python -m ghn_studio``: the same as the command ``ghn-studio``."""

import sys

from ghn_studio.cli import main

sys.exit(main())
