"""What all plays of the scripts share: a folder of their own, and programs run in it."""

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

HOME = Path(__file__).resolve().parents[3]
PATCHWAVE = os.environ["PATCHWAVE"]
SCRIPTS = HOME / "scripts"
NOON = "2026-11-20T12:00:00Z"


def run(*words, check=True, **options):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


class Played(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
