"""Notes which values a chart got."""
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubernetes.core.plugins.module_utils.cluster import cluster


def main():
    names = ("name", "chart_ref", "chart_version", "release_namespace", "context", "kubeconfig")
    module = AnsibleModule(argument_spec={
        **{name: {} for name in names}, "release_values": {"type": "dict"}, "wait": {"type": "bool"},
    })
    with cluster() as state:
        state["log"].append(["helm", module.params["name"], module.params["chart_version"], module.params["release_values"]])
    module.exit_json(changed=True)


main()
