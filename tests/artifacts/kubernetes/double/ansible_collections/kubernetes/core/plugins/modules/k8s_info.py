"""Reads objects of the double."""
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubernetes.core.plugins.module_utils.cluster import cluster, matches, step


def main():
    module = AnsibleModule(argument_spec={
        "api_version": {}, "kind": {"required": True}, "name": {}, "namespace": {}, "context": {}, "kubeconfig": {},
    }, supports_check_mode=True)
    asked = module.params
    with cluster() as state:
        found = [t for t in state["objects"] if matches(t, asked["kind"], asked["name"], asked["namespace"])]
        for node in found:
            if node["kind"] == "Node" and asked["name"]:
                step(state, node)
        module.exit_json(changed=False, resources=found)


main()
