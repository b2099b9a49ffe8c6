"""What a release script needs whatever its tool is: digests, openings, permits, result files. Loading it does nothing.

Python 3.9 or newer, standard library only. Values come from batch-NN.json and openings.json, which are read as data.

A tool is an object with four functions. They raise Refused, or let an OSError through, where they cannot say.

    check(asset)            everything that can be found out without touching the asset
    release(asset, start)   lets the tool begin with it, not before `start` (UTC); gives what is needed to find it again
    look(asset, found)      (OPEN | OK | FAILED | UNPROVED, why); UNPROVED = the tool says done, and the versions do not show it yet
    withdraw(asset, found)  whether it was taken back before anything had begun

`serial = True` on the tool keeps a second asset from being released while one is open, whichever run began it: a run first
goes on with what earlier ones began, then begins.
"""
import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

OPEN, OK, FAILED, UNPROVED = "open", "ok", "failed", "unproved"
PERMIT_SECONDS = 120
# People's answers to a stop lie in the folder of the rollout, are merged after it and are listed nowhere; nothing runs them.
ANSWER = re.compile(r"(resume|rollback)-[0-9a-f]+\.yaml")


class Refused(Exception):
    """Why an asset is left alone, or a run ends."""


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def instant(text):
    """An instant as the engine writes it (RFC 3339, UTC)."""
    if not text.endswith("Z"):
        raise Refused(f"{text} is not an instant in UTC")
    return datetime.datetime.fromisoformat(text[:-1] + "+00:00")


def written(moment):
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def need(name):
    """A setting of the environment: addresses and credentials, which stand in no file."""
    value = os.environ.get(name, "")
    if not value:
        raise Refused(f"{name} is not set in the environment")
    return value


def need_url(name):
    value = need(name).rstrip("/")
    if not value.startswith("https://"):
        raise Refused(f"{name} must begin with https://: credentials go there")
    return value


class Batch:
    """A batch of the merged rollout, and what was done about it so far."""

    def __init__(self, options):
        folder = pathlib.Path(__file__).resolve().parent
        self.wave, self.rollout = folder.parent, folder.parent.parent.parent
        self.data = json.loads((folder / f"batch-{options.batch}.json").read_text(encoding="utf-8"))
        self.assets = self.data["assets"]
        self.command = options.permit_command
        self.results = pathlib.Path(options.results_dir)
        self.sums = self.checked()

    def checked(self):
        """What runs is what was merged: every file of the rollout has its digest, and no other file is there, which Python
        might load in the place of one that is. Gives the digest of SHA256SUMS itself."""
        sums, listed = (self.rollout / "SHA256SUMS").read_bytes(), {"SHA256SUMS"}
        for line in sums.decode("utf-8").splitlines():
            match = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
            if not match:
                raise Refused(f"SHA256SUMS has a line that is none: {line}")
            file = self.rollout / match[2]
            if not file.is_file():
                raise Refused(f"{match[2]} is missing")
            if hashlib.sha256(file.read_bytes()).hexdigest() != match[1]:
                raise Refused(f"{match[2]} is not what was merged")
            listed.add(match[2])
        there = (path.relative_to(self.rollout).as_posix() for path in self.rollout.rglob("*") if path.is_symlink() or not path.is_dir())
        strange = sorted(name for name in there if name not in listed and not ANSWER.fullmatch(name))
        if strange:
            raise Refused(f"{', '.join(strange)}: not of what was merged, SHA256SUMS does not list it; take it out of {self.rollout}")
        return hashlib.sha256(sums).hexdigest()

    def opening(self):
        """The opening that holds now, from its start to its end; none where there is none."""
        book = json.loads((self.wave / "openings.json").read_text(encoding="utf-8"))
        for opening in book["batches"].get(self.data["batch"], {}).get("openings", []):
            start, end = opening.get("start"), opening.get("end")
            if (start is None or instant(start) <= now()) and (end is None or now() < instant(end)):
                return opening
        return None

    def refusal(self, asset):
        """Asks the engine for the permit of an asset: nothing with a permit, else the reason."""
        settings = {"PATCHWAVE_ACTION": self.data["action"], "PATCHWAVE_SHA256SUMS": self.sums}
        words = [*self.command, self.data["rollout"], self.data["wave"], self.data["batch"], asset["name"]]
        try:
            said = subprocess.run(words, env={**os.environ, **settings}, capture_output=True, text=True, timeout=PERMIT_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"no permit: {error}"
        return "" if said.returncode == 0 else f"no permit: {(said.stderr or said.stdout).strip() or 'no reason given'}"

    def _file(self, asset, ending):
        words = [self.data[key] for key in ("rollout", "wave", "batch")]
        return self.results / ".".join([*words, asset["name"], self.data["action"], ending])

    def found(self, asset):
        """What was kept of the release of an asset; none where it was not released."""
        file = self._file(asset, "release")
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else None

    def keep(self, asset, found):
        """Kept beside the results, so that a second run finds what the first began; nothing forgets it."""
        file = self._file(asset, "release")
        if found is None:
            file.unlink(missing_ok=True)
        else:
            self._write(file, found)

    def status(self, asset):
        file = self._file(asset, "json")
        return json.loads(file.read_text(encoding="utf-8"))["status"] if file.exists() else None

    def tell(self, asset, status, stage, reason=""):
        """Writes the result file (schemas/result/v1.json)."""
        file = self._file(asset, "json")
        began = json.loads(file.read_text(encoding="utf-8"))["startedAt"] if self.status(asset) == "started" else written(now())
        result = {key: self.data[key] for key in ("formatVersion", "rollout", "wave", "batch")}
        result |= {"asset": asset["name"], "patchset": self.data["patchset"], "sums": self.sums, "action": self.data["action"]}
        result |= {"status": status, "stage": stage, "reason": reason, "startedAt": began, "changed": status in ("ok", "failed")}
        if status != "started":
            result["finishedAt"] = written(now())
        self._write(file, result)
        print(f"{asset['name']}: {status}{': ' + reason if reason else ''}")

    def _write(self, file, value):
        self.results.mkdir(parents=True, exist_ok=True, mode=0o750)
        new = file.with_name(file.name + ".new")
        new.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
        new.replace(file)


def follow(tool, batch, asset, found, opening, stop):
    """Concludes a release, or takes it back where it may not begin any more. Whether it is still open."""
    state, why = tool.look(asset, found) if found else (OPEN, "")
    if state == UNPROVED and opening is None:
        state = FAILED
    if state in (OK, FAILED):
        batch.tell(asset, state, "done" if state == OK else "validate", why)
        return False
    if stop and found and tool.withdraw(asset, found):
        batch.keep(asset, None)
        batch.tell(asset, "not-attempted", "patch", f"withdrawn before it began: {stop}")
        return False
    if stop and not found:
        print(f"{asset['name']}: its release was begun and its script lost; look for {batch.data['name']} in the tool")
    return True


def begin(tool, batch, asset, opening, faults):
    """Asks for the permit of one asset, looks before it is touched, and releases it. Whether it is open now."""
    refusal = batch.refusal(asset)
    if refusal:
        print(f"{asset['name']}: {refusal}")
        return False
    try:
        tool.check(asset)
    except (Refused, OSError, *faults) as error:
        batch.tell(asset, "not-attempted", "preflight", str(error))
        return False
    # Written down first: a script that is lost between the two lines is found as begun, and nothing runs twice.
    batch.tell(asset, "started", "patch")
    batch.keep(asset, {})
    batch.keep(asset, tool.release(asset, instant(opening["start"]) if opening.get("start") else now()))
    return True


def each(assets, work, still, faults):
    """Deals with every asset by `work(asset, still)`, which says whether it is open then. How many are open, counted on from
    `still`, and how many could not be dealt with: those may be open as well."""
    unclear = 0
    for asset in assets:
        try:
            still += work(asset, still)
        except (Refused, OSError, KeyError, ValueError, *faults) as error:
            unclear += 1
            still += 1
            print(f"{asset['name']}: {error}", file=sys.stderr)
    return still, unclear


def step(tool, batch, withdrawing, faults):
    """Every asset once: first those that an earlier run released, then the others. How many could not be dealt with."""
    opening = batch.opening()
    late = opening is not None and opening.get("startBefore") and instant(opening["startBefore"]) <= now()
    ended = "the batch is withdrawn" if withdrawing else "no opening holds" if opening is None else "the cutoff has passed" if late else ""
    fresh = []

    def go_on(asset, _still):
        found = batch.found(asset)
        if found is None:
            fresh.append(asset)
            return False
        return batch.status(asset) == "started" and follow(tool, batch, asset, found, opening, ended or batch.refusal(asset))

    def go(asset, still):
        return not (still and getattr(tool, "serial", False)) and begin(tool, batch, asset, opening, faults)

    still, unclear = each(batch.assets, go_on, 0, faults)
    return unclear + each([] if ended else fresh, go, still, faults)[1]


def run(make, about, faults=()):
    """The program: `make(batch)` connects and gives the tool; `faults` are what its library raises besides OSError."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("batch", type=lambda text: re.fullmatch("[0-9]{1,9}", text)[0], help="batch-BATCH.json beside this script")
    parser.add_argument("--withdraw", action="store_true", help="take back what has not begun, and conclude the rest; needs no permit")
    parser.add_argument("--results-dir", default="/var/lib/patchwave/results", help="where result files are written")
    parser.add_argument("--permit-command", nargs="+", default=["patchwave", "permit"], help="asked with ROLLOUT WAVE BATCH ASSET appended")
    options = parser.parse_args()
    try:
        batch = Batch(options)
        return 1 if step(make(batch), batch, options.withdraw, faults) else 0
    except (Refused, OSError, *faults) as error:
        print(error, file=sys.stderr)
        return 1
