//! The typed catalog: every authored resource, by kind and name, with the way back to its line.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::builtin::BUILTIN_TARGETS;
use super::expr::Expression;
use super::table::DecisionTable;
use super::wire::{
    AdvisorySpec, AssetClassSpec, ChangeFreezeSpec, CompatibilityMatrixSpec, ComplianceProfileSpec, FleetSpec,
    MaintenanceWindowSpec, NotificationPolicySpec, OverrideSpec, PatchExceptionSpec, PatchPolicySpec, PolicyTestSpec,
    ProjectSpec, RolloutStrategySpec, SlaPolicySpec, SourceSpec, TargetSpec, ValidationSuiteSpec,
};
use crate::source::{DocId, Location, SpanTree, Text};

/// One authored resource.
#[derive(Clone, Debug)]
pub struct Resource<T> {
    /// `metadata.name`.
    pub name: Arc<str>,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<String, String>,
    /// `spec`, typed, with defaults filled in.
    pub spec: T,
    /// The document it stands in: with a JSON pointer, the way back to its line.
    pub doc: DocId,
}

/// Resources of one kind by name.
pub type Resources<T> = BTreeMap<Arc<str>, Resource<T>>;

/// Every authored resource of a repository.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// The project: paths, forge, state.
    pub project: ProjectSpec,
    /// `metadata.name` of the project.
    pub project_name: Arc<str>,
    /// `defaults.timezone`, else UTC: the zone of bare dates and of schedules without one.
    pub zone: Zone,
    /// PatchPolicy.
    pub policies: Resources<PatchPolicySpec>,
    /// SlaPolicy.
    pub slas: Resources<SlaPolicySpec>,
    /// AssetClass.
    pub classes: Resources<AssetClassSpec>,
    /// RolloutStrategy.
    pub strategies: Resources<RolloutStrategySpec>,
    /// MaintenanceWindow.
    pub windows: Resources<MaintenanceWindowSpec>,
    /// ChangeFreeze.
    pub freezes: Resources<ChangeFreezeSpec>,
    /// Override.
    pub overrides: Resources<OverrideSpec>,
    /// PatchException.
    pub exceptions: Resources<PatchExceptionSpec>,
    /// Fleet.
    pub fleets: Resources<FleetSpec>,
    /// Source.
    pub sources: Resources<SourceSpec>,
    /// CompatibilityMatrix.
    pub matrices: Resources<CompatibilityMatrixSpec>,
    /// ValidationSuite.
    pub suites: Resources<ValidationSuiteSpec>,
    /// ComplianceProfile.
    pub profiles: Resources<ComplianceProfileSpec>,
    /// NotificationPolicy.
    pub notifications: Resources<NotificationPolicySpec>,
    /// Advisory.
    pub advisories: Resources<AdvisorySpec>,
    /// PolicyTest.
    pub tests: Resources<PolicyTestSpec>,
    /// Decision tables by the SlaPolicy that names them.
    pub tables: BTreeMap<Arc<str>, Arc<DecisionTable>>,
    /// Render targets that stand below the templates folder: the user's own, or one in place of that of the engine.
    pub target_folders: BTreeSet<String>,
    /// Specifications of the render targets that stand below the templates folder, by name; those that cannot be read are
    /// left out.
    pub targets: BTreeMap<String, TargetSpec>,
    /// Compiled conditions by their text.
    pub expressions: BTreeMap<String, Arc<Expression>>,
    /// Texts and spans by document, for [`Catalog::locate`].
    pub places: BTreeMap<DocId, Place>,
}

/// A time zone; UTC unless said.
#[derive(Clone, Debug)]
pub struct Zone(pub TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

/// Where a document stands.
#[derive(Clone, Debug)]
pub struct Place {
    /// The file's text.
    pub text: Arc<Text>,
    /// Spans of the document's values.
    pub spans: Arc<SpanTree>,
}

impl Catalog {
    /// The place of the value at `pointer` (RFC 6901) of a document; the nearest enclosing value where the pointer does
    /// not resolve.
    pub fn locate(&self, doc: DocId, pointer: &str) -> Option<Location> {
        let place = self.places.get(&doc)?;
        Some(place.text.location(place.spans.locate(pointer).value))
    }

    /// `file:line` of the value at `pointer`, for traces.
    pub fn at(&self, doc: DocId, pointer: &str) -> String {
        self.locate(doc, pointer)
            .map_or_else(String::new, |l| format!("{}:{}", l.file, l.line))
    }

    /// The specification of a render target: that of the user's folder, else the engine's. None for one nobody has, and
    /// for a folder whose specification was not read.
    pub fn target(&self, name: &str) -> Option<&TargetSpec> {
        match self.targets.get(name) {
            Some(own) => Some(own),
            None if self.target_folders.contains(name) => None,
            None => BUILTIN_TARGETS.get(name),
        }
    }

    /// The compiled form of a condition of this catalog.
    pub fn expression(&self, text: &str) -> Option<&Arc<Expression>> {
        self.expressions.get(text)
    }
}
