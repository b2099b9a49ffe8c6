//! One heading as a repository and a world, put together from what it inherits.

use std::collections::BTreeMap;

use jiff::Timestamp;
use patchwave_core::load::wire::{TestAdvisory, TestMemory};
use patchwave_core::source::yaml::{self, LIMITS};
use patchwave_core::source::{SourceFile, SourceSet};
use serde_json::{Map, Value};

use crate::page::{Block, Page, Section};

/// Languages of blocks that say nothing to the engine.
const PROSE: [&str; 5] = ["text", "sh", "console", "json", "markdown"];

/// What a heading gives.
pub struct Case {
    pub now: Timestamp,
    pub set: SourceSet,
    /// Where each file stands on a page: page name and the line of its first line, from 1.
    pub origins: BTreeMap<String, (String, usize)>,
    /// What comments in the files say must come out.
    pub inline: Vec<Inline>,
    pub given: World,
}

/// The world of a heading: a key that a heading gives takes the place of the inherited one.
#[derive(Default)]
pub struct World {
    pub assets: Vec<Map<String, Value>>,
    pub advisories: Vec<TestAdvisory>,
    pub memory: Option<TestMemory>,
}

/// `# error: PW0101 unknown field` behind a line, or alone above it.
pub struct Inline {
    pub file: String,
    /// From 1.
    pub line: u32,
    pub severity: String,
    pub code: String,
    /// A part of the message; may be empty.
    pub text: String,
}

struct File {
    path: String,
    text: String,
    origin: (String, usize),
    own: bool,
}

/// The headings a heading takes over from, outermost first, and itself.
fn chain<'p>(
    pages: &'p BTreeMap<String, Page>,
    page: &'p Page,
    section: usize,
) -> Result<Vec<(&'p Page, &'p Section)>, String> {
    let mut up = Vec::new();
    let mut at = Some(section);
    while let Some(index) = at {
        up.push((page, &page.sections[index]));
        at = page.sections[index].parent;
    }
    let mut base = page.base.as_ref();
    while let Some(name) = base {
        let page = pages
            .get(name)
            .ok_or_else(|| format!("base: there is no page `{name}`"))?;
        up.push((
            page,
            page.sections.first().ok_or_else(|| format!("{name} has no heading"))?,
        ));
        base = page.base.as_ref();
    }
    up.reverse();
    Ok(up)
}

/// Puts together what heading `section` of `page` gives.
pub fn case(pages: &BTreeMap<String, Page>, page: &Page, section: usize) -> Result<Case, String> {
    let chain = chain(pages, page, section)?;
    let mut files: Vec<File> = Vec::new();
    let mut present: Vec<(String, String)> = Vec::new();
    let mut worlds = Map::new();
    for (from, part) in &chain {
        let own = part.line == page.sections[section].line && from.name == page.name;
        for block in &part.blocks {
            let place = format!("{}:{}", from.name, block.line());
            match (block.language.as_str(), block.option("file")) {
                ("yaml", None) if block.has("world") => {
                    for (key, value) in world_value(block, &place)? {
                        worlds.insert(key, value);
                    }
                }
                ("yaml", None) if block.has("skip") => {}
                ("yaml", None) if block.has("change") => {
                    change(&mut files, block, from, own).map_err(|e| format!("{place}: {e}"))?
                }
                ("yaml", Some(path)) if path.starts_with("templates/") => {
                    present.push((path.into(), block.text.clone()))
                }
                ("yaml", path) => take(&mut files, block, path, from, own),
                (_, Some(path)) => present.push((path.into(), block.text.clone())),
                (language, None) if block.is_expectation() || PROSE.contains(&language) => {}
                (language, None) => return Err(format!("{place}: `{language}` is no block that a page can have")),
            }
        }
    }
    if !files.iter().any(|f| f.path == "patchwave.yaml") {
        let text = "apiVersion: patchwave.dev/v1\nkind: Project\nmetadata: {name: spec}\n".to_owned();
        let (path, origin) = ("patchwave.yaml".to_owned(), (page.name.clone(), 0));
        files.push(File {
            path,
            text,
            origin,
            own: false,
        });
    }
    let now = match worlds.get("now").and_then(Value::as_str) {
        Some(text) => text.parse().map_err(|e| format!("{}: now: {e}", page.name))?,
        None => page.now,
    };
    Ok(Case {
        now,
        inline: files.iter().flat_map(inline).collect(),
        origins: files.iter().map(|f| (f.path.clone(), f.origin.clone())).collect(),
        given: world(worlds).map_err(|e| format!("{}:{}: {e}", page.name, page.sections[section].line))?,
        set: SourceSet {
            files: files.into_iter().map(|f| SourceFile::new(f.path, f.text)).collect(),
            present: present.iter().map(|(path, _)| path.clone()).collect(),
            blobs: present.into_iter().collect(),
            ..SourceSet::default()
        },
    })
}

/// Takes over a block of changes: each document is merged into the inherited one of its kind and name, as a JSON merge
/// patch (RFC 7396): what is written replaces, `null` removes.
fn change(files: &mut Vec<File>, block: &Block, from: &Page, own: bool) -> Result<(), String> {
    let mut changed = String::new();
    for document in yaml::read(&block.text, LIMITS).documents {
        let word = |pointer: &str| {
            document
                .value
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (kind, name) = (word("/kind"), word("/metadata/name"));
        let inherited = files
            .iter()
            .flat_map(|file| yaml::read(&file.text, LIMITS).documents)
            .find(|d| {
                let has = |pointer, text| d.value.pointer(pointer).and_then(Value::as_str) == Some(text);
                has("/kind", kind) && has("/metadata/name", name)
            });
        let mut value = inherited
            .ok_or_else(|| format!("there is no {kind} `{name}` to change"))?
            .value;
        merge(&mut value, document.value.clone());
        changed += &format!("---\n{value:#}\n");
    }
    let text = Block {
        text: changed,
        language: block.language.clone(),
        words: Vec::new(),
        inside: block.inside.clone(),
    };
    take(files, &text, None, from, own);
    Ok(())
}

fn merge(into: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        return *into = patch;
    };
    if !into.is_object() {
        *into = Value::Object(Map::new());
    }
    let Some(object) = into.as_object_mut() else { return };
    for (key, value) in patch {
        match value {
            Value::Null => drop(object.shift_remove(&key)),
            value => merge(object.entry(key).or_insert(Value::Null), value),
        }
    }
}

/// Takes a block over: its documents take the place of inherited ones of the same kind and name.
fn take(files: &mut Vec<File>, block: &Block, path: Option<&str>, from: &Page, own: bool) {
    let named = names(&block.text);
    let project = named.iter().any(|(kind, _)| kind == "Project");
    let stem = if own { "spec" } else { from.name.trim_end_matches(".md") };
    let free = |n: &usize| {
        let path = if *n == 1 {
            format!("{stem}.yaml")
        } else {
            format!("{stem}-{n}.yaml")
        };
        (!files.iter().any(|f| f.path == path)).then_some(path)
    };
    let path = match path {
        Some(path) => path.to_owned(),
        None if project => "patchwave.yaml".to_owned(),
        None => (1..).find_map(|n| free(&n)).unwrap_or_default(),
    };
    for file in files.iter_mut().filter(|f| f.own != own || !own) {
        file.text = without(&file.text, &named);
    }
    files.retain(|f| f.path != path && !f.text.trim().is_empty());
    files.push(File {
        path,
        text: block.text.clone(),
        origin: (from.name.clone(), block.line() + 1),
        own,
    });
}

/// Kind and name of every document that can be read.
fn names(text: &str) -> Vec<(String, String)> {
    let documents = yaml::read(text, LIMITS).documents;
    let word = |value: &Value, pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let named = documents
        .iter()
        .map(|d| (word(&d.value, "/kind"), word(&d.value, "/metadata/name")));
    named.filter_map(|(kind, name)| Some((kind?, name?))).collect()
}

/// The text without the documents of these kinds and names; lines keep their numbers.
fn without(text: &str, replaced: &[(String, String)]) -> String {
    let mut documents: Vec<Vec<&str>> = vec![Vec::new()];
    for line in text.lines() {
        if line == "---" {
            documents.push(Vec::new());
        }
        documents.last_mut().unwrap().push(line);
    }
    let mut out = String::new();
    for document in documents {
        let text: String = document.iter().map(|l| format!("{l}\n")).collect();
        match names(&text).iter().any(|name| replaced.contains(name)) {
            true => out.extend(document.iter().map(|_| '\n')),
            false => out.push_str(&text),
        }
    }
    out
}

fn world_value(block: &Block, place: &str) -> Result<Map<String, Value>, String> {
    let reading = yaml::read(&block.text, LIMITS);
    if let Some(problem) = reading.problems.first() {
        return Err(format!("{place}: {}", problem.message));
    }
    let value = reading.documents.into_iter().next().map(|d| d.value);
    let Some(Value::Object(world)) = value else {
        return Err(format!("{place}: a world is a mapping"));
    };
    const KEYS: [&str; 5] = ["now", "each", "assets", "advisories", "memory"];
    match world.keys().find(|key| !KEYS.contains(&key.as_str())) {
        Some(key) => Err(format!(
            "{place}: `{key}` is no part of a world; there are {}",
            KEYS.join(", ")
        )),
        None => Ok(world),
    }
}

/// The assets of a world get the facts of `each` that they do not give themselves.
fn world(mut value: Map<String, Value>) -> Result<World, serde_json::Error> {
    let each: Map<String, Value> = value.remove("each").map_or(Ok(Map::new()), serde_json::from_value)?;
    let mut take = |key: &str| value.remove(key).unwrap_or(Value::Null);
    let assets: Option<Vec<Map<String, Value>>> = serde_json::from_value(take("assets"))?;
    let advisories: Option<Vec<TestAdvisory>> = serde_json::from_value(take("advisories"))?;
    let mut assets = assets.unwrap_or_default();
    for asset in &mut assets {
        for (key, fact) in &each {
            asset.entry(key.clone()).or_insert_with(|| fact.clone());
        }
        asset.retain(|_, fact| !fact.is_null());
    }
    Ok(World {
        assets,
        advisories: advisories.unwrap_or_default(),
        memory: serde_json::from_value(take("memory"))?,
    })
}

/// What the comments of a file say must come out.
fn inline(file: &File) -> Vec<Inline> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        for severity in ["error", "warning", "info"] {
            let Some((before, said)) = line.split_once(&format!("# {severity}: ")) else {
                continue;
            };
            let said = said.trim();
            let (code, text) = said.split_once(' ').unwrap_or((said, ""));
            let alone = before.trim().is_empty();
            let below = |from: usize| (from + 1..lines.len()).find(|i| !lines[*i].trim_start().starts_with('#'));
            let at = if alone { below(index).unwrap_or(index) } else { index };
            found.push(Inline {
                file: file.path.clone(),
                line: at as u32 + 1,
                severity: severity.to_owned(),
                code: code.to_owned(),
                text: text.trim().to_owned(),
            });
        }
    }
    found
}
