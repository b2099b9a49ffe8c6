//! The machines of the shipped example that other tools look at: the export of an update server, saved answers of Foreman.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// What the next look changes of one machine.
#[derive(Clone, Debug)]
pub enum Change {
    /// It is looked at again.
    Seen(String),
    /// It takes a version of a package, or of Windows.
    Takes(String, String),
}

/// Changes what the exports beside `observed` say of the machines that `change` names.
pub fn change(observed: &Path, mut change: impl FnMut(&str) -> Vec<Change>) {
    let Some(fleets) = observed.parent() else { return };
    for file in files(&fleets.join("windows")) {
        let mut export: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        for computer in export["computers"].as_array_mut().unwrap() {
            let name = computer["fqdn"].as_str().unwrap().to_owned();
            change(&name)
                .into_iter()
                .for_each(|change| of_computer(computer, change));
        }
        std::fs::write(&file, serde_json::to_string_pretty(&export).unwrap()).unwrap();
    }
    for file in files(&fleets.join("satellite")) {
        let text = std::fs::read_to_string(&file).unwrap();
        let answers = text.lines().map(|line| {
            let mut answer: Value = serde_json::from_str(line).unwrap();
            let name = answer["host"]["name"].as_str().unwrap().to_owned();
            change(&name)
                .into_iter()
                .for_each(|change| of_host(&mut answer, change));
            answer.to_string() + "\n"
        });
        std::fs::write(&file, answers.collect::<String>()).unwrap();
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

fn of_computer(computer: &mut Value, change: Change) {
    match change {
        Change::Seen(at) => computer["last_reported"] = json!(at),
        Change::Takes(_, build) => {
            computer["os_build"] = json!(build);
            for update in computer["updates"].as_array_mut().unwrap() {
                update["state"] = json!("Installed");
            }
        }
    }
}

fn of_host(answer: &mut Value, change: Change) {
    match change {
        Change::Seen(at) => {
            answer["fetched_at"] = json!(at);
            let at = at.replace('T', " ").replace('Z', " UTC");
            answer["host"]["subscription_facet_attributes"]["last_checkin"] = json!(at);
        }
        Change::Takes(package, version) => {
            let plain = version.rsplit(':').next().unwrap_or_default();
            for row in answer["packages"]["results"].as_array_mut().unwrap() {
                if row["name"] == package.as_str() {
                    row["nvra"] = json!(format!("{package}-{plain}.x86_64"));
                    row["nvrea"] = json!(format!("{package}-{version}.x86_64"));
                }
            }
        }
    }
}
