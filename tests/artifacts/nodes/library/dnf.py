"""The module dnf on a machine that has none: calls the stand-in of dnf. The action plugin of the real module finds it as
ansible.legacy.dnf."""
from ansible.module_utils.basic import AnsibleModule


def main():
    module = AnsibleModule(argument_spec={
        "name": {"type": "list", "elements": "str"}, "state": {}, "autoremove": {"type": "bool"}, "allowerasing": {"type": "bool"},
        "nobest": {"type": "bool"}, "allow_downgrade": {"type": "bool"}, "lock_timeout": {"type": "int"}, "update_cache": {"type": "bool"},
    }, supports_check_mode=True)
    if not module.check_mode:
        module.run_command([module.get_bin_path("dnf", True), "install", *module.params["name"]], check_rc=True)
    module.exit_json(changed=True, results=["Installed: " + name for name in module.params["name"]])


main()
