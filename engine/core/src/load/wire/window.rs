use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::LabelSelector;
use crate::time::{DurationSeconds, Overrun, When};

/// A recurring start: an RFC 5545 rule, its time of day and zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schedule {
    /// RFC 5545 recurrence rule, daily or coarser, for example `FREQ=MONTHLY;BYDAY=2TU`.
    pub rrule: String,
    /// Local time of day; default 00:00.
    #[schemars(extend("default" = "00:00"))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"))]
    pub start: Option<String>,
    /// Whole days added to each day the rule gives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<DurationSeconds>,
    /// IANA zone; default `defaults.timezone`, else UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The first day the rule counts from; needed for INTERVAL > 1 and COUNT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<When>,
}

/// One recurring opening of a window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WindowSchedule {
    /// RFC 5545 recurrence rule, daily or coarser, for example `FREQ=WEEKLY;BYDAY=TU,TH`.
    pub rrule: String,
    /// Local time of day the opening starts.
    #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$"))]
    pub start: String,
    /// Elapsed time the opening lasts.
    pub duration: DurationSeconds,
    /// Whole days added to each day the rule gives: Patch Tuesday `+ 4d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<DurationSeconds>,
    /// IANA zone; default `defaults.timezone`, else UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The first day the rule counts from; needed for INTERVAL > 1 and COUNT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<When>,
}

/// Kind `MaintenanceWindow`: when a batch may start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MaintenanceWindowSpec {
    /// Openings; touching and overlapping ones are joined.
    #[schemars(length(min = 1))]
    pub schedules: Vec<WindowSchedule>,
    /// No batch starts this long before the end.
    #[serde(default)]
    pub cutoff: DurationSeconds,
    /// What happens to work that crosses the end.
    #[serde(default)]
    pub overrun: Overrun,
}

/// Kind `ChangeFreeze`: when nothing may start; beats every window, lane and target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChangeFreezeSpec {
    /// Which assets; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// A CEL condition over `asset` that narrows the freeze.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// When the freeze starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<When>,
    /// End; a bare date is inside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<When>,
    /// A recurring freeze instead of `from` and `to`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<WindowSchedule>,
    /// Why nothing may start; shown wherever the freeze binds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Roles or people whose Override lifts it; empty means anyone of `roles`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overridable_by: Vec<String>,
}

/// Kind `Override`: the only way through a freeze; expires by itself and stays a report line until reviewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OverrideSpec {
    /// What is overridden: a freeze, a window, or the limits of a policy.
    pub what: OverrideSubject,
    /// Name of the ChangeFreeze.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<String>,
    /// Name of the MaintenanceWindow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// Name of the PatchPolicy whose limits are lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Which assets; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// A CEL condition over `asset` that narrows the override.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// Role or person who decided; a freeze may name who may.
    pub by: String,
    /// Why it is needed; stays a report line until reviewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The record behind it, for example a change ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// When it starts; absent means at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<When>,
    /// When it ends by itself; a bare date means the end of that day.
    pub until: When,
    /// By when it must be reviewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_by: Option<When>,
}

impl OverrideSpec {
    /// Whether this lifts the freeze `name`. Without `freeze` it lifts every freeze that whoever decided may override.
    pub fn lifts_freeze(&self, name: &str, freeze: &ChangeFreezeSpec) -> bool {
        let may = || freeze.overridable_by.is_empty() || freeze.overridable_by.contains(&self.by);
        self.what == OverrideSubject::Freeze && self.freeze.as_deref().map_or_else(may, |named| named == name)
    }
}

/// What an Override is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OverrideSubject {
    /// A ChangeFreeze.
    Freeze,
    /// A MaintenanceWindow.
    Window,
    /// The limits of a PatchPolicy.
    Limit,
}
