"""Plays the scripts of the workflows: installing, planning, commenting, executing.

PATCHWAVE names the binary.
"""

import contextlib
import unittest

from play_comment import Comment, Plan
from play_execute import Execute
from play_install import Install

__all__ = ["Comment", "Execute", "Install", "Plan"]

if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        unittest.main(verbosity=2)
