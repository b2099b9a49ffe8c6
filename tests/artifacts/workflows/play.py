"""Plays the scripts of the workflows: installing, planning, commenting, executing. The forge is a double on the loopback,
the machines are a stand-in for ansible-playbook that asks for its permits and writes its results as the playbooks do.

PATCHWAVE names the binary.
"""

import contextlib
import hashlib
import html
import http.server
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import unittest
import zipfile
from pathlib import Path

HOME = Path(__file__).resolve().parents[3]
PATCHWAVE = os.environ["PATCHWAVE"]
SCRIPTS = HOME / "scripts"
NOON = "2026-11-20T12:00:00Z"
ROLLOUT = "linux-security-2026-11-20-emergency"

ANSIBLE = Path(__file__).with_name("ansible_stand_in.py")


def run(*words, check=True, **options):
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{words} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


class Played(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))


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

    def patchwave(self, now, *words, check=True):
        return run(PATCHWAVE, "-q", "--now", now, "-C", self.estate, *words, check=check).stdout

    def execute(self, now, does=None, more=()):
        self.log.write_text("", encoding="utf-8")
        known = os.environ | {"FAKE": json.dumps(does or {}), "FAKE_LOG": str(self.log)}
        done = run(
            sys.executable, SCRIPTS / "execute.py", "--root", self.estate, "--rollouts", self.merged / "rollouts",
            "--results", self.folder / "results", "--observations", self.folder / "observed",
            "--patchwave", f"{PATCHWAVE} --now {now}", "--ansible", f"{sys.executable} {ANSIBLE}", *more, check=False, env=known,
        )
        return done.returncode, done.stdout + done.stderr, self.log.read_text(encoding="utf-8").splitlines()

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
        code, said, log = self.execute(now)
        self.assertEqual(code, 0, said)
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
        results = self.folder / "results" / f"{ROLLOUT}.test.01"
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

    def test_a_status_that_cannot_be_read_is_an_error(self):
        (self.estate / "patchwave.yaml").write_text("kind: Nothing\n", encoding="utf-8")
        code, said, played = self.execute("2026-11-20T12:20:00Z")
        self.assertEqual((code, played), (1, []), said)


class Plan(Played):
    """What the unprivileged half hands over."""

    def setUp(self):
        super().setUp()
        self.estate = self.folder / "estate"
        run(PATCHWAVE, "--now", NOON, "-q", "init", self.estate)
        self.git("init", "-q", "-b", "main")
        self.commit("The estate")
        (self.folder / "bin").mkdir()
        wrapper = self.folder / "bin/patchwave"
        wrapper.write_text(f'#!/bin/sh\nexec "{PATCHWAVE}" --now {NOON} "$@"\n', encoding="utf-8")
        wrapper.chmod(0o755)

    def git(self, *words):
        run("git", "-C", self.estate, "-c", "user.name=u", "-c", "user.email=u@example.invalid", *words)

    def commit(self, message):
        self.git("add", ".")
        self.git("commit", "-qm", message)

    def plan(self, number="7", check=True):
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        return run("bash", SCRIPTS / "plan.sh", "HEAD^1", number, self.folder / "out", check=check, cwd=self.estate, env=os.environ | {"PATH": path})

    def test_an_edit_is_told(self):
        policy = self.estate / "policies/linux.yaml"
        text = policy.read_text(encoding="utf-8")
        self.assertIn("within:", text)
        policy.write_text(text.replace("within: 7d", "within: 1d").replace("within: 14d", "within: 1d").replace("within: 30d", "within: 1d"), encoding="utf-8")
        self.commit("Shorter")
        self.plan()
        self.assertEqual((self.folder / "out/number").read_text(encoding="utf-8"), "7\n")
        plan = (self.folder / "out/plan.md").read_text(encoding="utf-8")
        self.assertIn("deadlines earlier", plan)
        self.assertNotIn("There is no plan", plan)

    def test_a_broken_edit_says_why(self):
        (self.estate / "policies/linux.yaml").write_text("kind: PatchPolicy\n  x: [\n", encoding="utf-8")
        self.commit("Break")
        self.plan()
        plan = (self.folder / "out/plan.md").read_text(encoding="utf-8")
        self.assertIn("There is no plan for this edit", plan)
        self.assertIn("policies/linux.yaml:", plan)

    def test_a_number_is_a_number(self):
        self.assertEqual(self.plan("7; rm -rf /", check=False).returncode, 64)


class Double(http.server.BaseHTTPRequestHandler):
    """The few answers of GitHub that comment.py and private.py need; the state is on the server."""

    def answer(self, body, code=200):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        state = self.server.state
        path = self.path.split("?")[0]
        if path == "/store/plan.zip":
            state["store"] = self.headers.get("Authorization")
            return self.answer(state["zip"])
        assert self.headers.get("Authorization") == f"Bearer {TOKEN}", self.headers
        if path == "/repos/acme/patching":
            return self.answer({"private": state["private"]})
        if path == "/repos/acme/patching/actions/runs/99/artifacts":
            return self.answer({"artifacts": state["artifacts"]})
        if path == "/repos/acme/patching/actions/artifacts/5/zip":
            self.send_response(302)
            self.send_header("Location", f"http://localhost:{self.server.server_port}/store/plan.zip")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if path == "/repos/acme/patching/pulls/7":
            return self.answer(state["pull"])
        if path == "/repos/acme/patching/issues/7/comments":
            page = int(self.path.split("page=")[-1])
            return self.answer(state["comments"][100 * (page - 1) : 100 * page])
        return self.answer({"message": "Not Found"}, 404)

    def write(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"]
        state = self.server.state
        state["writes"].append((self.command, self.path))
        if self.command == "POST":
            state["comments"].append({"id": 1000, "user": {"login": "github-actions[bot]"}, "body": body})
        else:
            wanted = int(self.path.rsplit("/", 1)[-1])
            next(c for c in state["comments"] if c["id"] == wanted)["body"] = body
        self.answer({})

    do_POST = do_PATCH = write

    def log_message(self, *_):
        pass


SHA = "a" * 40
# Planted: it must turn up nowhere.
TOKEN = "ghs_planted2c8f5b07e1d9a364"


class Comment(Played):
    """What the privileged half does with what a stranger hands over."""

    def setUp(self):
        super().setUp()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Double)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        self.state = self.server.state = {
            "private": True,
            "artifacts": [{"id": 5, "name": "patchwave-plan", "expired": False, "size_in_bytes": 1000}],
            "pull": {
                "state": "open",
                "head": {"sha": SHA, "repo": {"full_name": "acme/patching"}},
                "base": {"repo": {"full_name": "acme/patching"}},
            },
            "comments": [],
            "writes": [],
        }
        self.hand_over("| a | b |\n| --- | --- |\n| web-1 | sooner |\n")

    def hand_over(self, plan, number="7\n"):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("plan.md", plan)
            archive.writestr("number", number)
        self.state["zip"] = packed.getvalue()

    def script(self, name, **more):
        known = {
            "PATH": os.environ["PATH"],
            "GITHUB_API_URL": f"http://127.0.0.1:{self.server.server_port}",
            "GITHUB_REPOSITORY": "acme/patching",
            "GITHUB_TOKEN": TOKEN,
            "RUN_ID": "99",
            "HEAD_SHA": SHA,
            "HEAD_REPOSITORY": "acme/patching",
        }
        done = run(sys.executable, SCRIPTS / name, check=False, env=known | more)
        self.assertNotIn(TOKEN, done.stdout + done.stderr)
        return done.returncode, done.stdout + done.stderr

    def refused(self, why, **more):
        code, said = self.script("comment.py", **more)
        self.assertIn(why, said)
        self.assertEqual(self.state["writes"], [])
        return code

    def test_one_comment_edited_in_place(self):
        self.state["comments"] = [{"id": n, "user": {"login": "anna"}, "body": f"<!-- patchwave:plan -->\n{n}"} for n in range(150)]
        code, said = self.script("comment.py")
        self.assertEqual((code, self.state["writes"]), (0, [("POST", "/repos/acme/patching/issues/7/comments")]), said)
        self.assertIsNone(self.state["store"], "the store of artifacts never sees the token")
        comment = self.state["comments"][-1]
        self.assertTrue(comment["body"].startswith("<!-- patchwave:plan -->\n| a | b |"), comment)
        self.script("comment.py")
        self.assertEqual(len(self.state["writes"]), 1, "the same again is not said again")
        self.hand_over("Nothing changes.\n")
        self.script("comment.py")
        self.assertEqual(self.state["writes"][1:], [("PATCH", "/repos/acme/patching/issues/comments/1000")])
        self.assertIn("Nothing changes.", comment["body"])
        self.assertTrue(all(str(c["id"]) in c["body"] for c in self.state["comments"][:150]), "no comment of a person is touched")

    def test_what_a_stranger_writes_is_only_words(self):
        self.state["pull"]["head"]["repo"]["full_name"] = "mallory/patching"
        self.hand_over(
            '<img src=x onerror=alert(1)> --> </details> [here](https://evil.example) ![p](https://evil.example/p.png)\n'
            '[x]: https://evil.example\n[y][x] www.evil.example @acme/admins fixes #1 GH-2 mailto:a@b.example\n'
            '```mermaid\ngraph TD; click A "https://evil.example"\n```\n\u202egpj.exe \x07 $$x$$\n'
            # The same once more, spelled otherwise: entities, escapes, a fence in a list, one of tildes.
            '&commat;acme/admins &#64;acme &#x40;acme &num;1 &#38;commat;acme &amp;commat;acme https&colon;//evil.example\n'
            '&#91;here&rsqb;&lpar;x) GH\\-2 gh-2 https\\://evil.example www\\.evil.example\n'
            '- ```mermaid\n  graph TD\n  ```\n1. ~~~mermaid `x`\n   graph TD\n   ~~~\n\n> [!CAUTION]\n> from the owners\n'
        )
        code, said = self.script("comment.py", HEAD_REPOSITORY="mallory/patching")
        self.assertEqual(code, 0, said)
        body = self.state["comments"][0]["body"].removeprefix("<!-- patchwave:plan -->")
        live = ["<i", "</d", "](", "]:", "][", "![", "[!", "https:", "www.", "@a", "#1", "GH-2", "gh-2", "mermaid", "\u202e", "\x07", "$$", "mailto:"]
        # As it stands, and as a reader of Markdown sees it: escapes gone, entities read.
        for seen in (body, html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", body))):
            for text in live:
                self.assertNotIn(text, seen)
        self.assertIn("files of a fork", body)

    def test_what_the_engine_escapes_is_said_as_it_was_meant(self):
        self.hand_over("| a | b |\n| --- | --- |\n| x\\|y &lt;1.0 &amp; \\*z\\* | &#64;angular/core |\n")
        self.assertEqual(self.script("comment.py")[0], 0)
        body = self.state["comments"][0]["body"]
        self.assertIn("| x\\|y &lt;1.0 &amp; \\*z\\* | @\u200bangular/core |", body)

    def test_a_long_plan_is_cut_at_a_line_and_its_fence_closed(self):
        self.hand_over("```\n" + "x" * 99 + "\n" + ("y" * 99 + "\n") * 2000)
        self.assertEqual(self.script("comment.py")[0], 0)
        body = self.state["comments"][0]["body"]
        self.assertLess(len(body), 65_536)
        self.assertIn("\n```\n\n_The plan is longer", body)

    def test_what_does_not_fit_is_refused(self):
        self.hand_over("x", "8\n/../../user")
        self.refused("`number` is no number")
        self.hand_over("x")
        self.refused("is not a pull request from mallory/patching", HEAD_REPOSITORY="mallory/patching")
        self.refused("has moved on", HEAD_SHA="b" * 40)
        self.state["pull"]["state"] = "closed"
        self.refused("is closed")
        self.state["artifacts"][0]["size_in_bytes"] = 1 << 30
        self.refused("more than")
        self.state["artifacts"] = []
        self.refused("0 artifacts")

    def test_a_bomb_is_not_unpacked_and_rubbish_is_no_archive(self):
        self.hand_over("\0" * (200 << 20))
        self.assertEqual(self.script("comment.py")[0], 0)
        self.assertLess(len(self.state["comments"][0]["body"]), 65_536)
        self.state["writes"].clear()
        self.state["zip"] = b"\0" * (2 << 20)
        self.refused("more than")
        self.state["zip"] = b"PK no archive"
        self.refused("no archive")

    def test_findings_are_published_only_where_they_stay_private(self):
        self.assertEqual(self.script("private.py")[0], 0)
        self.state["private"] = False
        self.assertEqual(self.script("private.py")[0], 1)
        self.assertEqual(self.script("private.py", PATCHWAVE_PUBLIC="yes")[0], 0)
        self.assertEqual(self.script("private.py", GITHUB_REPOSITORY="acme/none")[0], 1)


class Install(Played):
    """A release by its checksum, and nothing else."""

    def setUp(self):
        super().setUp()
        self.action = self.folder / "action"
        shutil.copytree(SCRIPTS, self.action / "scripts")
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w:gz") as tar:
            for name, text in [("patchwave", "#!/bin/sh\necho patchwave 9.9.9\n"), ("../../evil", "evil\n")]:
                data = text.encode()
                info = tarfile.TarInfo(f"patchwave-v9.9.9/{name}")
                info.size, info.mode = len(data), 0o755
                tar.addfile(info, io.BytesIO(data))
        (self.folder / "archive").write_bytes(archive.getvalue())
        self.sum = hashlib.sha256(archive.getvalue()).hexdigest()
        (self.folder / "bin").mkdir()
        curl = self.folder / "bin/curl"
        curl.write_text(f'#!/bin/sh\nwhile [ $# -gt 1 ]; do [ "$1" = --output ] && out=$2; shift; done\ncp {self.folder}/archive "$out"\n', encoding="utf-8")
        curl.chmod(0o755)

    def install(self, check=True, **more):
        for name in ("path", "output"):
            (self.folder / name).write_text("", encoding="utf-8")
        known = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": os.environ.get("HOME", "/"),
            "RUNNER_TEMP": str(self.folder / "temp"),
            "GITHUB_PATH": str(self.folder / "path"),
            "GITHUB_OUTPUT": str(self.folder / "output"),
        }
        return run("bash", self.action / "scripts/install.sh", check=check, env=known | more)

    def test_the_pinned_release_is_put_on_the_path(self):
        machine = os.uname().machine
        pins = f"# remark\n{'0' * 64}  https://example.invalid/patchwave-other.tar.gz\n{self.sum}  https://example.invalid/patchwave-{machine}.tar.gz\n"
        (self.action / "release.txt").write_text(pins, encoding="utf-8")
        self.install()
        folder = Path((self.folder / "path").read_text(encoding="utf-8").strip())
        self.assertEqual([p.name for p in folder.iterdir()], ["patchwave"], "one member, whatever the archive holds")
        self.assertEqual((self.folder / "output").read_text(encoding="utf-8"), "version=patchwave 9.9.9\n")
        self.install(PATCHWAVE_URL="https://example.invalid/x", PATCHWAVE_SHA256=self.sum)

    def test_anything_else_is_refused(self):
        for why, more in [
            ("no release is pinned", {}),
            ("is not the archive that is pinned", {"PATCHWAVE_URL": "https://example.invalid/x", "PATCHWAVE_SHA256": "0" * 64}),
            ("is no SHA-256", {"PATCHWAVE_URL": "https://example.invalid/x"}),
            ("only https", {"PATCHWAVE_URL": "http://example.invalid/x", "PATCHWAVE_SHA256": self.sum}),
        ]:
            with self.subTest(why):
                done = self.install(check=False, **more)
                self.assertEqual(done.returncode, 1)
                self.assertIn(why, done.stdout)
                self.assertEqual((self.folder / "path").read_text(encoding="utf-8"), "")

    def test_what_a_release_packs_is_what_is_installed(self):
        """Everything of scripts/release.sh but the compiler, which stands aside here."""
        built = self.folder / "target/release/patchwave"
        built.parent.mkdir(parents=True)
        built.write_text("#!/bin/sh\necho patchwave 0.1.0\n", encoding="utf-8")
        built.chmod(0o755)
        cargo = self.folder / "bin/cargo"
        cargo.write_text(
            "#!/bin/sh\n[ \"$1\" = install ] || exit 0\nwhile [ \"$1\" != --root ]; do shift; done\nmkdir -p \"$2/bin\"\n"
            "printf '#!/bin/sh\\nwhile [ $# -gt 1 ]; do shift; done\\necho {} >engine/cli/$1.json\\n' >\"$2/bin/cargo-cyclonedx\"\n"
            "chmod +x \"$2/bin/cargo-cyclonedx\"\n",
            encoding="utf-8",
        )
        cargo.chmod(0o755)
        known = os.environ | {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}", "CARGO_TARGET_DIR": str(self.folder / "target")}
        toml = (HOME / "Cargo.toml").read_text(encoding="utf-8")
        version = next(line.split('"')[1] for line in toml.splitlines() if line.startswith("version = "))
        digests = set()
        for turn in ("first", "second"):
            out = self.folder / turn
            run("bash", SCRIPTS / "release.sh", f"v{version}", "x-unknown-linux-gnu", out, env=known)
            name = f"patchwave-v{version}-x-unknown-linux-gnu"
            self.assertEqual(sorted(p.name for p in out.iterdir()), [f"{name}.cdx.json", f"{name}.tar.gz"])
            digests.add(hashlib.sha256((out / f"{name}.tar.gz").read_bytes()).hexdigest())
            built.touch()
        self.assertEqual(len(digests), 1, "the archive depends on who packed it, or when")
        (self.folder / "archive").write_bytes((out / f"{name}.tar.gz").read_bytes())
        self.install(PATCHWAVE_URL="https://example.invalid/x", PATCHWAVE_SHA256=digests.pop())
        self.assertEqual((self.folder / "output").read_text(encoding="utf-8"), "version=patchwave 0.1.0\n")
        wrong = run("bash", SCRIPTS / "release.sh", "v9.9.9", "x", self.folder / "no", check=False, env=known)
        self.assertIn("is not the version of Cargo.toml", wrong.stderr)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        unittest.main(verbosity=2)
