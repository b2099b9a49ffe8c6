//! Texts → documents → typed resources.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use super::catalog::{Catalog, Place, Resource, Resources, Zone};
use super::documents::{Doc, Documents};
use super::memo::Memo;
use super::wire::{self, API_VERSION};
use super::{PROJECT_FILE, conform, schema};
use crate::diag::{Code, Diagnostic, Diagnostics, nearest_or_list};
use crate::source::yaml::{self, Fault, LIMITS, Problem};
use crate::source::{DocId, Location, SourceFile, SourceSet, Text, escape_token};

/// Every name that is written anywhere, by kind: also those of documents that could not be read to the end, so that one
/// fault does not make every reference to its resource dangle.
pub type Names = BTreeMap<String, BTreeMap<String, Option<DocId>>>;

/// What reading gives.
pub(super) struct Reading {
    pub(super) catalog: Catalog,
    pub(super) documents: Documents,
    pub(super) names: Names,
    pub(super) project: Option<DocId>,
}

/// Reads everything; files that `memo` knows are not read again.
pub(super) fn catalog(set: &SourceSet, memo: &mut Memo, diagnostics: &mut Diagnostics) -> Reading {
    let mut documents = Documents::default();
    let mut names = Names::new();
    let files = memo.files(set);
    let mut checked: Vec<&Checked> = Vec::new();
    for file in &files {
        diagnostics.extend(file.diagnostics.iter().cloned());
        let text = documents.texts.len();
        documents
            .docs
            .extend(file.documents.iter().map(|(doc, _)| Doc { text, ..doc.clone() }));
        checked.extend(file.documents.iter().map(|(_, checked)| checked));
        for (kind, name) in &file.salvaged {
            let known = names.entry(kind.clone()).or_default();
            known.entry(name.clone()).or_insert(None);
        }
        documents.texts.push(Arc::clone(&file.text));
    }
    let mut catalog = Catalog {
        places: places(&documents),
        ..Catalog::default()
    };
    let mut projects: BTreeMap<DocId, Arc<Value>> = BTreeMap::new();
    for ((id, _), checked) in documents.iter().zip(checked) {
        diagnostics.extend(checked.diagnostics.iter().cloned());
        let first = register(&documents, id, &mut names, diagnostics);
        if let Some(value) = checked.value.as_ref().filter(|value| kind_of(value) == "Project") {
            projects.insert(id, Arc::clone(value));
        }
        if let (true, Some(value)) = (first, &checked.value)
            && let Err((pointer, message)) = insert(&mut catalog, id, value)
        {
            let name = conform::place_name(&pointer, value);
            let at = documents.locate(id, &pointer);
            diagnostics.push(Diagnostic::new(Code::WrongValue, format!("{name}: {message}")).at(at, pointer));
        }
    }
    let project = find_project(&documents, set, &names, diagnostics);
    if let Some(id) = project {
        read_project(&mut catalog, id, &documents, projects.get(&id).map(AsRef::as_ref));
    }
    Reading {
        catalog,
        documents,
        names,
        project,
    }
}

fn places(documents: &Documents) -> BTreeMap<DocId, Place> {
    let place = |(id, doc): (DocId, &Doc)| {
        let text = Arc::clone(documents.texts.get(doc.text)?);
        Some((
            id,
            Place {
                text,
                spans: Arc::clone(&doc.spans),
            },
        ))
    };
    documents.iter().filter_map(place).collect()
}

/// One file, read and checked: everything that follows from its text alone.
#[derive(Debug)]
pub(super) struct FileReading {
    text: Arc<Text>,
    documents: Vec<(Doc, Checked)>,
    diagnostics: Vec<Diagnostic>,
    salvaged: Vec<(String, String)>,
}

/// Reads and checks one file.
pub(super) fn read_file(file: &SourceFile) -> FileReading {
    let text = Arc::new(Text::new(&file.path, &file.text));
    if let Some(fault) = &file.fault {
        let diagnostic = Diagnostic::new(Code::UnreadableFile, format!("`{}` {fault}", file.path))
            .at(Location::whole_file(&file.path), "");
        return FileReading {
            text,
            documents: Vec::new(),
            diagnostics: vec![diagnostic],
            salvaged: Vec::new(),
        };
    }
    let reading = yaml::read(&file.text, LIMITS);
    let read = |document: yaml::Document| {
        let doc = Doc {
            text: 0,
            value: Arc::new(document.value),
            spans: Arc::new(document.spans),
            incomplete: document.incomplete,
        };
        let checked = check(&doc, &text);
        (doc, checked)
    };
    let documents = reading.documents.into_iter().map(read).collect();
    let problems = reading.problems.into_iter();
    let diagnostics = problems.map(|problem| yaml_diagnostic(&text, problem)).collect();
    let lost = reading.lost.into_iter();
    let salvaged = lost.filter_map(|range| salvage(&text, range)).collect();
    FileReading {
        text,
        documents,
        diagnostics,
        salvaged,
    }
}

/// What is wrong with a file as YAML, whatever it says.
pub(super) fn yaml_diagnostics(file: &SourceFile) -> Diagnostics {
    read_file(file).diagnostics.into_iter().collect()
}

fn yaml_diagnostic(text: &Text, problem: Problem) -> Diagnostic {
    let code = match problem.fault {
        Fault::Syntax => Code::YamlSyntax,
        Fault::DuplicateKey => Code::DuplicateKey,
        Fault::LookAlike => Code::LookAlike,
        Fault::Limit => Code::InputLimit,
        Fault::Unsupported => Code::UnsupportedYaml,
    };
    let location = problem
        .at
        .map_or_else(|| Location::whole_file(&text.path), |at| text.location(at));
    let diagnostic = Diagnostic::new(code, problem.message)
        .at(location, "")
        .maybe_help(problem.help);
    match problem.other {
        Some((message, at)) => diagnostic.related(text.location(at), message),
        None => diagnostic,
    }
}

/// Kind and name of a document that is not YAML, read off its lines: only good enough for not calling references to it
/// dangling.
fn salvage(text: &Text, range: Range<usize>) -> Option<(String, String)> {
    let lines: Vec<&str> = text.slice(range).lines().collect();
    let after = |line: &str, key: &str| {
        let (_, rest) = line.split_once(key)?;
        let word = rest
            .trim_start()
            .split(|c: char| c.is_whitespace() || matches!(c, ',' | '}'))
            .next()?;
        let word = word.trim_matches(['"', '\'']);
        (!word.is_empty()).then(|| word.to_owned())
    };
    let kind = lines
        .iter()
        .find(|l| l.starts_with("kind:"))
        .and_then(|l| after(l, "kind:"))?;
    let metadata = lines.iter().position(|l| l.starts_with("metadata:"))?;
    let inside = lines
        .iter()
        .enumerate()
        .skip(metadata)
        .take_while(|(i, l)| *i == metadata || l.starts_with([' ', '\t']));
    let name = inside.into_iter().find_map(|(_, line)| after(line, "name:"))?;
    Some((kind, name))
}

/// A document after the schema: what is wrong, and the value to read it from, if it can be read at all.
#[derive(Debug)]
struct Checked {
    diagnostics: Vec<Diagnostic>,
    value: Option<Arc<Value>>,
}

fn check(doc: &Doc, text: &Text) -> Checked {
    let refuse = |diagnostics| Checked {
        diagnostics,
        value: None,
    };
    let mut diagnostics = envelope(doc, text);
    let Some(compiled) = schema::compiled(doc.kind()) else {
        return refuse(diagnostics);
    };
    if doc.incomplete {
        // What could not be read was said; the schema would only repeat it in other words.
        return refuse(diagnostics);
    }
    let found = conform::check(doc, text, compiled);
    diagnostics.extend(found.diagnostics);
    if found.broken {
        return refuse(diagnostics);
    }
    let mut value = Arc::clone(&doc.value);
    for pointer in &found.unknown {
        if let Some((parent, key)) = pointer.rsplit_once('/')
            && let Some(Value::Object(object)) = Arc::make_mut(&mut value).pointer_mut(parent)
        {
            object.shift_remove(&*crate::source::unescape_token(key));
        }
    }
    Checked {
        diagnostics,
        value: Some(value),
    }
}

/// `apiVersion` and `kind`.
fn envelope(doc: &Doc, text: &Text) -> Vec<Diagnostic> {
    let at = |pointer: &str| {
        let hit = doc.spans.locate(pointer);
        text.location(if hit.resolved > 0 {
            hit.value
        } else {
            hit.value.start..hit.value.start + 1
        })
    };
    let Some(object) = doc.value.as_object() else {
        let message = "this document is not a mapping, so it is no resource";
        return vec![
            Diagnostic::new(Code::NotAResource, message)
                .at(at(""), "")
                .help(format!(
                    "every resource starts with `apiVersion: {API_VERSION}` and `kind:`"
                )),
        ];
    };
    let mut found = Vec::new();
    match object.get("apiVersion") {
        None => found.push(
            Diagnostic::new(Code::NotAResource, "this document has no `apiVersion`")
                .at(at(""), "")
                .help(format!("add `apiVersion: {API_VERSION}`")),
        ),
        Some(version) if version == API_VERSION => {}
        Some(version) => {
            let shown = version.as_str().map_or_else(|| version.to_string(), str::to_owned);
            found.push(
                Diagnostic::new(Code::UnknownApiVersion, format!("unknown apiVersion `{shown}`"))
                    .at(at("/apiVersion"), "/apiVersion")
                    .help(format!("write `{API_VERSION}`")),
            );
        }
    }
    match object.get("kind") {
        None => found.push(
            Diagnostic::new(Code::NotAResource, "this document has no `kind`")
                .at(at(""), "")
                .help(format!(
                    "kinds: {}",
                    schema::kind_names().collect::<Vec<_>>().join(", ")
                )),
        ),
        Some(Value::String(kind)) if schema::kind(kind).is_some() => {}
        Some(kind) => {
            let shown = kind.as_str().map_or_else(|| kind.to_string(), str::to_owned);
            found.push(
                Diagnostic::new(Code::UnknownKind, format!("unknown kind `{shown}`"))
                    .at(at("/kind"), "/kind")
                    .maybe_help(nearest_or_list(&shown, schema::kind_names())),
            );
        }
    }
    found
}

/// Notes the name; false if another document has it already.
fn register(documents: &Documents, id: DocId, names: &mut Names, diagnostics: &mut Diagnostics) -> bool {
    let Some(doc) = documents.get(id) else { return false };
    let Some(name) = doc.name() else { return true };
    let known = names.entry(doc.kind().to_owned()).or_default();
    let Some(Some(first)) = known.get(name) else {
        known.insert(name.to_owned(), Some(id));
        return true;
    };
    let pointer = "/metadata/name";
    diagnostics.push(
        Diagnostic::new(
            Code::DuplicateName,
            format!("there is already a {} `{name}`", doc.kind()),
        )
        .at(documents.locate(id, pointer), pointer)
        .help("names are unique per kind: rename or remove one of the two")
        .related(documents.locate(*first, pointer), "the other one"),
    );
    false
}

fn kind_of(value: &Value) -> &str {
    value.get("kind").and_then(Value::as_str).unwrap_or("")
}

fn insert(catalog: &mut Catalog, id: DocId, value: &Value) -> Result<(), (String, String)> {
    match kind_of(value) {
        "Advisory" => typed(value, id, &mut catalog.advisories),
        "AssetClass" => typed(value, id, &mut catalog.classes),
        "ChangeFreeze" => typed(value, id, &mut catalog.freezes),
        "CompatibilityMatrix" => typed(value, id, &mut catalog.matrices),
        "ComplianceProfile" => typed(value, id, &mut catalog.profiles),
        "Fleet" => typed(value, id, &mut catalog.fleets),
        "MaintenanceWindow" => typed(value, id, &mut catalog.windows),
        "NotificationPolicy" => typed(value, id, &mut catalog.notifications),
        "Override" => typed(value, id, &mut catalog.overrides),
        "PatchException" => typed(value, id, &mut catalog.exceptions),
        "PatchPolicy" => typed(value, id, &mut catalog.policies),
        "PolicyTest" => typed(value, id, &mut catalog.tests),
        "RolloutStrategy" => typed(value, id, &mut catalog.strategies),
        "SlaPolicy" => typed(value, id, &mut catalog.slas),
        "Source" => typed(value, id, &mut catalog.sources),
        "ValidationSuite" => typed(value, id, &mut catalog.suites),
        _ => Ok(()),
    }
}

fn typed<T: DeserializeOwned>(value: &Value, doc: DocId, into: &mut Resources<T>) -> Result<(), (String, String)> {
    let resource: Resource<T> = resource(value, doc)?;
    into.insert(Arc::clone(&resource.name), resource);
    Ok(())
}

fn resource<T: DeserializeOwned>(value: &Value, doc: DocId) -> Result<Resource<T>, (String, String)> {
    let metadata: wire::Metadata = part(value, "metadata")?;
    let spec: T = part(value, "spec")?;
    let wire::Metadata {
        name,
        labels,
        annotations,
    } = metadata;
    Ok(Resource {
        name: name.into(),
        labels,
        annotations,
        spec,
        doc,
    })
}

/// Reads one part of a document; the error names the pointer of what is wrong inside it.
fn part<T: DeserializeOwned>(value: &Value, key: &str) -> Result<T, (String, String)> {
    let empty = Value::Object(serde_json::Map::new());
    serde_path_to_error::deserialize(value.get(key).unwrap_or(&empty)).map_err(|error| {
        let mut pointer = format!("/{key}");
        for segment in error.path() {
            match segment {
                Segment::Seq { index } => pointer += &format!("/{index}"),
                Segment::Map { key } => pointer += &format!("/{}", escape_token(key)),
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        (pointer, error.into_inner().to_string())
    })
}

/// Finds the one Project, which stands in `patchwave.yaml`.
fn find_project(documents: &Documents, set: &SourceSet, names: &Names, diagnostics: &mut Diagnostics) -> Option<DocId> {
    let projects = documents
        .iter()
        .filter(|(_, doc)| doc.kind() == "Project")
        .map(|(id, _)| id);
    let (here, elsewhere): (Vec<DocId>, Vec<DocId>) = projects.partition(|id| documents.file(*id) == PROJECT_FILE);
    let no_project =
        |id: DocId, message: &str| Diagnostic::new(Code::NoProject, message).at(documents.locate(id, "/kind"), "/kind");
    for id in elsewhere {
        let message = format!("a Project stands in `{PROJECT_FILE}`, not here");
        let help = format!("move it to `{PROJECT_FILE}` at the root of the repository");
        diagnostics.push(no_project(id, &message).help(help));
    }
    let Some(first) = here.first().copied() else {
        let file = set.files.iter().find(|f| f.path == PROJECT_FILE);
        // A Project that is not YAML, or a file that cannot be read, has its own error.
        if names.contains_key("Project") || file.is_some_and(|f| f.fault.is_some()) {
            return None;
        }
        let message = match file {
            Some(_) => format!("`{PROJECT_FILE}` holds no Project"),
            None => format!("there is no `{PROJECT_FILE}`, so this is no patchwave repository"),
        };
        let missing = Diagnostic::new(Code::NoProject, message).at(Location::whole_file(PROJECT_FILE), "");
        diagnostics.push(missing.help("`patchwave init` writes one that works"));
        return None;
    };
    for id in here.iter().skip(1) {
        let second = no_project(*id, "there is already a Project in this file");
        diagnostics.push(second.related(documents.locate(first, "/kind"), "the other one"));
    }
    Some(first)
}

/// Reads the Project and fills in its defaults. Of one with a fault, the paths are read all the same, because they say
/// where everything else is.
fn read_project(catalog: &mut Catalog, id: DocId, documents: &Documents, value: Option<&Value>) {
    let written = documents.get(id).map(|doc| &doc.value);
    let found = value.and_then(|value| resource::<wire::ProjectSpec>(value, id).ok());
    let mut spec = match found {
        Some(found) => {
            catalog.project_name = found.name;
            found.spec
        }
        None => {
            let paths = written
                .and_then(|value| value.pointer("/spec/paths"))
                .map(serde::Deserialize::deserialize);
            wire::ProjectSpec {
                paths: paths.and_then(Result::ok).unwrap_or_default(),
                ..wire::ProjectSpec::default()
            }
        }
    };
    if spec.state.path.is_none() && spec.state.url.is_none() {
        spec.state.path = Some(".patchwave/state".into());
    }
    // A zone that does not exist is reported by its rule and counts as UTC here.
    let zone = spec
        .defaults
        .timezone
        .as_deref()
        .and_then(|name| TimeZone::get(name).ok());
    catalog.zone = Zone(zone.unwrap_or(TimeZone::UTC));
    catalog.project = spec;
}
