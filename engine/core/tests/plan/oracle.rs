//! Slow and obvious schedulers over a small world, which must agree with the planner on what is possible and when; and
//! every edit it proposes must do what it says.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot be set up should fail, and the counts are a result that people read"
)]

use std::collections::{BTreeMap, BTreeSet};

use crate::oracle_model::*;
use crate::support::estate::*;
use crate::support::{World, advisory, at, catalog, exploited, machine, observation};
use jiff::{SignedDuration, Timestamp};
use patchwave_core::history::History;
use patchwave_core::load::Catalog;
use patchwave_core::load::wire::SlaWithin;
use patchwave_core::name::{Amount, Severity};
use patchwave_core::plan::{Plan, Wave, plan};
use patchwave_core::time::DurationSeconds;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

const NOON: &str = "2026-11-20T12:00:00Z";
const CASES: u32 = 5000;

fn machines() -> impl Strategy<Value = Vec<Machine>> {
    let one = (
        0..4_usize,
        0..2_usize,
        0..4_usize,
        any::<bool>(),
        0..3_usize,
        any::<bool>(),
    );
    prop::collection::vec(one, 1..=7).prop_map(|drawn| {
        let made = drawn
            .into_iter()
            .map(|(service, rack, window, frozen, rank, exploited)| Machine {
                service: (service < 3).then_some(service),
                rack,
                window: usize::from(window == 3),
                frozen,
                rank,
                exploited,
            });
        made.collect()
    })
}

fn services() -> impl Strategy<Value = Vec<Service>> {
    let one = (0..8_usize, 0..8_usize, 0..8_u8, 0..4_u8);
    prop::collection::vec(one, 3).prop_map(|drawn| {
        let made = drawn
            .into_iter()
            .enumerate()
            .map(|(n, (most, least, edges, ordered))| Service {
                most: (1..=3).contains(&most).then_some(most),
                least: (least <= 1).then_some(least),
                depends_on: (0..n).filter(|e| edges >> e & 1 == 1).collect(),
                ordered: ordered == 0,
            });
        made.collect()
    })
}

/// Any model, or one of the family in which the rule is provably as good as every schedule there is.
fn model() -> impl Strategy<Value = Model> {
    (any_model(), 0..4_u8, any::<bool>()).prop_map(|(model, family, chain)| match family {
        0 => tame(model, chain),
        _ => model,
    })
}

fn tame(mut model: Model, chain: bool) -> Model {
    for (index, machine) in model.machines.iter_mut().enumerate() {
        (machine.window, machine.frozen) = (0, false);
        machine.service = machine.service.or(chain.then_some(index % 3));
    }
    for (number, service) in model.services.iter_mut().enumerate() {
        service.ordered = false;
        if chain {
            service.depends_on = (number.saturating_sub(1)..number).collect();
        }
    }
    if !chain {
        model.sizes.clear();
    }
    (model.per, model.emergency) = (Per::Service, false);
    model
}

fn any_model() -> impl Strategy<Value = Model> {
    let limits = (1..=4_usize, 0..3_u8, prop::collection::vec(1..=3_usize, 0..=2));
    let times = (0..=30_i64, 1..=4_i64, 0..=23_i64, 1..=24_i64, 0..=23_i64, 2..=12_i64);
    let rest = (
        0..=2_i64,
        prop::option::of((0..60_i64, 1..40_i64)),
        24..=170_i64,
        0..3_u8,
    );
    (machines(), services(), limits, times, rest).prop_map(|(machines, services, limits, times, rest)| {
        let (class_limit, per, sizes) = limits;
        let (soak, emergency_soak, opens, hours, also, longer) = times;
        let (cutoff, freeze, within, lane) = rest;
        Model {
            machines,
            services,
            class_limit,
            per: [Per::Class, Per::Service, Per::Rack][usize::from(per)],
            sizes,
            soak,
            emergency_soak,
            windows: [(opens, hours), (also, longer)],
            cutoff: cutoff.min(hours),
            freeze: freeze.map(|(from, hours)| (from, from + hours)),
            within,
            emergency: lane == 0,
        }
    })
}

/// What the models have in common: one hour an asset, two waves. The window of the tests is open without end.
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
        ("fromLabel: window, default: nights", "fromLabel: window, default: w0"),
        (
            "{rrule: FREQ=DAILY, start: \"00:00\", duration: 24h, timezone: UTC}",
            "{rrule: FREQ=MONTHLY;BYMONTHDAY=1, start: \"00:00\", duration: 40d, timezone: UTC}",
        ),
        (", outsideWindows: {allowed: true, approvers: [boss], notice: 2h}", ""),
        ("metadata: {name: nights}", "metadata: {name: w0}"),
        ("metadata: {name: sundays}", "metadata: {name: w1}"),
        ("FREQ=WEEKLY;BYDAY=SU", "FREQ=DAILY"),
    ]);
    let freeze = "---\napiVersion: patchwave.dev/v1\nkind: ChangeFreeze\nmetadata: {name: freeze}\nspec: {selector: {matchLabels: {frozen: \"yes\"}}, from: 2026-11-20, to: 2026-11-21}\n";
    catalog(&(yaml + freeze), at(NOON))
}

fn hours_after(hours: i64) -> Timestamp {
    at(NOON) + SignedDuration::from_hours(hours)
}

/// Names run against the order of services, so that a scheduler that only sorts them is found out.
fn name(index: usize) -> String {
    format!("p{index}")
}

fn service(number: usize, service: &Service) -> patchwave_core::load::wire::Service {
    let needs: Vec<String> = service.depends_on.iter().map(|s| format!("s{s}")).collect();
    let mut json = serde_json::json!({
        "name": format!("s{number}"), "members": {"matchLabels": {"s": format!("s{number}")}}, "dependsOn": needs
    });
    let limits = [("maxUnavailable", service.most), ("minAvailable", service.least)];
    for (field, value) in limits.into_iter().filter_map(|(f, v)| Some((f, v?))) {
        json[field] = value.into();
    }
    if service.ordered {
        json["order"] = serde_json::json!({"label": "rank", "values": ["r0", "r1"]});
    }
    serde_json::from_value(json).unwrap()
}

fn world(base: &Catalog, model: &Model) -> World {
    let mut catalog = base.clone();
    let services = model.services.iter().enumerate().map(|(n, s)| service(n, s));
    catalog.fleets.get_mut("f").unwrap().spec.services = services.collect();
    let disruption = &mut catalog.classes.get_mut("prod").unwrap().spec.disruption;
    disruption.max_unavailable = Amount::Count(u32::try_from(model.class_limit).unwrap());
    disruption.per = match model.per {
        Per::Class => "class",
        Per::Service => "service",
        Per::Rack => "rack",
    }
    .into();
    let strategy = &mut catalog.strategies.get_mut("standard").unwrap().spec;
    strategy.waves[0].soak = DurationSeconds::hours(model.soak);
    strategy.lanes.emergency.as_mut().unwrap().soak = Some(DurationSeconds::hours(model.emergency_soak));
    if !model.sizes.is_empty() {
        let sizes = model.sizes.iter().map(|n| Amount::Count(u32::try_from(*n).unwrap()));
        strategy.waves[1].batches = sizes.collect();
    }
    for (name, (opens, hours)) in ["w0", "w1"].into_iter().zip(model.windows) {
        let window = &mut catalog.windows.get_mut(name).unwrap().spec;
        window.cutoff = DurationSeconds::hours(model.cutoff);
        window.schedules[0].start = format!("{opens:02}:00");
        // Without a first day the past is worked out too, for nothing.
        window.schedules[0].from = Some("2026-11-18".parse().unwrap());
        window.schedules[0].duration = DurationSeconds::hours(hours);
    }
    match model.freeze {
        None => drop(catalog.freezes.remove("freeze")),
        Some((from, to)) => {
            let freeze = &mut catalog.freezes.get_mut("freeze").unwrap().spec;
            freeze.from = Some(hours_after(from).to_string().parse().unwrap());
            freeze.to = Some(hours_after(to).to_string().parse().unwrap());
        }
    }
    let rules = &mut catalog.slas.get_mut("sla").unwrap().spec.rules;
    for rule in rules {
        rule.within = SlaWithin::For(DurationSeconds::hours(model.within));
    }
    let mut machines = vec![machine("t", &[("env", "test")])];
    machines.extend(model.machines.iter().enumerate().map(|(index, drawn)| {
        let (rack, window, rank) = (
            format!("k{}", drawn.rack),
            format!("w{}", drawn.window),
            format!("r{}", drawn.rank),
        );
        let service = drawn.service.map_or_else(String::new, |s| format!("s{s}"));
        let frozen = if drawn.frozen { "yes" } else { "no" };
        let labels = [
            ("env", "prod"),
            ("rack", &rack),
            ("window", &window),
            ("rank", &rank),
            ("s", &service),
            ("frozen", frozen),
        ];
        machine(&name(index), &labels)
    }));
    let has_bash = |m: &crate::support::Machine| {
        m.name == "t"
            || model
                .machines
                .iter()
                .enumerate()
                .any(|(i, d)| d.exploited && name(i) == m.name)
    };
    let mut advisories = vec![advisory(
        "A",
        Severity::High,
        NOON,
        &[("openssl-libs", "1:3.0.7-27.el9")],
    )];
    if model.emergency {
        machines
            .iter_mut()
            .filter(|m| has_bash(m))
            .for_each(|m| m.packages.push(("bash".into(), "1-1".into(), "bash".into())));
        advisories.push(exploited(advisory("E", Severity::High, NOON, &[("bash", "2-1")]), NOON));
    }
    let observation = observation("f", &[], &machines, &advisories, at(NOON));
    World::new(catalog, observation, History::default(), at(NOON))
}

/// The plan; each so many times the checker looks at it too, which takes longer than planning.
fn plan_of(world: &World, case: usize) -> Plan {
    if case.is_multiple_of(16) {
        return world.plan(at(NOON));
    }
    let World {
        catalog,
        observation,
        assessment,
        history,
    } = world;
    plan(catalog, observation, assessment, history, at(NOON))
}

/// The finish of the second wave of the emergency rollout and of the routine one; none where it has no place.
type Finishes = BTreeMap<&'static str, Option<i64>>;

/// By the documented rule: emergency before routine, the machine of the first wave too.
fn expected(model: &Model) -> (Finishes, Down, i64) {
    let refused = model.refused();
    let all: BTreeSet<usize> = (0..model.machines.len()).filter(|m| !refused.contains(m)).collect();
    let urgent: BTreeSet<usize> = all.iter().copied().filter(|m| model.machines[*m].exploited).collect();
    let (mut finishes, mut down) = (Finishes::new(), Down::new());
    // The machine of the tests is free at once, or after the emergency rollout has had it.
    let tested = if model.emergency { 2 } else { 1 };
    if model.emergency && !urgent.is_empty() {
        finishes.insert("emergency", greedy(model, &urgent, 1 + model.emergency_soak, &mut down));
    }
    if !all.is_empty() {
        finishes.insert("routine", greedy(model, &all, tested + model.soak, &mut down));
    }
    (finishes, down, tested + model.soak)
}

fn prod(planned: &Plan) -> impl Iterator<Item = (&'static str, &Wave)> {
    let waves = planned
        .rollouts
        .iter()
        .flat_map(|r| r.waves.iter().map(move |w| (r.lane.as_str(), w)));
    waves.filter(|(_, w)| w.name.as_ref() == "prod")
}

fn finishes(plan: &Plan) -> Finishes {
    let hours = |at: Timestamp| at.duration_since(plan.now).as_hours();
    let finish = |w: &Wave| {
        w.batches
            .iter()
            .map(|b| b.finish)
            .collect::<Option<Vec<_>>>()?
            .into_iter()
            .max()
    };
    prod(plan).map(|(lane, w)| (lane, finish(w).map(hours))).collect()
}

fn is_missed(wave: &Wave) -> bool {
    wave.slack_seconds.is_some_and(|s| s < 0) || wave.batches.iter().any(|b| b.start.is_none())
}

fn missed(plan: &Plan) -> BTreeSet<(String, String)> {
    let waves = plan.rollouts.iter().flat_map(|r| r.waves.iter().map(move |w| (r, w)));
    let missed = waves.filter(|(_, w)| is_missed(w));
    missed.map(|(r, w)| (r.name.to_string(), w.name.to_string())).collect()
}

/// Where the rule is provably as good as any schedule: one window for all and one rollout, budgets that share no machine,
/// no order inside a service, and either no size, or everything in one chain of services.
fn is_exact(model: &Model) -> bool {
    let alike = model.machines.iter().all(|m| m.window == 0 && !m.frozen);
    let chain = (1..model.services.len()).all(|n| model.services[n].depends_on.contains(&(n - 1)));
    let plain = model.services.iter().all(|s| !s.ordered) && model.per == Per::Service;
    let all_served = model.machines.iter().all(|m| m.service.is_some());
    alike && plain && !model.emergency && (model.sizes.is_empty() || (chain && all_served))
}

#[derive(Default, Debug)]
struct Tally {
    cases: usize,
    exact: usize,
    searched: usize,
    greedy_later: usize,
    greedy_late_where_best_is_not: usize,
    waves_missed: usize,
    without_fix: usize,
    fixes: usize,
    pairs: usize,
    by_kind: BTreeMap<String, usize>,
}

/// The planner does what the documented rule says, in every case; no schedule at all is better where that is claimed; and
/// every proposed edit, made in the resources and planned from scratch, makes the deadline and harms nobody.
#[test]
fn the_planner_agrees_with_slow_schedulers_and_its_edits_do_what_they_say() {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let base = base();
    let tally = std::cell::RefCell::new(Tally::default());
    let outcome = runner.run(&model(), |model| {
        let world = world(&base, &model);
        let plan = plan_of(&world, tally.borrow().cases);
        let (expected, _, start) = expected(&model);
        prop_assert_eq!(finishes(&plan), expected.clone());
        for (_, wave) in prod(&plan) {
            let finish = finishes_of(wave, plan.now);
            let on_time = finish.is_some_and(|f| f <= model.within);
            prop_assert_eq!(!is_missed(wave), on_time);
        }
        let mut tally = tally.borrow_mut();
        tally.cases += 1;
        compare_with_all(&model, expected.get("routine").copied().flatten(), start, &mut tally)?;
        try_edits(&world, &plan, &mut tally)
    });
    let tally = tally.into_inner();
    println!("{tally:#?}");
    assert!(outcome.is_ok(), "{outcome:?}");
    assert!(
        tally.exact > 100 && tally.fixes > 500 && tally.pairs > 20,
        "the models are too tame: {tally:?}"
    );
}

fn finishes_of(wave: &Wave, now: Timestamp) -> Option<i64> {
    let finishes = wave.batches.iter().map(|b| b.finish).collect::<Option<Vec<_>>>()?;
    finishes.into_iter().max().map(|at| at.duration_since(now).as_hours())
}

fn compare_with_all(model: &Model, finish: Option<i64>, start: i64, tally: &mut Tally) -> Result<(), TestCaseError> {
    let Some(finish) = finish.filter(|_| !model.emergency) else {
        return Ok(());
    };
    let refused = model.refused();
    let all: BTreeSet<usize> = (0..model.machines.len()).filter(|m| !refused.contains(m)).collect();
    let best = best(model, &all, start, finish);
    tally.searched += 1;
    tally.greedy_later += usize::from(best < finish);
    tally.greedy_late_where_best_is_not += usize::from(best <= model.within && finish > model.within);
    if is_exact(model) {
        tally.exact += 1;
        prop_assert_eq!(best, finish);
    }
    Ok(())
}

fn try_edits(world: &World, plan: &Plan, tally: &mut Tally) -> Result<(), TestCaseError> {
    let before = missed(plan);
    for rollout in &plan.rollouts {
        for wave in rollout.waves.iter().filter(|w| is_missed(w)) {
            tally.waves_missed += 1;
            tally.without_fix += usize::from(wave.edits.is_empty());
            prop_assert_eq!(wave.edits.len(), wave.fixes.len());
            for edits in &wave.edits {
                tally.fixes += 1;
                tally.pairs += usize::from(edits.len() > 1);
                for edit in edits {
                    let kind = format!("{edit:?}");
                    *tally
                        .by_kind
                        .entry(kind.split(' ').next().unwrap().to_owned())
                        .or_default() += 1;
                }
                let mut catalog = world.catalog.clone();
                edits.iter().for_each(|e| e.apply(&mut catalog));
                let edited = World::new(catalog, world.observation.clone(), world.history.clone(), plan.now);
                let after = missed(&plan_of(&edited, tally.fixes));
                let case = (rollout.name.to_string(), wave.name.to_string());
                prop_assert!(!after.contains(&case), "{:?} does not help {:?}", edits, case);
                prop_assert!(after.is_subset(&before), "{:?} harms {:?}", edits, after);
            }
        }
    }
    Ok(())
}

/// The schedulers themselves, on a case small enough to do by hand: two services in a row, one machine at a time, open at
/// night.
#[test]
fn the_schedulers_can_be_followed_by_hand() {
    let machine = |service| Machine {
        service: Some(service),
        rack: 0,
        window: 0,
        frozen: false,
        rank: 0,
        exploited: false,
    };
    let service = |depends_on: &[usize]| Service {
        most: Some(1),
        least: None,
        depends_on: depends_on.iter().copied().collect(),
        ordered: false,
    };
    let model = Model {
        machines: vec![machine(0), machine(0), machine(1)],
        services: vec![service(&[]), service(&[0]), service(&[])],
        class_limit: 4,
        per: Per::Class,
        sizes: vec![],
        soak: 2,
        emergency_soak: 1,
        windows: [(22, 2), (0, 24)],
        cutoff: 0,
        freeze: None,
        within: 36,
        emergency: false,
    };
    // Test until 13:00, soak until 15:00, open 22:00 and 23:00, then 22:00 the next day: done at 23:00, 35 hours on.
    let (finish, ..) = expected(&model);
    assert_eq!(finish, BTreeMap::from([("routine", Some(35))]));
    assert_eq!(best(&model, &BTreeSet::from([0, 1, 2]), 3, 35), 35);
    assert_eq!(finishes(&world(&base(), &model).plan(at(NOON))), finish);
    assert_eq!(hours_after(35), at("2026-11-21T23:00:00Z"));
}
