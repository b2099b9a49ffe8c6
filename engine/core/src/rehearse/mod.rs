//! Playing the unit tests of a policy repository: a small world is given, the repository's own policies judge it, and
//! what comes out is compared with what the test expects.
//!
//! Only what is written is compared. An expected item is held against the candidate that is nearest to it, so that a
//! failure can say which fields differ instead of 'not found'.

mod compare;
mod expected_findings;
mod expected_rollouts;
mod report;
mod world;

use jiff::Timestamp;
use rayon::prelude::*;

use self::compare::Fields;
use crate::load::wire::{Expectations, PolicyTestSpec};
use crate::load::{Catalog, Resource};
use crate::source::Location;
use crate::time::Boundary;

pub use report::{json, junit, text};
pub use world::{Given, ReadNative, World, name_of, world};

/// What playing tests gave, in order of their places.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One entry a test.
    pub tests: Vec<Played>,
}

impl Report {
    /// Whether every test passed.
    pub fn passed(&self) -> bool {
        self.tests.iter().all(Played::passed)
    }
}

/// One test, played.
#[derive(Clone, Debug)]
pub struct Played {
    /// Name of the PolicyTest.
    pub name: String,
    /// What it shows.
    pub description: Option<String>,
    /// Where it stands.
    pub location: Option<Location>,
    /// How many things it expects.
    pub expectations: usize,
    /// What did not come out as expected, in order of the test.
    pub failures: Vec<Failure>,
}

impl Played {
    /// Whether everything came out as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// Something that did not come out as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Where the expectation stands: the first field that differs, else the whole of it.
    pub location: Option<Location>,
    /// The same as a JSON Pointer.
    pub pointer: String,
    /// What was expected of what, and how it failed, in one line.
    pub message: String,
    /// The expected fields line by line: ` ` as expected, `-` expected, `+` found. Empty where there is nothing to compare.
    pub difference: String,
    /// Why it is so: the rule that decided with its file:line, near misses, what there is instead.
    pub notes: Vec<String>,
}

/// Plays tests. `tests` chooses by the resource; `read` reads native observations.
pub fn rehearse(catalog: &Catalog, tests: impl Fn(&Resource<PolicyTestSpec>) -> bool, read: ReadNative<'_>) -> Report {
    let mut chosen: Vec<&Resource<PolicyTestSpec>> = catalog.tests.values().filter(|test| tests(test)).collect();
    chosen.sort_by_key(|test| test.doc);
    let tests = chosen.into_par_iter().map(|test| play(catalog, test, read));
    Report { tests: tests.collect() }
}

fn play(catalog: &Catalog, test: &Resource<PolicyTestSpec>, read: ReadNative<'_>) -> Played {
    let spec = &test.spec;
    let now: Timestamp = spec.now.resolve(Boundary::Start, &catalog.zone.0);
    let given = Given {
        assets: &spec.assets,
        advisories: &spec.advisories,
        memory: spec.memory.as_ref(),
        doc: Some(test.doc),
    };
    let world = world(catalog, &given, now, read);
    let stage = Stage { catalog, world: &world };
    let mut failures: Vec<Failure> = world
        .faults
        .iter()
        .map(|fault| Failure::without_fields("/spec", format!("the test cannot be played: {fault}")))
        .collect();
    if count(&spec.expect) == 0 {
        let message = "the test expects nothing, so it proves nothing".to_owned();
        failures.push(Failure::without_fields("/spec/expect", message));
    }
    if failures.is_empty() {
        failures = expected_findings::check(&stage, &spec.expect);
        failures.extend(expected_rollouts::check(&stage, &spec.expect));
    }
    let order = |failure: &Failure| failure.location.clone();
    for failure in &mut failures {
        failure.location = catalog.locate(test.doc, &failure.pointer);
    }
    failures.sort_by_key(order);
    Played {
        name: test.name.to_string(),
        description: spec.description.clone(),
        location: catalog.locate(test.doc, "/metadata/name"),
        expectations: count(&spec.expect),
        failures,
    }
}

fn count(expect: &Expectations) -> usize {
    let Expectations {
        assets,
        findings,
        rollouts,
        waiting,
        refusals,
        windows,
    } = expect;
    assets.len() + findings.len() + rollouts.len() + waiting.len() + refusals.len() + windows.len()
}

/// What expectations are held against.
#[derive(Clone, Copy)]
struct Stage<'a> {
    catalog: &'a Catalog,
    world: &'a World,
}

impl Failure {
    fn without_fields(pointer: &str, message: String) -> Self {
        Self {
            location: None,
            pointer: pointer.to_owned(),
            message,
            difference: String::new(),
            notes: Vec::new(),
        }
    }

    fn noting(self, notes: Vec<String>) -> Self {
        Self { notes, ..self }
    }
}

/// What an expected item is held against.
struct Item<'e> {
    /// Where it stands: `/spec/expect/findings/0`.
    pointer: String,
    /// What people call it: `finding of EX-1 on web-1`.
    name: &'e str,
    /// It must not be there.
    absent: bool,
}

impl Item<'_> {
    /// Holds the item against candidates: one on which every field holds is enough, and with `absent` is too much. None is
    /// returned when the item is as expected; else the failure and, for notes, the index of the nearest candidate.
    fn held_against(&self, candidates: &[Fields]) -> Option<(Failure, Option<usize>)> {
        let exact = candidates.iter().position(Fields::all_hold);
        let failure = |pointer: &str, message: String| Failure::without_fields(pointer, message);
        match (self.absent, exact) {
            (true, None) | (false, Some(_)) => None,
            (true, Some(index)) => {
                let message = format!("the {} is there, and must not be", self.name);
                Some((failure(&self.pointer, message), Some(index)))
            }
            (false, None) => {
                let holding = candidates.iter().enumerate();
                let nearest = holding.max_by_key(|(index, fields)| (fields.holding(), std::cmp::Reverse(*index)));
                let Some((index, fields)) = nearest else {
                    return Some((failure(&self.pointer, format!("there is no {}", self.name)), None));
                };
                let wrong: Vec<&str> = fields
                    .list
                    .iter()
                    .filter(|f| !f.holds)
                    .map(|f| f.name.as_str())
                    .collect();
                let pointer = fields.first_wrong().map(|f| format!("{}/{}", self.pointer, f.pointer));
                let verb = if wrong.len() == 1 { "differs" } else { "differ" };
                let message = format!("the {}: {} {verb}", self.name, wrong.join(", "));
                let failure = Failure {
                    difference: fields.difference(),
                    ..failure(pointer.as_deref().unwrap_or(&self.pointer), message)
                };
                Some((failure, Some(index)))
            }
        }
    }
}
