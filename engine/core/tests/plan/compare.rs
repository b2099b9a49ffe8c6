//! What an edit changes: alike changes together, counted, and nothing where nothing changes.

use jiff::Timestamp;
use patchwave_core::history::History;
use patchwave_core::name::Severity;
use patchwave_core::plan::{Aspect, Change, Comparison, Plan, RolloutChangeKind, Side, compare, comparison_text};

use crate::support::estate::*;
use crate::support::*;

fn side<'a>(world: &'a World, plan: &'a Plan) -> Side<'a> {
    Side {
        catalog: &world.catalog,
        observation: &world.observation,
        assessment: &world.assessment,
        plan,
    }
}

fn compared(before: &World, after: &World) -> Comparison {
    let (old, new) = (before.plan(at(NOW)), after.plan(at(NOW)));
    compare(&side(before, &old), &side(after, &new))
}

fn of(comparison: &Comparison, aspect: Aspect) -> Vec<&Change> {
    comparison.changes.iter().filter(|c| c.aspect == aspect).collect()
}

fn names(change: &Change) -> Vec<&str> {
    change.assets.iter().map(AsRef::as_ref).collect()
}

#[test]
fn the_same_resources_change_nothing() {
    let world = world(&[], &one_each(), &[openssl()]);
    let comparison = compared(&world, &world);
    assert!(comparison.is_empty(), "{comparison:#?}");
    assert!(comparison_text(&comparison, "main").contains("nothing changes"));
}

#[test]
fn a_shorter_sla_moves_deadlines_of_everybody_at_once() {
    let before = world(&[], &one_each(), &[openssl()]);
    let after = world(
        &[("severity: high, within: 30d", "severity: high, within: 10d")],
        &one_each(),
        &[openssl()],
    );
    let comparison = compared(&before, &after);
    let deadlines = of(&comparison, Aspect::Deadline);
    let [change] = deadlines.as_slice() else {
        panic!("one kind of change: {deadlines:#?}")
    };
    assert_eq!(change.shift_seconds, Some(-20 * 86_400));
    assert_eq!(
        (change.before.as_deref(), change.after.as_deref()),
        (Some("sla/high"), Some("sla/high"))
    );
    assert_eq!((names(change), change.findings), (vec!["p1", "s1", "t1"], 3));
    assert_eq!(
        change.earliest,
        Some("2026-11-28T00:00:00Z".parse::<Timestamp>().unwrap())
    );
    assert_eq!(
        (
            comparison.summary.earlier,
            comparison.summary.later,
            comparison.summary.assets
        ),
        (3, 0, 3)
    );
}

#[test]
fn another_rule_is_named_before_and_after_with_the_lane() {
    let before = world(&[], &one_each(), &[openssl()]);
    let edit = [(
        "{name: high, severity: high, within: 30d}",
        "{name: urgent, severity: high, within: 3d, lane: emergency}",
    )];
    let after = world(&edit, &one_each(), &[openssl()]);
    let comparison = compared(&before, &after);
    let deadline = of(&comparison, Aspect::Deadline);
    assert_eq!(deadline[0].after.as_deref(), Some("sla/urgent"));
    let lanes = of(&comparison, Aspect::Lane);
    assert_eq!(
        (lanes[0].before.as_deref(), lanes[0].after.as_deref()),
        (Some("routine"), Some("emergency"))
    );
    // The emergency lane has a name of its own, so one rollout goes and one comes.
    let kinds: Vec<_> = comparison.rollouts.iter().map(|r| r.kind).collect();
    assert!(
        kinds.contains(&RolloutChangeKind::Added) && kinds.contains(&RolloutChangeKind::Removed),
        "{kinds:?}"
    );
}

#[test]
fn windows_classes_and_waves_of_assets_are_told() {
    let before = world(&[], &one_each(), &[openssl()]);
    let after = world(&[("default: nights", "default: sundays")], &one_each(), &[openssl()]);
    let comparison = compared(&before, &after);
    let windows = of(&comparison, Aspect::Window);
    assert_eq!(
        (windows[0].before.as_deref(), windows[0].after.as_deref()),
        (Some("nights"), Some("sundays"))
    );
    assert_eq!(names(windows[0]), ["p1"]);
    let wave = &comparison.rollouts[0].waves[0];
    assert_eq!(wave.wave.as_ref(), "prod");
    assert!(wave.before.as_ref().unwrap().start < wave.after.as_ref().unwrap().start);

    let edit = [(
        "selector: {matchLabels: {env: staging}}\n  environment: staging",
        "selector: {matchLabels: {env: staging}}\n  environment: test",
    )];
    let comparison = compared(&before, &world(&edit, &one_each(), &[openssl()]));
    let waves = of(&comparison, Aspect::Wave);
    assert_eq!(
        (waves[0].before.as_deref(), waves[0].after.as_deref()),
        (Some("linux: staging"), Some("linux: test"))
    );
    assert_eq!(names(waves[0]), ["s1"]);
}

#[test]
fn what_leaves_the_scope_stops_being_a_finding() {
    let before = world(&[], &one_each(), &[openssl()]);
    let edit = [("scope: {selector: {}}", "scope: {selector: {matchLabels: {env: test}}}")];
    let comparison = compared(&before, &world(&edit, &one_each(), &[openssl()]));
    let statuses = of(&comparison, Aspect::Status);
    assert_eq!(
        (statuses[0].before.as_deref(), statuses[0].after.as_deref()),
        (Some("due"), None)
    );
    assert_eq!((names(statuses[0]), statuses[0].findings), (vec!["p1", "s1"], 2));
    assert!(
        of(&comparison, Aspect::Deadline).is_empty(),
        "it goes with its finding: {comparison:#?}"
    );
}

#[test]
fn a_wave_that_becomes_late_is_counted_and_marked() {
    let before = world(&[], &one_each(), &[openssl()]);
    let after = world(
        &[("severity: high, within: 30d", "severity: high, within: 4d")],
        &one_each(),
        &[openssl()],
    );
    let comparison = compared(&before, &after);
    assert!(comparison.summary.missed >= 1, "{comparison:#?}");
    assert!(comparison_text(&comparison, "main").contains("newly missed"));
    assert!(
        comparison
            .refusals_added
            .iter()
            .any(|r| r.reason.as_ref() == "deadline")
    );
}

#[test]
fn assets_that_come_and_go_are_named() {
    let before = world(&[], &one_each(), &[openssl()]);
    let mut machines = one_each();
    machines.remove(0);
    machines.push(machine("p9", &[("env", "prod")]));
    let young = advisory("ALSA-2", Severity::Low, "2026-11-19T00:00:00Z", &[("curl", "9-1")]);
    let comparison = compared(&before, &world(&[], &machines, &[openssl(), young]));
    assert_eq!(comparison.assets_added, ["p9".into()]);
    assert_eq!(comparison.assets_removed, ["p1".into()]);
}

#[test]
fn a_resource_that_only_moves_in_its_file_changes_nothing() {
    let untested = [(
        "    - {name: staging, needs: [test], environments: [staging], soak: 24h}\n",
        "",
    )];
    let edit = [untested[0], ("needs: [staging]", "needs: [test]")];
    let machines: Vec<_> = one_each().into_iter().filter(|m| m.name == "p1").collect();
    let before = world(&edit, &machines, &[openssl()]);
    let yaml = format!("# a line more\n{}", resources(&edit));
    let after = world_at(&yaml, &machines, &[openssl()], History::default(), at(NOW));
    assert!(
        !before.plan(at(NOW)).refusals.is_empty(),
        "the world refuses nothing, so it shows nothing"
    );
    let comparison = compared(&before, &after);
    assert!(comparison.is_empty(), "{comparison:#?}");
}
