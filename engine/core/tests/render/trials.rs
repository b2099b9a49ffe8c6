//! Every target of the engine, tried with more than 500 hostile texts in every place a text can come in.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::sync::Mutex;

use patchwave_core::render::{Pack, Packs, hostile_texts, read_pack, trial};

fn packs() -> Packs {
    Packs::read(&BTreeMap::new()).unwrap()
}

#[test]
fn no_text_gets_out_of_any_template() {
    let packs = packs();
    let hostile = hostile_texts();
    let kept = Kept::new();
    assert!(hostile.len() >= 500, "{}", hostile.len());
    for (name, pack) in &packs.targets {
        let trial = trial(pack, &packs.hooks, &hostile, &|path, text| kept.keep(name, path, text));
        assert_eq!(trial.faults, [], "{name}");
        let templated = pack.spec.files.iter().filter(|file| file.template.is_some()).count();
        assert!(trial.tried >= templated * hostile.len(), "{name}");
        // Most of what was tried was written: a template that refuses everything would show nothing.
        assert!(
            trial.refused * 4 <= trial.tried * 3,
            "{name}: {} of {} refused",
            trial.refused,
            trial.tried
        );
    }
}

/// Where every YAML file of the trial is kept for another reader, one object a line in a file a target: the folder that
/// `PATCHWAVE_TRIALS_DIR` names, else nowhere. tests/artifacts/reread.py reads them as Ansible does.
struct Kept {
    folder: Option<PathBuf>,
    files: Mutex<BTreeMap<String, BufWriter<File>>>,
}

impl Kept {
    fn new() -> Self {
        let folder = std::env::var_os("PATCHWAVE_TRIALS_DIR").map(PathBuf::from);
        if let Some(folder) = &folder {
            std::fs::create_dir_all(folder).unwrap();
        }
        Self {
            folder,
            files: Mutex::default(),
        }
    }

    fn keep(&self, target: &str, path: &str, text: &str) -> Option<Result<String, String>> {
        let folder = self.folder.as_ref()?;
        if path.ends_with(".yml") || path.ends_with(".yaml") {
            let line = serde_json::json!({"path": path, "text": text});
            let mut files = self.files.lock().unwrap();
            let file = files
                .entry(target.to_owned())
                .or_insert_with(|| BufWriter::new(File::create(folder.join(format!("{target}.ndjson"))).unwrap()));
            writeln!(file, "{line}").unwrap();
        }
        None
    }
}

fn pack(escape: &str, template: &str) -> Pack {
    let spec = format!(
        "formatVersion: '1.0'\nname: demo\ndescription: x\necosystems: [rpm]\nfiles:\n- {{path: demo/a.yml, template: a.hbs, escape: {escape}}}\n"
    );
    let files = [("target.yaml", spec.as_str()), ("a.hbs", template)];
    read_pack(
        "demo",
        files.map(|(path, text)| (path.to_owned(), text.to_owned())).into(),
    )
    .unwrap()
}

#[test]
fn a_template_that_lets_a_text_out_is_found() {
    let hostile = hostile_texts();
    for (escape, template, says) in [
        // The wrong escape for the kind of file.
        ("shell", "a: {{wave.name}}\n", "breaks out"),
        ("markdown", "a: {{rollout.description}}\n", "breaks out"),
        // A quoted value inside quotes.
        ("yaml", "a: '{{wave.name}}'\n", "breaks out"),
        // A value nobody has, and a file that is none.
        ("yaml", "a: {{nobody.has.this}}\n", "does not render"),
        ("yaml", "a: [{{wave.name}}\n", "cannot be read"),
    ] {
        let trial = trial(&pack(escape, template), &BTreeMap::new(), &hostile, &|_, _| None);
        assert!(
            trial
                .faults
                .iter()
                .any(|fault| fault.message.contains(says) && fault.file == "demo/a.hbs"),
            "{escape} {template}: {:?}",
            trial.faults
        );
    }
    let fine = trial(
        &pack("yaml", "a: {{wave.name}}\nb: {{json roles}}\n"),
        &BTreeMap::new(),
        &hostile,
        &|_, _| None,
    );
    assert_eq!((fine.faults, fine.refused), (vec![], 0));
}
