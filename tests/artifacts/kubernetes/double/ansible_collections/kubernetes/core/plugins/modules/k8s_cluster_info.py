"""The version of the API server of the double."""
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubernetes.core.plugins.module_utils.cluster import cluster


def main():
    module = AnsibleModule(argument_spec={"context": {}, "kubeconfig": {}}, supports_check_mode=True)
    with cluster() as state:
        version = {"server": {"kubernetes": {"gitVersion": state["version"]}}}
    module.exit_json(changed=False, version=version)


main()
