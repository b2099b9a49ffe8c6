//! Workloads of ValidationSuites: figures that may not fall, for targets that measure them before and after.

use serde::Serialize;

use crate::load::wire::AssetClassSpec;
use crate::name::Amount;
use crate::render::RenderInput;

/// One workload of a ValidationSuite.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadView {
    /// Name of its check.
    pub name: String,
    /// The command on the asset; prints JSON.
    pub command: String,
    /// The field of its output.
    pub metric: String,
    /// How far the figure may fall, in hundredths of a percent of that before; 0 when a count is written.
    pub max_share: u32,
    /// How far it may fall in units of the figure; 0 when a share is written.
    pub max_count: u32,
    /// How long one run may take.
    pub timeout_seconds: i64,
}

/// A workload that says nothing may take this long: a benchmark that needs more is no check after a patch.
const WORKLOAD_TIMEOUT_SECONDS: i64 = 1800;

pub(super) fn workloads(input: &RenderInput<'_>, class: &AssetClassSpec) -> Vec<WorkloadView> {
    let suites = class
        .validation
        .iter()
        .filter_map(|name| input.catalog.suites.get(name.as_str()));
    let checks = suites.flat_map(|suite| suite.spec.checks.iter());
    checks
        .filter_map(|check| {
            let workload = check.workload.as_ref()?;
            let (max_share, max_count) = match workload.max_regression {
                Amount::Share(share) => (share, 0),
                Amount::Count(count) => (0, count),
            };
            Some(WorkloadView {
                name: check.name.clone(),
                command: workload.command.clone(),
                metric: workload.metric.clone(),
                max_share,
                max_count,
                timeout_seconds: check.timeout.map_or(WORKLOAD_TIMEOUT_SECONDS, |d| d.seconds().max(1)),
            })
        })
        .collect()
}
