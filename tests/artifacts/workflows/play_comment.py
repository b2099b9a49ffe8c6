"""Plays what a plan of a pull request goes through: scripts/plan.sh, which trusts nobody, and scripts/comment.py and
scripts/private.py, to which it hands over. The forge is a double on the loopback.
"""

import html
import http.server
import io
import json
import os
import re
import sys
import threading
import zipfile

from played import NOON, PATCHWAVE, SCRIPTS, Played, run


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
            # Behind a letter, a digit or an underscore there is no boundary of a word, and a link all the same.
            '_https://evil.example _www.evil.example _ftp://evil.example 1https://evil.example éhttps://evil.example _GH-3\n'
            '- ```mermaid\n  graph TD\n  ```\n1. ~~~mermaid `x`\n   graph TD\n   ~~~\n\n> [!CAUTION]\n> from the owners\n'
        )
        code, said = self.script("comment.py", HEAD_REPOSITORY="mallory/patching")
        self.assertEqual(code, 0, said)
        body = self.state["comments"][0]["body"].removeprefix("<!-- patchwave:plan -->")
        live = ["<i", "</d", "](", "]:", "][", "![", "[!", "https:", "ftp:", "www.", "@a", "#1", "GH-2", "gh-2", "GH-3", "mermaid", "\u202e", "\x07", "$$", "mailto:"]
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
