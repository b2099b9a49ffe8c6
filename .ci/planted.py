#!/usr/bin/env python3
"""Planted secrets: looks for them wherever they must not be.

Every secret that a test uses is planted: it holds `planted` and sixteen hexadecimal digits after it. So one pattern finds all
of them, also those that later tests bring, as they are, in base64 (a header of basic authentication), in hexadecimal digits and
with percent signs.

    planted.py scan PATH...                files, and what Git repositories below the paths hold
    planted.py watch LOG FOLDER COMMAND... runs a command: what it says goes to LOG too; its processes' arguments are read as long
                                           as they run; in the end LOG and FOLDER, which becomes its TMPDIR, are scanned
    planted.py self-test                   plants some and sees them found

Ends with 1 where one was found, and tells the place, never the value.
"""

import base64
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

WORD = b"planted"
DIGITS = 16
# The secret of the one signature that GitHub documents, which tests of webhooks use.
DOCUMENTED = b"It's a Secret to Everybody"
# A line of the private key of the App of the tests, and what every statement signed with such a key looks like.
KEY = Path(__file__).parents[1] / "engine/adapters/tests/forge/double/app.pem"
STATEMENT = rb"eyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{16,}"
# Sampling catches what lives as long as a program that starts; the arguments that tests give are checked by the tests too.
GLANCE_SECONDS = 0.02
# What package tools put there is none of ours.
SKIPPED = {"node_modules", "venv"}


def forms() -> re.Pattern:
    """The word in every form that is looked for."""
    found = [WORD + rb"[0-9a-f]{%d}" % DIGITS, re.escape(DOCUMENTED), re.escape(KEY.read_bytes().splitlines()[3]), STATEMENT, WORD.hex().encode(), b"".join(b"%%%02x" % c for c in WORD)]
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + WORD)
        # The characters that share bits with what stands before and after may be any.
        first = (8 * shift + 5) // 6
        last = 8 * (shift + len(WORD)) // 6
        found.append(re.escape(coded[first:last]))
    return re.compile(b"|".join(found))


FORMS = forms()


def in_bytes(data: bytes) -> bool:
    return FORMS.search(data) is not None


def folders_below(path: Path):
    """Every folder with the names of its folders and files; a file is a folder with one file."""
    if path.is_file():
        yield path.parent, [], [path.name]
    for folder, folders, files in os.walk(path):
        folders[:] = sorted(f for f in folders if f not in SKIPPED)
        yield Path(folder), folders, files


def in_repository(git: Path) -> list[str]:
    """What the objects of a repository hold: they are packed, so their files show nothing."""
    words = ["git", "--git-dir", str(git), "cat-file", "--batch-all-objects", "--batch", "--buffer"]
    said = subprocess.run(words, capture_output=True, check=False).stdout
    return [f"{git}: an object"] if in_bytes(said) else []


def scan(paths: list[Path]) -> list[str]:
    found = []
    for folder, folders, names in (entry for path in paths for entry in folders_below(path)):
        for file in (folder / name for name in sorted(names)):
            try:
                if file.is_file() and not file.is_symlink() and in_bytes(file.read_bytes()):
                    found.append(str(file))
            except OSError:
                continue
        if "HEAD" in names and "objects" in folders:
            found += in_repository(folder)
    return found


def session_of(process: str) -> int:
    stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    return int(stat.rpartition(")")[2].split()[3])


class Arguments(threading.Thread):
    """Reads what every process of a session was started with."""

    def __init__(self, session: int):
        super().__init__(daemon=True)
        self.session, self.found, self.ended = session, set(), threading.Event()

    def run(self):
        while not self.ended.wait(GLANCE_SECONDS):
            for process in filter(str.isdigit, os.listdir("/proc")):
                try:
                    words = Path(f"/proc/{process}/cmdline").read_bytes()
                    if words and in_bytes(words) and session_of(process) == self.session:
                        self.found.add(words.split(b"\0")[0].decode("utf-8", "replace"))
                except (OSError, ValueError, IndexError):
                    continue


def watch(log: Path, folder: Path, command: list[str]) -> int:
    log.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    known = os.environ | {"TMPDIR": str(folder), "PATCHWAVE_PLANTED": "watched"}
    child = subprocess.Popen(command, env=known, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, _: os.killpg(child.pid, number))
    arguments = Arguments(child.pid)
    arguments.start()
    with open(log, "wb") as kept:
        for line in child.stdout:
            kept.write(line)
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
    code = child.wait()
    arguments.ended.set()
    arguments.join()
    found = [f"the arguments of {name}" for name in sorted(arguments.found)] + scan([log, folder])
    return told(found) or code


def told(found: list[str]) -> int:
    for place in found:
        print(f"a planted secret is in {place}", file=sys.stderr)
    return 1 if found else 0


def self_test() -> int:
    value = WORD + os.urandom(DIGITS // 2).hex().encode()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clean = {"a": b"nothing", "b": b"planted by hand, with planted1234 and more", "c": base64.b64encode(b"a word: plante")}
        for file, data in clean.items():
            (folder / file).write_bytes(data)
        assert scan([folder]) == [], scan([folder])
        planted = [value, base64.b64encode(b"u:" + value), base64.b64encode(b"us:" + value), base64.b64encode(b"x:y" + value)]
        part = base64.urlsafe_b64encode(b'{"iss":"4711","alg":"RS256"}').rstrip(b"=")
        planted += [DOCUMENTED, KEY.read_bytes().splitlines()[3], b".".join([part, part, value[7:] * 2])]
        planted += [value.hex().encode(), b"".join(b"%%%02x" % c for c in value)]
        for number, data in enumerate(planted):
            file = folder / f"planted-{number}"
            file.write_bytes(b"before " + data + b" after")
            assert scan([folder]) == [str(file)], (number, scan([folder]))
            file.unlink()
        git = ["git", "-C", name, "-c", "user.name=u", "-c", "user.email=u@example.invalid"]
        (folder / "kept").write_bytes(value * 9)
        for words in (["init", "-q"], ["add", "kept"], ["commit", "-qm", "Keep"]):
            subprocess.run([*git, *words], check=True)
        (folder / "kept").unlink()
        assert scan([folder]) == [f"{folder}/.git: an object"], scan([folder])
        quiet, text = folder / "quiet", value.decode()
        for what, words, wanted in [
            ("nothing", ["true"], 0),
            ("a failure", ["sh", "-c", "exit 3"], 3),
            ("the log", ["python3", "-c", f"print('plan' + '{text[4:]}')"], 1),
            ("arguments", ["sh", "-c", f"sleep 1 # {text}"], 1),
            ("a file", ["python3", "-c", f"import os; open(os.environ['TMPDIR'] + '/left', 'w').write('plan' + '{text[4:]}')"], 1),
        ]:
            (folder / "script").write_text("")
            say = subprocess.run(
                [sys.executable, __file__, "watch", str(quiet / what / "log"), str(quiet / what / "tmp"), *words],
                capture_output=True, check=False,
            )
            assert say.returncode == wanted, (what, say)
            assert value not in say.stderr, "the value itself is not told"
    print("planted secrets are found in files, packed objects, logs and arguments")
    return 0


def main(words: list[str]) -> int:
    match words:
        case ["scan", *paths] if paths:
            return told(scan([Path(p) for p in paths]))
        case ["watch", log, folder, *command] if command:
            return watch(Path(log), Path(folder), command)
        case ["self-test"]:
            return self_test()
    print(__doc__, file=sys.stderr)
    return 64


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
