"""Cordons and uncordons nodes of the double; a node of `unevictable` cannot be drained."""
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubernetes.core.plugins.module_utils.cluster import cluster, matches


def main():
    module = AnsibleModule(argument_spec={
        "name": {"required": True}, "state": {}, "delete_options": {"type": "dict"}, "context": {}, "kubeconfig": {},
    })
    asked = module.params
    with cluster() as state:
        node = next(t for t in state["objects"] if matches(t, "Node", asked["name"], None))
        state["log"].append([asked["state"], "Node", asked["name"], asked["delete_options"] or {}])
        node.setdefault("spec", {})["unschedulable"] = asked["state"] != "uncordon"
        refused = asked["state"] == "drain" and asked["name"] in state.get("unevictable", [])
    if refused:
        module.fail_json(msg="Cannot evict pod as it would violate the pod's disruption budget.")
    module.exit_json(changed=True)


main()
