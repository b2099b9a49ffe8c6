#!/usr/bin/env python3
"""Runs the release scripts of the golden rollouts against doubles of their tools: who is released, what is sent, what is taken back.

    runs.py TEMPLATES

A double answers in the shapes of the vendor's pages. That a product answers so is what nobody here has seen.
"""
import argparse
import importlib
import json
import pathlib
import shutil
import sys
import tempfile

# What Python keeps beside its files is not of what was merged, and is refused.
sys.dont_write_bytecode = True
DURING, LATE, AFTER = "2026-11-24T22:00:00Z", "2026-11-25T02:30:00Z", "2026-11-25T12:00:00Z"


class Rollout:
    """A copy of a golden rollout with the modules of its second wave, at an instant, with a permit command of ours."""

    def __init__(self, templates, scratch, tool):
        self.tool, self.folder = tool, pathlib.Path(scratch) / tool
        shutil.copytree(templates / tool / "golden", self.folder)
        self.place = self.folder / "waves" / "02-critical" / tool
        self.results, self.allowed = pathlib.Path(scratch) / f"{tool}-results", pathlib.Path(scratch) / f"{tool}-permit"
        sys.path.insert(0, str(self.place))
        for name in ("patchwave", "rest", "release", "snapshot"):
            sys.modules.pop(name, None)
        self.patchwave, self.release = importlib.import_module("patchwave"), importlib.import_module("release")
        sys.path.pop(0)
        self.permit(True)

    def permit(self, given, but=""):
        """A permit for every asset or none, but for one the other way round."""
        said = f"raise SystemExit(0 if (sys.argv[-1] == {but!r}) != {given} else 'halted')"
        self.allowed.write_text("import sys\n" + said, encoding="utf-8")

    def batch(self):
        command = [sys.executable, str(self.allowed)]
        return self.patchwave.Batch(argparse.Namespace(batch="01", results_dir=str(self.results), permit_command=command))

    def step(self, tool, at, withdrawing=False):
        self.patchwave.now = lambda: self.patchwave.instant(at)
        return self.patchwave.step(tool, self.batch(), withdrawing, ())

    def states(self):
        return {path.name.split(".")[3]: json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.results.glob("*.json"))}

    def statuses(self):
        return {name: state["status"] for name, state in self.states().items()}


def same(seen, wanted, what):
    if seen != wanted:
        raise SystemExit(f"{what}: {seen!r}, not {wanted!r}")


class Plain:
    """A tool that does what it is told and remembers it."""

    def __init__(self):
        self.sent, self.taken, self.state = [], [], "open"

    def check(self, asset):
        pass

    def release(self, asset, start):
        self.sent.append(asset["name"])
        return {"of": asset["name"]}

    def look(self, asset, found):
        return self.state, ""

    def withdraw(self, asset, found):
        self.taken.append(found["of"])
        return True


def flow(templates, scratch):
    """The part that every script shares."""
    rollout = Rollout(templates, scratch, "uyuni")
    names = [asset["name"] for asset in rollout.batch().assets]
    tool = Plain()
    rollout.permit(False)
    rollout.step(tool, DURING)
    same((tool.sent, rollout.statuses()), ([], {}), "released without a permit")
    rollout.permit(True)
    for moment in ("2026-11-24T12:00:00Z", LATE, AFTER):
        rollout.step(tool, moment)
    same(tool.sent, [], "released outside an opening or after the cutoff")
    rollout.step(tool, DURING)
    rollout.step(tool, DURING)
    same((tool.sent, set(rollout.statuses().values())), (names, {"started"}), "released in the opening, once")
    rollout.permit(False)
    rollout.step(tool, DURING)
    same((tool.taken, set(rollout.statuses().values())), (names, {"not-attempted"}), "taken back at a halt")
    rollout.permit(True)
    rollout.step(tool, DURING)
    same(tool.sent, names * 2, "released again with a new permit")
    tool.state = "unproved"
    rollout.step(tool, DURING)
    same(set(rollout.statuses().values()), {"started"}, "done without proof is still open")
    rollout.step(tool, AFTER)
    same(set(rollout.statuses().values()), {"failed"}, "done without proof after the window")
    rollout.step(tool, DURING)
    same(tool.sent, names * 2, "a concluded asset is not released again")
    state = next(iter(rollout.states().values()))
    same((state["rollout"], len(state["sums"]), "finishedAt" in state), (rollout.batch().data["rollout"], 64, True), "result file")

    lost, fresh = Plain(), Rollout(templates, scratch + "/lost", "uyuni")
    lost.release = lambda asset, start: (_ for _ in ()).throw(OSError("gone"))
    same(fresh.step(lost, DURING), len(names), "a release that is lost is told")
    second = Plain()
    fresh.step(second, DURING)
    same((second.sent, set(fresh.statuses().values())), ([], {"started"}), "a lost release is not repeated")

    one = Plain()
    one.serial = True
    serial = Rollout(templates, scratch + "/serial", "uyuni")
    serial.step(one, DURING)
    same(one.sent, names[:1], "one after the other")

    early, others = Plain(), Rollout(templates, scratch + "/others", "uyuni")
    early.serial = True
    others.permit(True, but=names[0])
    others.step(early, DURING)
    same(early.sent, names[1:2], "the one that has its permit begins")
    others.permit(True)
    others.step(early, DURING)
    same(early.sent, names[1:2], "one that stands before it in the list waits for it, whichever run began it")
    early.state = "ok"
    others.step(early, DURING)
    same(early.sent, [names[1], names[0]], "and begins when it is done")

    answer = rollout.folder / "resume-0a1b2c.yaml"
    answer.write_text("kind: Resume\n", encoding="utf-8")
    rollout.batch()
    for strange in ("waves/02-critical/uyuni/json.py", "waves/resume-0a1b2c.yaml"):
        (rollout.folder / strange).write_text("", encoding="utf-8")
        refused(rollout, f"{strange}: not of what was merged")
        (rollout.folder / strange).unlink()
    (rollout.folder / "link").symlink_to("/etc")
    refused(rollout, "link: not of what was merged")
    (rollout.folder / "link").unlink()
    (rollout.place / "batch-01.json").write_text((rollout.place / "batch-01.json").read_text(encoding="utf-8") + " ", encoding="utf-8")
    refused(rollout, "is not what was merged")


def refused(rollout, words):
    try:
        rollout.batch()
    except rollout.patchwave.Refused as error:
        same(words in str(error), True, str(error))
    else:
        raise SystemExit(f"obeyed, although {words}")


class Calls:
    """A double of an XML-RPC server: `answers` by method, calls are kept."""

    def __init__(self, answers, path=""):
        self._answers, self._path, self._seen = answers, path, answers.setdefault("seen", [])

    def __getattr__(self, name):
        return Calls(self._answers, f"{self._path}.{name}".lstrip("."))

    def __call__(self, _key, *arguments):
        self._seen.append((self._path, *arguments))
        answer = self._answers.get(self._path, 1)
        return answer(*arguments) if callable(answer) else answer


def uyuni(templates, scratch):
    import zoneinfo

    rollout = Rollout(templates, scratch + "/own", "uyuni")
    package = {"name": "openssl-libs", "arch": "x86_64", "epoch": "1", "version": "3.0.7", "release": "24.el9"}
    better = {"name": "openssl-libs", "to_epoch": "1", "to_version": "3.0.7", "to_release": "27.el9"}
    answers = {
        "system.getId": lambda name: [{"id": 1000010001, "name": name}],
        "errata.findByCve": [],
        "system.getRelevantErrata": [{"id": 41, "advisory_name": "RHSA-2026:0101"}, {"id": 42, "advisory_name": "RHSA-2026:9999"}],
        "system.listPackages": [package],
        "system.listLatestUpgradablePackages": [better],
        "errata.getDetails": {"reboot_suggested": True},
        "actionchain.listChains": [],
        "actionchain.addErrataUpdate": 7,
        "actionchain.addSystemReboot": 8,
        "schedule.listFailedSystems": [],
        "schedule.listCompletedSystems": [],
    }
    tool = rollout.release.Uyuni.__new__(rollout.release.Uyuni)
    tool.api, tool.key, tool.zone = Calls(answers), "key", zoneinfo.ZoneInfo("Europe/Berlin")
    better["to_release"] = "28.el9"
    rollout.step(tool, DURING)
    same(set(rollout.statuses().values()), {"not-attempted"}, "another version than the plan is left alone")
    same([call for call in answers["seen"] if call[0].startswith("actionchain")], [], "nothing is scheduled then")
    better["to_release"], answers["system.getRelevantErrata"] = "27.el9", [{"id": 42, "advisory_name": "RHSA-2026:9999"}]
    rollout.step(tool, DURING)
    same([call for call in answers["seen"] if call[0].startswith("actionchain")], [], "no erratum of the plan, nothing scheduled")
    answers["system.getRelevantErrata"] = [{"id": 41, "advisory_name": "RHSA-2026:0101"}, {"id": 42, "advisory_name": "RHSA-2026:9999"}]
    rollout.step(tool, DURING)
    sent = [call for call in answers["seen"] if call[0] == "actionchain.addErrataUpdate"]
    same({tuple(call[2]) for call in sent}, {(41,)}, "exactly the errata of the plan, by the ids of the server")
    dates = {str(call[2]) for call in answers["seen"] if call[0] == "actionchain.scheduleChain"}
    same(dates, {"20261124T22:00:00"}, "the start of the opening, in the time zone of the server")
    answers["schedule.listCompletedSystems"] = [{"server_id": 1000010001}]
    rollout.step(tool, DURING)
    same(set(rollout.statuses().values()), {"started"}, "completed, and the old version still there")
    # The errata are in and the reboot waits: that is half done, and nothing that could be taken back.
    answers["schedule.listCompletedSystems"] = lambda action: [{"server_id": 1000010001}] if action == 7 else []
    package["release"] = "27.el9"
    rollout.step(tool, AFTER, withdrawing=True)
    same(set(rollout.statuses().values()), {"started"}, "a chain that is half done is not withdrawn")
    same([call for call in answers["seen"] if call[0] == "schedule.cancelActions"], [], "and its reboot is not cancelled")
    answers["schedule.listCompletedSystems"] = [{"server_id": 1000010001}]
    rollout.step(tool, AFTER)
    same(set(rollout.statuses().values()), {"ok"}, "completed with the exact versions")

    waiting = Rollout(templates, scratch + "/waiting", "uyuni")
    answers["schedule.listCompletedSystems"], better["to_release"], package["release"] = [], "27.el9", "24.el9"
    waiting.step(tool, DURING)
    waiting.step(tool, LATE)
    same(set(waiting.statuses().values()), {"not-attempted"}, "a chain that waits is taken back at the cutoff")
    same({tuple(call[1]) for call in answers["seen"] if call[0] == "schedule.cancelActions"}, {(7, 8)}, "with every action of it")


def rest(rollout, answers):
    """Puts a double in the place of HTTPS; `answers` is asked (method, path below the host, body, query)."""
    seen = []

    def ask(method, url, body=None, headers=None, query=None):
        path = url.split("/", 3)[3]
        seen.append((method, path, body, query or {}))
        return answers(method, path, body, query or {})

    rollout.release.ask = ask
    return seen


def landscape(templates, scratch):
    rollout = Rollout(templates, scratch, "landscape")
    version, activities, changes = ["3.0.13-0ubuntu3.6"], {}, []

    def answers(method, path, body, query):
        if path.endswith("/computers"):
            return {"count": 1, "results": [{"id": 17, "hostname": query["query"].split(":", 1)[1]}]}
        if path.endswith("/packages"):
            return {"count": 1, "results": [{"name": "libssl3t64", "computers": [{"id": 17, "available_version": version[0]}]}]}
        if query.get("action") == "UpgradePackages":
            activities[len(activities) + 301] = "undelivered"
            return {"id": len(activities) + 300}
        number = int(query["query"].split(":")[1])
        if query["action"] == "CancelActivities":
            activities[number] = "canceled"
            return [number]
        # A group of one computer has no children here: the activity is asked for itself.
        known = query["query"].startswith("id:")
        return [{"id": number, "activity_status": activities[number], "result_text": None, "changes": changes}] if known else []

    tool = rollout.release.Landscape.__new__(rollout.release.Landscape)
    tool.url, tool.headers = "https://landscape.example.org", {}
    seen = rest(rollout, answers)
    upgrades = lambda: [query for _, _, _, query in seen if query.get("action") == "UpgradePackages"]
    rollout.step(tool, DURING)
    same((upgrades(), set(rollout.statuses().values())), ([], {"not-attempted"}), "another version than the plan is left alone")
    version[0] = "3.0.13-0ubuntu3.5"
    rollout.step(tool, DURING)
    first = upgrades()[0]
    same((first["query"], first["packages.1"], first["deliver_after"]), ("id:17", "libssl3t64", "2026-11-24T21:00:00Z"), "one computer, by name")
    rollout.step(tool, LATE)
    same(set(rollout.statuses().values()), {"not-attempted"}, "cancelled at the cutoff")
    rollout.step(tool, DURING)
    for number in activities:
        activities[number] = "succeeded" if activities[number] == "undelivered" else activities[number]
    rollout.step(tool, DURING)
    same(set(rollout.statuses().values()), {"started"}, "succeeded, and nothing is told of the package")
    changes.append({"package": "libssl3t64", "version": "3.0.13-0ubuntu3.5", "type": "install"})
    rollout.step(tool, DURING)
    same(set(rollout.statuses().values()), {"ok"}, "succeeded with the version of the plan")


def vcenter(templates, scratch):
    rollout = Rollout(templates, scratch, "vcenter")
    image, status = ["8.0.2-0.0.22380479"], ["RUNNING"]

    def answers(method, path, body, query):
        if path.endswith("/vcenter/host"):
            return [{"host": "host-17", "connection_state": "CONNECTED"}]
        if path.endswith("/vcenter/cluster"):
            return [{"cluster": "domain-c8"}]
        if path.endswith("/base-image"):
            return {"version": image[0]}
        if path.endswith("/compliance"):
            return {"hosts": {"host-17": {"status": "COMPLIANT"}}}
        return "task-1" if method == "POST" else {"status": status[0]}

    import os

    os.environ["VCENTER_ACCEPT_EULA"] = "yes"
    tool = rollout.release.VCenter.__new__(rollout.release.VCenter)
    tool.url, tool.headers = "https://vcenter.example.org", {}
    seen = rest(rollout, answers)
    posts = lambda: [(path, body) for method, path, body, _ in seen if method == "POST"]
    rollout.step(tool, DURING)
    same((posts(), set(rollout.statuses().values())), ([], {"not-attempted"}), "another image than the plan is left alone")
    image[0] = "8.0.3-0.35.24280767"
    rollout.step(tool, DURING)
    same(posts(), [("api/esx/settings/clusters/domain-c8/software", {"hosts": ["host-17"], "accept_eula": True})], "one host, named")
    status[0] = "SUCCEEDED"
    rollout.step(tool, DURING)
    same(("ok" in rollout.statuses().values(), len(posts())), (True, 2), "the next host when the first is done")


def intune(templates, scratch):
    rollout = Rollout(templates, scratch, "intune")
    build, members = ["10.0.20348.2700"], []

    def answers(method, path, body, query):
        path = path.split("/", 1)[1]
        if path == "admin/windows/updates/catalog/entries":
            day = "2026-11-10T00:00:00Z"
            return {"value": [{"isExpeditable": True, "releaseDateTime": day, "productRevisions": [{"id": "10.0.20348.2762"}]}]}
        name = query.get("$filter", "''").split("'")[1]
        if path == "deviceManagement/managedDevices":
            return {"value": [{"deviceName": name, "osVersion": build[0]}]}
        if path == "devices":
            return {"value": [{"displayName": name, "id": "d-" + name}]}
        if path.endswith("/members") and method == "GET":
            return {"value": [{"id": each} for each in members]}
        if path.endswith("/members/$ref"):
            return members.append(body["@odata.id"].rsplit("/", 1)[1])
        if method == "DELETE":
            return members.remove(path.split("/")[3])
        return {"value": []} if method == "GET" else {"id": "new"}

    batch = rollout.batch()
    rollout.release.need = lambda name: "token"
    tool = rollout.release.Intune(batch)
    seen = rest(rollout, answers)
    rollout.step(tool, DURING)
    same(members, ["d-" + asset["device"] for asset in batch.assets], "permitted devices are members")
    made = [body for _, path, body, _ in seen if path.endswith("/windowsQualityUpdateProfiles") and body]
    same(made[0]["expeditedUpdateSettings"]["qualityUpdateRelease"], "2026-11-10T00:00:00Z", "the release day of the build")
    build[0] = "10.0.20348.2762"
    rollout.step(tool, DURING)
    same(set(rollout.statuses().values()), {"ok"}, "the exact build")
    build[0] = "10.0.20348.2700"
    late = Rollout(templates, scratch + "/late", "intune")
    late.release.need = lambda name: "token"
    tool = late.release.Intune(batch)
    members.clear()
    seen = rest(late, answers)
    late.step(tool, DURING)
    pauses = lambda: [body["qualityUpdatesPaused"] for method, _, body, _ in seen if method == "PATCH"]
    late.permit(True, but=batch.assets[0]["name"])
    late.step(tool, DURING)
    same(members, ["d-" + asset["device"] for asset in batch.assets[1:]], "one device without a permit leaves the group")
    same(pauses(), [False], "and the ring of the others goes on")
    late.permit(True)
    late.step(tool, LATE)
    same((members, set(late.statuses().values())), ([], {"not-attempted"}), "out of the group at the cutoff")
    same(pauses()[-1], True, "the ring is paused when the last one has left")
    again = late.release.Intune(batch)
    late.step(again, DURING)
    same((pauses()[-1], len(members)), (False, len(batch.assets)), "and goes on for who is permitted again")


def main():
    templates = pathlib.Path(sys.argv[1]).resolve()
    for run in (flow, uyuni, landscape, vcenter, intune):
        with tempfile.TemporaryDirectory() as scratch:
            run(templates, scratch)
        print(f"{run.__name__} holds")


if __name__ == "__main__":
    main()
