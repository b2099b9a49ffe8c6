//! Forensic triage that an SLA asks for: in the plan, and in the pull request before the patch.

use patchwave_core::propose::{ForgeOp, Subject, WaveFiles, operations};

use super::support::estate::*;
use super::support::*;

#[test]
fn triage_is_asked_for_on_the_assets_whose_findings_want_it() {
    let rules = "rules:\n    - {name: watched, selector: {matchLabels: {env: prod}}, severity: high, within: 30d, forensics: true}\n";
    let yaml = resources(&[("rules:\n", rules)]);
    let world = world_at(&yaml, &one_each(), &[openssl()], Default::default(), at(NOW));
    let plan = world.plan(at(NOW));
    let rollout = &plan.rollouts[0];
    let prod = rollout.waves.last().unwrap();
    let names: Vec<&str> = batches(prod).concat();
    assert_eq!(rollout.forensics.iter().map(|n| n.as_ref()).collect::<Vec<_>>(), names);
    let body = |wave| {
        let subject = Subject {
            catalog: &world.catalog,
            observation: &world.observation,
            assessment: &world.assessment,
            rollout,
            wave,
            ledger_head: "",
        };
        let ops = operations(subject, &WaveFiles::default(), "rollouts");
        let bodies = ops.into_iter().filter_map(|op| match op {
            ForgeOp::PutPullRequest { body, .. } => Some(body),
            _ => None,
        });
        bodies.collect::<String>()
    };
    let told = body(prod);
    assert!(
        told.contains(&format!(
            "**Forensic triage.** The SLA asks for it on 1 asset, before the patch: {}.",
            names[0]
        )),
        "{told}"
    );
    assert!(told.contains("- [ ] Forensic triage is done"), "{told}");
    assert!(!body(&rollout.waves[0]).contains("orensic"));
}
