#!/usr/bin/env python3
"""Runs the released batches of the merged rollouts with Ansible, one after the other, and records what came of them: those
that are to be patched, and those that may go back.

For each batch: ask the engine for its permit and for that of each asset; check that the files here are those the permit
is bound to; run the playbook, which asks again before each asset; give the result files to the engine as evidence;
observe. It stops at the first asset that failed. An asset that was started on and left no result halts its rollout,
because nobody knows then in what state it is.

Results that an earlier call left unrecorded (it was killed, or the engine could not write) are given to the engine before
anything runs; until that went well their batch does not run, and they stay where they are. So with a halt that could not
be recorded: it is owed, and nothing of its rollout runs before it is. With --record nothing is run besides: every result
file there is is given to the engine again.

One call at a time works on a folder of results, and none beside a playbook that an earlier call left behind.

It decides nothing: no permit, no run. Exit 0: what could run ran well. 1: something failed, could not be asked, or waits
for somebody to look.
"""

import argparse
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

# What the engine allows in a name; nothing of it can be an option, a path, or a pattern of Ansible's.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
RUNNING = ("released", "running", "verifying")
# In a folder of results: the engine has them.
RECORDED = ".recorded"
# In the folder of results: whoever holds it may play. A playbook inherits it, so it is held for as long as one runs.
LOCK = ".lock"
# Behind the name of a rollout, in the folder of results: the reason of a halt that the engine has not recorded yet.
OWED = ".halt"
# A batch may reboot every machine and wait for its checks; a permit ends earlier anyway.
PLAYBOOK_SECONDS_MAX = 6 * 3600


class Stopped(Exception):
    """Why no further batch is begun."""


def say(line, kind=None):
    """A line of the log; as an annotation where it is one of a workflow. Never more than one line."""
    line = " ".join(str(line).split())
    marked = kind and os.environ.get("GITHUB_ACTIONS") == "true"
    print(f"::{kind} title=patchwave::{line}" if marked else line, flush=True)


class Engine:
    """The patchwave command, in one repository."""

    def __init__(self, command, root):
        self.base = [*shlex.split(command), "--color", "never", "-q", "-C", str(root)]

    def patchwave(self, *words, environment=None):
        known = os.environ | (environment or {})
        return subprocess.run([*self.base, *words], env=known, capture_output=True, text=True, check=False)

    def status(self):
        said = self.patchwave("status", "--format", "json")
        try:
            status = json.loads(said.stdout)
        except ValueError:
            raise Stopped(f"the status cannot be read: {said.stderr.strip() or said.stdout.strip()}") from None
        if status.get("fromClone"):
            raise Stopped("the forge cannot be asked, so nothing is permitted: is its token set?")
        return status

    def permit(self, batch, sums, *asset):
        """The permit, or None and why not."""
        known = {"PATCHWAVE_ACTION": batch.action, "PATCHWAVE_SHA256SUMS": sums}
        said = self.patchwave(
            "permit", batch.rollout, batch.wave, batch.id, *asset, "--format", "json", environment=known
        )
        try:
            answer = json.loads(said.stdout)
        except ValueError:
            return None, said.stderr.strip() or "no reason given"
        if said.returncode == 0 and answer.get("permitted") is True:
            return answer["permit"], None
        return None, answer.get("reason") or said.stderr.strip() or "no reason given"

    def add_evidence(self, rollout, wave, folder):
        said = self.patchwave("evidence", "add", rollout, wave, str(folder))
        return None if said.returncode == 0 else said.stderr.strip()

    def halt(self, rollout, reason):
        said = self.patchwave("halt", rollout, "--reason", reason, "--as", "executor")
        return None if said.returncode == 0 else said.stderr.strip()


class Batch:
    """A batch that was released, or may go back, and where its files lie."""

    def __init__(self, rollout, wave, found, digest, action="patch"):
        self.rollout, self.wave, self.id, self.digest, self.action = rollout, wave, found["id"], digest, action
        if action == "rollback":
            back = {"passed": [], "failed": [], "waived": []} | found["wayBack"]
            found = {"id": self.id} | back
        # What was tried since the release is not tried again before somebody has looked: a fresh observation decides.
        self.tried = {asset for asset, outcome in found["reported"].items() if outcome != "not-attempted"}
        self.settled = set(found["passed"]) | set(found["failed"]) | set(found["waived"]) | self.tried
        self.assets = found["assets"]
        names = [rollout, wave, self.id, *self.assets]
        strange = [name for name in names if not NAME.fullmatch(name)]
        if strange:
            raise Stopped(f"{strange[0]!r} is no name that may be given to a command")

    def __str__(self):
        return f"{self.rollout} {self.wave} {self.id}{' (back)' if self.action == 'rollback' else ''}"

    def playbook(self):
        """Relative to the folder of the wave."""
        return f"{'rollback/' if self.action == 'rollback' else ''}ansible/batch-{self.id}.yml"

    def results(self):
        """The name of the folder of its results: no word of it holds a dot."""
        return f"{self.rollout}.{self.wave}.{self.id}{'-back' if self.action == 'rollback' else ''}"

    def folder(self, rollouts):
        """The folder of the wave: its number in the order of the waves, and its name."""
        found = [f for f in (rollouts / self.rollout / "waves").glob(f"*-{self.wave}") if re.fullmatch(rf"\d+-{re.escape(self.wave)}", f.name)]
        if len(found) != 1:
            raise Stopped(f"{self}: there are {len(found)} folders of the wave below {rollouts}: is the merged branch checked out?")
        return found[0]


def released(status):
    """The batches that were released, or may go back, and are not settled, in the order the engine gives them."""
    for rollout in status["rollouts"]:
        if rollout.get("halted"):
            say(f"{rollout['name']} is halted: {rollout['halted'].get('reason', '')}", "notice")
            continue
        for wave in rollout["waves"]:
            for found in wave["batches"] if wave["state"] in RUNNING else []:
                batch = Batch(rollout["name"], wave["name"], found, wave["digest"])
                if found["releasedAt"] and not set(batch.assets) <= batch.settled:
                    yield batch
            for found in wave["batches"] if wave["state"] == "rolling-back" else []:
                back = found.get("wayBack")
                if back and back["releasedAt"] and not back["done"]:
                    batch = Batch(rollout["name"], wave["name"], found, wave["digest"], "rollback")
                    if not set(batch.assets) <= batch.tried:
                        yield batch


def checked(folder):
    """The SHA-256 of a rollout's SHA256SUMS, once every file it lists is there as listed and no other is."""
    raw = (folder / "SHA256SUMS").read_bytes()
    listed = {}
    for line in raw.decode("utf-8").splitlines():
        digest, _, name = line.partition("  ")
        if not re.fullmatch(r"[0-9a-f]{64}", digest) or not name or name in listed:
            raise Stopped(f"{folder}/SHA256SUMS: `{line}` is no line of it")
        listed[name] = digest
    there = set()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            raise Stopped(f"{path} is a symbolic link: what it leads to was not approved")
        if path.is_file() and path != folder / "SHA256SUMS":
            there.add(path.relative_to(folder).as_posix())
    for name in sorted(there | set(listed)):
        # People's answers to a stop lie beside the artifacts and are no artifacts: nothing runs them.
        if re.fullmatch(r"(resume|rollback)-[0-9a-f]+\.yaml", name) and name not in listed:
            continue
        if name not in listed or name not in there:
            raise Stopped(f"{folder}/{name} is {'missing' if name in listed else 'not listed in SHA256SUMS'}: the files are not those that were merged")
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != listed[name]:
            raise Stopped(f"{folder}/{name} has another digest than the one that was merged")
    return hashlib.sha256(raw).hexdigest()


def permitted(engine, batch, rollouts):
    """The assets of the batch that may be touched now, or none."""
    sums = checked(rollouts / batch.rollout)
    permit, why = engine.permit(batch, sums)
    if permit is None:
        say(f"{batch}: no permit: {why}", "notice")
        return []
    bound = permit["rollout"], permit["wave"], permit["batch"], permit["digest"], permit["sums"]
    if bound != (batch.rollout, batch.wave, batch.id, batch.digest, sums):
        raise Stopped(f"{batch}: the permit is bound to {' '.join(bound)}, which is not what lies here")
    assets = []
    for asset in [asset for asset in permit["assets"] if asset not in batch.tried]:
        granted, why = engine.permit(batch, sums, asset)
        if granted is None:
            say(f"{batch}: {asset}: no permit: {why}", "notice")
        else:
            assets.append(asset)
    return assets


def ansible(batch, wave, playbook, assets, options, results, observations):
    """Runs a playbook of the wave; its exit code."""
    site = {
        "patchwave_permit_command": [*options.engine.base, "permit"],
        "patchwave_results_dir": str(results),
        "patchwave_observations_dir": str(observations),
    }
    extra = results.parent / f"{results.name}.site.json"
    extra.write_text(json.dumps(site), encoding="utf-8")
    command = [*shlex.split(options.ansible), "-i", "ansible/inventory.yml"]
    for inventory in options.inventory:
        command += ["-i", str(inventory.resolve())]
    for file in options.site:
        command += ["-e", f"@{file.resolve()}"]
    command += ["-e", f"@{extra}", "--limit", ",".join(assets), playbook]
    say(f"{batch}: {playbook} on {', '.join(assets)}")
    known = os.environ | {"ANSIBLE_NOCOLOR": "1"}
    try:
        return subprocess.run(command, cwd=wave, env=known, timeout=PLAYBOOK_SECONDS_MAX, check=False, pass_fds=[options.lock.fileno()]).returncode
    except subprocess.TimeoutExpired:
        return f"not ended after {PLAYBOOK_SECONDS_MAX} s"


def outcomes(folder):
    """Asset -> (status, reason), as the playbook wrote them."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        try:
            result = json.loads(path.read_text(encoding="utf-8"))
            found[result["asset"]] = (result["status"], result.get("reason", ""))
        except (ValueError, KeyError, TypeError) as fault:
            say(f"{path.name} cannot be read: {fault}", "warning")
    return found


def run_batch(batch, options):
    """One batch from its permit to its evidence. Gives whether any asset was touched."""
    wave = batch.folder(options.rollouts)
    playbook = batch.playbook()
    if not (wave / playbook).is_file():
        say(f"{batch}: has no playbook: another tool carries it out", "notice")
        return False
    assets = permitted(options.engine, batch, options.rollouts)
    if not assets:
        return False
    results = options.results / batch.results()
    if unrecorded(results):
        raise Stopped(f"{batch}: the results in {results} were not recorded: it does not run again before they are")
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    code = ansible(batch, wave, playbook, assets, options, results, options.observations)
    found = outcomes(results)
    for asset, (status, reason) in sorted(found.items()):
        say(f"{batch}: {asset}: {status} {reason}", "error" if status in ("failed", "started") else None)
    lost = sorted(set(assets) - set(found))
    if lost:
        reason = f"batch {batch.id} of wave {batch.wave} ended ({code}) without a word of {', '.join(lost)}"
        owed = owe(options.results, batch.rollout, reason)
        fault = pay(options.engine, owed)
        say(f"{batch.rollout} is halted: {reason}" if fault is None else unpaid(owed, fault), "error")
    unheard = hand_over(options.engine, results) if found else None
    if options.observe:
        observed = ansible(batch, wave, "ansible/observe.yml", assets, options, results, options.observations)
        if observed != 0:
            say(f"{batch}: observe.yml ended with {observed}: what it could not read stays unknown", "warning")
    bad = sorted(asset for asset, (status, _) in found.items() if status in ("failed", "started"))
    if lost or bad:
        raise Stopped(f"{batch}: {', '.join([*bad, *lost])} failed; nothing further is begun")
    if unheard is not None:
        raise Stopped(f"{batch}: the evidence was not recorded: {unheard}")
    if code != 0:
        raise Stopped(f"{batch}: the playbook ended with {code} although no asset failed")
    if all(status == "not-attempted" for status, _ in found.values()):
        say(f"{batch}: no asset was touched", "notice")
        return False
    return True


def owe(results, rollout, reason):
    """Writes down that a rollout is to be halted, before anybody is asked: this call may end at any moment."""
    owed = results / f"{rollout}{OWED}"
    new = owed.with_suffix(".new")
    new.write_text(reason, encoding="utf-8")
    new.replace(owed)
    return owed


def pay(engine, owed):
    """Records a halt that is owed. Gives why not, or None."""
    fault = engine.halt(owed.name.removesuffix(OWED), owed.read_text(encoding="utf-8"))
    if fault is None:
        owed.unlink()
    return fault


def unpaid(owed, fault):
    rollout = owed.name.removesuffix(OWED)
    return f"{rollout}: its halt is owed, and nothing of it runs before it is recorded: {fault}; if it needs none any more, remove {owed}"


def pay_all(options):
    """Records the halts that are owed. Gives the rollouts whose halt still is."""
    left = set()
    for owed in sorted(options.results.glob(f"*{OWED}")):
        fault = pay(options.engine, owed)
        say(f"{owed.name.removesuffix(OWED)}: the halt of an earlier run is recorded" if fault is None else unpaid(owed, fault), fault and "error")
        if fault is not None:
            left.add(owed.name.removesuffix(OWED))
    return left


def hand_over(engine, folder):
    """Gives the results of a batch to the engine: what it knows already it leaves alone. Gives why not, or None."""
    # No name holds a dot: they are DNS labels.
    rollout, wave, _ = folder.name.split(".")
    fault = engine.add_evidence(rollout, wave, folder)
    if fault is None:
        (folder / RECORDED).touch()
    return fault


def unrecorded(folder):
    return any(folder.glob("*.json")) and not (folder / RECORDED).exists()


def folders_of(results):
    return sorted(f for f in results.glob("*.*.*") if f.is_dir())


def record(options):
    """Gives every result file there is to the engine once more."""
    faults = len(pay_all(options))
    for folder in folders_of(options.results):
        if any(folder.glob("*.json")):
            fault = hand_over(options.engine, folder)
            say(f"{folder.name}: {fault or 'recorded'}", "error" if fault else None)
            faults += fault is not None
    return 1 if faults else 0


def clear(options):
    """Hands over what an earlier call could not, and removes what it could. Gives how much still could not be."""
    faults = 0
    for folder in folders_of(options.results):
        if unrecorded(folder):
            fault = hand_over(options.engine, folder)
            advice = f"; look at these results and at their machines, then move {folder} away: what is not there holds nothing up"
            say(f"{folder.name}: left by an earlier run: {fault + advice if fault else 'recorded'}", "error" if fault else None)
            faults += fault is not None
        elif (folder / RECORDED).exists():
            shutil.rmtree(folder, ignore_errors=True)
    return faults


def locked(results):
    """The lock of a folder of results, as an open file; it is held until nobody has it open any more."""
    results.mkdir(parents=True, exist_ok=True)
    lock = (results / LOCK).open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise Stopped(
            f"another call on {results} is going on, or a playbook that one left behind: wait for it, or end it (`fuser {lock.name}` "
            "names its processes); two at once would touch the same machines twice"
        ) from None
    return lock


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(), help="the repository, with the merged branch checked out")
    parser.add_argument("--rollouts", type=Path, help="its folder of rollouts; default ROOT/rollouts")
    parser.add_argument("--results", type=Path, required=True, help="where result files are written")
    parser.add_argument("--observations", type=Path, required=True, help="where observe.yml writes")
    parser.add_argument("--site", type=Path, action="append", default=[], help="a file of extra variables of this site; again for more")
    parser.add_argument("--inventory", type=Path, action="append", default=[], help="a further inventory: addresses, users, keys; again for more")
    parser.add_argument("--patchwave", default="patchwave", help="the command, with options if need be")
    parser.add_argument("--ansible", default="ansible-playbook", help="the command, with options if need be")
    parser.add_argument("--no-observe", dest="observe", action="store_false", help="leave observing to somebody else")
    parser.add_argument("--record", action="store_true", help="run nothing: record the result files that are in the folder of results")
    options = parser.parse_args()
    options.root = options.root.resolve()
    options.rollouts = (options.rollouts or options.root / "rollouts").resolve()
    options.results, options.observations = options.results.resolve(), options.observations.resolve()
    options.engine = Engine(options.patchwave, options.root)
    return options


def main():
    options = arguments()
    try:
        options.lock = locked(options.results)
        if options.record:
            return record(options)
        owed = pay_all(options)
        faults = clear(options) + len(owed)
        batches = [batch for batch in released(options.engine.status()) if batch.rollout not in owed]
        ran = sum(run_batch(batch, options) for batch in batches)
    except Stopped as why:
        say(why, "error")
        return 1
    except OSError as fault:
        say(f"{type(fault).__name__}: {fault}", "error")
        return 1
    say(f"{ran} of {len(batches)} released batches ran")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
