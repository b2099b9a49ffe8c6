//! The machines of an estate, played: what their next observation would say, written as the native observation files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::exports::{self, Change};

/// Packages whose new version also becomes the running kernel once the machine has rebooted.
const KERNELS: [&str; 2] = ["kernel-core", "kernel-default"];

/// Every observation file below one folder.
#[derive(Clone, Debug)]
pub struct World {
    folder: PathBuf,
}

impl World {
    /// The machines whose observations lie in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Changes the observation of every asset; `None` = the asset stays as it was last seen.
    fn change(&self, mut f: impl FnMut(&str, &mut Value)) {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        for file in files {
            let text = std::fs::read_to_string(&file).unwrap();
            let mut out = String::new();
            for line in text.lines() {
                let mut asset: Value = serde_json::from_str(line).unwrap();
                let name = asset["asset"].as_str().unwrap().to_owned();
                f(&name, &mut asset);
                out.push_str(&asset.to_string());
                out.push('\n');
            }
            std::fs::write(&file, out).unwrap();
        }
    }

    /// Every asset is looked at again at `at` and has not changed.
    pub fn observe(&self, at: &str) {
        self.change(|_, asset| asset["observedAt"] = json!(at));
        exports::change(&self.folder, |_| vec![Change::Seen(at.to_owned())]);
    }

    /// Only these assets are looked at again at `at`; the others are silent.
    pub fn observe_only(&self, assets: &[&str], at: &str) {
        self.change(|name, asset| {
            if assets.contains(&name) {
                asset["observedAt"] = json!(at);
            }
        });
        exports::change(&self.folder, |name| match assets.contains(&name) {
            true => vec![Change::Seen(at.to_owned())],
            false => Vec::new(),
        });
    }

    /// These assets get their targets of a frozen `plan.json`; everything else stays, also its time.
    pub fn patch(&self, plan: &Value, assets: &[&str]) {
        let targets = targets_of(plan);
        self.change(|name, asset| {
            if !assets.contains(&name) {
                return;
            }
            for target in targets.get(name).into_iter().flatten() {
                set_version(
                    asset,
                    target["name"].as_str().unwrap(),
                    target["version"].as_str().unwrap(),
                );
            }
        });
        exports::change(&self.folder, |name| {
            let mine = targets.get(name).filter(|_| assets.contains(&name));
            let word = |target: &Value, member: &str| target[member].as_str().unwrap_or_default().to_owned();
            let taken = mine.into_iter().flatten();
            taken
                .map(|target| Change::Takes(word(target, "name"), word(target, "version")))
                .collect()
        });
    }

    /// Sets one package of one asset.
    pub fn set_version(&self, asset: &str, package: &str, version: &str) {
        self.change(|name, value| {
            if name == asset {
                set_version(value, package, version);
            }
        });
    }

    /// Says whether one asset waits for a reboot.
    pub fn pending_reboot(&self, asset: &str, pending: bool) {
        self.change(|name, value| {
            if name == asset {
                value["pendingReboot"] = json!(pending);
            }
        });
    }
}

fn set_version(asset: &mut Value, package: &str, version: &str) {
    for installed in asset["packages"].as_array_mut().unwrap() {
        if installed["name"] == package {
            installed["version"] = json!(version);
        }
    }
    if KERNELS.contains(&package) {
        let release = format!("{version}.x86_64");
        asset["kernel"] = json!({"running": release, "defaultBoot": release});
    }
}

/// The targets of each asset of a frozen `plan.json`.
pub fn targets_of(plan: &Value) -> BTreeMap<String, Vec<Value>> {
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for wave in plan["waves"].as_array().unwrap() {
        for batch in wave["batches"].as_array().unwrap() {
            for asset in batch["assets"].as_array().unwrap() {
                for index in asset["targets"].as_array().unwrap() {
                    let target = plan["patchset"]["targets"][index.as_u64().unwrap() as usize].clone();
                    found
                        .entry(asset["name"].as_str().unwrap().to_owned())
                        .or_default()
                        .push(target);
                }
            }
        }
    }
    found
}

/// The assets of one batch of a frozen `plan.json`.
pub fn batch_assets(plan: &Value, wave: &str, batch: &str) -> Vec<String> {
    let waves = plan["waves"].as_array().unwrap();
    let wave = waves
        .iter()
        .find(|w| w["name"] == wave)
        .unwrap_or_else(|| panic!("no wave {wave}"));
    let batches = wave["batches"].as_array().unwrap();
    let batch = batches
        .iter()
        .find(|b| b["id"] == batch)
        .unwrap_or_else(|| panic!("no batch {batch}"));
    batch["assets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| a["name"].as_str().unwrap().to_owned())
        .collect()
}
