//! What holds for every plan, whatever the estate.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up should fail"
)]

use std::collections::{BTreeMap, BTreeSet};

use crate::support::estate::*;
use crate::support::simulate::*;
use crate::support::*;
use jiff::{SignedDuration, Timestamp};
use patchwave_core::history::{History, WaveState};
use patchwave_core::load::Catalog;
use patchwave_core::load::wire::{ChangeFreezeSpec, MaintenanceWindowSpec, Schedule, Service, SlaWithin, Untested};
use patchwave_core::name::{Amount, Severity};
use patchwave_core::observe::AdvisoryRecord;
use patchwave_core::plan::{Plan, Wave, json};
use patchwave_core::time::DurationSeconds;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{FileFailurePersistence, RngSeed, TestRunner};

/// A drawn estate: resources, machines, advisories.
#[derive(Clone, Debug)]
struct Drawn {
    services: Vec<serde_json::Value>,
    machines: Vec<Machine>,
    advisories: Vec<AdvisoryRecord>,
    sizes: Vec<u32>,
    cadence: bool,
    canary: u8,
    freeze: Option<(i64, i64)>,
    max_unavailable: u32,
    soak_hours: i64,
}

const PACKAGES: [&str; 3] = ["bash", "curl", "openssl-libs"];

fn machines() -> impl Strategy<Value = Vec<Machine>> {
    let one = (
        0..3_usize,
        0..3_usize,
        0..3_usize,
        prop::collection::vec(0..4_u8, 3),
        0..8_u8,
        0..4_u8,
    );
    prop::collection::vec(one, 1..14).prop_map(|drawn| {
        let made = drawn
            .into_iter()
            .enumerate()
            .map(|(n, (env, tier, window, versions, odd, role))| {
                let env = ["test", "staging", "prod"][env];
                let mut machine = machine(
                    &format!("m{:02}", (n * 7) % 17),
                    &[("env", env), ("tier", ["db", "web", "dns"][tier])],
                );
                let window = ["nights", "always", "sundays"][window];
                machine.labels.insert("window".into(), window.into());
                machine
                    .labels
                    .insert("role".into(), ["primary", "replica", "x", "y"][role as usize].into());
                machine.packages = PACKAGES
                    .iter()
                    .zip(versions)
                    .filter(|(_, v)| *v > 0)
                    .map(|(p, v)| ((*p).to_owned(), format!("{v}-1"), "source".to_owned()))
                    .collect();
                match odd {
                    0 => machine.stale = true,
                    1 => machine.available = Some(vec![("curl".into(), "3-1".into())]),
                    2 => machine.version = "8.9".into(),
                    _ => {}
                }
                (machine.name.clone(), machine)
            });
        made.collect::<BTreeMap<_, _>>().into_values().collect()
    })
}

fn advisories() -> impl Strategy<Value = Vec<AdvisoryRecord>> {
    let one = (0..3_usize, 2..5_u8, 0..3_usize, 1..30_i64, 0..6_u8);
    prop::collection::vec(one, 0..5).prop_map(|drawn| {
        let made = drawn
            .into_iter()
            .enumerate()
            .map(|(n, (package, fixed, severity, age, known))| {
                let severity = [Severity::Low, Severity::High, Severity::Critical][severity];
                let published = (at(NOW) - SignedDuration::from_hours(24 * age)).to_string();
                let record = advisory(
                    &format!("A-{n}"),
                    severity,
                    &published,
                    &[(PACKAGES[package], &format!("{fixed}-1"))],
                );
                if known == 0 {
                    exploited(record, "2026-11-20T00:00:00Z")
                } else {
                    record
                }
            });
        made.collect()
    })
}

fn services() -> impl Strategy<Value = Vec<serde_json::Value>> {
    let limits = prop::collection::vec((0..4_u8, any::<bool>(), any::<bool>()), 3);
    (limits, any::<u8>()).prop_map(|(limits, edges)| {
        let made = limits.into_iter().enumerate().map(|(n, (limit, ordered, platform))| {
            let name = ["db", "web", "dns"][n];
            let mut service = serde_json::json!({"name": name, "members": {"matchLabels": {"tier": name}}});
            match limit {
                0 => service["maxUnavailable"] = 1.into(),
                1 => service["maxUnavailable"] = "50%".into(),
                2 => service["minAvailable"] = 1.into(),
                _ => {}
            }
            if ordered {
                service["order"] = serde_json::json!({"label": "role", "values": ["replica", "primary"]});
            }
            service["platform"] = (platform && n == 2).into();
            let earlier: Vec<&str> = (0..n)
                .filter(|e| edges >> (n + e) & 1 == 1)
                .map(|e| ["db", "web", "dns"][e])
                .collect();
            service["dependsOn"] = earlier.into();
            service
        });
        made.collect()
    })
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let rest = (
        prop::collection::vec(1..4_u32, 0..3),
        any::<bool>(),
        0..3_u8,
        prop::option::of((0..20_i64, 1..15_i64)),
        1..4_u32,
        0..72_i64,
    );
    (services(), machines(), advisories(), rest).prop_map(|(services, machines, advisories, rest)| {
        let (sizes, cadence, canary, freeze, max_unavailable, soak_hours) = rest;
        Drawn {
            services,
            machines,
            advisories,
            sizes,
            cadence,
            canary,
            freeze,
            max_unavailable,
            soak_hours,
        }
    })
}

impl Drawn {
    fn catalog(&self, base: &Catalog) -> Catalog {
        let mut catalog = base.clone();
        let services: Vec<Service> = self
            .services
            .iter()
            .map(|s| serde_json::from_value(s.clone()).unwrap())
            .collect();
        catalog.fleets.get_mut("f").unwrap().spec.services = services;
        for wave in &mut catalog.strategies.get_mut("standard").unwrap().spec.waves {
            if !self.sizes.is_empty() {
                wave.batches = self.sizes.iter().map(|n| Amount::Count(*n)).collect();
            }
            wave.soak = patchwave_core::time::DurationSeconds::hours(self.soak_hours);
        }
        for class in catalog.classes.values_mut() {
            class.spec.disruption.max_unavailable = Amount::Count(self.max_unavailable);
            class.spec.disruption.per = ["class", "service", "tier"][self.canary as usize].into();
        }
        let policy = &mut catalog.policies.get_mut("linux").unwrap().spec;
        policy.requires.untested = [Untested::Refuse, Untested::Canary, Untested::ExtraApproval][self.canary as usize];
        policy.cadence = self.cadence.then(|| Schedule {
            rrule: "FREQ=MONTHLY;BYDAY=2TU".into(),
            start: None,
            offset: None,
            timezone: None,
            from: None,
        });
        let freeze = catalog.freezes.get_mut("freeze").unwrap();
        let day = |n: i64| (at(NOW) + SignedDuration::from_hours(24 * n)).to_string();
        match self.freeze {
            None => drop(catalog.freezes.remove("freeze")),
            Some((from, days)) => {
                freeze.spec.from = Some(day(from).parse().unwrap());
                freeze.spec.to = Some(day(from + days).parse().unwrap());
            }
        }
        catalog
    }

    fn world(&self, base: &Catalog, machines: &[Machine], history: History, now: Timestamp) -> World {
        World::new(
            self.catalog(base),
            observation("f", &[], machines, &self.advisories, now),
            history,
            now,
        )
    }
}

/// The lines in which two values differ.
fn unlike<T: std::fmt::Debug>(one: &T, other: &T) -> String {
    similar::TextDiff::from_lines(format!("{one:#?}"), format!("{other:#?}"))
        .unified_diff()
        .context_radius(3)
        .to_string()
}

fn base() -> Catalog {
    let freeze = "---\napiVersion: patchwave.dev/v1\nkind: ChangeFreeze\nmetadata: {name: freeze}\nspec: {selector: {matchLabels: {env: prod}}, from: 2026-11-20, to: 2026-11-21}\n";
    catalog(&(resources(&[]) + freeze), at(NOW))
}

fn bytes(world: &World, now: Timestamp) -> String {
    json(&world.plan(now), &BTreeMap::new()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/plan_properties.txt")))),
        ..ProptestConfig::default()
    })]

    /// Every rule the checker knows holds (it runs inside), the bytes are the same twice, and the order of input is not
    /// to be seen.
    #[test]
    fn plans_are_sound_and_do_not_depend_on_order(drawn in drawn(), turn in 0..14_usize) {
        let (now, base) = (at(NOW), base());
        let first = bytes(&drawn.world(&base, &drawn.machines, History::default(), now), now);
        prop_assert_eq!(&first, &bytes(&drawn.world(&base, &drawn.machines, History::default(), now), now));
        let mut other = drawn.clone();
        let turn = turn % other.machines.len();
        other.machines.rotate_left(turn);
        other.machines.iter_mut().for_each(|m| m.packages.reverse());
        other.services.reverse();
        prop_assert_eq!(&first, &bytes(&other.world(&base, &other.machines, History::default(), now), now));
    }

    /// What is proposed is planned again as it stands; what is done needs no further plan.
    #[test]
    fn planning_again_changes_nothing(drawn in drawn(), approved in 0..3_usize) {
        let (now, base) = (at(NOW), base());
        let first = drawn.world(&base, &drawn.machines, History::default(), now).plan(now);
        let states = [[WaveState::Pending; 3], [WaveState::Proposed, WaveState::Pending, WaveState::Pending], [WaveState::Approved, WaveState::Proposed, WaveState::Pending]];
        let history = opened(&first, &states[approved]);
        let mut again = drawn.world(&base, &drawn.machines, history, now).plan(now);
        let mut expected = first.clone();
        for plan in [&mut again, &mut expected] {
            for wave in plan.rollouts.iter_mut().flat_map(|r| &mut r.waves) {
                wave.state = WaveState::Pending;
                // What an edit would do depends on whether the batches stand already: those that do not may be put together
                // in another way.
                if approved > 0 {
                    (wave.binding, wave.fixes, wave.edits) = (None, Vec::new(), Vec::new());
                }
            }
        }
        prop_assert_eq!(&again.rollouts, &expected.rollouts, "{}", unlike(&expected.rollouts, &again.rollouts));
        prop_assert_eq!(&again.waiting, &expected.waiting);

        let placed = first.rollouts.iter().flat_map(|r| &r.waves).flat_map(|w| &w.batches).all(|b| b.start.is_some());
        if placed {
            let after = patched(&drawn.machines, &first);
            let done = History { names: first.rollouts.iter().map(|r| r.name.clone()).collect(), ..History::default() };
            let last = drawn.world(&base, &after, done, now).plan(now);
            let carried = first.rollouts.iter().flat_map(|r| r.placement().into_keys()).collect::<BTreeSet<_>>();
            for rollout in &last.rollouts {
                // Only what was refused or waited may be left; nothing that was done is done again.
                for (asset, _) in rollout.placement() {
                    prop_assert!(!carried.contains(&asset) || !first.refusals.is_empty() || !first.waiting.is_empty(), "{} again", asset);
                }
            }
        }
    }

    /// Half done: the rest goes on under the same rules, which the checker looks after.
    #[test]
    fn half_done_rollouts_go_on_soundly(drawn in drawn(), hours in 0..200_i64, failed in any::<bool>()) {
        let (now, base) = (at(NOW), base());
        let first = drawn.world(&base, &drawn.machines, History::default(), now).plan(now);
        let mut history = opened(&first, &[WaveState::Promoted, WaveState::Released, WaveState::Pending]);
        for batch in history.open.iter_mut().flat_map(|o| &mut o.waves).filter(|w| w.state == WaveState::Released).flat_map(|w| w.batches.iter_mut().skip(1)) {
            batch.released_at = None;
        }
        if failed {
            for wave in history.open.iter_mut().flat_map(|o| &mut o.waves).filter(|w| w.state == WaveState::Released) {
                let broken = wave.batches.first_mut().and_then(|b| b.assets.keys().next().cloned().map(|a| (b, a)));
                if let Some((batch, asset)) = broken {
                    batch.failed.insert(asset, "no".into());
                }
            }
        }
        let later = now + SignedDuration::from_hours(hours);
        let plan = drawn.world(&base, &drawn.machines, history, later).plan(later);
        for (rollout, before) in plan.rollouts.iter().filter_map(|r| Some((r, first.rollouts.iter().find(|f| f.name == r.name)?))) {
            prop_assert_eq!(&rollout.digest, &before.digest, "what is frozen stays");
        }
    }

    /// A wider freeze never lets anything start earlier.
    #[test]
    fn a_wider_freeze_never_helps(drawn in drawn(), more in 1..10_i64) {
        let (now, base) = (at(NOW), base());
        let mut wider = drawn.clone();
        wider.freeze = Some(drawn.freeze.map_or((0, more), |(from, days)| (from, days + more)));
        let (one, other) = (
            drawn.world(&base, &drawn.machines, History::default(), now).plan(now),
            wider.world(&base, &drawn.machines, History::default(), now).plan(now),
        );
        let first_start = |plan: &Plan| plan.rollouts.iter().filter(|r| !r.expedited).flat_map(|r| &r.waves)
            .filter(|w| w.name.as_ref() == "prod").flat_map(|w| &w.batches).filter_map(|b| b.start).min();
        if let (Some(a), Some(b)) = (first_start(&one), first_start(&other)) {
            prop_assert!(a <= b, "{a} {b}");
        }
    }
}

/// Rollout and wave of all that is late or has no place.
fn missed(plan: &Plan) -> BTreeSet<(String, String)> {
    let waves = plan.rollouts.iter().flat_map(|r| r.waves.iter().map(move |w| (r, w)));
    let is_missed = |w: &Wave| {
        w.slack_seconds.is_some_and(|s| s < 0) || (!w.state.is_final() && w.batches.iter().any(|b| b.start.is_none()))
    };
    let missed = waves.filter(|(_, w)| is_missed(w));
    missed.map(|(r, w)| (r.name.to_string(), w.name.to_string())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// Edits are found by placing again what was placed; made in the resources, assessed and planned from scratch, they do
    /// the same, with cadences, canaries and rollouts under way.
    #[test]
    fn every_edit_does_what_it_says(drawn in drawn(), days in 2..12_i64, open in any::<bool>()) {
        let (now, mut base) = (at(NOW), base());
        let sla = &mut base.slas.get_mut("sla").unwrap().spec;
        sla.rules[1].within = SlaWithin::For(DurationSeconds::hours(24 * days));
        sla.default.within = sla.rules[1].within;
        let first = drawn.world(&base, &drawn.machines, History::default(), now);
        let history = if open { opened(&first.plan(now), &[WaveState::Approved, WaveState::Pending]) } else { History::default() };
        let world = drawn.world(&base, &drawn.machines, history, now);
        let plan = world.plan(now);
        let before = missed(&plan);
        for rollout in &plan.rollouts {
            for wave in &rollout.waves {
                for edits in &wave.edits {
                    let mut catalog = world.catalog.clone();
                    edits.iter().for_each(|e| e.apply(&mut catalog));
                    let edited = World::new(catalog, world.observation.clone(), world.history.clone(), now);
                    let after = missed(&edited.plan(now));
                    let case = (rollout.name.to_string(), wave.name.to_string());
                    prop_assert!(before.contains(&case), "{:?} was not missed", case);
                    prop_assert!(!after.contains(&case), "{:?} does not help {:?}", edits, case);
                    prop_assert!(after.is_subset(&before), "{:?} harms {:?}", edits, after);
                }
            }
        }
    }
}

/// A property of what was never drawn would hold for nothing.
#[test]
fn what_is_drawn_gives_every_property_something_to_hold_for() {
    let mut runner = TestRunner::new(ProptestConfig {
        rng_seed: RngSeed::Fixed(20_261_120),
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let (now, mut base) = (at(NOW), base());
    let sla = &mut base.slas.get_mut("sla").unwrap().spec;
    sla.default.within = SlaWithin::For(DurationSeconds::hours(48));
    let mut found = BTreeSet::new();
    for _ in 0..60 {
        let drawn = drawn().new_tree(&mut runner).unwrap().current();
        let plan = drawn.world(&base, &drawn.machines, History::default(), now).plan(now);
        let waves: Vec<_> = plan.rollouts.iter().flat_map(|r| &r.waves).collect();
        let starts = |name: &str| {
            let mut batches = waves.iter().filter(|w| *w.name == *name).flat_map(|w| &w.batches);
            batches.any(|b| b.start.is_some())
        };
        found.extend(starts("test").then_some("starts in test"));
        found.extend(starts("prod").then_some("starts in prod"));
        found.extend(waves.iter().any(|w| !w.edits.is_empty()).then_some("edits"));
        found.extend((!plan.refusals.is_empty()).then_some("refusals"));
        found.extend((!plan.waiting.is_empty()).then_some("waiting"));
    }
    assert_eq!(
        found.into_iter().collect::<Vec<_>>(),
        ["edits", "refusals", "starts in prod", "starts in test", "waiting"]
    );
}

/// Keeps the drawn types honest: what a test writes is what a resource can say.
#[test]
fn the_drawn_resources_are_resources() {
    let window: Result<MaintenanceWindowSpec, _> = serde_json::from_value(serde_json::json!({"schedules": []}));
    let freeze: Result<ChangeFreezeSpec, _> = serde_json::from_value(serde_json::json!({"from": "2026-11-20"}));
    assert!(window.is_ok() && freeze.is_ok());
}
