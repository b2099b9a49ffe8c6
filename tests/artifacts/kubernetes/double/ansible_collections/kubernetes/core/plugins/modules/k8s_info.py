"""Reads objects of the double."""
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubernetes.core.plugins.module_utils.cluster import cluster, matches, step


def labelled(thing, selector):
    key = selector.split("=")[0]
    return key, thing["metadata"].get("labels", {}).get(key, "")


def main():
    module = AnsibleModule(argument_spec={
        "api_version": {}, "kind": {"required": True}, "name": {}, "namespace": {}, "context": {}, "kubeconfig": {},
        "label_selectors": {"type": "list", "elements": "str"}, "field_selectors": {"type": "list", "elements": "str"},
    }, supports_check_mode=True)
    asked = module.params
    with cluster() as state:
        found = [t for t in state["objects"] if matches(t, asked["kind"], asked["name"], asked["namespace"])]
        for one in asked["label_selectors"] or []:
            found = [t for t in found if "{}={}".format(*labelled(t, one)) == one]
        for one in asked["field_selectors"] or []:
            found = [t for t in found if one == "spec.nodeName=" + t["spec"].get("nodeName", "")]
        for node in found:
            if node["kind"] == "Node" and asked["name"]:
                step(state, node)
        module.exit_json(changed=False, resources=found)


main()
