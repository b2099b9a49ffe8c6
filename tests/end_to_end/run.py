"""A project on GitHub from its first push to a promoted last wave, and a second rollout that a red gate halts and that goes back.

Real: Git over smart HTTP, Prometheus, Nagios, the binary, scripts/execute.py. Stand-ins: GitHub's API (the double of the
adapter's tests, with a real bare repository behind it), the machines and their Ansible (machines.py). Everything runs at the
time of the machine and on its loopback. Run by .ci/end-to-end; arguments: the binary, and the double.
"""

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HOME = Path(__file__).resolve().parents[2]
sys.path += [str(HOME / "tests/gates"), str(HOME / ".ci")]

import planted  # noqa: E402
from monitors import Nagios, Prometheus, wait_for  # noqa: E402

MACHINES = ["t1", "t2", "s1", "s2", "p1", "p2", "p3"]
WAVES = {"test": ["t1", "t2"], "staging": ["s1", "s2"], "critical": ["p1", "p2", "p3"]}
APPROVERS = ["anna", "berta"]
# Planted: they must turn up nowhere. The second has its bcrypt hash beside it, which Prometheus is given.
NAGIOS = "reader:planted0b7e4d19c2a85f36"
PROMETHEUS = ("reader:planted5f1e0c9ab37d2468", "$2b$04$gWqaoSvRtmoumT6lWrnSB.3T1sGSAeyzVlKn5ujAZ/EQ.eCONZEIu")
PROMQL = "{promql: app_up, source: prometheus, match: {label: host, to: asset.name, stripPort: true}, is: \"== 1\", for: 2s}"
STATUS = "{status: ok, source: nagios}"


def now(ahead: float = 0) -> str:
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=ahead)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def say(text: str) -> None:
    print(f"-- {text}", flush=True)


class Github:
    """The double, as a program of its own: people act by lines of JSON."""

    def __init__(self, program: str, folder: Path):
        self.log = open(folder / "double.log", "wb")
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        started = self.answer()
        self.url, self.token = started["url"], started["token"]

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the double ended")
        return json.loads(line)

    def tell(self, does: str, **more) -> dict:
        more.setdefault("at", now())
        self.process.stdin.write(json.dumps({"do": does, **more}) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Project:
    """The repository as its users and its two jobs have it: each a clone over HTTP that is brought to `main` before it acts."""

    def __init__(self, binary: str, work: Path, github: Github):
        self.binary, self.work, self.github = binary, work, github
        self.machines, self.observations = work / "machines", work / "observations"
        self.machines.mkdir()
        self.observations.mkdir()
        self.done: list[str] = []
        self.log = work / "ansible.log"
        self.log.touch()
        ask = work / "askpass"
        # Git asks a program: so the token is in no argument, no address and no file.
        ask.write_text('#!/bin/sh\ncase $1 in User*) echo x-access-token ;; *) printf "%s\\n" "$PATCHWAVE_GITHUB_TOKEN" ;; esac\n')
        ask.chmod(0o755)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(work), "PATCHWAVE_GITHUB_TOKEN": github.token, "GIT_ASKPASS": str(ask),
            "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1", "NAGIOS_READER": NAGIOS, "PROMETHEUS_READER": PROMETHEUS[0],
            "MACHINES": str(self.machines), "FAKE_LOG": str(self.log),
        }

    def run(self, *words, check: bool = True) -> subprocess.CompletedProcess:
        words = [str(w) for w in words]
        said = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False)
        assert not planted.in_bytes("\0".join([*words, said.stdout, said.stderr]).encode()), f"{words} told a secret"
        if check and said.returncode != 0:
            raise SystemExit(f"{words} ended with {said.returncode}:\n{said.stdout}\n{said.stderr}")
        with open(self.work / "said.log", "a", encoding="utf-8") as log:
            log.write(f"$ {' '.join(words)}\n{said.stdout}{said.stderr}")
        return said

    def git(self, folder: str, *words) -> str:
        identity = ["-c", "user.name=otto", "-c", "user.email=otto@example.org"]
        return self.run("git", "-C", self.work / folder, *identity, *words).stdout

    def clone(self, folder: str) -> Path:
        self.run("git", "clone", "-q", f"{self.github.url}/acme/patching.git", self.work / folder)
        return self.work / folder

    def push(self, message: str) -> None:
        self.git("user", "add", "-A")
        self.git("user", "commit", "-q", "-m", message)
        self.git("user", "push", "-q", "origin", "HEAD:main")

    def checked_out(self, folder: str) -> Path:
        """What a job begins with: main as it is on the forge, and the newest observations of the runner."""
        self.git(folder, "fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*")
        self.git(folder, "reset", "-q", "--hard", "origin/main")
        for file in self.observations.glob("*.ndjson"):
            shutil.copy(file, self.work / folder / "fleets/observed")
        return self.work / folder

    def patchwave(self, *words, at: str | None = None, folder: str = "job", check: bool = True):
        clock = ["--now", at] if at else []
        return self.run(self.binary, "-q", "-C", self.work / folder, *clock, *words, check=check)

    def reconcile(self, at: str | None = None) -> dict:
        self.github.tell("look", at=at or now())
        self.checked_out("job")
        run = json.loads(self.patchwave("reconcile", "--once", "--format", "json", at=at).stdout)
        for line in run["done"]:
            print(f"   {line}", flush=True)
        self.done += run["done"]
        return run

    def until(self, text: str, seconds: float = 120) -> None:
        """Reconciles until something done says `text`; what was done before it is not looked at again."""
        last: dict = {}

        def did() -> bool:
            if not any(text in line for line in self.done):
                last.update(self.reconcile())
            at = next((n for n, line in enumerate(self.done) if text in line), None)
            if at is not None:
                del self.done[: at + 1]
            return at is not None

        try:
            wait_for(text, did, seconds)
        except SystemExit as why:
            raise SystemExit(f"{why}\n{json.dumps([last.get('done'), last.get('waits')], indent=1)}") from why

    def execute(self) -> subprocess.CompletedProcess:
        job = self.checked_out("runner")
        stand_in = f"{sys.executable} {HOME / 'tests/end_to_end/machines.py'}"
        return self.run(
            sys.executable, HOME / "scripts/execute.py", "--root", job, "--patchwave", self.binary, "--ansible", stand_in,
            "--results", self.work / "results", "--observations", self.observations, check=False,
        )

    def permit_back(self, rollout: str, at: str) -> subprocess.CompletedProcess:
        """What the playbook of the way back asks before it touches t1."""
        words = [self.binary, "-q", "-C", self.work / "job", "--now", at, "permit", rollout, "test", "01", "t1"]
        return self.run("env", "PATCHWAVE_ACTION=rollback", *words, check=False)

    def open_pull(self, wave: str) -> dict:
        pulls = [i for i in self.github.tell("show")["issues"] if i["branch"] and i["open"] and f"{i['branch']}.".find(f"/{wave}.") >= 0]
        assert len(pulls) == 1, pulls
        return pulls[0]

    def ledger(self, rollout: str) -> list[dict]:
        self.checked_out("job")
        text = self.git("job", "show", f"origin/patchwave/ledger:{rollout}.ndjson")
        return [json.loads(line) for line in text.splitlines()]

    def moves(self, rollout: str) -> list[str]:
        return [f"{l['data']['wave']}:{l['data']['moved']}" for l in self.ledger(rollout) if l["event"] == "wave"]

    def version(self, asset: str, package: str) -> str:
        machine = json.loads((self.machines / f"{asset}.json").read_text())
        return next(p["version"] for p in machine["packages"] if p["name"] == package)


def advisory(folder: Path, number: int, package: str, fixed: str) -> None:
    name = f"ALSA-2026:{number}"
    known = json.loads((HOME / "tests/scenarios/estate/fleets/advisories/ALSA-2026-7001.json").read_text())
    known |= {"id": name, "modified": now(-86400), "published": now(-86400), "related": [f"CVE-2026-{number}0"]}
    affected = known["affected"][0]
    affected["package"]["name"] = package
    affected["ranges"][0]["events"][1]["fixed"] = fixed
    (folder / f"fleets/advisories/{name.replace(':', '-')}.json").write_text(json.dumps(known))


def edit(path: Path, *changes: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in changes:
        assert old in text, (path, old)
        text = text.replace(old, new)
    path.write_text(text)


def set_up(project: Project, prometheus: Prometheus, nagios: Nagios) -> None:
    say("the project is pushed to GitHub over HTTP; a wrong token is refused")
    user = project.clone("user")
    shutil.copytree(HOME / "tests/scenarios/estate", user, dirs_exist_ok=True)
    (user / ".gitignore").write_text(".patchwave/\n")
    forge = f'forge: {{type: github, repository: acme/patching, apiUrl: "{project.github.url}"}}'
    edit(user / "patchwave.yaml", ("forge: {type: local}", forge))
    back = "  criticality: low\n  protection: {backup: none, rollback: package-downgrade}\n"
    edit(user / "fleets/classes.yaml", ("window: nights", "window: any-time"), ("  criticality: low\n", back))
    gates = f"      gates: [{PROMQL}, {STATUS}]\n"
    strategies = user / "fleets/strategies.yaml"
    edit(strategies, ("estimate: {perAsset: 10m, reboot: 5m}", "estimate: {perAsset: 1s, reboot: 1s}"))
    text, count = re.subn(r"      soak: \d+h\n", f"      soak: 3s\n{gates}", strategies.read_text())
    assert count == len(WAVES)
    strategies.write_text(text.replace("      soak: 3s\n", "      soak: 3s\n      onFailure: rollback\n", 1))
    head = "apiVersion: patchwave.dev/v1\nkind: Source\n"
    (user / "fleets/monitors.yaml").write_text(
        f'{head}metadata: {{name: prometheus}}\nspec: {{kind: monitor, type: prometheus, url: "{prometheus.url}", secretRef: {{env: PROMETHEUS_READER}}}}\n'
        f'---\n{head}metadata: {{name: nagios}}\nspec: {{kind: monitor, type: nagios, url: "{nagios.url}", secretRef: {{env: NAGIOS_READER}}}}\n'
    )
    advisory(user, 7001, "openssl-libs", "1:3.0.7-29.el9_4")
    lines = []
    for line in (user / "fleets/observed/facts.ndjson").read_text().splitlines():
        machine = json.loads(line)
        (project.machines / f"{machine['asset']}.json").write_text(json.dumps(machine))
        lines.append(json.dumps(machine | {"observedAt": now()}) + "\n")
    (user / "fleets/observed/facts.ndjson").write_text("".join(lines))
    project.patchwave("validate", folder="user")
    project.push("The estate")
    refused = subprocess.run(
        ["git", "ls-remote", f"{project.github.url}/acme/patching.git"], capture_output=True, text=True, check=False,
        env=project.environment | {"PATCHWAVE_GITHUB_TOKEN": "wrong"},
    )
    assert refused.returncode != 0 and "Authentication failed" in refused.stderr, refused
    for job in ("job", "runner"):
        project.clone(job)


def wave_runs(project: Project, rollout: str, wave: str, approvals: int) -> None:
    """From its pull request until its machines are patched and soak."""
    pull = project.open_pull(wave)
    assert pull["branch"] == f"patchwave/{rollout}/{wave}", pull["branch"]
    refused = project.execute()
    assert refused.returncode == 0 and "0 of 0 released batches ran" in refused.stdout, refused
    for person in APPROVERS[:approvals]:
        project.github.tell("approve", number=pull["number"], by=person)
    assert "commit" in project.github.tell("merge", number=pull["number"], by=APPROVERS[0])
    left = set(WAVES[wave])
    project.done.clear()
    while left:
        project.until(f"released wave {wave} batch")
        # Observations are as exact as a second: what is seen is seen after the release.
        time.sleep(1.5)
        before = len(project.log.read_text().splitlines())
        said = project.execute()
        assert said.returncode == 0 and "1 of 1 released batches ran" in said.stdout, said
        played = project.log.read_text().splitlines()[before:]
        assert [line.split()[0].rpartition("/")[2][:5] for line in played] == ["batch", "obser"], played
        ran = set(played[0].split()[1].split(","))
        assert ran and ran <= left, (ran, left)
        left -= ran
        # Nothing runs twice.
        assert "ran" in project.execute().stdout and len(project.log.read_text().splitlines()) == before + 2
    project.until(f"wave {wave} verified")


def observe(project: Project, assets: list[str], at: str | None = None) -> None:
    """The machines are seen again as they are."""
    for asset in assets:
        seen = json.loads((project.machines / f"{asset}.json").read_text())
        (project.observations / f"{asset}.ndjson").write_text(json.dumps(seen | {"observedAt": at or now()}) + "\n")


def promoted(project: Project) -> str:
    say("the first rollout: test, staging, critical, each merged, run and promoted on what the monitors show")
    run = project.reconcile()
    rollout = next(re.search(r"branch patchwave/([^/]+)/test", line)[1] for line in run["done"] if "wrote branch" in line)
    assert project.reconcile()["writes"] == 0, "a second run writes nothing"
    for wave, approvals in (("test", 1), ("staging", 1), ("critical", 2)):
        say(f"wave {wave}")
        wave_runs(project, rollout, wave, approvals)
        project.until(f"wave {wave} promoted")
    assert all(project.version(asset, "openssl-libs") == "1:3.0.7-29.el9_4" for asset in MACHINES)
    moves = project.moves(rollout)
    assert [m for m in moves if m.endswith(":promoted")] == [f"{wave}:promoted" for wave in WAVES], moves
    ledger = project.ledger(rollout)
    for wave, assets in WAVES.items():
        at = next(i for i, line in enumerate(ledger) if line["data"].get("moved") == "promoted" and line["data"]["wave"] == wave)
        gates = ledger[at - 1]["data"]["gates"]
        assert [g["state"] for g in gates] == ["passed", "passed"], gates
        assert set(gates[0]["samples"]) == set(gates[1]["samples"]) == set(assets), gates
    evidence = [line["data"]["asset"] for line in ledger if line["event"] == "evidence"]
    assert sorted(evidence) == sorted(MACHINES), evidence
    project.patchwave("audit", "verify")
    writes = project.github.tell("show")["writes"]
    assert project.reconcile()["writes"] == 0
    assert project.github.tell("show")["writes"] == writes, "a run with nothing to do writes nothing"
    return rollout


def halted(project: Project, nagios: Nagios, first: str) -> str:
    say("the second rollout: a check of Nagios turns critical while its first wave is patched")
    user = project.checked_out("user")
    advisory(user, 7002, "bash", "5.1.8-11.el9_4")
    project.push("Another advisory")
    observe(project, MACHINES)
    run = project.reconcile()
    rollout = next(re.search(r"branch patchwave/([^/]+)/test", line)[1] for line in run["done"] if "wrote branch" in line)
    assert rollout != first
    nagios.show("t2", 2)
    wait_for("Nagios shows it", lambda: b'"status": 16' in nagios.ask("query=servicelist&details=true"))
    wave_runs(project, rollout, "test", 1)
    project.until("gate `status ok` is red (t2: `app` is critical)")
    stands = [line["data"] for line in project.ledger(rollout) if line["event"] == "gates"]
    assert any(g["state"] == "red" and "critical" in (g["reason"] or "") for s in stands for g in s["gates"]), stands
    assert "test:promoted" not in project.moves(rollout)
    # Red for an hour after the soak fails the wave.
    late = now(3700)
    run = project.reconcile(at=late)
    why = "wave test halted: halted, and a pull request asks to roll it back: gate `status ok` is red"
    assert any(why in line for line in run["done"]), run
    moves = project.moves(rollout)
    assert "test:failed" in moves and "test:halted" in moves and not any(m.startswith("staging") for m in moves), moves
    assert not any(i["branch"] == f"patchwave/{rollout}/staging" for i in project.github.tell("show")["issues"])
    said = project.patchwave("permit", rollout, "test", "01", "t1", at=late, check=False)
    assert said.returncode == 1 and "halted" in said.stdout + said.stderr, said
    status = project.patchwave("status", at=late).stdout
    assert "wave test is halted, and a pull request asks to roll it back: gate `status ok` is red" in status, status
    project.patchwave("audit", "verify", at=late)
    assert any("roll wave test back" in line for line in run["done"]), run
    return rollout


def rolled_back(project: Project, rollout: str) -> None:
    say("the pull request that offers the way back is approved and merged, and the machines go back")
    # The hour that made a red gate a failed wave is played: the clock stays ahead of the machine's.
    pull = project.open_pull("rollback.test")
    for asset in WAVES["test"]:
        assert f"| 01 | {asset} | exact | `bash 5.1.8-11.el9_4` | `5.1.8-9.el9` |" in pull["body"], pull["body"]
    said = project.permit_back(rollout, now(3720))
    assert said.returncode == 1 and "nobody approved" in said.stdout + said.stderr, said
    project.github.tell("approve", number=pull["number"], by="anna", at=now(3730))
    assert "commit" in project.github.tell("merge", number=pull["number"], by="anna", at=now(3730))
    run = project.reconcile(at=now(3740))
    assert any("wave test batch 01 may go back" in line for line in run["done"]), run
    said = project.permit_back(rollout, now(3750))
    assert said.returncode == 0, said
    for asset in WAVES["test"]:
        file = project.machines / f"{asset}.json"
        file.write_text(file.read_text().replace("5.1.8-11.el9_4", "5.1.8-9.el9"))
    observe(project, MACHINES, now(3800))
    run = project.reconcile(at=now(3860))
    assert any("wave test rolled-back" in line for line in run["done"]), run
    assert project.moves(rollout)[-1] == "test:rolled-back"
    project.patchwave("audit", "verify", at=now(3870))
    assert project.reconcile(at=now(3880))["writes"] == 0


def main() -> None:
    binary, double = map(os.path.abspath, sys.argv[1:3])
    started = []
    with tempfile.TemporaryDirectory(prefix="patchwave-end-to-end-") as folder:
        work = Path(folder)
        # Nagios runs as a user of its own.
        work.chmod(0o755)
        try:
            prometheus = Prometheus(work / "prometheus", PROMETHEUS)
            started.append(prometheus)
            nagios = Nagios(work / "nagios", MACHINES, NAGIOS)
            started.append(nagios)
            github = Github(double, work)
            started.append(github)
            say(f"started: {github.url} {prometheus.url} {nagios.url}")
            prometheus.show({asset: 1 for asset in MACHINES})
            project = Project(binary, work, github)
            set_up(project, prometheus, nagios)
            first = promoted(project)
            rolled_back(project, halted(project, nagios, first))
            # Clones with their settings, objects and remotes, state, results, observations, logs, and the double's output.
            assert planted.scan([work]) == [], planted.scan([work])
        except BaseException:
            if os.environ.get("PATCHWAVE_KEEP"):
                shutil.copytree(work, os.environ["PATCHWAVE_KEEP"], dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.cmd", "*.qh"))
            raise
        finally:
            for one in reversed(started):
                one.close()
    say("end to end: all as it must be")


if __name__ == "__main__":
    main()
