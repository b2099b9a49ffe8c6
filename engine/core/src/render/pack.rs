//! Target packs: render targets as data, one folder each with a `target.yaml` and its templates.
//!
//! A pack's templates see values and nothing else: no file, no time, no other pack. A folder of the repository's
//! `templates/` takes the place of the built-in of the same name as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use handlebars::Handlebars;

use super::asset::MANAGERS;
use super::helpers::registry;
use super::wire::FORMAT_VERSION;
use crate::load::known::{BACKUPS, HA_TYPES};
use crate::load::wire::{Escape, FileSpec, Per, TargetSpec};

/// Name of the pack that writes the pages of a wave whatever its targets are.
pub const DOCUMENTS: &str = "documents";

/// Folder of files that every target may use, by their path with `common/` in front: tasks and partials.
pub const COMMON: &str = "common";

/// A target: its specification, the texts of its folder by path relative to it, and its templates ready to run.
#[derive(Clone, Debug)]
pub struct Pack {
    /// `target.yaml`.
    pub spec: TargetSpec,
    /// The other files.
    pub files: BTreeMap<String, String>,
    /// The templates ready to run, made when the first of them is needed: a command that renders nothing, or for one target,
    /// does not wait for the others'.
    compiled: OnceLock<Registries>,
}

/// A registry for each templated file, by the file's path in the specification; its template is called `main`.
type Registries = BTreeMap<String, Arc<Handlebars<'static>>>;

impl Pack {
    /// The registry of a templated file.
    pub(super) fn registry(&self, path: &str) -> Option<&Handlebars<'static>> {
        let registries = self.compiled.get_or_init(|| compile(self).0);
        registries.get(path).map(AsRef::as_ref)
    }
}

/// What is wrong with a pack.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("templates/{file}: {message}")]
pub struct PackFault {
    /// The file, relative to the templates folder.
    pub file: String,
    /// What is wrong, why it matters, what to do.
    pub message: String,
}

/// Every target there is, and the hooks.
#[derive(Clone, Debug, Default)]
pub struct Packs {
    /// By name.
    pub targets: BTreeMap<String, Pack>,
    /// Task files of hooks, by name.
    pub hooks: BTreeMap<String, String>,
}

impl Packs {
    /// The built-in packs with the repository's laid over them: `files` are texts by path relative to the templates
    /// folder. A target folder replaces the built-in of its name as a whole, a hook the built-in of its name.
    ///
    /// # Errors
    /// Every fault of every pack, sorted.
    pub fn read(files: &BTreeMap<String, String>) -> Result<Self, Vec<PackFault>> {
        let mut folders: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let builtin = crate::load::BUILTIN
            .iter()
            .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
        let mut own: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        let split = |path: &str| {
            path.split_once('/')
                .map(|(folder, rest)| (folder.to_owned(), rest.to_owned()))
        };
        for (path, text) in builtin {
            if let Some((folder, rest)) = split(&path) {
                folders.entry(folder).or_default().insert(rest, text);
            }
        }
        for (path, text) in files {
            // Golden files are what a target gave once, not what it is made of.
            let made_of = |rest: &str| !rest.starts_with("golden/") && !rest.starts_with("hostile/");
            if let Some((folder, rest)) = split(path).filter(|(_, rest)| made_of(rest)) {
                own.entry(folder).or_default().insert(rest, text.clone());
            }
        }
        let mut hooks = folders.remove("hooks").unwrap_or_default();
        hooks.extend(own.remove("hooks").unwrap_or_default());
        let mut common = folders.remove(COMMON).unwrap_or_default();
        let own_common = own.remove(COMMON).unwrap_or_default();
        // What comes with the engine was read by its tests; only what the repository has a part in can be broken here.
        let trusted: BTreeSet<String> = match own_common.is_empty() {
            true => folders
                .keys()
                .filter(|name| !own.contains_key(*name))
                .cloned()
                .collect(),
            false => BTreeSet::new(),
        };
        common.extend(own_common);
        folders.extend(own);
        for texts in folders.values_mut() {
            let shared = common
                .iter()
                .map(|(path, text)| (format!("{COMMON}/{path}"), text.clone()));
            texts.extend(shared);
        }
        let mut faults = Vec::new();
        let mut packs = Self {
            targets: BTreeMap::new(),
            hooks: hook_files(hooks),
        };
        for (folder, texts) in folders {
            let read = if trusted.contains(&folder) {
                unchecked_pack
            } else {
                read_pack
            };
            match read(&folder, texts) {
                Ok(pack) => drop(packs.targets.insert(folder, pack)),
                Err(found) => faults.extend(found),
            }
        }
        faults.sort();
        if faults.is_empty() { Ok(packs) } else { Err(faults) }
    }
}

/// `<name>.yml` and `<name>.yaml` by name; other files of the folder (a README) are not hooks.
fn hook_files(files: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let name = |path: &str| {
        path.strip_suffix(".yml")
            .or_else(|| path.strip_suffix(".yaml"))
            .map(str::to_owned)
    };
    files
        .into_iter()
        .filter_map(|(path, text)| Some((name(&path)?, text)))
        .collect()
}

/// Reads one pack and finds every fault of it.
///
/// # Errors
/// The faults.
pub fn read_pack(folder: &str, files: BTreeMap<String, String>) -> Result<Pack, Vec<PackFault>> {
    let fault = |file: &str, message: String| PackFault {
        file: format!("{folder}/{file}"),
        message,
    };
    let pack = unchecked_pack(folder, files)?;
    let (compiled, broken) = compile(&pack);
    let pack = Pack {
        compiled: OnceLock::from(compiled),
        ..pack
    };
    let faults: Vec<PackFault> = spec_faults(folder, &pack)
        .into_iter()
        .map(|message| fault("target.yaml", message))
        .chain(broken.into_iter().map(|(file, message)| fault(&file, message)))
        .chain(pack.files.iter().flat_map(|(path, text)| {
            let raw = path.ends_with(".hbs").then(|| raw_lines(text)).into_iter().flatten();
            raw.map(move |line| {
                fault(path, format!("line {line}: a value would be written raw (`{{{{{{` or `{{{{&`); write `{{{{value}}}}`, which is escaped for its file"))
            })
        }))
        .collect();
    if faults.is_empty() { Ok(pack) } else { Err(faults) }
}

/// One pack as its specification says, with nothing of it looked at yet.
fn unchecked_pack(folder: &str, mut files: BTreeMap<String, String>) -> Result<Pack, Vec<PackFault>> {
    let fault = |message: String| {
        vec![PackFault {
            file: format!("{folder}/target.yaml"),
            message,
        }]
    };
    let text = files.remove("target.yaml");
    let text = text.ok_or_else(|| fault("missing: a target is a folder with a target.yaml".to_owned()))?;
    let spec: TargetSpec = crate::source::yaml::from_text(&text).map_err(|e| fault(format!("not a target: {e}")))?;
    Ok(Pack {
        spec,
        files,
        compiled: OnceLock::new(),
    })
}

/// A registry for every templated file, with the pack's `partials/` by name; and by file what is not a template.
fn compile(pack: &Pack) -> (Registries, BTreeMap<String, String>) {
    let (mut compiled, mut broken) = (BTreeMap::new(), BTreeMap::new());
    for spec in &pack.spec.files {
        let Some((name, text)) = spec.template.as_ref().and_then(|name| pack.files.get_key_value(name)) else {
            continue;
        };
        let mut registry = registry(spec.escape);
        if let Err(error) = registry.register_template_string("main", text) {
            broken.insert(name.clone(), format!("not a template: {error}"));
        }
        for (path, text) in &pack.files {
            if let Some(partial) = partial_name(path)
                && let Err(error) = registry.register_partial(&partial, text)
            {
                broken.insert(path.clone(), format!("not a template: {error}"));
            }
        }
        compiled.insert(spec.path.clone(), Arc::new(registry));
    }
    (compiled, broken)
}

/// The name of a partial: `x` of `partials/x.hbs`, `common/x` of `common/partials/x.hbs`.
fn partial_name(path: &str) -> Option<String> {
    let path = path.strip_suffix(".hbs")?;
    match path.strip_prefix("common/partials/") {
        Some(name) => Some(format!("{COMMON}/{name}")),
        None => path.strip_prefix("partials/").map(str::to_owned),
    }
}

fn spec_faults(folder: &str, pack: &Pack) -> Vec<String> {
    let spec = &pack.spec;
    let mut faults = Vec::new();
    if !spec.format_version.starts_with("1.") {
        faults.push(format!(
            "formatVersion `{}` is not read by this engine; it reads {FORMAT_VERSION}",
            spec.format_version
        ));
    }
    if spec.name != folder {
        faults.push(format!(
            "name `{}` is not the name of the folder; call it `{folder}`",
            spec.name
        ));
    }
    for file in &spec.files {
        let path = &file.path;
        let below = path.strip_prefix("rollback/").unwrap_or(path);
        let placed = folder == DOCUMENTS || below.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let safe = path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
        if !placed || !safe || path.contains(['\\', '\0']) {
            faults.push(format!(
                "path `{path}` must lie below `{folder}/` or `rollback/{folder}/`, without `.` or `..`"
            ));
        }
        let unknown = path.replace("{batch}", "").replace("{asset}", "").contains(['{', '}']);
        let unnamed = match file.per {
            Per::Wave => path.contains('{'),
            Per::Batch => !path.contains("{batch}") || path.contains("{asset}"),
            Per::Asset => !path.contains("{asset}"),
        };
        if unknown || unnamed {
            faults.push(format!("path `{path}` must name each of its files: `{{batch}}` per batch, `{{asset}}` per asset, nothing per wave"));
        }
        if !file.folders.is_empty() || !file.only.is_empty() {
            faults.extend(folder_faults(pack, file));
            continue;
        }
        match (&file.template, &file.copy) {
            (Some(name), None) | (None, Some(name)) if !pack.files.contains_key(name) => {
                faults.push(format!("`{name}` (for `{path}`) is not in the folder"));
            }
            (Some(_), None) if file.escape == Escape::None => {
                faults.push(format!(
                    "`{path}` has values, so `escape: none` is not allowed; say what kind of file it is"
                ));
            }
            (Some(_), None) | (None, Some(_)) => {}
            _ => faults.push(format!(
                "`{path}` needs exactly one of `template`, `copy` and `folders`"
            )),
        }
    }
    faults
}

/// Whether a wave may have to do with this: a package manager, a type of service or a kind of backup.
fn is_word_of_a_wave(word: &str) -> bool {
    let backups = BACKUPS.iter().any(|kind| kind.name == word);
    backups || MANAGERS.contains(&word) || HA_TYPES.contains(&word)
}

/// What is wrong with folders that are copied.
fn folder_faults(pack: &Pack, file: &FileSpec) -> Vec<String> {
    let path = &file.path;
    let mut faults = Vec::new();
    let below = |folder: &str| {
        let inside = format!("{folder}/");
        let files = pack.files.keys();
        files.filter_map(move |path| Some(path.strip_prefix(&inside)?.to_owned()))
    };
    for folder in file.folders.iter().filter(|folder| below(folder).next().is_none()) {
        faults.push(format!("`{folder}/` (for `{path}`) has no file"));
    }
    for (beginning, words) in &file.only {
        let mut all = file.folders.iter().flat_map(|folder| below(folder));
        if !all.any(|rest| rest.starts_with(beginning.as_str())) {
            faults.push(format!(
                "no file for `{path}` begins with `{beginning}`, which `only` speaks of; correct or delete the line"
            ));
        }
        let unknown = words.iter().filter(|word| !is_word_of_a_wave(word));
        faults.extend(unknown.map(|word| {
            format!("`{word}` (of `only: {beginning}`, for `{path}`) is no package manager, type of service or kind of backup, so no wave would ever have the file")
        }));
    }
    if file.template.is_some() || file.copy.is_some() || file.escape != Escape::None || file.per != Per::Wave {
        faults.push(format!(
            "`{path}` copies folders once a wave: no `template`, `copy` or `per`, and `escape: none`"
        ));
    }
    faults
}

/// Lines (from 1) with a tag that writes its value without escape.
fn raw_lines(text: &str) -> Vec<usize> {
    let raw = |line: &str| {
        line.match_indices("{{").any(|(at, _)| {
            let rest = line.get(at + 2..).unwrap_or_default();
            rest.trim_start_matches('~').starts_with(['{', '&'])
        })
    };
    text.lines()
        .enumerate()
        .filter(|(_, line)| raw(line))
        .map(|(i, _)| i + 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "formatVersion: '1.0'\nname: demo\ndescription: x\nfiles:\n- {path: demo/a.txt, template: a.hbs, escape: shell}\n";

    fn read(spec: &str, template: &str) -> Result<Pack, Vec<PackFault>> {
        read_pack(
            "demo",
            [("target.yaml", spec), ("a.hbs", template)]
                .map(|(p, t)| (p.to_owned(), t.to_owned()))
                .into(),
        )
    }

    #[test]
    fn a_pack_with_raw_values_is_refused_with_its_lines() {
        assert!(read(GOOD, "a {{b}}\n").is_ok());
        assert!(
            read(GOOD, "a {{#if}}\n").unwrap_err()[0]
                .message
                .starts_with("not a template")
        );
        for template in ["x\n{{{b}}}", "x\n{{&b}}", "x\n{{~&b}}"] {
            let faults = read(GOOD, template).unwrap_err();
            assert!(faults[0].message.starts_with("line 2:"), "{faults:?}");
        }
    }

    #[test]
    fn every_fault_of_a_specification_is_found_at_once() {
        let spec = "formatVersion: '2.0'\nname: other\ndescription: x\nfiles:\n\
            - {path: ../x, copy: a.hbs, escape: none}\n\
            - {path: demo/b, template: missing.hbs, escape: yaml, per: batch}\n\
            - {path: demo/c, template: a.hbs, escape: none}\n\
            - {path: demo/d, escape: none}\n";
        let faults = read(spec, "").unwrap_err();
        let all: String = faults.iter().map(|f| format!("{f}\n")).collect();
        for part in [
            "formatVersion",
            "not the name",
            "must lie below",
            "name each",
            "not in the folder",
            "escape: none",
            "exactly one",
        ] {
            assert!(all.contains(part), "{part} missing in {all}");
        }
    }

    #[test]
    fn files_that_no_wave_would_ever_have_are_faults() {
        let with_only = |only: &str| {
            let files = [
                (
                    "target.yaml",
                    GOOD.replace(
                        "template: a.hbs, escape: shell",
                        &format!("folders: [tasks], only: {only}, escape: none"),
                    ),
                ),
                ("tasks/apt-a.yml", String::new()),
            ];
            read_pack("demo", files.map(|(path, text)| (path.to_owned(), text)).into())
        };
        assert!(with_only("{apt-: [apt]}").is_ok());
        let all: String = with_only("{atp-: [apt], apt-: [atp]}")
            .unwrap_err()
            .iter()
            .map(|f| format!("{f}\n"))
            .collect();
        assert!(
            all.contains("begins with `atp-`") && all.contains("`atp` (of `only: apt-`"),
            "{all}"
        );
    }

    #[test]
    fn a_folder_of_the_repository_replaces_the_built_in_one() {
        let mine = GOOD.replace("demo", "ansible");
        let files = [
            ("ansible/target.yaml", mine.as_str()),
            ("ansible/a.hbs", ""),
            ("hooks/mine.yml", "---\n"),
        ];
        let packs = Packs::read(&files.map(|(p, t)| (p.to_owned(), t.to_owned())).into()).unwrap();
        let own = packs.targets["ansible"]
            .files
            .keys()
            .filter(|path| !path.starts_with("common/"));
        assert_eq!(own.collect::<Vec<_>>(), ["a.hbs"]);
        assert!(packs.hooks.contains_key("mine") && packs.hooks.contains_key("lb-drain"));
        assert!(packs.targets.contains_key(DOCUMENTS));
    }
}
