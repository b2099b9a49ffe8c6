//! What people ask before they merge an edit, and after they are told no: `plan --base`, `plan --at`, `explain`.

use crate::support::Sandbox;

#[test]
fn an_edit_is_compared_with_a_reference() {
    let sandbox = Sandbox::estate();
    let same = sandbox.run(&["plan", "--base", "HEAD", "--detailed-exitcode"]).exits(0);
    assert!(same.out.contains("nothing changes"), "{}", same.out);

    sandbox.type_in("fleets/strategies.yaml", "soak: 24h", "soak: 30h");
    let text = sandbox.run(&["plan", "--base", "HEAD", "--detailed-exitcode"]).exits(2);
    assert!(text.out.contains("soaks 1d6h (was 1d)"), "{}", text.out);
    let markdown = sandbox
        .run(&["plan", "--base", "HEAD", "--format", "markdown"])
        .exits(0);
    assert!(
        markdown.out.starts_with("### What this edit changes"),
        "{}",
        markdown.out
    );
    let json = sandbox
        .run(&["plan", "--base", "HEAD", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(json["formatVersion"], "1.0");
    assert_eq!(json["base"], "HEAD");
    assert!(!json["rollouts"].as_array().unwrap().is_empty());

    sandbox.commit("longer soak");
    let committed = sandbox.run(&["plan", "--base", "HEAD"]).exits(0);
    assert!(committed.out.contains("nothing changes"), "{}", committed.out);
    let parent = sandbox.run(&["plan", "--base", "HEAD~1"]).exits(0);
    assert!(parent.out.contains("soaks 1d6h (was 1d)"), "{}", parent.out);
}

#[test]
fn a_reference_that_is_not_there_or_does_not_validate_is_an_error() {
    let sandbox = Sandbox::estate();
    let said = sandbox.run(&["plan", "--base", "no-such-branch"]).exits(1);
    assert!(
        said.err.contains("no-such-branch") && said.err.contains("fetch"),
        "{}",
        said.err
    );
    sandbox.edit("fleets/strategies.yaml", "soak: 24h", "soka: 24h");
    sandbox.type_in("fleets/strategies.yaml", "soka: 24h", "soak: 24h");
    let said = sandbox.run(&["plan", "--base", "HEAD"]).exits(1);
    assert!(said.err.contains("the repository at HEAD has"), "{}", said.err);
}

#[test]
fn a_plan_for_another_day_keeps_the_facts_of_today() {
    let sandbox = Sandbox::estate();
    let today = sandbox.run(&["plan", "--format", "json"]).exits(0).json();
    let later = sandbox
        .run(&["plan", "--at", "2027-03-01", "--format", "json"])
        .exits(0);
    assert!(later.err.contains("nothing is assumed"), "{}", later.err);
    let later = later.json();
    // The start of the day in the zone of the project, which is Berlin.
    assert_eq!(later["now"], "2027-02-28T23:00:00Z");
    assert!(today["summary"]["missed"].as_u64() < later["summary"]["missed"].as_u64());
    // Facts do not grow stale by asking.
    assert!(!later.to_string().contains("\"stale\":true"));
    sandbox.run(&["plan", "--at", "2027-02-30"]).exits(64);
}

#[test]
fn rollouts_windows_and_refusals_are_explained_with_their_lines() {
    let sandbox = Sandbox::estate();
    let name = sandbox.run(&["plan", "--format", "json"]).json()["rollouts"][0]["name"]
        .as_str()
        .unwrap()
        .to_owned();
    let rollout = sandbox.run(&["explain", "rollout", &name]).exits(0);
    for words in ["fleets/strategies.yaml:", "wave test of", "closes", "opening"] {
        assert!(rollout.out.contains(words), "`{words}` is not in\n{}", rollout.out);
    }
    let window = sandbox.run(&["explain", "window", "nights"]).exits(0);
    assert!(
        window.out.contains("fleets/classes.yaml:") && window.out.contains("used by") || window.out.contains("class "),
        "{}",
        window.out
    );
    sandbox
        .run(&["explain", "rollout", &name, "--format", "json"])
        .exits(0)
        .json();
    let missing = sandbox.run(&["explain", "rollout", "nothing-2026-01-01"]).exits(1);
    assert!(missing.err.contains(&name), "{}", missing.err);
    let none = sandbox.run(&["explain", "refusal", "no-such-asset"]).exits(1);
    assert!(none.err.contains("nothing is refused of"), "{}", none.err);
}
