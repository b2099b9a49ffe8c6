"""Whether a cluster runs what Git says, asked of Flux, Argo CD and the pods by kubectl. Nothing is written."""
import json
import subprocess

from patchwave import Refused
from pins import image_name, same

CONTROLLERS = "helmreleases.helm.toolkit.fluxcd.io", "applications.argoproj.io"


def asked(ready, kind, seconds):
    """Every object of a kind in all namespaces; none where the cluster does not know the kind."""
    words = ["kubectl", *(["--context", str(ready["context"])] if ready.get("context") else []), "get", kind, "--all-namespaces", "--output", "json"]
    try:
        said = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise Refused(f"kubectl took longer than {seconds} seconds") from error
    if said.returncode and "the server doesn't have a resource type" in said.stderr:
        return []
    if said.returncode:
        raise Refused(f"kubectl get {kind}: {said.stderr.strip()}")
    return json.loads(said.stdout)["items"]


def flux(item, one):
    """State and version of a HelmRelease that has the chart; none where it has another."""
    status, spec = item.get("status", {}), item.get("spec", {}).get("chart", {}).get("spec", {})
    last = (status.get("history") or [{}])[0]
    name = last.get("chartName") or spec.get("chart", "")
    if name.lower() != one.name:
        return None
    conditions = {entry["type"]: entry for entry in status.get("conditions", [])}
    if conditions.get("Stalled", {}).get("status") == "True":
        return "failed", conditions["Stalled"].get("message", "stalled")
    version = last.get("chartVersion") or status.get("lastAppliedRevision") or ""
    seen = status.get("observedGeneration") == item["metadata"].get("generation")
    done = seen and conditions.get("Ready", {}).get("status") == "True" and same(one.kind, version, one.goal)
    return ("", "") if done else ("waiting", f"has {version or 'no version'}: {conditions.get('Ready', {}).get('message', 'not ready yet')}")


def argo(item, one):
    """The same of an Application."""
    spec, status = item.get("spec", {}), item.get("status", {})
    sources = spec.get("sources") or [spec.get("source") or {}]
    mine = [source for source in sources if source.get("chart", "").rsplit("/", 1)[-1].lower() == one.name]
    if not mine:
        return None
    sync, health = status.get("sync", {}), status.get("health", {}).get("status", "")
    compared = sync.get("comparedTo", {})
    seen = compared.get("sources") or [compared.get("source") or {}]
    there = all(same(one.kind, source.get("targetRevision", ""), one.goal) for source in mine)
    there = there and all(same(one.kind, s.get("targetRevision", ""), one.goal) for s in seen if s.get("chart", "").rsplit("/", 1)[-1].lower() == one.name)
    done = there and sync.get("status") == "Synced" and health == "Healthy"
    return ("", "") if done else ("waiting", f"{sync.get('status', 'not synced')}, {health or 'health unknown'}")


def missing(ready, wanted, seconds):
    """`("", "")` where everything runs; else `failed` or `waiting`, and what is missing."""
    objects = {kind: asked(ready, kind, seconds) for kind in CONTROLLERS} if any(one.kind == "application" for one in wanted) else {}
    pods = asked(ready, "pods", seconds) if any(one.kind == "image" for one in wanted) else []
    found = []
    for one in wanted:
        if one.kind == "image":
            found += image(pods, one)
            continue
        seen = [(item, how(item, one)) for kind, how in zip(CONTROLLERS, (flux, argo)) for item in objects[kind]]
        mine = [(item, state) for item, state in seen if state is not None]
        found += [(state[0], f"{item['metadata'].get('namespace', '')}/{item['metadata'].get('name', '')}: {state[1]}") for item, state in mine if state[0]]
        if not mine:
            found.append(("waiting", f"no HelmRelease or Application of the cluster has the chart {one.name}"))
    state = "failed" if any(state == "failed" for state, _ in found) else "waiting" if found else ""
    return state, "; ".join(why for _, why in found)


def image(pods, one):
    """Pods that run the image before, or the new one and are not ready; and that none runs the new one."""
    found, runs = [], 0
    for pod in pods:
        # What has ended is kept for its logs, and what is on its way out serves nobody.
        if pod.get("status", {}).get("phase") in ("Succeeded", "Failed") or pod["metadata"].get("deletionTimestamp"):
            continue
        for container in pod.get("spec", {}).get("containers", []):
            name, _, tag = container.get("image", "").partition("@")[0].rpartition(":")
            if image_name(name or "-") != image_name(one.name):
                continue
            states = {entry["name"]: entry.get("ready") for entry in pod.get("status", {}).get("containerStatuses", [])}
            where = f"{pod['metadata'].get('namespace', '')}/{pod['metadata'].get('name', '')}"
            if tag != one.goal:
                found.append(("waiting", f"{where} runs {tag}"))
            elif not states.get(container["name"]):
                found.append(("waiting", f"{where} is not ready"))
            else:
                runs += 1
    return found if found or runs else [("waiting", f"no pod runs {one.name}:{one.goal}")]
