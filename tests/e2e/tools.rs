//! The shipped example through tools that are not Ansible: from an export and a feed to an approval, from answers of an API to a job.

use serde_json::Value;

use crate::support::Sandbox;

fn rendered(sandbox: &Sandbox, path: &str) -> Value {
    let text = std::fs::read_to_string(sandbox.path().join(".patchwave/render").join(path));
    serde_json::from_str(&text.unwrap_or_else(|e| panic!("{path}: {e}"))).unwrap()
}

#[test]
fn windows_goes_from_an_export_and_a_feed_to_an_approval_and_satellite_from_answers_to_a_job() {
    let mut sandbox = Sandbox::shipped();
    sandbox.at("2026-11-20T12:00:00Z");
    sandbox.run(&["render"]).exits(0);
    let batch = rendered(
        &sandbox,
        "rollouts/windows-security-2026-11-20/waves/01-test/wsus/batch-01.json",
    );
    let told = batch.to_string();
    // The update that the export offers this very computer for the article that the feed names for the build.
    assert!(
        told.contains("3c1f7a52-6f0e-4b8a-9a55-0d5f6a2e9c11") && told.contains("201"),
        "{told}"
    );
    assert!(
        told.contains("fs-t1.dc1.example.org") && !told.contains("fs-p1"),
        "{told}"
    );
    let job = rendered(
        &sandbox,
        "rollouts/payroll-security-2026-11-20/waves/01-test/satellite/bodies/batch-01.json",
    );
    let told = job.to_string();
    assert!(told.contains("ALSA-2026:9101"), "{told}");
    let plan = sandbox.run(&["plan", "--format", "json"]).exits(0).json();
    let rollouts = plan["rollouts"].as_array().unwrap();
    for name in ["windows-security-2026-11-20", "payroll-security-2026-11-20"] {
        let rollout = rollouts.iter().find(|r| r["name"] == name).unwrap();
        assert_eq!(
            (&rollout["reproducible"], &rollout["installabilityUnknown"]),
            (&true.into(), &false.into()),
            "{name}"
        );
    }
    // Nothing is offered any more: refused with what would help, and the rest is not stopped.
    sandbox.type_in("fleets/windows/wsus01.json", "5091281", "5000000");
    let plan = sandbox.run(&["plan", "--format", "json"]).exits(0).json();
    let refusals = plan["refusals"].as_array().unwrap();
    let about = refusals
        .iter()
        .filter(|r| r["asset"].as_str().is_some_and(|a| a.starts_with("fs-")));
    assert_eq!(
        about.filter(|r| r["reason"] == "not-installable").count(),
        4,
        "{refusals:?}"
    );
    assert!(
        plan["rollouts"]
            .as_array()
            .unwrap()
            .iter()
            .any(|r| r["name"] == "payroll-security-2026-11-20")
    );
}
