//! The catalog: every resource as a typed value, with its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::expr::Expression;
use super::wire;
use crate::source::{DocId, Location, SpanTree, Text};

/// One YAML document that looks like a resource.
#[derive(Clone, Debug)]
pub struct Doc {
    /// Index into [`Catalog::texts`].
    pub(super) text: usize,
    /// What it says.
    pub value: Value,
    /// Where it says it.
    pub(super) spans: SpanTree,
    /// A part could not be read.
    pub(super) incomplete: bool,
}

impl Doc {
    /// Its `kind`; empty if it has none.
    pub fn kind(&self) -> &str {
        self.value.get("kind").and_then(Value::as_str).unwrap_or("")
    }

    /// Its `metadata.name`, if it is a text.
    pub fn name(&self) -> Option<&str> {
        self.value.pointer("/metadata/name")?.as_str()
    }
}

/// One resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource<T> {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// What it says.
    pub spec: T,
    /// The document it came from.
    pub doc: DocId,
}

/// The resources of one kind by name.
pub type Resources<T> = BTreeMap<String, Resource<T>>;

/// The Project with its defaults resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// `metadata.name`; empty if there is no Project.
    pub name: String,
    /// Folders.
    pub paths: wire::Paths,
    /// The forge.
    pub forge: wire::ForgeSpec,
    /// Where state is kept; `path` is set unless `url` is.
    pub state: wire::StateSpec,
    /// The zone in which bare dates and schedules without a zone are read.
    pub zone: TimeZone,
    /// Its name.
    pub zone_name: String,
    /// The document; `None` if there is no Project.
    pub doc: Option<DocId>,
}

impl Default for Project {
    fn default() -> Self {
        Self::new(String::new(), wire::ProjectSpec::default(), None)
    }
}

impl Project {
    /// Fills in the defaults. A zone that does not exist counts as UTC here and is reported by its rule.
    pub(super) fn new(name: String, spec: wire::ProjectSpec, doc: Option<DocId>) -> Self {
        let wire::ProjectSpec { paths, forge, mut state, defaults } = spec;
        if state.path.is_none() && state.url.is_none() {
            state.path = Some(".patchwave/state".into());
        }
        let zone_name = defaults.timezone.unwrap_or_else(|| "UTC".into());
        let zone = TimeZone::get(&zone_name).unwrap_or(TimeZone::UTC);
        Self { name, paths, forge, state, zone, zone_name, doc }
    }
}

/// Every resource of a repository.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The project.
    pub project: Project,
    /// PatchPolicy.
    pub policies: Resources<wire::PatchPolicySpec>,
    /// SlaPolicy.
    pub slas: Resources<wire::SlaPolicySpec>,
    /// MaintenanceWindow.
    pub windows: Resources<wire::MaintenanceWindowSpec>,
    /// ChangeFreeze.
    pub freezes: Resources<wire::ChangeFreezeSpec>,
    /// Override.
    pub overrides: Resources<wire::OverrideSpec>,
    /// PatchException.
    pub exceptions: Resources<wire::PatchExceptionSpec>,
    /// CompatibilityMatrix.
    pub compatibility: Resources<wire::CompatibilityMatrixSpec>,
    /// ValidationSuite.
    pub validations: Resources<wire::ValidationSuiteSpec>,
    /// ComplianceProfile.
    pub compliance: Resources<wire::ComplianceProfileSpec>,
    /// NotificationPolicy.
    pub notifications: Resources<wire::NotificationPolicySpec>,
    /// Advisory.
    pub advisories: Resources<wire::AdvisorySpec>,
    /// PolicyTest.
    pub tests: Resources<wire::PolicyTestSpec>,
    /// Fleet.
    pub fleets: Resources<wire::FleetSpec>,
    /// AssetClass.
    pub classes: Resources<wire::AssetClassSpec>,
    /// RolloutStrategy.
    pub strategies: Resources<wire::RolloutStrategySpec>,
    /// Source.
    pub sources: Resources<wire::SourceSpec>,
    /// Every condition by its text. A text that does not compile is missing; there is an error for it.
    pub expressions: BTreeMap<String, Arc<Expression>>,
    pub(super) texts: Vec<Text>,
    pub(super) docs: Vec<Doc>,
}

impl Catalog {
    /// The document behind an id.
    pub fn doc(&self, id: DocId) -> Option<&Doc> {
        self.docs.get(id.0 as usize)
    }

    fn text_of(&self, id: DocId) -> Option<(&Doc, &Text)> {
        let doc = self.doc(id)?;
        Some((doc, self.texts.get(doc.text)?))
    }

    /// Where the value at a JSON Pointer stands; of a pointer that leads nowhere, its deepest existing part. A value
    /// without text (`key:`) stands at its key.
    pub fn locate(&self, id: DocId, pointer: &str) -> Location {
        let Some((doc, text)) = self.text_of(id) else { return Location::whole_file("") };
        let hit = doc.spans.locate(pointer);
        let at = if hit.value.is_empty() { hit.key.unwrap_or(hit.value) } else { hit.value };
        text.location(at)
    }

    /// Where the key at a JSON Pointer stands; of a list entry, its first character.
    pub fn locate_key(&self, id: DocId, pointer: &str) -> Location {
        let Some((doc, text)) = self.text_of(id) else { return Location::whole_file("") };
        let hit = doc.spans.locate(pointer);
        text.location(hit.key.unwrap_or(hit.value.start..hit.value.start + 1))
    }

    /// Where a stretch of a scalar stands, if the scalar is written as it reads (no escapes, no folding).
    pub(super) fn locate_inside(&self, id: DocId, pointer: &str, whole: &str, part: std::ops::Range<usize>) -> Option<Location> {
        let (doc, text) = self.text_of(id)?;
        let value = doc.spans.locate(pointer).value;
        let start = value.start + text.slice(value).find(whole)?;
        Some(text.location(start + part.start..start + part.end))
    }

    /// The file a document stands in.
    pub fn file(&self, id: DocId) -> &str {
        self.text_of(id).map_or("", |(_, text)| &text.path)
    }
}
