//! A wave has every task file that its own files include, and none of a package manager it has nothing to do with.

use std::collections::{BTreeMap, BTreeSet};

use crate::worlds::WORLDS;

/// The task files a wave has of a target, without their folder: by wave and target.
fn tasks(files: &BTreeMap<String, Vec<u8>>, target: &str) -> BTreeMap<String, BTreeSet<String>> {
    let inside = format!("/{target}/tasks/");
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in files.keys() {
        if let Some((wave, file)) = path.split_once(&inside) {
            found.entry(wave.to_owned()).or_default().insert(file.to_owned());
        }
    }
    found
}

/// The plain names that the task files of a folder include: `window.yml`, not `{{ x }}-touch.yml`.
fn included(text: &str) -> Vec<&str> {
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("ansible.builtin.include_tasks: "));
    let plain = lines.filter(|name| !name.is_empty() && !name.contains("{{"));
    plain
        .map(|name| name.trim_start_matches("../../").rsplit("tasks/").next().unwrap())
        .collect()
}

#[test]
fn every_file_that_is_included_by_its_name_is_there() {
    let mut seen = 0;
    for (target, world) in WORLDS {
        let files = world().render().unwrap().files;
        for (wave, there) in tasks(&files, target) {
            for (path, bytes) in files
                .iter()
                .filter(|(path, _)| path.starts_with(&wave) && path.ends_with(".yml"))
            {
                for name in included(&String::from_utf8_lossy(bytes)) {
                    assert!(
                        there.contains(name),
                        "{path} includes {name}, which the wave does not have"
                    );
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} names were found");
}

#[test]
fn a_wave_of_ansible_has_what_its_managers_and_services_need_and_no_more() {
    let files = crate::fixture::world().render().unwrap().files;
    let tasks = tasks(&files, "ansible");
    let begins = |wave: &str, beginning: &str| tasks[wave].iter().any(|name| name.starts_with(beginning));
    for manager in ["apk", "apt", "dnf", "windows", "zypper"] {
        for task in ["preflight", "touch"] {
            assert!(
                tasks["waves/01-test"].contains(&format!("{manager}-{task}.yml")),
                "{manager}-{task}"
            );
        }
    }
    for validate in ["apk", "apt", "dnf", "rpm", "linux", "windows"] {
        assert!(
            tasks["waves/01-test"].contains(&format!("{validate}-validate.yml")),
            "{validate}"
        );
    }
    for versions in ["apk", "dpkg", "rpm", "windows"] {
        assert!(
            tasks["waves/01-test"].contains(&format!("{versions}-versions.yml")),
            "{versions}"
        );
    }
    // The second wave is of hosts with dnf, one of them a member of a Patroni cluster.
    for needed in ["dnf-touch", "linux-reboot", "rpm-versions", "roles/postgres-patroni"] {
        assert!(begins("waves/02-critical", needed), "{needed}");
    }
    for foreign in [
        "apk-",
        "apt-",
        "dpkg-",
        "windows-",
        "zypper-",
        "roles/etcd",
        "backups/etcd",
    ] {
        assert!(!begins("waves/02-critical", foreign), "{foreign}");
    }
}
