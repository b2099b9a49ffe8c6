#!/usr/bin/env python3
"""Compares patchwave's version order with the real rpm and dpkg.

    differential.py --cmd "target/debug/patchwave vercmp" [--count 20000] [--seed 1] [rpm] [deb]
    differential.py --fixtures

The first form makes tricky random pairs (70 % differ by one edit), asks COMMAND SCHEME for a verdict on each
(`A<TAB>B` lines on stdin, one of `<` `=` `>` a line) and has the real tool confirm it. The second form asks the real
tools whether the verdicts checked in beside this file, rpm.tsv and deb.tsv, are still theirs.

Truth is `rpm.vercmp` of rpm's own Lua, one process for all pairs, and `dpkg --compare-versions`, one process a pair:
it is asked the one relation that was claimed, the others only where it denies that one. Pairs that a tool refuses to
compare are counted apart: they have no truth. Where python3-apt is there, apt's order is checked as well; it is a
second implementation, so what it says is reported and decides nothing.

Exit code: 0 all agree, 1 differences (the first 20 are printed), 2 a tool is missing or broke.
"""
import argparse
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
SHOWN = 20
OPERATORS = {"<": "lt", "=": "eq", ">": "gt"}
REFUSED = "refused"

NUMBERS = [
    "0", "1", "2", "9", "10", "00", "01", "007", "010", "100", "2026", "20261120", "255", "256", "65536",
    "2147483647", "2147483648", "4294967295", "4294967296", "18446744073709551615", "18446744073709551616",
    "99999999999999999999999999", "0000000000000000000000000000000001", "9" * 256, "1" + "0" * 256, "9" * 512,
]
WORDS = [
    "a", "b", "z", "A", "Z", "rc", "rc1", "RC", "alpha", "beta", "pre", "p1", "git", "dev", "el9", "el8_6", "fc40",
    "module", "deb12u1", "ubuntu", "build", "dfsg", "aB", "Ab", "zz",
]
SEPARATORS = {
    "rpm": [".", ".", ".", ".", "~", "^", "_", "+", "", "..", "~~", "^^", "^~", "~^", "._", ".~", "~.", "é", "ß.", "日", "!", ":", "-", "%"],
    "deb": [".", ".", ".", ".", "~", "+", "-", ":", "", "..", "~~", "+~", "~+", ".~", "-~", "_", "_", "é", "ß", "日", "!", "%", "/", "@"],
}
EPOCHS = {
    "rpm": ["", "", "", "", "0:", "1:", "2:", "00:", "01:", "10:", ":", "4294967296:", "a:"],
    "deb": ["", "", "", "", "", "0:", "0:", "1:", "1:", "2:", "00:", "01:", "10:", "+01:", "+0:", "2147483647:"],
}
RELEASES = {
    "rpm": [
        "", "", "-1", "-2", "-0", "-01", "-1.el9", "-1.el9_2", "-1.el9_2.1", "-1~bpo", "-10.fc40^x", "-", "-~", "-^",
        "-2.module+el8.6.0+12972+ebab5911", "-1-1",
    ],
    "deb": [
        "", "", "-1", "-2", "-0", "-01", "-1+deb12u1", "-1+deb12u2", "-1~bpo12+1", "-0ubuntu1", "-0ubuntu0.22.04.1",
        "-1+b1", "-~", "-.", "-1-1", "-é",
    ],
}
TAILS = ["~", "^", "0", ".0", ".", "-0", "~rc1", "^git1", "a", "+b1", "é", "00", "~~", "+", "_", "~0", ".00", "a0"]


def fragment(rng):
    return rng.choice(NUMBERS if rng.random() < 0.65 else WORDS)


def body(rng, scheme):
    parts = []
    count = rng.randint(1, 5)
    for index in range(count):
        parts.append(fragment(rng))
        if index < count - 1 or rng.random() < 0.15:
            parts.append(rng.choice(SEPARATORS[scheme]))
    if rng.random() < 0.06:
        parts.insert(0, rng.choice(SEPARATORS[scheme]))
    return "".join(parts)


def version(rng, scheme):
    return rng.choice(EPOCHS[scheme]) + body(rng, scheme) + rng.choice(RELEASES[scheme])


def replace_run(rng, text):
    """Swaps one run of digits, or one of letters, for another fragment, or pads it with a zero."""
    start = rng.randrange(len(text))
    is_kind = str.isdigit if text[start].isdigit() else str.isalpha
    if not is_kind(text[start]):
        return text[:start] + fragment(rng) + text[start:]
    end = start
    while start > 0 and is_kind(text[start - 1]):
        start -= 1
    while end < len(text) and is_kind(text[end]):
        end += 1
    new = "0" + text[start:end] if rng.random() < 0.3 else fragment(rng)
    return text[:start] + new + text[end:]


def edited(rng, scheme, text):
    """The same version, or one edit away from it."""
    draw = rng.random()
    at = rng.randrange(len(text))
    if draw < 0.10:
        return text
    if draw < 0.30:
        return text[:at] + rng.choice(SEPARATORS[scheme] + ["0", "1", "a"]) + text[at:]
    if draw < 0.50:
        return text[:at] + text[at + 1:]
    if draw < 0.65:
        return text + rng.choice(TAILS)
    if draw < 0.80:
        return replace_run(rng, text)
    if draw < 0.90:
        return text[:at] + rng.choice(SEPARATORS[scheme] + NUMBERS[:9] + WORDS[:5]) + text[at + 1:]
    if draw < 0.95:
        return rng.choice(EPOCHS[scheme]) + text.split(":", 1)[-1]
    return text.rsplit("-", 1)[0] + rng.choice(RELEASES[scheme])


def pairs(scheme, count, seed):
    rng = random.Random(f"{scheme} {seed}")
    made = []
    while len(made) < count:
        a = version(rng, scheme)
        b = edited(rng, scheme, a) if rng.random() < 0.7 else version(rng, scheme)
        if not a.strip() or not b.strip():
            continue
        made.append((a, b) if rng.random() < 0.5 else (b, a))
    return made


def tsv(rows):
    return "".join("\t".join(row) + "\n" for row in rows).encode()


def ask_patchwave(command, scheme, rows):
    run = subprocess.run(shlex.split(command) + [scheme], input=tsv(rows), stdout=subprocess.PIPE, check=False)
    verdicts = run.stdout.decode().split("\n")[:-1]
    if len(verdicts) != len(rows):
        broken(f"{command} {scheme}: {len(verdicts)} verdicts for {len(rows)} lines, exit {run.returncode}")
    return verdicts


def ask_rpm(rows, _claimed):
    """The verdict of rpm.vercmp for each pair, REFUSED where it raises."""
    script = (
        '%{lua: local out = io.open("verdicts", "w") for line in io.lines("pairs") do '
        'local a, b = line:match("^(.-)\\t(.*)$") local ok, order = pcall(rpm.vercmp, a, b) '
        'out:write(ok and tostring(order) or "refused", "\\n") end out:close()}'
    )
    names = {"-1": "<", "0": "=", "1": ">", REFUSED: REFUSED}
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "pairs"), "wb") as file:
            file.write(tsv(rows))
        subprocess.run(["rpm", "--eval", script], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        with open(os.path.join(folder, "verdicts"), encoding="ascii") as file:
            return [names[line.rstrip("\n")] for line in file]


# A shell forks faster than Python does, and this is one dpkg process a pair. The operators come with the claimed one
# first; the first that dpkg affirms is the truth.
DPKG_LOOP = """
while IFS='\t' read -r a b first second third; do
    truth=refused
    for operator in $first $second $third; do
        dpkg --compare-versions "$a" "$operator" "$b" 2>/dev/null
        case $? in
            0) truth=$operator; break ;;
            1) ;;
            *) truth=refused; break ;;
        esac
    done
    echo "$truth"
done
"""


def ask_dpkg(rows, claimed):
    """The verdict of dpkg for each pair, REFUSED where it calls a version malformed."""
    symbols = {operator: symbol for symbol, operator in OPERATORS.items()} | {REFUSED: REFUSED}
    workers = max(2, os.cpu_count() or 2)
    size = -(-len(rows) // workers)

    def work(start):
        questions = []
        for (a, b), verdict in zip(rows[start:start + size], claimed[start:start + size]):
            first = OPERATORS.get(verdict, "lt")
            questions.append((a, b, first, *(other for other in OPERATORS.values() if other != first)))
        run = subprocess.run(
            ["sh", "-c", DPKG_LOOP], input=tsv(questions), stdout=subprocess.PIPE, check=True,
            env={**os.environ, "LC_ALL": "C"},
        )
        return [symbols[line] for line in run.stdout.decode().split()]

    with ThreadPoolExecutor(workers) as pool:
        return [verdict for part in pool.map(work, range(0, len(rows), size)) for verdict in part]


TOOLS = {"rpm": ("rpm", ask_rpm), "deb": ("dpkg", ask_dpkg)}


# Debian Policy 5.6.12. apt and dpkg part ways on what dpkg only warns of, which says nothing about either.
POLICY = re.compile(r"(\d+:)?\d[A-Za-z0-9.+~-]*")


def second_opinion(rows, truth):
    """How often apt's own order agrees with dpkg on versions that Policy allows; nothing without python3-apt."""
    try:
        import apt_pkg  # pylint: disable=import-outside-toplevel
    except ImportError:
        return
    apt_pkg.init_system()
    known = [(a, b, verdict) for (a, b), verdict in zip(rows, truth)
             if verdict != REFUSED and POLICY.fullmatch(a) and POLICY.fullmatch(b)]
    other = sum("<=>"[(apt > 0) - (apt < 0) + 1] != verdict
                for a, b, verdict in known for apt in [apt_pkg.version_compare(a, b)])
    print(f"deb: apt differs from dpkg on {other} of {len(known)} pairs that Policy allows (information only)")


def report(scheme, rows, claimed, started, ours):
    """Prints what the real tool says about `claimed`; true if it agrees with all of it."""
    tool, ask = TOOLS[scheme]
    truth = ask(rows, claimed)
    if len(truth) != len(rows):
        broken(f"{tool}: {len(truth)} verdicts for {len(rows)} pairs")
    refused = truth.count(REFUSED)
    wrong = [(a, b, said, true) for (a, b), said, true in zip(rows, claimed, truth) if true not in (said, REFUSED)]
    if refused == len(rows):
        broken(f"{tool} refused every pair: it does not work here, so nothing was compared")
    tally = " ".join(f"{truth.count(symbol)} {symbol}" for symbol in "<=>")
    print(f"{scheme}: {len(rows)} pairs, {len(wrong)} differences from {tool}, {refused} refused by {tool} and not "
          f"compared ({tally}; {time.monotonic() - started:.0f} s)")
    for a, b, said, true in wrong[:SHOWN]:
        print(f"    {a!r} {b!r}: {tool} {true}  {ours} {said}")
    if scheme == "deb":
        second_opinion(rows, truth)
    return not wrong


def check_random(command, scheme, count, seed):
    started = time.monotonic()
    rows = pairs(scheme, count, seed)
    return report(scheme, rows, ask_patchwave(command, scheme, rows), started, "patchwave")


def check_fixtures(scheme):
    """The checked-in verdicts against the real tool; a pair that the tool refuses has no business there."""
    started = time.monotonic()
    name = f"{scheme}.tsv"
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        fields = [line.rstrip("\n").split("\t") for line in file if line.strip() and not line.startswith("# ")]
    return report(scheme, [(a, b) for a, b, _ in fields], [verdict for _, _, verdict in fields], started, name)


def broken(message):
    print(message, file=sys.stderr)
    sys.exit(2)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cmd", help="the command to which a scheme is added")
    parser.add_argument("--count", type=int, default=20_000, help="pairs a scheme")
    parser.add_argument("--seed", default="1", help="any text; the same seed makes the same pairs")
    parser.add_argument("--fixtures", action="store_true", help="check rpm.tsv and deb.tsv instead")
    parser.add_argument("schemes", nargs="*", help="rpm, deb; both if none is named")
    options = parser.parse_args()
    schemes = options.schemes or list(TOOLS)
    for scheme in schemes:
        if scheme not in TOOLS:
            parser.error(f"{scheme}: no real tool is known for it, only for {', '.join(TOOLS)}")
        if not shutil.which(TOOLS[scheme][0]):
            broken(f"{TOOLS[scheme][0]} is not installed; it is the truth for {scheme}")
    if not options.fixtures and not options.cmd:
        parser.error("--cmd COMMAND or --fixtures is needed")
    agreed = [
        check_fixtures(scheme) if options.fixtures else check_random(options.cmd, scheme, options.count, options.seed)
        for scheme in schemes
    ]
    return 0 if all(agreed) else 1


if __name__ == "__main__":
    sys.exit(main())
