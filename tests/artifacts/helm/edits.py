#!/usr/bin/env python3
"""Plays the golden batches of the target helm against real Git repositories: what is committed, what is refused, what goes back.

    edits.py TEMPLATES

The repositories hold the files below repository/; git is the real one. The permit is a double, and so is kubectl.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tier2"))

import runs
from runs import AFTER, DURING, LATE, same

# Chart and version of each edit of batch 01, by file; in files that begin with a byte order mark and end lines with CR LF.
ODD = "clusters/helm-1/ingress-nginx.yaml"
EDITS = {
    ODD: [("'4.11.3'", "'4.11.5'")],
    "clusters/helm-1/cert-manager.yaml": [("v1.14.4 ", "v1.14.5 "), ('"1.14.4"', '"1.14.5"')],
    "clusters/helm-1/shop-oci.yaml": [("      4.11.3", "      4.11.5")],
    "clusters/helm-1/shop/values.yaml": [('"2.4.0" ', '"2.4.1" ')],
    "clusters/helm-1/shop/deployment.yaml": [("shop-api:2.4.0 ", "shop-api:2.4.1 ")],
    "clusters/helm-1/shop/kustomization.yaml": [("newTag: 2.4.0", "newTag: 2.4.1")],
    "clusters/helm-1/edge/kustomization.yaml": [("version: 4.11.3", "version: 4.11.5")],
    "clusters/helm-2/umbrella/Chart.yaml": [("version: 4.11.3", "version: 4.11.5")],
    "clusters/helm-2/helmfile.yaml": [('"4.11.3" ', '"4.11.5" ')],
}


def git(folder, *words):
    identity = ["-c", "user.name=site", "-c", "user.email=site@example.org", "-c", "core.autocrlf=false"]
    return subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


class Site:
    """A bare repository with the sample files, the rollout, and the settings of the site."""

    def __init__(self, templates, scratch, change=None, **entry):
        self.scratch = pathlib.Path(scratch)
        self.scratch.mkdir(parents=True)
        self.bare, self.tree = self.scratch / "gitops.git", self.scratch / "tree"
        shutil.copytree(HERE / "repository", self.tree)
        # The vendored chart is the newer one already, so its pin could not go back.
        shutil.rmtree(self.tree / "clusters/helm-2/umbrella/charts")
        odd = self.tree / ODD
        odd.write_bytes(b"\xef\xbb\xbf" + odd.read_bytes().replace(b"\n", b"\r\n"))
        if change:
            change(self.tree)
        git(self.scratch, "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        git(self.tree, "init", "--quiet", "--initial-branch=main")
        self.save("before")
        self.before = self.files()
        for name in ("pins", "edit", "ready", "rollback"):
            sys.modules.pop(name, None)
        self.rollout = runs.Rollout(templates, scratch, "helm")
        settings = {"repositories": {"default": {"url": f"file://{self.bare}", "paths": ["clusters/{asset}"], **entry}}, "attempts": 3}
        self.settings = self.scratch / "settings.yml"
        self.settings.write_text(json.dumps(settings), encoding="utf-8")
        os.environ["PATCHWAVE_HELM_SETTINGS"] = str(self.settings)

    def save(self, message):
        git(self.tree, "add", "--all")
        git(self.tree, "commit", "--quiet", "--message", message)
        git(self.tree, "push", "--quiet", f"file://{self.bare}", "HEAD:main")

    def files(self, branch="main"):
        """Every file of a branch, as bytes."""
        names = [name for name in git(self.bare, "ls-tree", "-r", "-z", "--name-only", branch).split("\0") if name]
        return {name: subprocess.run(["git", "show", f"{branch}:{name}"], cwd=self.bare, check=True, capture_output=True).stdout for name in names}

    def log(self):
        return git(self.bare, "log", "--format=%s", "main").splitlines()

    def tool(self):
        return self.rollout.release.GitOps(self.rollout.batch())

    def step(self, at=DURING, withdrawing=False):
        return self.rollout.step(self.tool(), at, withdrawing)

    def why(self, asset):
        state = self.rollout.states()[asset]
        return state["status"], state["reason"]


def expected(before, names=None):
    """The files with the edits that are asked for, and not one byte else."""
    after = dict(before)
    for name, edits in EDITS.items():
        for old, new in edits if names is None or name in names else []:
            same(after[name].count(old.encode()), 1, f"the sample {name} has {old} once")
            after[name] = after[name].replace(old.encode(), new.encode())
    return after


def flow(templates, scratch):
    site = Site(templates, scratch + "/flow")
    shown = subprocess.run([sys.executable, "preflight.py", "01"], cwd=site.rollout.place, capture_output=True, text=True)
    lines = shown.stdout.splitlines()
    same((shown.returncode, len(lines), site.log()), (0, sum(map(len, EDITS.values())), ["before"]), f"what is ahead: {shown.stdout}{shown.stderr}")
    same("helm-2: clusters/helm-2/helmfile.yaml:7 ingress-nginx 4.11.3 -> 4.11.5" in lines, True, shown.stdout)
    same([path.name for path in site.rollout.place.iterdir() if path.is_dir()], [], "nothing is left beside what was merged")
    site.rollout.permit(False)
    site.step()
    site.rollout.permit(True)
    for moment in (LATE, AFTER, "2026-11-24T12:00:00Z"):
        site.step(moment)
    same(site.log(), ["before"], "nothing is pushed without a permit, or outside an opening")
    site.step()
    same((len(site.log()), site.files() == expected(site.before)), (3, True), "one commit an asset, and only the versions differ")
    site.step()
    same(site.rollout.statuses(), {"helm-1": "ok", "helm-2": "ok"}, "the branch has the versions")
    site.step()
    same(len(site.log()), 3, "a second run commits nothing")
    message = git(site.bare, "log", "--format=%B", "-1", "main")
    for part in ("helm-2: ingress-nginx 4.11.3 -> 4.11.5", "clusters/helm-2/helmfile.yaml:7", "Patchwave-Rollout: helm-2026-11-20", "Patchwave-Asset: helm-2"):
        same(part in message, True, f"the commit says {part}: {message}")
    shutil.rmtree(site.rollout.results)
    site.step()
    site.step()
    same((len(site.log()), site.rollout.statuses()), (3, {"helm-1": "ok", "helm-2": "ok"}), "what stands already is not committed again")

    sys.path.insert(0, str(site.rollout.place))
    import rollback

    sys.path.pop(0)
    site.rollout.patchwave.now = lambda: site.rollout.patchwave.instant(AFTER)
    for _ in range(2):
        batch = site.rollout.batch()
        site.rollout.patchwave.step(rollback.back(batch), batch, False, ())
    same((len(site.log()), site.files() == site.before), (5, True), "the way back gives the files of before, without an opening")
    kept = {json.loads(path.read_text())["action"] + " " + json.loads(path.read_text())["status"] for path in site.rollout.results.glob("*.json")}
    same(kept, {"patch ok", "rollback ok"}, "results of both directions")
    asset = {**batch.assets[0], "rollback": "none"}
    try:
        rollback.back(batch).check(asset)
    except site.rollout.patchwave.Refused as error:
        same("no way back" in str(error), True, str(error))
    else:
        raise SystemExit("an asset without a way back is taken back")


def races(templates, scratch):
    site = Site(templates, scratch + "/race")
    tool = site.tool()
    commit = tool.commit

    def late(folder, asset, files):
        done = commit(folder, asset, files)
        if site.log() == ["before"]:
            (site.tree / "NOTES").write_text("somebody else\n")
            site.save("somebody else")
        return done

    tool.commit = late
    site.rollout.step(tool, DURING)
    same(site.log()[2:], ["somebody else", "before"], "who comes second goes on top")
    same(site.files() == {**expected(site.before), "NOTES": b"somebody else\n"}, True, "and takes nothing away")

    shut = Site(templates, scratch + "/shut")
    hook = shut.bare / "hooks" / "update"
    hook.write_text("#!/bin/sh\necho protected\nexit 1\n")
    hook.chmod(0o755)
    shut.step()
    shut.step()
    status, why = shut.why("helm-1")
    same((status, "nothing was pushed" in why, shut.log()), ("failed", True, ["before"]), f"a protected branch: {why}")

    halted = Site(templates, scratch + "/halted")
    tool = halted.tool()
    commit_then = tool.commit

    def halting(folder, asset, files):
        done = commit_then(folder, asset, files)
        if halted.log() == ["before"]:
            (halted.tree / "NOTES").write_text("somebody else\n")
            halted.save("somebody else")
            halted.rollout.permit(False)
        return done

    tool.commit = halting
    halted.rollout.step(tool, DURING)
    same(halted.log(), ["somebody else", "before"], "a halt between two tries of a push")

    moved = Site(templates, scratch + "/moved")
    moved.step()
    git(moved.tree, "push", "--quiet", "--force", f"file://{moved.bare}", "HEAD:main")
    moved.step()
    same(moved.why("helm-1")[0], "failed", "an edit that was taken back is no success")


def branches(templates, scratch):
    site = Site(templates, scratch + "/branch", push="branch")
    site.step()
    site.step()
    own = git(site.bare, "branch", "--list", "patchwave-helm/*").split()
    same((len(own), site.log(), set(site.rollout.statuses().values())), (2, ["before"], {"started"}), "a branch an asset waits for its merge")
    git(site.bare, "update-ref", "refs/heads/main", next(name for name in own if name.endswith("helm-1")))
    site.step(LATE)
    same(site.rollout.statuses(), {"helm-1": "ok", "helm-2": "not-attempted"}, "merged, or withdrawn at the cutoff")
    same(len(git(site.bare, "branch", "--list", "patchwave-helm/*").split()), 1, "the branch of what was withdrawn is gone")


    farther = Site(templates, scratch + "/farther", push="branch")
    farther.step()
    for file, edits in EDITS.items():
        text = (farther.tree / file).read_bytes()
        for was, goal in edits:
            text = text.replace(was.encode(), goal.replace("4.11.5", "4.12.0").replace("1.14.5", "1.15.0").replace("2.4.1", "2.5.0").encode())
        (farther.tree / file).write_bytes(text)
    farther.save("somebody went further")
    farther.step()
    same(farther.rollout.statuses(), {"helm-1": "ok", "helm-2": "ok"}, "something newer than what was asked for will do")


KUBECTL = """#!/usr/bin/env python3
import json, pathlib, sys
print((pathlib.Path(__file__).parent / (sys.argv[sys.argv.index("get") + 1] + ".json")).read_text())
"""


def cluster(templates, scratch):
    site = Site(templates, scratch + "/cluster", ready={"context": "eu"})
    (site.scratch / "kubectl").write_text(KUBECTL)
    (site.scratch / "kubectl").chmod(0o755)
    os.environ["PATH"] = f"{site.scratch}:{os.environ['PATH']}"

    def says(version, ready, tag):
        release = {"metadata": {"namespace": "ingress", "name": "ingress-nginx", "generation": 4}, "spec": {"chart": {"spec": {"chart": "ingress-nginx"}}}}
        release["status"] = {"observedGeneration": 4, "history": [{"chartName": "ingress-nginx", "chartVersion": version}], "conditions": [{"type": "Ready", "status": ready}]}
        source = {"chart": "cert-manager", "targetRevision": "v1.14.5"}
        application = {"metadata": {"namespace": "argocd", "name": "cert-manager"}, "spec": {"source": source}, "status": {"sync": {"status": "Synced"}, "health": {"status": "Healthy"}}}
        pod = {"metadata": {"namespace": "shop", "name": "api-0"}, "spec": {"containers": [{"name": "api", "image": f"ghcr.io/acme/shop-api:{tag}"}]}}
        pod["status"] = {"phase": "Running", "containerStatuses": [{"name": "api", "ready": True}]}
        evicted = {"metadata": {"namespace": "shop", "name": "api-1"}, "spec": {"containers": [{"name": "api", "image": "ghcr.io/acme/shop-api:2.4.0"}]}, "status": {"phase": "Failed"}}
        leaving = {**evicted, "metadata": {"namespace": "shop", "name": "api-2", "deletionTimestamp": "2026-11-20T22:00:00Z"}, "status": {"phase": "Running"}}
        for kind, items in (("helmreleases.helm.toolkit.fluxcd.io", [release]), ("applications.argoproj.io", [application]), ("pods", [pod, evicted, leaving])):
            (site.scratch / f"{kind}.json").write_text(json.dumps({"items": items}))

    says("4.11.3", "True", "2.4.0")
    site.step()
    site.step()
    same(set(site.rollout.statuses().values()), {"started"}, "pushed, and the cluster does not run it yet")
    says("4.11.5", "False", "2.4.1")
    site.step()
    same(set(site.rollout.statuses().values()), {"started"}, "not ready")
    says("4.11.5", "True", "2.4.0")
    site.step()
    same(site.rollout.statuses(), {"helm-1": "started", "helm-2": "ok"}, "a pod of the earlier image")
    says("4.11.5", "True", "2.4.1")
    site.step()
    same(site.rollout.statuses()["helm-1"], "ok", "the cluster runs everything")
    late = Site(templates, scratch + "/late", ready={"context": "eu"})
    for kind in ("helmreleases.helm.toolkit.fluxcd.io", "applications.argoproj.io", "pods"):
        (site.scratch / f"{kind}.json").write_text(json.dumps({"items": []}))
    late.step()
    late.step(AFTER)
    same(set(late.rollout.statuses().values()), {"failed"}, "what the cluster does not show after the window has failed")
    os.environ["PATH"] = os.environ["PATH"].split(":", 1)[1]


def refusals(templates, scratch):
    """Through the whole flow: a file of an asset that cannot be edited leaves the asset as it is, and says where."""
    def change(tree):
        file = tree / "clusters/helm-2/helmfile.yaml"
        file.write_text(file.read_text().replace('"4.11.3"', '"^4.11"'))

    site = Site(templates, scratch + "/range", change)
    site.step()
    status, why = site.why("helm-2")
    same((status, "clusters/helm-2/helmfile.yaml:7" in why and "`^4.11` is no exact version" in why), ("not-attempted", True), why)
    same(len(site.log()), 2, "the other asset goes on")

    def outside(tree):
        (tree / "clusters/helm-1-real").mkdir()
        shutil.rmtree(tree / "clusters/helm-2")
        (tree / "clusters/helm-2").symlink_to("helm-1")
        secret = pathlib.Path(scratch) / "outside.yaml"
        secret.write_text("image: ghcr.io/acme/shop-api:2.4.0\n")
        (tree / "clusters/helm-1/out.yaml").symlink_to(secret)

    linked = Site(templates, scratch + "/link", outside)
    linked.step()
    same("link" in linked.why("helm-2")[1], True, linked.why("helm-2")[1])
    same((pathlib.Path(scratch) / "outside.yaml").read_text(), "image: ghcr.io/acme/shop-api:2.4.0\n", "a link is not followed")
    same(linked.rollout.statuses()["helm-1"], "started", "and hinders nobody")

    os.environ["PATCHWAVE_HELM_URL"] = "ssh://git@git.example.org/{asset}.git"
    release = linked.rollout.release
    same(release.where(release.settings(), "eu")["url"], "ssh://git@git.example.org/eu.git", "the environment wins over `default`")
    del os.environ["PATCHWAVE_HELM_URL"]
    kept = linked.settings.read_text(encoding="utf-8")
    linked.settings.write_text("repositories: [", encoding="utf-8")
    try:
        release.settings()
    except linked.rollout.patchwave.Refused as error:
        same("does not say where" in str(error), True, str(error))
    else:
        raise SystemExit("settings that are no YAML are taken")
    linked.settings.write_text(kept, encoding="utf-8")

    entries = [
        ({"url": "https://bot:secret@git.example.org/x.git"}, "credentials"),
        ({"url": "ext::sh -c id"}, "no https, ssh or file address"),
        ({"url": "--upload-pack=id"}, "no https, ssh or file address"),
        ({"url": ""}, "set them in a file"),
        ({"branch": "--help"}, "no name of a branch"),
        ({"branch": "a..b"}, "git check-ref-format"),
        ({"branch": "gone"}, "git clone"),
        ({"paths": ["../.."]}, "leads out of the repository"),
        ({"paths": ["/etc"]}, "leads out of the repository"),
        ({"paths": [".git"]}, "leads out of the repository"),
        ({"paths": ["a" * 300]}, "is not in the repository"),
        ({"paths": ["nowhere"]}, "is not in the repository"),
        ({"paths": "clusters"}, "is no list of texts"),
        ({"push": "force"}, "neither direct nor branch"),
    ]
    for number, (entry, wanted) in enumerate(entries):
        tool = linked.tool()
        tool.settings["repositories"]["default"].update(entry)
        try:
            tool.check(linked.rollout.batch().assets[0])
        except linked.rollout.patchwave.Refused as error:
            same(wanted in str(error) and "secret" not in str(error), True, f"{entry}: {error}")
        else:
            raise SystemExit(f"{entry} is taken")


def spoiled(templates, scratch):
    """The comparison finds what it is there for: a file that was written anew, and one edit too many."""
    import yaml

    def anew(text, pins):
        return yaml.safe_dump_all(yaml.safe_load_all(kept(text, pins)))

    for number, how in enumerate((anew, lambda text, pins: kept(text, pins) + "\n")):
        site = Site(templates, f"{scratch}/spoiled-{number}")
        kept, site.rollout.release.edited = site.rollout.release.edited, how
        site.step()
        same((len(site.log()), site.files() == expected(site.before)), (3, False), "a file that was written anew is not found")


def main():
    templates = pathlib.Path(sys.argv[1])
    for play in (flow, races, branches, cluster, refusals, spoiled):
        with tempfile.TemporaryDirectory() as scratch:
            quiet = open(os.devnull, "w", encoding="utf-8")
            sys.stdout, kept = quiet, sys.stdout
            try:
                play(templates, scratch)
            finally:
                sys.stdout = kept
                quiet.close()
            print(f"helm: {play.__name__} ok")


if __name__ == "__main__":
    main()
