"""Runs the golden plays with the real collection against the double, from the first content to the last way back.

    runs.py FOLDER [DESCRIPTION]     # FOLDER is made anew; DESCRIPTION is a published API description, as JSON

What the double was asked, what it counted as wrong and what the result files say must be what the plan means.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import jsonschema

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[2]
ROLLOUT = "satellite-2026-11-20"
PASSWORD = "secret-of-the-double-4711"
UPDATE = "/katello/api/content_view_versions/incremental_update"
JOBS = "/api/job_invocations"
END = "2099-11-25T03:00:00Z"


class Story:
    """A fresh copy of the rollout, a double, and what happened."""

    def __init__(self, folder: pathlib.Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        self.folder, self.seen = folder, 0
        (folder / "hooks").mkdir(parents=True)
        self.fresh()
        self.program("permit", 'echo "$PATCHWAVE_ACTION $*" >>"$(dirname "$0")/../asked"')
        for name in ("vm-snapshot", "snapshot-room", "lb-drain", "lb-undrain"):
            self.program(name, "echo snapshot-1")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        site = {
            "patchwave_permit_command": [str(folder / "hooks/permit")], "patchwave_results_dir": str(folder / "results"),
            "patchwave_hooks_dir": str(folder / "hooks"), "patchwave_poll_seconds": 0, "patchwave_report_polls": 6,
            "patchwave_task_polls": 6, "patchwave_job_polls": 6,
        }
        (folder / "site.json").write_text(json.dumps(site), encoding="utf-8")
        self.log = folder / "requests.ndjson"
        self.log.touch()
        self.environment = {
            **os.environ, "FOREMAN_SERVER_URL": f"http://127.0.0.1:{self.port}/", "FOREMAN_USER": "robot",
            "FOREMAN_PASSWORD": PASSWORD, "XDG_CACHE_HOME": str(folder / "cache"), "ANSIBLE_PIPELINING": "true",
        }
        self.double = subprocess.Popen(
            [sys.executable, str(HERE / "double.py"), str(self.port), str(self.log)],
            env={**os.environ, "DOUBLE_USER": "robot", "DOUBLE_PASSWORD": PASSWORD}, stderr=open(folder / "double.log", "w"),
        )
        for _ in range(100):
            try:
                self.ask("/__state")
                break
            except OSError:
                time.sleep(0.1)

    def program(self, name: str, text: str) -> None:
        path = self.folder / "hooks" / name
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)

    def fresh(self) -> None:
        """The golden rollout, with the openings of the second wave made to hold now."""
        shutil.rmtree(self.folder / "rollout", ignore_errors=True)
        shutil.copytree(ROOT / "templates/satellite/golden", self.folder / "rollout")
        self.edit("waves/02-critical/openings.json", "2026-11-24T21", "2000-11-24T21")
        self.edit("waves/02-critical/openings.json", "2026-11-25", "2099-11-25")

    def edit(self, path: str, old: str, new: str) -> None:
        """Changes a file and writes the digests again, as if it had been merged so."""
        file = self.folder / "rollout" / path
        text = file.read_text(encoding="utf-8")
        assert old in text, f"{old} is not in {path}"
        file.write_text(text.replace(old, new), encoding="utf-8")
        rollout = self.folder / "rollout"
        files = sorted(f for f in rollout.rglob("*") if f.is_file() and f.name != "SHA256SUMS")
        lines = [f"{hashlib.sha256(f.read_bytes()).hexdigest()}  {f.relative_to(rollout)}\n" for f in files]
        (rollout / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")

    def ask(self, path: str, body: object = None) -> object:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", data) as answer:
            return json.load(answer)

    def play(self, wave: str, playbook: str, code: int = 0, password: str = PASSWORD) -> str:
        """Runs a playbook; what it says."""
        folder = self.folder / "rollout/waves" / wave
        done = subprocess.run(
            ["ansible-playbook", "-i", f"{folder}/satellite/inventory.yml", "-e", f"@{self.folder}/site.json", f"{folder}/{playbook}"],
            env={**self.environment, "FOREMAN_PASSWORD": password}, capture_output=True, text=True, check=False,
        )
        said = done.stdout + done.stderr
        (self.folder / "last.log").write_text(said, encoding="utf-8")
        assert PASSWORD not in said, "the password is shown"
        assert done.returncode == code, said
        return said

    def new(self) -> list[dict]:
        """What was asked since the last look."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        found, self.seen = lines[self.seen :], len(lines)
        return [json.loads(line) for line in found]

    def result(self, wave: str, batch: str, asset: str, status: str, stage: str, words: str = "", action: str = "patch") -> dict:
        path = self.folder / f"results/{ROLLOUT}.{wave}.{batch}.{asset}.{action}.json"
        result = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator(json.loads((ROOT / "schemas/result/v1.json").read_text(encoding="utf-8"))).validate(result)
        found = result["status"], result["stage"], result["reason"]
        assert found[:2] == (status, stage) and words in found[2], found
        print(f"{wave} {batch} {asset} {action}: {status} {found[2][:100]}")
        path.unlink()
        return result


def posts(requests: list[dict], path: str = "") -> list[dict]:
    return [r for r in requests if r["method"] != "GET" and path in r["path"]]


def first(requests: list[dict], method: str, words: str) -> int:
    return next(i for i, r in enumerate(requests) if r["method"] == method and words in r["path"])


def nothing_is_touched(story: Story) -> None:
    """Where something is wrong, nothing is asked for, and the reason says what."""
    batch = "satellite/batch-01.yml"
    story.play("01-test", batch)
    story.result("test", "01", "sat-test", "not-attempted", "preflight", "run content.yml of this wave first")
    story.program("permit", "echo the rollout is halted >&2; exit 1")
    story.new()
    story.play("01-test", batch)
    story.result("test", "01", "sat-test", "not-attempted", "permit", "halted")
    story.play("01-test", "satellite/content.yml", code=2)
    assert story.new() == [], "without a permit the server is not even asked"
    story.program("permit", 'echo "$PATCHWAVE_ACTION $*" >>"$(dirname "$0")/../asked"')
    story.play("01-test", batch, password="wrong-password")
    story.result("test", "01", "sat-test", "not-attempted", "preflight", "401")
    for old, new, words in [
        ('"search_query": "id = 17"', '"search_query": ""', "a blank search would mean all of them"),
        ('"errata": "RHSA-2026:0101,RHSA-2026:0102"', '"errata": ""', "a blank search would mean all of them"),
        ('"version": "12.0"', '"version": "12.9"', "has version 12.0 (id 88) in Dev, and the plan was made for 12.9 (id 88)"),
        ('"versionId": 88', '"versionId": 87', "the plan was made for 12.0 (id 87)"),
    ]:
        story.edit("waves/01-test/satellite/bodies/batch-01.json", old, new)
        story.play("01-test", batch)
        story.result("test", "01", "sat-test", "not-attempted", "preflight", words)
        story.fresh()
    story.edit("waves/01-test/satellite/bodies/content.json", '"version": "12.0"', '"version": "12.9"')
    assert "the plan was made for 12.9" in story.play("01-test", "satellite/content.yml", code=2)
    story.fresh()
    story.edit("waves/01-test/satellite/bodies/batch-01.json", "17", "18")
    story.play("01-test", batch)
    story.result("test", "01", "sat-test", "not-attempted", "preflight", "host 18 is sat-1.fra1.acme.example")
    story.fresh()
    assert posts(story.new()) == [], "nothing was changed"


def first_wave(story: Story) -> None:
    story.play("01-test", "satellite/content.yml")
    asked = story.new()
    (update,) = posts(asked)
    assert update["path"] == UPDATE, update
    body = update["body"]
    assert body["content_view_version_environments"] == [{"content_view_version_id": 88, "environment_ids": [2]}], body
    assert body["add_content"] == {"errata_ids": ["RHSA-2026:0101", "RHSA-2026:0102"]}, body
    assert body["description"].startswith(f"patchwave {ROLLOUT} sha256:"), body
    # The task is followed to its end, then the capsule until it has what was promoted.
    assert first(asked, "POST", UPDATE) < first(asked, "GET", "/foreman_tasks/") < first(asked, "GET", "/capsules/2/")
    assert len([r for r in asked if "/capsules/2/" in r["path"]]) >= 3, "the capsule was behind"
    story.play("01-test", "satellite/content.yml")
    assert posts(story.new()) == [], "a version that has the errata is taken as it is"

    story.play("01-test", "satellite/batch-01.yml")
    (job,) = posts(story.new())
    assert job["path"] == JOBS and "scheduling" not in job["body"]["job_invocation"], job
    result = story.result("test", "01", "sat-test", "ok", "done")
    assert result["changed"] and result["pendingReboot"] and not result["rebooted"], result
    assert result["transaction"] == ["RHSA-2026:0101", "RHSA-2026:0102"] and result["protection"] == "snapshot-1", result
    story.play("01-test", "satellite/batch-01.yml")
    assert posts(story.new()) == [], "a second run changes nothing"
    assert not story.result("test", "01", "sat-test", "ok", "done")["changed"]


def second_wave(story: Story) -> None:
    story.play("02-critical", "satellite/content.yml")
    content = story.new()
    (promotion,) = posts(content)
    state = {one["id"]: one for one in story.ask("/__state")["versions"]}
    assert promotion["path"] == "/katello/api/content_view_versions/92/promote", "what the first wave proved is promoted"
    assert promotion["body"]["environment_ids"] == [3] and promotion["body"].get("force") is False, promotion
    assert state[92]["version"] == "12.1" and [place["name"] for place in state[92]["environments"]] == ["Dev", "Prod"], state

    story.play("02-critical", "satellite/batch-01.yml", code=2)
    asked = content + story.new()
    jobs = posts(asked, JOBS)
    assert sorted(job["body"]["job_invocation"]["search_query"] for job in jobs) == ["id = 18", "id = 19"], jobs
    for job in jobs:
        times = job["body"]["job_invocation"]["scheduling"]
        assert times["start_before"] == END and times["start_at"] < END, times
    order = [first(asked, "POST", "/promote"), first(asked, "GET", "/capsules/2/"), first(asked, "POST", JOBS)]
    assert order == sorted(order), order
    story.result("critical", "01", "sat-1", "ok", "done")
    assert story.result("critical", "01", "sat-2", "failed", "patch", "scriptlet failed")["changed"]

    batch = "satellite/batch-02.yml"
    story.play("02-critical", batch)
    offline = story.result("critical", "02", "sat-3", "not-attempted", "patch", "Could not establish connection")
    assert not offline["changed"] and offline["packages"][0]["after"] == [], offline
    story.ask("/__behave", {"20": "late"})
    story.play("02-critical", batch)
    story.result("critical", "02", "sat-3", "not-attempted", "patch", "cancelled")
    story.new()
    story.ask("/__behave", {"19": "ok", "20": "ok"})
    story.play("02-critical", batch)
    (job,) = posts(story.new())
    assert job["body"]["job_invocation"]["inputs"] == {"errata": "RHSA-2026:0101"}, "the kernel is not of its plan"
    story.result("critical", "02", "sat-3", "ok", "done")
    story.play("02-critical", "satellite/batch-01.yml")
    (job,) = posts(story.new())
    assert job["body"]["job_invocation"]["search_query"] == "id = 19", "what is done is not done twice"
    story.result("critical", "01", "sat-1", "ok", "done")
    story.result("critical", "01", "sat-2", "ok", "done")


def back(story: Story) -> None:
    # Dev has the newer version, so the server does not take Prod back out of order: it says so, the packages go down.
    story.play("02-critical", "rollback/satellite/batch-01.yml")
    asked = story.new()
    (promotion,) = posts(asked, "/promote")
    assert promotion["path"].endswith("/88/promote") and promotion["body"]["force"] is False, promotion
    jobs = [job["body"]["job_invocation"] for job in posts(asked, JOBS)]
    assert sorted(job["search_query"] for job in jobs) == ["id = 18", "id = 19"], jobs
    command = (
        "dnf --assumeyes downgrade openssl-libs-1:3.0.7-24.el9.x86_64"
        " && grubby --set-default /boot/vmlinuz-5.14.0-427.13.1.el9_4.x86_64"
    )
    assert all(job["inputs"] == {"command": command} and job["job_template_id"] == 7 for job in jobs), jobs
    assert all("scheduling" not in job for job in jobs), "a rollback waits for no opening"
    result = story.result("critical", "01", "sat-1", "ok", "done", "out of sequence", "rollback")
    assert result["packages"][1]["after"] == ["3.0.7-24.el9"], result
    story.result("critical", "01", "sat-2", "ok", "done", "boots next: reboot the asset", "rollback")

    story.play("01-test", "rollback/satellite/batch-01.yml")
    asked = story.new()
    assert [r["path"].rsplit("/", 2)[-2:] for r in posts(asked)] == [["88", "promote"], ["api", "job_invocations"]], posts(asked)
    story.result("test", "01", "sat-test", "ok", "done", "", "rollback")
    state = {one["id"]: one for one in story.ask("/__state")["versions"]}
    assert "Dev" in [place["name"] for place in state[88]["environments"]], state
    # What is left is a kernel alone. The server does not say which one boots, so it is chosen once more, with its hooks.
    story.program("lb-drain", 'echo drained >>"$(dirname "$0")/../drained"')
    story.play("01-test", "rollback/satellite/batch-01.yml")
    (job,) = posts(story.new())
    assert job["body"]["job_invocation"]["inputs"] == {"command": "grubby --set-default /boot/vmlinuz-5.14.0-427.13.1.el9_4.x86_64"}, job
    result = story.result("test", "01", "sat-test", "ok", "done", "reboot the asset", "rollback")
    assert result["changed"] and result["pendingReboot"], result
    assert (story.folder / "drained").read_text(encoding="utf-8") == "drained\n", "its hooks run"
    for old, new, words in [
        ('manager: "dnf"', 'manager: "zypper"', "boot entries of SUSE"),
        ('before: "1:3.0.7-24.el9"', 'before: "1:3.0.7-20.el9"', "changed by something else since"),
        ('before: "5.14.0-427.13.1.el9_4"', 'before: "5.14.0-362.8.1.el9_3"', "no longer installed, so it cannot boot"),
    ]:
        story.edit("waves/01-test/rollback/satellite/batch-01.yml", old, new)
        story.play("01-test", "rollback/satellite/batch-01.yml")
        story.result("test", "01", "sat-test", "not-attempted", "preflight", words, "rollback")
        story.fresh()
    assert posts(story.new()) == [], "nothing was changed"


def the_double_can_find_faults(story: Story) -> None:
    """A play that would ask for everything gets no job, and the double counts it."""
    assert story.ask("/__faults") == [], story.ask("/__faults")
    auth = {"authorization": "Basic " + base64.b64encode(f"robot:{PASSWORD}".encode()).decode()}
    blank = {"feature": "katello_errata_install", "targeting_type": "static_query", "search_query": "", "inputs": {"errata": "RHSA-1"}}
    update = {"content_view_version_environments": [{"content_view_version_id": 88, "environment_ids": [2]}], "add_content": {"errata_ids": ["RHSA-2026:0101"]}}
    wrong = [
        (JOBS, {"job_invocation": blank}),
        (JOBS, {"job_invocation": {**blank, "search_query": "id = 17", "inputs": {"errata": " "}}}),
        (JOBS, {"job_invocation": {**blank, "search_query": "id = 17", "time_span": 60}}),
        (JOBS, {"job_invocation": {key: value for key, value in blank.items() if key != "targeting_type"}}),
        ("/katello/api/content_view_versions/88/promote", {"environment_ids": [3], "force": True}),
        (UPDATE, {**update, "propagate_all_composites": True}),
        (UPDATE, {**update, "add_content": {"errata_ids": ["RHSA-2026:0999"]}}),
        ("/api/no_such_route", {}),
    ]
    for count, (path, body) in enumerate(wrong, 1):
        request = urllib.request.Request(f"http://127.0.0.1:{story.port}{path}", json.dumps(body).encode(), auth)
        try:
            urllib.request.urlopen(request)
            raise AssertionError(f"the double takes {path} {body}")
        except urllib.error.HTTPError as error:
            assert error.code == 422, error
        assert len(story.ask("/__faults")) == count, path
    print(f"the double refuses {len(wrong)} requests that no play may send")


def main() -> None:
    story = Story(pathlib.Path(sys.argv[1]))
    try:
        nothing_is_touched(story)
        first_wave(story)
        second_wave(story)
        back(story)
        requests = (story.folder / "played.ndjson")
        shutil.copy(story.log, requests)
        the_double_can_find_faults(story)
        for file in story.folder.rglob("*"):
            if file.is_file() and file.name != "double.log":
                assert PASSWORD.encode() not in file.read_bytes(), f"the password is in {file}"
    finally:
        story.double.terminate()
        story.double.wait()


if __name__ == "__main__":
    main()
