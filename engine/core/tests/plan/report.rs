//! What the plan says of the estate, and what lifecycles and overrides do to it.

use crate::support::estate::*;
use crate::support::*;
use patchwave_core::load::wire::Lifecycle;
use patchwave_core::plan::Plan;

fn plan_of(changes: &[(&str, &str)], more: &str, machines: &[Machine]) -> Plan {
    let yaml = resources(changes) + more;
    world_at(&yaml, machines, &[openssl()], Default::default(), at(NOW)).plan(at(NOW))
}

fn notes<'p>(plan: &'p Plan, subject: &str) -> Vec<&'p str> {
    let notes = plan.notes.iter().filter(|n| n.subject.as_ref() == subject);
    notes.map(|n| n.message.as_str()).collect()
}

fn prod(names: &[&str], labels: &[(&str, &str)]) -> Vec<Machine> {
    let all = |name: &&str| {
        let mut labels = labels.to_vec();
        labels.push(("env", "prod"));
        machine(name, &labels)
    };
    let others = one_each().into_iter().filter(|m| m.name != "p1");
    names.iter().map(all).chain(others).collect()
}

#[test]
fn a_policy_that_only_looks_says_how_much_it_sees() {
    let observe = [("  rollout: standard\n", "  rollout: standard\n  mode: observe\n")];
    let plan = plan_of(&observe, "", &one_each());
    assert_eq!(
        notes(&plan, "linux"),
        ["3 finding(s) are only reported: `mode: observe`"]
    );
    assert!(plan.rollouts.is_empty() && plan.waiting.is_empty());
}

#[test]
fn production_without_a_twin_is_named_with_what_follows() {
    let untested = |word: &str| {
        let requires = format!("  rollout: standard\n  requires: {{likeness: [tier], untested: {word}}}\n");
        let mut machines = prod(&["a", "b"], &[("tier", "db")]);
        machines.extend(prod(&["c"], &[]).into_iter().take(1));
        let plan = plan_of(&[("  rollout: standard\n", &requires)], "", &machines);
        notes(&plan, "prod").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let refuse = untested("refuse");
    assert_eq!(refuse.len(), 1, "c has its twins in test and staging: {refuse:?}");
    assert!(
        refuse[0]
            .starts_with("2 asset(s) (almalinux 9 x86_64, tier=db; first a) have no twin in wave test or staging: ")
            && refuse[0].contains("refused as untested"),
        "{refuse:?}"
    );
    assert!(untested("canary")[0].contains("one of them goes first, alone"));
    assert!(untested("extra-approval")[0].contains("one more approval"));
}

#[test]
fn an_objective_that_is_missed_is_a_line() {
    let objective = |share: &str| {
        let objective = format!("  rollout: standard\n  objectives: {{compliance: {share}}}\n");
        let mut machines = one_each();
        machines[0].stale = true;
        let plan = plan_of(&[("  rollout: standard\n", &objective)], "", &machines);
        notes(&plan, "linux").join("; ")
    };
    assert!(
        objective("98%").starts_with("objective missed: 2 of 3 assets are compliant, 98%"),
        "{}",
        objective("98%")
    );
    assert_eq!(objective("60%"), "");
}

#[test]
fn overrides_are_lines_until_they_are_reviewed() {
    let freeze = "---\napiVersion: patchwave.dev/v1\nkind: ChangeFreeze\nmetadata: {name: winter}\nspec: {selector: {matchLabels: {env: prod}}, rule: {rrule: FREQ=DAILY, start: \"00:00\", duration: 24h, timezone: UTC}}\n";
    let lift = |until: &str, review: &str| {
        format!(
            "{freeze}---\napiVersion: patchwave.dev/v1\nkind: Override\nmetadata: {{name: let-go}}\nspec: {{what: freeze, freeze: winter, selector: {{matchLabels: {{env: prod}}}}, by: boss, ticket: CHG-1, until: {until}{review}}}\n"
        )
    };
    // A freeze by rule that never ends: production has no place in time.
    let frozen = plan_of(&[], freeze, &one_each());
    assert!(frozen.rollouts[0].waves[2].batches[0].start.is_none());
    let lifted = plan_of(&[], &lift("2026-12-01", ", reviewBy: 2026-12-05"), &one_each());
    assert!(lifted.rollouts[0].waves[2].batches[0].start.is_some());
    let line = notes(&lifted, "let-go").join("");
    assert!(
        line.starts_with("override by boss, CHG-1: lifts freeze winter for 1 asset(s) until 2026-12-01")
            && line.contains("to be reviewed by 2026-12-05"),
        "{line}"
    );
    let over = plan_of(&[], &lift("2026-11-01", ", reviewBy: 2026-11-05"), &one_each());
    assert!(over.rollouts[0].waves[2].batches[0].start.is_none());
    assert!(notes(&over, "let-go")[0].contains("overdue"), "{:?}", over.notes);
    assert!(notes(&plan_of(&[], &lift("2026-11-01", ""), &one_each()), "let-go").is_empty());
}

#[test]
fn what_somebody_works_on_is_left_alone_and_counts_as_down() {
    let services = [(
        "  services: []",
        "  services:\n    - {name: web, members: {matchLabels: {tier: web}}, maxUnavailable: 1}",
    )];
    let mut machines = prod(&["a", "b"], &[("tier", "web")]);
    machines[0].lifecycle = Lifecycle::Maintenance;
    let plan = plan_of(&services, "", &machines);
    assert!(refusals(&plan).contains(&("maintenance", "a")), "{:?}", plan.refusals);
    let last = plan.rollouts[0].waves.last().unwrap();
    assert_eq!(
        (batches(last), last.batches[0].start),
        (vec![vec!["b"]], None),
        "one of web is down already"
    );
    machines[0].lifecycle = Lifecycle::Active;
    let plan = plan_of(&services, "", &machines);
    assert!(
        plan.rollouts[0]
            .waves
            .last()
            .unwrap()
            .batches
            .iter()
            .all(|b| b.start.is_some())
    );
}

#[test]
fn a_cold_standby_is_no_member_a_service_can_spare() {
    let services = [(
        "  services: []",
        "  services:\n    - {name: web, members: {matchLabels: {tier: web}}, minAvailable: 1}",
    )];
    let mut machines = prod(&["a", "b"], &[("tier", "web")]);
    assert_eq!(
        batches(plan_of(&services, "", &machines).rollouts[0].waves.last().unwrap()),
        [["a"], ["b"]]
    );
    machines[0].lifecycle = Lifecycle::Standby;
    let plan = plan_of(&services, "", &machines);
    assert_eq!(refusals(&plan), [("budget", "b")], "nobody serves while b is down");
    assert_eq!(batches(plan.rollouts[0].waves.last().unwrap()), [["a"]]);
}

#[test]
fn assets_that_may_be_away_are_a_line_and_those_away_for_longer_too() {
    let class = [(
        "  target: ansible\n  window: {fromLabel",
        "  target: ansible\n  absence: {allowed: 30d}\n  window: {fromLabel",
    )];
    let mut machines = one_each();
    machines[0].stale = true;
    let plan = plan_of(&class, "", &machines);
    assert!(
        notes(&plan, "prod")[0].starts_with("1 asset(s) are away, which is allowed for"),
        "{:?}",
        plan.notes
    );
    let short = [(
        class[0].0,
        "  target: ansible\n  absence: {allowed: 1h}\n  window: {fromLabel",
    )];
    let plan = plan_of(&short, "", &machines);
    assert!(notes(&plan, "p1")[0].contains("longer than"), "{:?}", plan.notes);
}
