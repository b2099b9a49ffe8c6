"""Calls the stand-in of dnf with what is locked or unlocked."""
from ansible.module_utils.basic import AnsibleModule


def main():
    module = AnsibleModule(argument_spec={"name": {"type": "list", "elements": "str"}, "raw": {"type": "bool"}, "state": {}})
    does = "add" if module.params["state"] == "present" else "delete"
    module.run_command([module.get_bin_path("dnf", True), "versionlock", does, *module.params["name"]], check_rc=True)
    module.exit_json(changed=True)


main()
