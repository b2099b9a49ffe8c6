"""Writes objects of the double."""
import yaml
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubernetes.core.plugins.module_utils.cluster import cluster, matches, merge


def main():
    module = AnsibleModule(argument_spec={
        "state": {}, "api_version": {}, "kind": {}, "name": {}, "namespace": {}, "definition": {"type": "dict"}, "src": {},
        "context": {}, "kubeconfig": {},
    })
    asked = module.params
    wanted = asked["definition"] or {}
    if asked["src"]:
        with open(asked["src"], encoding="utf-8") as file:
            wanted = next(doc for doc in yaml.safe_load_all(file) if doc)
    meta = wanted.get("metadata", {})
    kind, name = asked["kind"] or wanted["kind"], asked["name"] or meta["name"]
    with cluster() as state:
        found = [t for t in state["objects"] if matches(t, kind, name, asked["namespace"] or meta.get("namespace"))]
        state["log"].append([asked["state"], kind, name, meta.get("labels", {})])
        if asked["state"] == "absent":
            state["objects"] = [t for t in state["objects"] if t not in found]
        elif found:
            merge(found[0], wanted)
        elif asked["state"] == "patched":
            module.fail_json(msg=f"no {kind} {name}")
        else:
            state["objects"].append(wanted)
    module.exit_json(changed=True)


main()
