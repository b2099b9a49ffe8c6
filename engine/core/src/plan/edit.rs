//! A change of one field of an authored resource, as a value: it can be tried on a catalog, and told to a person.

use std::sync::Arc;

use serde::Serialize;

use crate::load::wire::{
    ChangeFreezeSpec, MaintenanceWindowSpec, OverrideSpec, OverrideSubject, RolloutStrategySpec, Service, WaveSpec,
    WindowSchedule,
};
use crate::load::{Catalog, Resource};
use crate::name::Amount;
use crate::source::DocId;
use crate::time::DurationSeconds;

/// One change of one field. Names that the catalog does not have change nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// `soak` of a wave.
    Soak {
        /// RolloutStrategy.
        strategy: Arc<str>,
        /// Its wave.
        wave: Arc<str>,
        /// The new value.
        to: DurationSeconds,
    },
    /// `lanes.emergency.soak` of a strategy.
    LaneSoak {
        /// RolloutStrategy.
        strategy: Arc<str>,
        /// The new value.
        to: DurationSeconds,
    },
    /// `for` of a gate.
    Hold {
        /// RolloutStrategy.
        strategy: Arc<str>,
        /// Its wave.
        wave: Arc<str>,
        /// Position among the gates of the wave, from 0.
        gate: usize,
        /// The new value.
        to: DurationSeconds,
    },
    /// `batches` of a wave.
    Batches {
        /// RolloutStrategy.
        strategy: Arc<str>,
        /// Its wave.
        wave: Arc<str>,
        /// The new sizes.
        to: Vec<Amount>,
    },
    /// One more entry in `schedules` of a window.
    Opening {
        /// MaintenanceWindow.
        window: Arc<str>,
        /// The entry.
        schedule: WindowSchedule,
    },
    /// A new Override of a freeze or a window.
    Override {
        /// Its name.
        name: Arc<str>,
        /// Its spec.
        spec: Box<OverrideSpec>,
    },
    /// `disruption.maxUnavailable` of a class.
    ClassBudget {
        /// AssetClass.
        class: Arc<str>,
        /// The new value.
        to: Amount,
    },
    /// `maxUnavailable` of a service.
    ServiceBudget {
        /// Fleet.
        fleet: Arc<str>,
        /// Its service.
        service: Arc<str>,
        /// The new value.
        to: Amount,
    },
    /// `minAvailable` of a service.
    ServiceFloor {
        /// Fleet.
        fleet: Arc<str>,
        /// Its service.
        service: Arc<str>,
        /// The new value.
        to: Amount,
    },
    /// `release.minAge` of a policy.
    MinAge {
        /// PatchPolicy.
        policy: Arc<str>,
        /// The new value.
        to: DurationSeconds,
    },
    /// One name less in `dependsOn` of a service.
    DropDependency {
        /// Fleet.
        fleet: Arc<str>,
        /// Its service.
        service: Arc<str>,
        /// The service it then no longer waits for.
        on: Arc<str>,
    },
    /// No `order` in a service.
    DropOrder {
        /// Fleet.
        fleet: Arc<str>,
        /// Its service.
        service: Arc<str>,
    },
}

impl Edit {
    /// Makes the change in `catalog`.
    pub fn apply(&self, catalog: &mut Catalog) {
        match self {
            Self::Soak { strategy, .. }
            | Self::LaneSoak { strategy, .. }
            | Self::Hold { strategy, .. }
            | Self::Batches { strategy, .. } => {
                if let Some(found) = catalog.strategies.get_mut(strategy) {
                    self.apply_to_strategy(&mut found.spec);
                }
            }
            Self::Opening { window, schedule } => {
                if let Some(found) = catalog.windows.get_mut(window) {
                    found.spec.schedules.push(schedule.clone());
                }
            }
            Self::Override { name, spec } => {
                let resource = Resource {
                    name: Arc::clone(name),
                    labels: Default::default(),
                    annotations: Default::default(),
                    spec: (**spec).clone(),
                    doc: DocId(u32::MAX),
                };
                catalog.overrides.insert(Arc::clone(name), resource);
            }
            Self::ClassBudget { class, to } => {
                if let Some(found) = catalog.classes.get_mut(class) {
                    found.spec.disruption.max_unavailable = *to;
                }
            }
            Self::MinAge { policy, to } => {
                if let Some(found) = catalog.policies.get_mut(policy) {
                    found.spec.release.min_age = *to;
                }
            }
            Self::ServiceBudget { fleet, service, .. }
            | Self::ServiceFloor { fleet, service, .. }
            | Self::DropDependency { fleet, service, .. }
            | Self::DropOrder { fleet, service } => {
                let services = catalog.fleets.get_mut(fleet).map(|f| &mut f.spec.services);
                let found = services.and_then(|s| s.iter_mut().find(|s| *s.name == **service));
                found.into_iter().for_each(|s| self.apply_to_service(s));
            }
        }
    }

    /// Makes the change in a strategy, if it is about one.
    pub(super) fn apply_to_strategy(&self, spec: &mut RolloutStrategySpec) {
        let find = |waves: &'_ mut Vec<WaveSpec>, name: &str| waves.iter().position(|w| w.name == name);
        let position = |spec: &mut RolloutStrategySpec, name: &str| find(&mut spec.waves, name);
        match self {
            Self::LaneSoak { to, .. } => {
                if let Some(lane) = &mut spec.lanes.emergency {
                    lane.soak = Some(*to);
                }
            }
            Self::Soak { wave, to, .. } => {
                let at = position(spec, wave);
                at.and_then(|i| spec.waves.get_mut(i))
                    .into_iter()
                    .for_each(|w| w.soak = *to);
            }
            Self::Hold { wave, gate, to, .. } => {
                let at = position(spec, wave);
                let gates = at.and_then(|i| spec.waves.get_mut(i)).map(|w| &mut w.gates);
                let gate = gates.and_then(|g| g.get_mut(*gate));
                gate.into_iter().for_each(|g| g.hold = Some(*to));
            }
            Self::Batches { wave, to, .. } => {
                let at = position(spec, wave);
                let wave = at.and_then(|i| spec.waves.get_mut(i));
                wave.into_iter().for_each(|w| w.batches.clone_from(to));
            }
            _ => {}
        }
    }

    fn apply_to_service(&self, spec: &mut Service) {
        match self {
            Self::ServiceBudget { to, .. } => spec.max_unavailable = Some(*to),
            Self::ServiceFloor { to, .. } => spec.min_available = Some(*to),
            Self::DropDependency { on, .. } => spec.depends_on.retain(|d| **d != **on),
            Self::DropOrder { .. } => spec.order = None,
            _ => {}
        }
    }

    /// The change as a sentence: the field as it is to be written, where it stands (`file:line`), what it says now.
    pub fn sentence(&self, catalog: &Catalog) -> String {
        match self {
            Self::Soak { strategy, wave, to } => wave_sentence(catalog, strategy, wave, |spec, at| {
                let now = spec.map_or(DurationSeconds::ZERO, |w| w.soak);
                format!(
                    "set `soak: {to}` (now {now}) in wave {wave} of strategy {strategy}{}",
                    at("soak")
                )
            }),
            Self::Hold {
                strategy,
                wave,
                gate,
                to,
            } => wave_sentence(catalog, strategy, wave, |spec, at| {
                let gates = spec.map_or(&[][..], |w| &w.gates);
                let now = gates.get(*gate).and_then(|g| g.hold).unwrap_or_default();
                let (number, at) = (gate + 1, at(&format!("gates/{gate}/for")));
                format!("set `for: {to}` (now {now}) in gate {number} of wave {wave} of strategy {strategy}{at}")
            }),
            Self::Batches { strategy, wave, to } => wave_sentence(catalog, strategy, wave, |spec, at| {
                let now = list(spec.map_or(&[][..], |w| &w.batches));
                let to = list(to);
                format!(
                    "set `batches: {to}` (now {now}) in wave {wave} of strategy {strategy}{}",
                    at("batches")
                )
            }),
            Self::LaneSoak { strategy, to } => {
                let found = catalog.strategies.get(strategy);
                let at = found.map_or_else(String::new, |s| place(catalog, s.doc, "/spec/lanes/emergency/soak"));
                format!("set `lanes.emergency.soak: {to}` in strategy {strategy}{at}")
            }
            Self::Opening { window, schedule } => {
                let found = catalog.windows.get(window);
                let last = |w: &Resource<MaintenanceWindowSpec>| w.spec.schedules.len().saturating_sub(1);
                let at = found.map_or_else(String::new, |w| {
                    place(catalog, w.doc, &format!("/spec/schedules/{}", last(w)))
                });
                format!("add `- {}` to `schedules` of window {window}{at}", yaml(schedule))
            }
            Self::Override { name, spec } => {
                let subject = match spec.what {
                    OverrideSubject::Freeze => "freeze",
                    OverrideSubject::Window => "window",
                    OverrideSubject::Limit => "limits",
                };
                let of = spec.freeze.as_deref().or(spec.window.as_deref()).unwrap_or_default();
                let freeze = |f: &Resource<ChangeFreezeSpec>| place(catalog, f.doc, "/spec");
                let window = |w: &Resource<MaintenanceWindowSpec>| place(catalog, w.doc, "/spec");
                let at = match spec.what {
                    OverrideSubject::Freeze => catalog.freezes.get(of).map(freeze),
                    _ => catalog.windows.get(of).map(window),
                };
                let at = at.unwrap_or_default();
                format!("add an Override {name} of {subject} {of}{at}: `spec: {}`", yaml(spec))
            }
            Self::ClassBudget { class, to } => {
                let found = catalog.classes.get(class);
                let now = found.map_or(Amount::ALL, |c| c.spec.disruption.max_unavailable);
                let at = found.map_or_else(String::new, |c| {
                    place(catalog, c.doc, "/spec/disruption/maxUnavailable")
                });
                format!("set `disruption.maxUnavailable: {to}` (now {now}) in class {class}{at}")
            }
            Self::MinAge { policy, to } => {
                let found = catalog.policies.get(policy);
                let now = found.map_or(DurationSeconds::ZERO, |p| p.spec.release.min_age);
                let at = found.map_or_else(String::new, |p| place(catalog, p.doc, "/spec/release/minAge"));
                format!("set `release.minAge: {to}` (now {now}) in policy {policy}{at}")
            }
            Self::ServiceBudget { fleet, service, to } => service_sentence(catalog, fleet, service, |spec, at| {
                let now = spec.and_then(|s| s.max_unavailable).unwrap_or(Amount::ALL);
                let at = at("maxUnavailable");
                format!("set `maxUnavailable: {to}` (now {now}) in service {service} of fleet {fleet}{at}")
            }),
            Self::ServiceFloor { fleet, service, to } => service_sentence(catalog, fleet, service, |spec, at| {
                let now = spec.and_then(|s| s.min_available).unwrap_or(Amount::Count(0));
                let at = at("minAvailable");
                format!("set `minAvailable: {to}` (now {now}) in service {service} of fleet {fleet}{at}")
            }),
            Self::DropDependency { fleet, service, on } => service_sentence(catalog, fleet, service, |_, at| {
                let at = at("dependsOn");
                format!("take `{on}` out of `dependsOn` of service {service} of fleet {fleet}{at}")
            }),
            Self::DropOrder { fleet, service } => service_sentence(catalog, fleet, service, |_, at| {
                format!("take `order` out of service {service} of fleet {fleet}{}", at("order"))
            }),
        }
    }
}

/// A value in the flow style of YAML, which JSON is.
fn yaml(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn list(amounts: &[Amount]) -> String {
    let words: Vec<String> = amounts.iter().map(ToString::to_string).collect();
    format!("[{}]", words.join(", "))
}

/// ` (file:line)`, or nothing where the place is not known.
fn place(catalog: &Catalog, doc: DocId, pointer: &str) -> String {
    let at = catalog.at(doc, pointer);
    if at.is_empty() { at } else { format!(" ({at})") }
}

fn wave_sentence(
    catalog: &Catalog,
    strategy: &str,
    wave: &str,
    sentence: impl FnOnce(Option<&WaveSpec>, &dyn Fn(&str) -> String) -> String,
) -> String {
    let found = catalog.strategies.get(strategy);
    let index = found.and_then(|s| s.spec.waves.iter().position(|w| w.name == wave));
    let at = |field: &str| {
        let pair = found.zip(index);
        pair.map_or_else(String::new, |(s, i)| {
            place(catalog, s.doc, &format!("/spec/waves/{i}/{field}"))
        })
    };
    sentence(found.zip(index).and_then(|(s, i)| s.spec.waves.get(i)), &at)
}

fn service_sentence(
    catalog: &Catalog,
    fleet: &str,
    service: &str,
    sentence: impl FnOnce(Option<&Service>, &dyn Fn(&str) -> String) -> String,
) -> String {
    let found = catalog.fleets.get(fleet);
    let index = found.and_then(|f| f.spec.services.iter().position(|s| s.name == service));
    let at = |field: &str| {
        let pair = found.zip(index);
        pair.map_or_else(String::new, |(f, i)| {
            place(catalog, f.doc, &format!("/spec/services/{i}/{field}"))
        })
    };
    sentence(found.zip(index).and_then(|(f, i)| f.spec.services.get(i)), &at)
}
