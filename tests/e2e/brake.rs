//! The emergency brake: what `halt` works without.

use super::play::{ROLLOUT, proposed, staging_proposed};
use crate::support::{Sandbox, pw};

const HALT: [&str; 6] = ["halt", ROLLOUT, "--reason", "smoke in row 7", "--as", "anna"];

fn halts(estate: &Sandbox) -> Vec<String> {
    let lines = estate.ledger(ROLLOUT);
    let halts = lines.iter().filter(|line| line["event"] == "halt");
    halts
        .map(|line| line["data"]["reason"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_plan_that_is_none_in_an_open_branch_does_not_hold_the_brake() {
    let estate = proposed();
    let branch = format!("patchwave/{ROLLOUT}/test");
    let plan = format!("rollouts/{ROLLOUT}/plan.json");
    estate.push(&branch, "berta", &[(&plan, "{ this is no plan")]);
    let status = estate.run(&["status"]).exits(1);
    assert!(status.err.contains("cannot be believed"), "{}", status.err);
    estate.run(&HALT).exits(0);
    assert_eq!(halts(&estate), ["smoke in row 7"]);
    // What there is nothing of is still a slip of the pen.
    let said = estate
        .run(&["halt", "linux-2026-11-21", "--reason", "x", "--as", "anna"])
        .exits(1);
    assert!(
        said.err.contains("there is no rollout `linux-2026-11-21`"),
        "{}",
        said.err
    );
}

#[test]
fn resources_and_facts_that_cannot_be_read_do_not_hold_the_brake() {
    let estate = staging_proposed();
    estate.edit(
        "fleets/strategies.yaml",
        "kind: RolloutStrategy",
        "kind: RollOutStrategy",
    );
    std::fs::remove_dir_all(estate.path().join("fleets/observed")).unwrap();
    estate.run(&["status"]).exits(1);
    estate.run(&HALT).exits(0);
    assert_eq!(halts(&estate), ["smoke in row 7"]);
    // Without the Project nobody knows which forge to write to.
    estate.edit("patchwave.yaml", "kind: Project", "kind: Projekt");
    estate.run(&HALT).exits(1);
    assert_eq!(halts(&estate).len(), 1);
}

#[test]
fn a_rollout_that_is_not_there_is_not_halted() {
    let estate = proposed();
    let said = estate
        .run(&["halt", "linux-2026-11-21", "--reason", "x", "--as", "anna"])
        .exits(1);
    assert!(
        said.err.contains("there is no open rollout `linux-2026-11-21`"),
        "{}",
        said.err
    );
    assert!(said.err.contains(ROLLOUT), "{}", said.err);
    let fresh = Sandbox::estate();
    let said = pw(fresh.path(), &HALT, "", &[]).exits(1);
    assert!(said.err.contains("there is no local forge yet"), "{}", said.err);
    assert!(!fresh.path().join(".patchwave").exists(), "nothing is made");
}
