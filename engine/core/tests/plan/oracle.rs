//! A slow and obvious scheduler over a simplified model, which must agree with the planner on what is possible.
//!
//! The model: two waves in a row over at most seven assets, each asset in at most one service, hours as slots, every asset
//! one hour, windows that open each day for some hours. It tries every sequence of batches that the rules allow, so it
//! finds the earliest finish there is. Greedy packing is provably as good in two families, and those are drawn:
//! sizes without limit and any order of services, or sizes with limits and services in a chain.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up should fail"
)]

use std::collections::{BTreeMap, BTreeSet};

use crate::support::estate::*;
use crate::support::*;
use jiff::{SignedDuration, Timestamp};
use patchwave_core::history::History;
use patchwave_core::load::Catalog;
use patchwave_core::load::wire::{Service, SlaWithin};
use patchwave_core::name::{Amount, Severity};
use patchwave_core::time::DurationSeconds;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

#[derive(Clone, Debug)]
struct Model {
    /// Members and budget of each service of the second wave; 0 = no asset may be down.
    services: Vec<(usize, usize)>,
    /// Dependencies among services: (later, earlier).
    order: BTreeSet<(usize, usize)>,
    /// Assets in no service.
    free: usize,
    /// Batch sizes; empty = without limit.
    sizes: Vec<usize>,
    soak_hours: i64,
    window: (i64, i64),
    within_hours: i64,
}

fn model() -> impl Strategy<Value = Model> {
    let services = prop::collection::vec((1..=3_usize, 0..=2_usize), 0..=3);
    let rest = (
        any::<u8>(),
        0..=2_usize,
        prop::collection::vec(1..=3_usize, 0..=2),
        0..=30_i64,
        0..=23_i64,
        1..=24_i64,
        1..=80_i64,
    );
    (services, rest).prop_map(
        |(services, (edges, free, sizes, soak_hours, opens, hours, within_hours))| {
            let (mut room, mut kept) = (7_usize.saturating_sub(free), Vec::new());
            for (members, budget) in services {
                let members = members.min(room);
                room -= members;
                // One that may lose nobody is rare enough not to hide everything else.
                kept.extend((members > 0).then_some((members, if budget == 0 && edges % 5 != 0 { 1 } else { budget })));
            }
            let chain = !sizes.is_empty();
            let pairs = (1..kept.len()).flat_map(|later| (0..later).map(move |earlier| (later, earlier)));
            let order = pairs
                .enumerate()
                .filter(|(n, (l, e))| if chain { *l == e + 1 } else { edges >> n & 1 == 1 })
                .map(|(_, p)| p);
            let order = order.collect();
            // In a chain a free asset would compete with every link for room; without limit it never does.
            Model {
                services: kept,
                order,
                free: if chain { 0 } else { free },
                sizes,
                soak_hours,
                window: (opens, hours),
                within_hours,
            }
        },
    )
}

/// Hours from now at which the second wave is finished at the earliest; none = never.
fn oracle(model: &Model) -> Option<i64> {
    // The clock stands at noon; the first wave has one asset and a window without end.
    let start = 1 + model.soak_hours;
    let mut left: Vec<usize> = model.services.iter().map(|s| s.0).collect();
    left.push(model.free);
    if model.services.iter().any(|s| s.1 == 0) || left.iter().sum::<usize>() == 0 {
        return None;
    }
    let mut known = BTreeMap::new();
    Some(search(
        model,
        &left,
        start,
        (0, *model.sizes.first().unwrap_or(&usize::MAX)),
        &mut known,
    ))
}

fn opening(model: &Model, from: i64) -> i64 {
    let (opens, hours) = model.window;
    (from..)
        .find(|hour| (hour + 12 - opens).rem_euclid(24) < hours)
        .unwrap()
}

type Known = BTreeMap<(Vec<usize>, i64, (usize, usize)), i64>;

/// The earliest finish with `left` assets of each service to go, trying every batch there can be.
fn search(model: &Model, left: &[usize], from: i64, size: (usize, usize), known: &mut Known) -> i64 {
    if left.iter().all(|n| *n == 0) {
        return from;
    }
    let state = (left.to_vec(), from, size);
    if let Some(best) = known.get(&state) {
        return *best;
    }
    let at = opening(model, from);
    let mut best = i64::MAX;
    for batch in choices(model, left, size.1) {
        let rest: Vec<usize> = left.iter().zip(&batch).map(|(l, b)| l - b).collect();
        let mut next = (size.0, size.1.saturating_sub(batch.iter().sum()));
        if next.1 == 0 {
            next.0 = (next.0 + 1).min(model.sizes.len().saturating_sub(1));
            next.1 = model.sizes[next.0];
        }
        best = best.min(search(model, &rest, at + 1, next, known));
    }
    known.insert(state, best);
    best
}

/// Every batch the rules allow: how many of each service.
fn choices(model: &Model, left: &[usize], size: usize) -> Vec<Vec<usize>> {
    let mut batches = vec![Vec::new()];
    for (service, left_here) in left.iter().enumerate() {
        let waits = model
            .order
            .iter()
            .any(|(later, earlier)| *later == service && left[*earlier] > 0);
        let budget = model.services.get(service).map_or(usize::MAX, |s| s.1);
        let most = if waits { 0 } else { budget.min(*left_here) };
        batches = batches
            .into_iter()
            .flat_map(|b| (0..=most).map(move |n| [b.clone(), vec![n]].concat()))
            .collect();
    }
    batches.retain(|b| (1..=size).contains(&b.iter().sum::<usize>()));
    batches
}

/// What the model has in common: one hour an asset, two waves, no cutoff.
fn base() -> Catalog {
    let yaml = resources(&[
        (
            "    - {name: staging, needs: [test], environments: [staging], soak: 24h}\n",
            "",
        ),
        (
            "{name: prod, needs: [staging], environments: [prod], soak: 24h}",
            "{name: prod, needs: [test], environments: [prod]}",
        ),
        ("perAsset: 20m, reboot: 10m", "perAsset: 1h, reboot: 0s"),
        ("window: {fromLabel: window, default: nights}", "window: nights"),
        ("  cutoff: 30m\n", ""),
    ]);
    catalog(&yaml, at(NOON))
}

fn service(number: usize, budget: usize, depends_on: Vec<String>) -> Service {
    let json = serde_json::json!({
        "name": format!("s{number}"), "members": {"matchLabels": {"s": format!("s{number}")}},
        "maxUnavailable": budget, "dependsOn": depends_on
    });
    serde_json::from_value(json).unwrap()
}

const NOON: &str = "2026-11-20T12:00:00Z";

fn planned(base: &Catalog, model: &Model) -> (Option<i64>, Option<bool>, usize) {
    let now = at(NOON);
    let mut catalog = base.clone();
    let mut machines = vec![machine("t", &[("env", "test")])];
    let services = model.services.iter().enumerate().map(|(number, (members, budget))| {
        // Names run against the order, so that a scheduler that only sorts them is found out.
        let names = (0..*members).map(|m| format!("{}{m}", ["z", "y", "x"][number]));
        machines.extend(names.map(|n| machine(&n, &[("env", "prod"), ("s", &format!("s{number}"))])));
        let needs = model
            .order
            .iter()
            .filter(|(l, _)| *l == number)
            .map(|(_, e)| format!("s{e}"));
        service(number, *budget, needs.collect())
    });
    catalog.fleets.get_mut("f").unwrap().spec.services = services.collect();
    machines.extend((0..model.free).map(|n| machine(&format!("f{n}"), &[("env", "prod")])));
    let waves = &mut catalog.strategies.get_mut("standard").unwrap().spec.waves;
    waves[0].soak = DurationSeconds::hours(model.soak_hours);
    if !model.sizes.is_empty() {
        waves[1].batches = model
            .sizes
            .iter()
            .map(|n| Amount::Count(u32::try_from(*n).unwrap()))
            .collect();
    }
    let window = &mut catalog.windows.get_mut("nights").unwrap().spec.schedules[0];
    (window.start, window.duration) = (
        format!("{:02}:00", model.window.0),
        DurationSeconds::hours(model.window.1),
    );
    let sla = &mut catalog.slas.get_mut("sla").unwrap().spec;
    sla.rules[1].within = SlaWithin::For(DurationSeconds::hours(model.within_hours));
    let openssl = advisory("A", Severity::High, NOON, &[("openssl-libs", "1:3.0.7-27.el9")]);
    let observation = observation("f", &[], &machines, &[openssl], now);
    let plan = World::new(catalog, observation, History::default(), now).plan(now);
    let wave = plan
        .rollouts
        .iter()
        .flat_map(|r| &r.waves)
        .find(|w| w.name.as_ref() == "prod");
    let hours = |at: Timestamp| at.duration_since(now).as_hours();
    let finish = wave
        .and_then(|w| w.batches.iter().map(|b| b.finish).collect::<Option<Vec<_>>>())
        .and_then(|f| f.into_iter().max());
    let budget_refusals = plan.refusals.iter().filter(|r| r.reason.as_ref() == "budget").count();
    (
        finish.map(hours),
        wave.and_then(|w| w.slack_seconds).map(|s| s >= 0),
        budget_refusals,
    )
}

/// The oracle and the planner agree on the finish, on whether the deadline is met, and on who can never be touched.
#[test]
fn the_planner_is_as_good_as_every_schedule_there_is() {
    let config = Config {
        cases: 3000,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(
        config,
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let base = base();
    let outcome = runner.run(&model(), |model| {
        let (finish, met, refused) = planned(&base, &model);
        let never: usize = model.services.iter().filter(|s| s.1 == 0).map(|s| s.0).sum();
        prop_assert_eq!(refused, never);
        if never == 0 {
            let expected = oracle(&model);
            prop_assert_eq!(finish, expected);
            prop_assert_eq!(met, expected.map(|hours| hours <= model.within_hours));
        }
        Ok(())
    });
    assert!(outcome.is_ok(), "{outcome:?}");
}

/// The oracle itself, on a case small enough to do by hand: two services in a row, one asset at a time, open at night.
#[test]
fn the_oracle_can_be_followed_by_hand() {
    let model = Model {
        services: vec![(2, 1), (1, 1)],
        order: BTreeSet::from([(1, 0)]),
        free: 0,
        sizes: vec![],
        soak_hours: 2,
        window: (22, 2),
        within_hours: 36,
    };
    // Test until 13:00, soak until 15:00, open 22:00 and 23:00, then 22:00 the next day: done at 23:00, 35 hours on.
    assert_eq!(oracle(&model), Some(35));
    assert_eq!(planned(&base(), &model), (Some(35), Some(true), 0));
    assert_eq!(at(NOON) + SignedDuration::from_hours(35), at("2026-11-21T23:00:00Z"));
}
