"""Plays scripts/execute.py: the machines are a stand-in for ansible-playbook that asks for its permits and writes its results as
the playbooks do.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from played import HOME, NOON, PATCHWAVE, SCRIPTS, Played, run

ROLLOUT = "linux-security-2026-11-20-emergency"
ANSIBLE = Path(__file__).with_name("ansible_stand_in.py")


class Execute(Played):
    """Released batch, permit, playbook, evidence, verify."""

    def setUp(self):
        super().setUp()
        self.begin("estate", lambda estate: None)

    def begin(self, name, edit):
        """Plays a fresh copy of the shipped example, edited, up to the first released batch."""
        self.estate = self.folder / name
        for name in ["patchwave.yaml", "policies", "fleets", "templates"]:
            source, target = HOME / name, self.estate / name
            shutil.copytree(source, target) if source.is_dir() else (target.parent.mkdir(exist_ok=True), shutil.copy(source, target))
        edit(self.estate)
        for words in (["init", "-q", "-b", "main"], ["add", "."], ["-c", "user.name=u", "-c", "user.email=u@example.invalid", "commit", "-qm", "The estate"]):
            run("git", "-C", self.estate, *words)
        self.patchwave(NOON, "reconcile", "--once")
        pulls = json.loads(self.patchwave(NOON, "forge", "list", "--format", "json"))
        number = next(p["number"] for p in pulls if p["branch"] == f"patchwave/{ROLLOUT}/test")
        self.patchwave("2026-11-20T12:10:00Z", "forge", "merge", str(number))
        self.patchwave("2026-11-20T12:15:00Z", "reconcile", "--once")
        self.merged = self.folder / f"{self.estate.name}-merged"
        run("git", "clone", "-q", "-b", "main", self.estate / ".patchwave/forge.git", self.merged)
        self.log = self.folder / "log"
        self.results = self.folder / "results"

    def patchwave(self, now, *words, check=True):
        return run(PATCHWAVE, "-q", "--now", now, "-C", self.estate, *words, check=check).stdout

    def call(self, now, does=None, more=()):
        """The words and the environment of one call of the script."""
        words = [
            sys.executable, SCRIPTS / "execute.py", "--root", self.estate, "--rollouts", self.merged / "rollouts",
            "--results", self.results, "--observations", self.folder / "observed",
            "--patchwave", f"{PATCHWAVE} --now {now}", "--ansible", f"{sys.executable} {ANSIBLE}", *more,
        ]
        return [str(word) for word in words], os.environ | {"FAKE": json.dumps(does or {}), "FAKE_LOG": str(self.log)}

    def execute(self, now, does=None, more=()):
        self.log.write_text("", encoding="utf-8")
        words, known = self.call(now, does, more)
        done = run(*words, check=False, env=known)
        return done.returncode, done.stdout + done.stderr, self.played()

    def played(self):
        return self.log.read_text(encoding="utf-8").splitlines()

    def until(self, what):
        """Waits for what another process does."""
        end = time.monotonic() + 60
        while not what():
            self.assertLess(time.monotonic(), end, "it never came to that")
            time.sleep(0.02)

    @staticmethod
    def rolls_back(estate):
        strategies = estate / "fleets/strategies.yaml"
        text = strategies.read_text(encoding="utf-8")
        strategies.write_text(text.replace("      soak: 12h\n", "      soak: 12h\n      onFailure: rollback\n", 1), encoding="utf-8")

    def observe(self, asset, at, suffix):
        """An asset is seen at an instant, with another version of every package that its rollout is about."""
        plan = json.loads((self.merged / "rollouts" / ROLLOUT / "plan.json").read_text(encoding="utf-8"))
        meant = {target["name"] for target in plan["patchset"]["targets"]}
        facts = self.estate / "fleets/observed/test.ndjson"
        lines = [json.loads(line) for line in facts.read_text(encoding="utf-8").splitlines()]
        seen = [line | {"observedAt": at} if line["asset"] == asset else line for line in lines]
        for package in (p for line in seen if line["asset"] == asset for p in line["packages"] if p["name"] in meant):
            package["version"] += suffix
        facts.write_text("".join(json.dumps(line) + "\n" for line in seen), encoding="utf-8")

    def batch(self, now="2026-11-20T12:30:00Z"):
        status = json.loads(self.patchwave(now, "status", "--format", "json"))
        rollout = next(r for r in status["rollouts"] if r["name"] == ROLLOUT)
        return rollout, rollout["waves"][0]["batches"][0]

    def locked(self):
        """The forge cannot be written: the ledger is locked, and by no file that a killed process may have left."""
        lock = self.estate / ".patchwave/forge.git/refs/heads/patchwave/ledger.lock"
        lock.mkdir()
        return lock

    def ledger(self):
        return run("git", "--git-dir", self.estate / ".patchwave/forge.git", "show", f"patchwave/ledger:{ROLLOUT}.ndjson").stdout

    def test_a_released_batch_runs_and_its_evidence_moves_the_wave_on(self):
        code, said, played = self.execute("2026-11-20T12:20:00Z")
        self.assertEqual(code, 0, said)
        self.assertEqual(played, ["ansible/batch-01.yml lb-t1", "ansible/observe.yml lb-t1"])
        self.assertIn("1 of 1 released batches ran", said)
        self.assertIn('"event":"evidence"', self.ledger())
        # Evidence is no verdict: the wave goes on when the machine shows what it has.
        self.assertEqual(self.batch()[1]["passed"], [])
        shutil.copy(HOME / "docs/example/lb-t1-patched.ndjson", self.estate / "fleets/observed")
        self.patchwave("2026-11-20T13:30:00Z", "reconcile", "--once")
        self.assertEqual(self.batch("2026-11-20T13:30:00Z")[1]["passed"], ["lb-t1"])
        # Nothing runs twice.
        code, said, played = self.execute("2026-11-20T13:31:00Z")
        self.assertEqual((code, played), (0, []), said)

    def test_without_a_permit_nothing_runs(self):
        self.patchwave("2026-11-20T12:18:00Z", "halt", ROLLOUT, "--reason", "the disk is full", "--as", "anna")
        code, said, played = self.execute("2026-11-20T12:20:00Z")
        self.assertEqual((code, played), (0, []), said)
        self.assertIn("halted: the disk is full", said)

    def test_other_files_than_the_merged_ones_are_not_run(self):
        wave = self.merged / "rollouts" / ROLLOUT / "waves/01-test"
        edited = wave / "ansible/batch-01.yml"
        good = edited.read_bytes()
        edited.write_bytes(good + b"# harmless?\n")
        code, said, played = self.execute("2026-11-20T12:20:00Z")
        self.assertEqual((code, played), (1, []), said)
        self.assertIn("another digest", said)
        # A file more, and a sums file made to fit: the permit knows the one that was merged.
        edited.write_bytes(good)
        (wave / "ansible/ansible.cfg").write_text("[defaults]\n", encoding="utf-8")
        code, said, played = self.execute("2026-11-20T12:20:00Z")
        self.assertEqual((code, played), (1, []), said)
        self.assertIn("not listed", said)
        sums = self.merged / "rollouts" / ROLLOUT / "SHA256SUMS"
        digest = hashlib.sha256(b"[defaults]\n").hexdigest()
        sums.write_text(sums.read_text(encoding="utf-8") + f"{digest}  waves/01-test/ansible/ansible.cfg\n", encoding="utf-8")
        code, said, played = self.execute("2026-11-20T12:20:00Z")
        self.assertEqual((code, played), (0, []), said)
        self.assertIn("are not those that were merged", said)

    def test_a_link_is_not_followed(self):
        target = self.merged / "rollouts" / ROLLOUT / "waves/01-test/ansible/settings.yml"
        target.rename(self.folder / "elsewhere.yml")
        target.symlink_to(self.folder / "elsewhere.yml")
        code, said, played = self.execute("2026-11-20T12:20:00Z")
        self.assertEqual((code, played), (1, []), said)
        self.assertIn("symbolic link", said)

    def test_a_failed_asset_ends_the_run_and_the_engine_halts(self):
        code, said, played = self.execute("2026-11-20T12:20:00Z", {"lb-t1": "failed"})
        self.assertEqual(code, 1, said)
        self.assertEqual(played, ["ansible/batch-01.yml lb-t1", "ansible/observe.yml lb-t1"], "it is observed all the same")
        self.assertIn("lb-t1: failed dpkg said no", said)
        # It is not tried again before somebody has looked, and then it is the engine that decides.
        code, said, played = self.execute("2026-11-20T12:23:00Z")
        self.assertEqual((code, played), (0, []), said)
        lines = (self.estate / "fleets/observed/test.ndjson").read_text(encoding="utf-8").splitlines()
        seen = next(known for known in map(json.loads, lines) if known["asset"] == "lb-t1")
        seen["observedAt"] = "2026-11-20T12:24:00Z"
        (self.estate / "fleets/observed/lb-t1-failed.ndjson").write_text(json.dumps(seen) + "\n", encoding="utf-8")
        self.patchwave("2026-11-20T12:25:00Z", "reconcile", "--once")
        self.assertEqual(list(self.batch()[1]["failed"]), ["lb-t1"])
        self.assertIn(self.batch()[0]["waves"][0]["state"], ["halted", "failed"])

    def test_what_may_go_back_goes_back_by_its_own_playbook(self):
        self.begin("back", self.rolls_back)
        failed = self.batch()[1]["assets"][0]
        code, said, _ = self.execute("2026-11-20T12:30:00Z", {failed: "failed"})
        self.assertEqual(code, 1, said)
        # It is seen half way: neither what it was, nor what it was to be.
        self.observe(failed, "2026-11-21T13:00:00Z", "+half")
        self.patchwave("2026-11-21T13:05:00Z", "reconcile", "--once")
        self.patchwave("2026-11-21T13:10:00Z", "reconcile", "--once")
        pulls = json.loads(self.patchwave("2026-11-21T13:10:00Z", "forge", "list", "--format", "json"))
        number = next(p["number"] for p in pulls if p["branch"].startswith(f"patchwave/{ROLLOUT}/rollback.test."))
        now = "2026-11-21T13:20:00Z"
        self.assertEqual(self.execute(now)[2], [], "asked for is not allowed")
        self.patchwave(now, "forge", "merge", str(number))
        self.patchwave(now, "reconcile", "--once")
        run("git", "-C", self.merged, "pull", "-q")
        now = "2026-11-21T13:30:00Z"
        os.environ["FAKE_AT"] = "2026-11-21T13:29:00Z"
        self.addCleanup(os.environ.pop, "FAKE_AT")
        code, said, _ = self.execute(now, {failed: "not-attempted"})
        self.assertEqual(code, 0, said)
        self.assertIn("0 of 1 released batches ran", said)
        code, said, log = self.execute(now)
        self.assertEqual(code, 0, said)
        self.assertIn("1 of 1 released batches ran", said)
        self.assertTrue(log[0].startswith("rollback/ansible/batch-01.yml "), log)
        reported = self.batch(now)[1]["wayBack"]["reported"]
        self.assertEqual(reported, {failed: "done"})
        self.assertEqual(self.execute(now)[2], [], "what was tried is not tried again before somebody has looked")

    def test_what_could_not_be_recorded_is_recorded_later(self):
        lock = self.locked()
        code, said, played = self.execute("2026-11-20T12:20:00Z")
        self.assertEqual((code, len(played)), (1, 2), said)
        self.assertIn("evidence was not recorded", said)
        self.assertNotIn('"event":"evidence"', self.ledger())
        lock.rmdir()
        for _ in range(2):
            code, said, played = self.execute("2026-11-20T12:21:00Z", more=["--record"])
            self.assertEqual((code, played), (0, []), said)
            self.assertEqual(self.ledger().count('"event":"evidence"'), 1, "once")

    def test_what_was_not_recorded_is_recorded_before_anything_else_runs(self):
        lock = self.locked()
        self.assertEqual(self.execute("2026-11-20T12:20:00Z")[0], 1)
        results = self.results / f"{ROLLOUT}.test.01"
        before = {path.name: path.read_bytes() for path in results.glob("*.json")}
        self.assertEqual(len(before), 1)
        # Still not: then nothing of that batch runs, and what is there stays.
        code, said, played = self.execute("2026-11-20T12:21:00Z")
        self.assertEqual((code, played), (1, []), said)
        self.assertIn("were not recorded", said)
        self.assertEqual({path.name: path.read_bytes() for path in results.glob("*.json")}, before)
        lock.rmdir()
        code, said, played = self.execute("2026-11-20T12:22:00Z")
        self.assertEqual((code, played), (0, []), said)
        self.assertEqual(self.ledger().count('"event":"evidence"'), 1)
        # Recorded, it makes room.
        self.assertEqual(self.execute("2026-11-20T12:23:00Z")[0], 0)
        self.assertFalse(results.exists())

    def test_an_asset_without_a_word_halts_the_rollout(self):
        code, said, _ = self.execute("2026-11-20T12:20:00Z", {"lb-t1": "silent"})
        self.assertEqual(code, 1, said)
        self.assertIn("without a word of lb-t1", self.batch()[0]["halted"]["reason"])

    def test_a_halt_that_could_not_be_recorded_is_owed(self):
        lock = self.locked()
        code, said, played = self.execute("2026-11-20T12:20:00Z", {"lb-t1": "silent"})
        self.assertEqual((code, len(played)), (1, 2), said)
        self.assertIn("is owed", said)
        # Until it is recorded nothing of that rollout runs, though by the ledger it may.
        code, said, played = self.execute("2026-11-20T12:21:00Z")
        self.assertEqual((code, played), (1, []), said)
        self.assertIn("is owed", said)
        lock.rmdir()
        code, said, played = self.execute("2026-11-20T12:22:00Z")
        self.assertEqual((code, played), (0, []), said)
        self.assertIn("without a word of lb-t1", self.batch()[0]["halted"]["reason"])
        # Recorded once, it is owed no more.
        self.assertEqual(self.execute("2026-11-20T12:23:00Z", more=["--record"])[0], 0)
        self.assertEqual(self.ledger().count('"event":"halt"'), 1)

    def test_of_two_calls_one_plays_and_the_other_says_so(self):
        self.log.write_text("", encoding="utf-8")
        end = self.folder / "end"
        words, known = self.call("2026-11-20T12:20:00Z")
        first = subprocess.Popen(words, env=known | {"FAKE_LASTS": str(end)}, stdout=subprocess.PIPE, text=True)
        self.addCleanup(first.stdout.close)
        self.until(lambda: len(self.played()) == 1)
        second = run(*words, check=False, env=known)
        self.assertEqual((second.returncode, len(self.played())), (1, 1), second.stdout)
        self.assertIn("is going on", second.stdout)
        self.assertIn("wait for it, or end it", second.stdout)
        # Not even recording: half of the results are not written yet.
        recording = run(*words, "--record", check=False, env=known)
        self.assertEqual(recording.returncode, 1, recording.stdout)
        # The call is ended, its playbook lives on: that still is one that plays.
        first.send_signal(signal.SIGTERM)
        first.wait()
        third = run(*words, check=False, env=known)
        self.assertEqual((third.returncode, len(self.played())), (1, 1), third.stdout)
        end.touch()
        results = self.results / f"{ROLLOUT}.test.01"
        self.until(lambda: any(results.glob("*.json")))
        self.until(lambda: run(*words, "--record", check=False, env=known).returncode == 0)
        self.assertEqual(self.ledger().count('"event":"evidence"'), 1)
        code, said, played = self.execute("2026-11-20T12:24:00Z")
        self.assertEqual((code, played), (0, []), said)

    def test_results_that_can_never_be_recorded_say_what_to_do(self):
        batch = self.results / f"{ROLLOUT}.test.01"
        gone = self.results / "linux-2026-01-01.test.01"
        for folder in (batch, gone):
            folder.mkdir(parents=True)
            (folder / "half.json").write_text('{"formatVersion": "1.0", "roll', encoding="utf-8")
        code, said, played = self.execute("2026-11-20T12:20:00Z")
        self.assertEqual((code, played), (1, []), said)
        for folder in (batch, gone):
            self.assertIn(f"{folder.name}: left by an earlier run", said)
            self.assertIn(f"then move {folder} away", said)
        batch.rename(self.folder / "looked-at")
        # One that is of no open rollout keeps nothing else from running, and is no success either.
        code, said, played = self.execute("2026-11-20T12:21:00Z")
        self.assertEqual((code, len(played)), (1, 2), said)
        gone.rename(self.folder / "looked-at-too")
        self.assertEqual(self.execute("2026-11-20T12:22:00Z")[0], 0)

    def test_a_clock_that_is_behind_does_not_let_a_batch_run_twice(self):
        for at, recorded in (("2026-11-20T12:01:00Z", 0), ("2026-11-20T12:14:00Z", 1)):
            with self.subTest(at):
                os.environ["FAKE_AT"] = at
                self.addCleanup(os.environ.pop, "FAKE_AT", None)
                code, said, played = self.execute("2026-11-20T12:20:00Z")
                self.assertEqual((code, len(played)), (1 - recorded, 2), said)
                self.assertEqual(self.ledger().count('"event":"evidence"'), recorded)
                code, said, played = self.execute("2026-11-20T12:21:00Z")
                self.assertEqual((code, played), (1 - recorded, []), said)
                shutil.rmtree(self.results, ignore_errors=True)

    def test_a_forge_that_cannot_be_asked_is_an_error(self):
        project = self.estate / "patchwave.yaml"
        text = project.read_text(encoding="utf-8")
        project.write_text(text.replace("forge: {type: local}", "forge: {type: github, repository: acme/patching}"), encoding="utf-8")
        self.assertNotEqual(project.read_text(encoding="utf-8"), text)
        os.environ.pop("PATCHWAVE_GITHUB_TOKEN", None)
        code, said, played = self.execute("2026-11-20T12:20:00Z")
        self.assertEqual((code, played), (1, []), said)
        self.assertIn("the forge cannot be asked", said)

    def test_a_status_that_cannot_be_read_is_an_error(self):
        (self.estate / "patchwave.yaml").write_text("kind: Nothing\n", encoding="utf-8")
        code, said, played = self.execute("2026-11-20T12:20:00Z")
        self.assertEqual((code, played), (1, []), said)
