//! When a policy cuts, what it cuts, and what waits.

use crate::support::estate::*;
use crate::support::simulate::*;
use crate::support::*;
use jiff::Timestamp;
use patchwave_core::history::{History, Memory, WaveState};
use patchwave_core::load::wire::Lane;
use patchwave_core::name::Severity;
use patchwave_core::plan::{Plan, Waiting};

const MONTHLY: (&str, &str) = (
    "  rollout: standard\n",
    "  rollout: standard\n  cadence: {rrule: FREQ=MONTHLY;BYDAY=2TU, offset: 1d, start: \"06:00\", timezone: Europe/Berlin}\n",
);

fn names(plan: &Plan) -> Vec<&str> {
    plan.rollouts.iter().map(|r| r.name.as_ref()).collect()
}

fn since(first_run: &str, cut: Option<&str>) -> History {
    let cuts = cut.map(|c| ("linux".into(), at(c))).into_iter().collect();
    History {
        memory: Memory {
            first_run: Some(at(first_run)),
            cuts,
            ..Memory::default()
        },
        ..History::default()
    }
}

fn monthly(now: Timestamp, history: History) -> Plan {
    world_at(
        &resources(&[MONTHLY, ("severity: high, within: 30d", "severity: high, within: 90d")]),
        &one_each(),
        &[openssl()],
        history,
        now,
    )
    .plan(now)
}

#[test]
fn without_a_cadence_every_run_cuts_what_is_free() {
    let now = at(NOW);
    let plan = world(&[], &one_each(), &[openssl()]).plan(now);
    assert_eq!(names(&plan), ["linux-2026-11-20"]);
    assert!(!plan.rollouts[0].expedited && plan.waiting.is_empty() && plan.cuts.is_empty());
}

#[test]
fn an_instant_before_the_first_run_is_not_made_up_for() {
    // 11 November 06:00 in Berlin was before this, the first run; the next instant is 9 December.
    let now = at(NOW);
    let plan = monthly(now, History::default());
    assert_eq!(names(&plan), [""; 0]);
    let cut = at("2026-12-09T05:00:00Z");
    assert_eq!(
        plan.waiting,
        [Waiting {
            policy: "linux".into(),
            cut,
            findings: 3
        }]
    );
}

/// Both policies would take the finding of t2; it is the one's that waits, and the other's rollout carries it.
#[test]
fn what_a_later_policy_carries_does_not_wait() {
    let now = at(NOW);
    let earlier = "\n---
apiVersion: patchwave.dev/v1
kind: PatchPolicy
metadata: {name: apps}
spec:
  scope: {selector: {matchLabels: {app: b}}}
  include: [{types: [security]}]
  sla: sla
  rollout: standard
  cadence: {rrule: FREQ=MONTHLY;BYDAY=2TU, start: \"06:00\", timezone: Europe/Berlin}
";
    let resources = resources(&[("severity: high, within: 30d", "severity: high, within: 90d")]) + earlier;
    let machines = [
        machine("t1", &[("env", "test")]),
        machine("t2", &[("env", "test"), ("app", "b")]),
    ];
    let plan = world_at(&resources, &machines, &[openssl()], History::default(), now).plan(now);
    assert_eq!(names(&plan), ["linux-2026-11-20"]);
    let batches = plan.rollouts[0].waves.iter().flat_map(|w| &w.batches);
    let carried: Vec<&str> = batches.flat_map(|b| &b.assets).map(|a| a.name.as_ref()).collect();
    assert_eq!((carried, plan.waiting.as_slice()), (vec!["t1", "t2"], &[][..]));
}

#[test]
fn the_first_run_after_an_instant_cuts_and_names_it_by_its_date() {
    let instant = at("2026-12-09T05:00:00Z");
    for (now, cut) in [
        ("2026-12-09T05:00:00Z", None),
        ("2026-12-10T23:30:00Z", Some("2026-11-11T05:00:00Z")),
    ] {
        let plan = monthly(at(now), since("2026-11-01T00:00:00Z", cut));
        assert_eq!(names(&plan), ["linux-2026-12-09"]);
        assert_eq!(plan.cuts, [("linux".into(), instant)]);
        assert_eq!((plan.rollouts[0].cut, plan.rollouts[0].expedited), (instant, false));
    }
    let again = monthly(
        at("2026-12-10T00:00:00Z"),
        since("2026-11-01T00:00:00Z", Some("2026-12-09T05:00:00Z")),
    );
    assert_eq!((names(&again), again.cuts.len()), (vec![], 0), "an instant is cut once");
    let first = monthly(at("2026-12-09T05:00:00Z"), History::default());
    assert_eq!(
        names(&first),
        ["linux-2026-12-09"],
        "a first run at the very instant cuts"
    );
}

#[test]
fn what_would_be_too_late_at_the_next_cut_goes_at_once_and_alone() {
    let now = at(NOW);
    let change = [MONTHLY, ("severity: high, within: 30d", "severity: high, within: 20d")];
    let curl = advisory("ALSA-2", Severity::Low, "2026-11-18T00:00:00Z", &[("curl", "2-1")]);
    let mut machines = one_each();
    machines
        .iter_mut()
        .for_each(|m| m.packages.push(("curl".into(), "1-1".into(), "curl".into())));
    let plan = world(&change, &machines, &[openssl(), curl]).plan(now);
    assert_eq!(names(&plan), ["linux-2026-11-20"]);
    assert!(plan.rollouts[0].expedited);
    let targets: Vec<_> = plan.rollouts[0].targets.iter().map(|t| t.name.as_ref()).collect();
    assert_eq!(targets, ["openssl-libs"], "the low one can wait");
    assert_eq!(plan.waiting.iter().map(|w| w.findings).collect::<Vec<_>>(), [3]);
}

#[test]
fn what_must_go_at_once_by_its_rule_takes_the_emergency_lane() {
    let now = at(NOW);
    let plan = world(&[MONTHLY], &one_each(), &[exploited(openssl(), "2026-11-20T00:00:00Z")]).plan(now);
    assert_eq!(names(&plan), ["linux-2026-11-20-emergency"]);
    let rollout = &plan.rollouts[0];
    assert_eq!((rollout.lane, rollout.waves[0].soak_seconds), (Lane::Emergency, 3600));
    // Test 12:00–12:30 and staging 13:30–14:00 are in their windows; prod goes outside its own after the notice.
    let prod = &rollout.waves[2].batches[0];
    assert_eq!(
        (prod.window.name.as_ref(), prod.start),
        ("outside", Some(at("2026-11-20T15:00:00Z")))
    );
}

#[test]
fn notice_is_given_before_leaving_the_window_and_a_freeze_still_holds() {
    let now = at(NOW);
    let alone = [("needs: [staging], environments: [prod]", "environments: [prod]")];
    let urgent = exploited(openssl(), "2026-11-20T00:00:00Z");
    let plan = world(&alone, &one_each(), std::slice::from_ref(&urgent)).plan(now);
    assert_eq!(
        plan.rollouts[0].waves[2].batches[0].start,
        Some(at("2026-11-20T14:00:00Z"))
    );
    let freeze = "---\napiVersion: patchwave.dev/v1\nkind: ChangeFreeze\nmetadata: {name: sale}\nspec: {selector: {matchLabels: {env: prod}}, from: 2026-11-20, to: 2026-11-23}\n";
    let yaml = resources(&alone) + freeze;
    let frozen = world_at(
        &yaml,
        &one_each(),
        std::slice::from_ref(&urgent),
        History::default(),
        now,
    )
    .plan(now);
    let start = frozen.rollouts[0].waves[2].batches[0].start;
    assert_eq!(
        start,
        Some(at("2026-11-24T00:00:00Z")),
        "the whole day of `to` is inside"
    );
    let said: Vec<_> = frozen.refusals.iter().map(|r| (r.reason.as_ref(), r.binding)).collect();
    assert_eq!(said, [("deadline", Some(patchwave_core::plan::Binding::Freeze))]);
    assert!(
        frozen.refusals[0].fixes[0].contains("sale"),
        "{:?}",
        frozen.refusals[0].fixes
    );
}

#[test]
fn an_open_rollout_is_not_cut_again_and_keeps_its_name_and_batches() {
    let now = at(NOW);
    let mut world = world(&[], &one_each(), &[openssl()]);
    let first = world.plan(now);
    world.history = opened(&first, &[WaveState::Proposed]);
    let mut same = world.plan(now);
    assert_eq!(same.rollouts[0].waves[0].state, WaveState::Proposed);
    same.rollouts[0].waves[0].state = WaveState::Pending;
    assert_eq!(same, first);
    let later = now + jiff::SignedDuration::from_hours(5);
    let again = world.plan(later);
    assert_eq!(names(&again), names(&first));
    assert_eq!(again.rollouts[0].digest, first.rollouts[0].digest);
    assert_eq!(
        again.rollouts[0].waves[0].batches[0].start,
        Some(later),
        "what is not released moves on with time"
    );
}

#[test]
fn newcomers_join_until_the_first_wave_is_approved_or_three_restarts() {
    let now = at(NOW);
    let mut machines = one_each();
    machines
        .iter_mut()
        .for_each(|m| m.packages.push(("curl".into(), "1-1".into(), "curl".into())));
    let curl = advisory("ALSA-2", Severity::High, "2026-11-19T00:00:00Z", &[("curl", "2-1")]);
    let first = world(&[], &machines, &[openssl()]).plan(now);
    let both = [openssl(), curl];
    let with = |history: History| world_at(&resources(&[]), &machines, &both, history, now).plan(now);

    let joined = with(opened(&first, &[WaveState::Proposed]));
    assert_eq!(names(&joined), ["linux-2026-11-20"]);
    let rollout = &joined.rollouts[0];
    assert_eq!((rollout.revision, rollout.restarts, rollout.targets.len()), (2, 1, 2));
    assert_ne!(rollout.digest, first.rollouts[0].digest);
    assert_eq!(
        with(opened(&joined, &[WaveState::Proposed])).rollouts,
        joined.rollouts,
        "and that is where it stays"
    );

    let mut worn = opened(&first, &[WaveState::Proposed]);
    worn.open[0].restarts = 3;
    assert_eq!(names(&with(worn)), ["linux-2026-11-20", "linux-2026-11-20-2"]);
    let frozen = with(opened(&first, &[WaveState::Approved]));
    assert_eq!(names(&frozen), ["linux-2026-11-20", "linux-2026-11-20-2"]);
    assert_eq!(frozen.rollouts[0].targets.len(), 1);
}

#[test]
fn minimum_age_holds_the_first_wave_of_the_routine_lane_only() {
    let now = at(NOW);
    let aged = [(
        "  rollout: standard\n",
        "  rollout: standard\n  release: {minAge: 3d}\n",
    )];
    let plan = world(&aged, &one_each(), &[openssl()]).plan(now);
    assert_eq!(
        plan.rollouts[0].waves[0].batches[0].start,
        Some(at("2026-11-21T00:00:00Z"))
    );
    let urgent = world(&aged, &one_each(), &[exploited(openssl(), "2026-11-20T00:00:00Z")]).plan(now);
    assert_eq!(urgent.rollouts[0].waves[0].batches[0].start, Some(now));
}

#[test]
fn a_pause_and_observing_cut_nothing() {
    let now = at(NOW);
    let paused = [(
        "  rollout: standard\n",
        "  rollout: standard\n  pause: {until: 2026-11-30, reason: holidays}\n",
    )];
    let plan = world(&paused, &one_each(), &[openssl()]).plan(now);
    assert_eq!((names(&plan), plan.waiting[0].findings), (vec![], 3));
    assert_eq!(plan.waiting[0].cut, at("2026-12-01T00:00:00Z"));
    let observed = [("  rollout: standard\n", "  rollout: standard\n  mode: observe\n")];
    let plan = world(&observed, &one_each(), &[openssl()]).plan(now);
    assert_eq!((names(&plan), plan.waiting.len()), (vec![], 0));
}

#[test]
fn the_circuit_breaker_asks_for_a_persons_word() {
    let now = at(NOW);
    let limited = [(
        "  rollout: standard\n",
        "  rollout: standard\n  limits: {emergencyAssets: 50%}\n",
    )];
    let urgent = exploited(openssl(), "2026-11-20T00:00:00Z");
    let plan = world(&limited, &one_each(), std::slice::from_ref(&urgent)).plan(now);
    assert_eq!((names(&plan), refusals(&plan)), (vec![], vec![("limit", "")]));
    let lift = "---\napiVersion: patchwave.dev/v1\nkind: Override\nmetadata: {name: yes}\nspec: {what: limit, policy: linux, by: boss, until: 2026-11-21}\n";
    let yaml = (resources(&limited) + lift).replace("name: yes", "name: go");
    let plan = world_at(&yaml, &one_each(), &[urgent], History::default(), now).plan(now);
    assert_eq!(names(&plan), ["linux-2026-11-20-emergency"]);
}
