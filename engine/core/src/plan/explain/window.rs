//! Who uses a window, what opens it and what closes it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Account, AccountPart, Scene, names, step};
use crate::assess::Step;
use crate::load::schedule;
use crate::load::wire::WindowChoice;
use crate::time::{Boundary, FreezeSet, Overrun};

/// So many openings are told ahead.
const OPENINGS_MAX: usize = 3;

/// Explains a window; none if the repository has none of that name, or its rules cannot be read.
pub fn explain_window(scene: &Scene<'_>, name: &str) -> Option<Account> {
    let resource = scene.catalog.windows.get(name)?;
    let window = schedule::window(resource, scene.catalog).ok()?;
    let now = scene.plan.now;
    let at = |pointer: &str| scene.catalog.at(resource.doc, pointer);
    let mut steps = Vec::new();
    for (index, rule) in resource.spec.schedules.iter().enumerate() {
        let zone = rule
            .timezone
            .as_deref()
            .map_or_else(|| "the project's zone".to_owned(), str::to_owned);
        let offset = rule.offset.map_or_else(String::new, |o| format!(" plus {o}"));
        let fact = format!(
            "{}{offset}, {} in {zone}, for {} of elapsed time",
            rule.rrule, rule.start, rule.duration
        );
        steps.push(step("schedule", fact, at(&format!("/spec/schedules/{index}"))));
    }
    if window.cutoff_seconds > 0 {
        let fact = format!("no batch starts in the last {} of an opening", resource.spec.cutoff);
        steps.push(step("cutoff", fact, at("/spec/cutoff")));
    }
    let overrun = match window.overrun {
        Overrun::Finish => "finish: what has begun is finished after the end",
        Overrun::Stop => "stop: after the end no further asset is begun",
    };
    steps.push(step("overrun", overrun, at("/spec/overrun")));
    let status = window.status(now, &FreezeSet::EMPTY);
    let state = match (&status.reason, status.next_open) {
        (None, _) => "open".to_owned(),
        (Some(reason), Some(next)) => format!("closed: {reason}; opens {next}"),
        (Some(reason), None) => format!("closed: {reason}; no further opening is known"),
    };
    steps.push(step("now", state, ""));
    for opening in window.openings(now, &FreezeSet::EMPTY).take(OPENINGS_MAX) {
        let edge = |at: Option<jiff::Timestamp>, open: &str| at.map_or_else(|| open.to_owned(), |at| at.to_string());
        let fact = format!("{} to {}", edge(opening.start, "always"), edge(opening.end, "no end"));
        steps.push(step("opening", fact, ""));
    }
    let users = users(scene, name);
    if users.is_empty() {
        steps.push(step("used by", "no asset", ""));
    }
    Some(Account {
        subject: format!("window {name}"),
        now,
        steps,
        parts: users.iter().map(|(class, assets)| part(scene, class, assets)).collect(),
    })
}

/// The assets of each class that the window is for.
fn users(scene: &Scene<'_>, window: &str) -> BTreeMap<Arc<str>, Vec<usize>> {
    let mut users: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
    for (index, asset) in scene.observation.assets.iter().enumerate() {
        let Some(name) = scene.assessment.class_of.get(index).cloned().flatten() else {
            continue;
        };
        let choice = scene.catalog.classes.get(&name).map(|c| &c.spec.window);
        let chosen = match choice {
            None => None,
            Some(WindowChoice::Name(name)) => Some(name.as_str()),
            Some(WindowChoice::FromLabel { label, default }) => asset.label(label).or(default.as_deref()),
        };
        if chosen == Some(window) {
            users.entry(name).or_default().push(index);
        }
    }
    users
}

fn part(scene: &Scene<'_>, class: &Arc<str>, assets: &[usize]) -> AccountPart {
    let resource = scene.catalog.classes.get(class);
    let assets: Vec<_> = assets.iter().filter_map(|i| scene.observation.assets.get(*i)).collect();
    let listed: Vec<&str> = assets.iter().map(|a| a.name.as_ref()).collect();
    let place = resource.map_or_else(String::new, |c| scene.catalog.at(c.doc, "/spec/window"));
    let mut steps = vec![step("assets", format!("{}: {}", listed.len(), names(&listed)), place)];
    steps.extend(freezes(scene, &assets));
    AccountPart {
        title: format!("class {class}"),
        steps,
    }
}

/// Freezes that hold now or later and select any of the assets by labels, with how many of them.
fn freezes(scene: &Scene<'_>, assets: &[&crate::observe::Asset]) -> Vec<Step> {
    let zone = &scene.catalog.zone.0;
    let mut steps = Vec::new();
    for (name, freeze) in &scene.catalog.freezes {
        let selected = |a: &&&crate::observe::Asset| {
            freeze
                .spec
                .selector
                .as_ref()
                .is_none_or(|s| s.matches(|key| a.label(key)))
        };
        let count = assets.iter().filter(selected).count();
        let over = freeze
            .spec
            .to
            .is_some_and(|to| to.resolve(Boundary::End, zone) <= scene.plan.now);
        if count == 0 || over {
            continue;
        }
        let condition = if freeze.spec.when.is_some() {
            ", where its `when` holds"
        } else {
            ""
        };
        let set = FreezeSet::new(vec![schedule::freeze(scene.catalog, name, &freeze.spec)]);
        let holds = match (set.covering(scene.plan.now), set.free_from(scene.plan.now)) {
            (Some(_), Some(until)) => format!("holds now, until {until}"),
            (Some(_), None) => "holds now".to_owned(),
            (None, _) => "comes".to_owned(),
        };
        let lifted = scene.catalog.overrides.values().filter(|o| {
            o.spec.lifts_freeze(name, &freeze.spec) && o.spec.until.resolve(Boundary::End, zone) > scene.plan.now
        });
        let lifted: Vec<&str> = lifted.map(|o| o.name.as_ref()).collect();
        let lifted = if lifted.is_empty() {
            String::new()
        } else {
            format!("; lifted in part by {}", lifted.join(", "))
        };
        let reason = freeze.spec.reason.as_deref().unwrap_or("no reason given");
        let fact = format!("{name} {holds} for {count} of them{condition}: {reason}{lifted}");
        steps.push(step("freeze", fact, scene.catalog.at(freeze.doc, "/spec")));
    }
    steps
}
