//! `test`: PolicyTests of a repository.

use crate::support::{Sandbox, home, pw};

/// A repository made by `init`, with one more file of tests.
fn scaffold(tests: &str) -> Sandbox {
    let sandbox = Sandbox::empty();
    sandbox.run(&["init"]).exits(0);
    std::fs::write(sandbox.path().join("policies/more.yaml"), tests).unwrap();
    sandbox
}

const HEAD: &str =
    "apiVersion: patchwave.dev/v1\nkind: PolicyTest\nmetadata: {name: more}\nspec:\n  now: 2026-11-20T12:00:00Z\n";

const WORLD: &str = r#"  assets: [{name: web-1, os: {family: rhel, id: almalinux, version: "9.4", arch: x86_64}, packages: [{name: bash, version: 5.1-1.el9, arch: x86_64}]}]
  advisories: [{id: T-1, severity: high, published: 2026-11-18, fixes: [{ecosystem: "AlmaLinux:9", package: bash, fixed: 5.1-2.el9}]}]
"#;

#[test]
fn the_shipped_example_and_a_new_repository_pass_their_tests() {
    let shipped = pw(&home(), &["test"], "", &[]).exits(0);
    assert!(shipped.out.contains("4 tests: 4 passed, 0 failed"), "{}", shipped.out);
    let sandbox = Sandbox::empty();
    sandbox.run(&["init"]).exits(0);
    let said = sandbox.run(&["test"]).exits(0);
    assert!(said.out.contains("2 tests: 2 passed, 0 failed"), "{}", said.out);
}

#[test]
fn every_failure_is_said_at_once_with_the_rule_that_decided() {
    let expect = "  expect:\n    findings:\n      - {asset: web-1, advisory: T-1, rule: critical}\n      - {asset: web-1, advisory: T-1, absent: true}\n";
    let sandbox = scaffold(&format!("{HEAD}{WORLD}{expect}"));
    let said = sandbox.run(&["test"]).exits(1);
    for part in [
        "FAIL more (policies/more.yaml:3)",
        "policies/more.yaml:10:45: the finding of T-1 on web-1: rule differs",
        "- rule: critical",
        "+ rule: high",
        "decided by rule `high` of SlaPolicy `standard` at policies/linux.yaml:30",
        "the expected rule `critical` stands at policies/linux.yaml:29",
        "policies/more.yaml:11:9: the finding of T-1 on web-1 is there, and must not be",
        "3 tests: 2 passed, 1 failed",
    ] {
        assert!(said.out.contains(part), "{part} is not in\n{}", said.out);
    }
    let json = sandbox.run(&["test", "--format", "json"]).exits(1).json();
    assert_eq!(json["ok"], false);
    assert_eq!(json["failed"], 1);
    let failures = json["tests"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["name"] == "more")
        .unwrap()["failures"]
        .clone();
    assert_eq!(failures[0]["pointer"], "/spec/expect/findings/0/rule");
    assert_eq!(failures[0]["line"], 10);
    let junit = sandbox.run(&["test", "--format", "junit"]).exits(1).out;
    assert!(junit.contains("<testsuites tests=\"3\" failures=\"1\""), "{junit}");
}

#[test]
fn a_path_chooses_tests_and_finding_none_is_a_warning() {
    let expect = "  expect: {findings: [{asset: web-1, advisory: T-1, rule: critical}]}\n";
    let sandbox = scaffold(&format!("{HEAD}{WORLD}{expect}"));
    let said = sandbox.run(&["test", "policies/tests.yaml"]).exits(0);
    assert!(said.out.contains("2 tests: 2 passed"), "{}", said.out);
    sandbox.run(&["test", "policies/more.yaml"]).exits(1);
    sandbox.run(&["test", "policies"]).exits(1);
    let none = sandbox.run(&["test", "fleets"]).exits(0);
    assert!(
        none.err.contains("warning: no PolicyTest stands in these files"),
        "{}",
        none.err
    );
    sandbox.run(&["test", "nowhere"]).exits(1);
}

#[test]
fn an_asset_or_advisory_that_is_not_given_is_found_when_loading() {
    let expect =
        "  expect:\n    findings:\n      - {asset: web-2, advisory: T-1}\n      - {asset: web-1, advisory: T-2}\n";
    let sandbox = scaffold(&format!("{HEAD}{WORLD}{expect}"));
    let said = sandbox.run(&["test"]).exits(1);
    for part in [
        "policies/more.yaml:10:17: error[PW0201]: there is no asset in this test called `web-2`",
        "did you mean `web-1`?",
        "policies/more.yaml:11:34: error[PW0201]: there is no advisory in this test or repository called `T-2`",
    ] {
        assert!(said.err.contains(part), "{part} is not in\n{}", said.err);
    }
}

#[test]
fn a_fact_that_cannot_be_read_proves_nothing() {
    let absent = "  expect: {findings: [{asset: web-1, advisory: T-1, absent: true}]}\n";
    let misspelt = WORLD.replace("arch: x86_64}, packages", "arch: x86_64}, pakages");
    let said = scaffold(&format!("{HEAD}{misspelt}{absent}")).run(&["test"]).exits(1);
    assert!(
        said.err.contains("error[PW0101]: `pakages` is no fact of an asset"),
        "{}",
        said.err
    );
    assert!(said.err.contains("did you mean `packages`?"), "{}", said.err);
    let unreadable = WORLD.replace("version: 5.1-1.el9,", "version: [],");
    let said = scaffold(&format!("{HEAD}{unreadable}{absent}")).run(&["test"]).exits(1);
    assert!(
        said.out
            .contains("the test cannot be played: web-1: packages[0]: field `version` was dropped"),
        "{}",
        said.out
    );
}
