//! What a render target cannot promise for a class, and what an update server does not offer.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up should fail"
)]

use std::sync::Arc;

use crate::support::estate::*;
use crate::support::simulate::opened;
use crate::support::*;
use patchwave_core::history::{History, WaveState};
use patchwave_core::load::wire::TargetSpec;
use patchwave_core::name::Severity;
use patchwave_core::observe::{AdvisoryRecord, OfferedUpdate, own_fix};
use patchwave_core::plan::{Plan, Refusal};
use serde_json::{Value, json};

/// A target of the user's own with these capabilities.
fn own(name: &str, extra: Value) -> TargetSpec {
    let mut spec = json!({
        "formatVersion": "1.0", "name": name, "description": "x", "ecosystems": ["rpm", "deb"], "kinds": ["os"],
        "files": [{"path": format!("{name}/x.txt"), "copy": "x.txt", "escape": "none"}],
    });
    spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    serde_json::from_value(spec).unwrap()
}

/// Everything promised.
fn able() -> Value {
    json!({"control": "push", "pins": true, "notBefore": true, "rollback": ["exact", "snapshot"], "hooks": "asset",
        "backups": ["vm-snapshot"], "backupEvidence": true, "roles": true, "checks": true, "workloads": true})
}

fn without(what: &[(&str, Value)]) -> Value {
    let mut capabilities = able();
    let map = capabilities.as_object_mut().unwrap();
    map.extend(what.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    json!({ "capabilities": capabilities })
}

/// The plan of an estate whose classes use the target `tool`, with these changes to the resources.
fn planned(spec: TargetSpec, changes: &[(&str, &str)]) -> Plan {
    let now = at(NOW);
    let mut all = vec![("target: ansible", "target: appliance"); 3];
    all.extend(changes);
    let mut catalog = catalog(&resources(&all), now);
    catalog.target_folders.insert("appliance".to_owned());
    catalog.targets.insert("appliance".to_owned(), spec);
    let advisories = [advisory(
        "A-1",
        Severity::High,
        "2026-11-18T00:00:00Z",
        &[("openssl-libs", "1:3.0.7-27.el9")],
    )];
    let observation = observation("f", &[], &one_each(), &advisories, now);
    World::new(catalog, observation, History::default(), now).plan(now)
}

fn of<'p>(plan: &'p Plan, asset: &str) -> Vec<&'p Refusal> {
    plan.refusals.iter().filter(|r| *r.asset == *asset).collect()
}

#[test]
fn a_target_that_can_do_everything_is_refused_nothing() {
    let plan = planned(own("appliance", without(&[])), &[]);
    assert_eq!(refusals(&plan), []);
    assert_eq!(plan.rollouts[0].waves.len(), 3);
}

#[test]
fn each_wish_of_a_class_that_the_target_cannot_promise_is_named_with_its_line_and_a_way_out() {
    type Case<'c> = (&'c [(&'c str, Value)], &'c [(&'c str, &'c str)], &'c str);
    let hooks = (
        "backup: none, rollback: package-downgrade}",
        "backup: none, rollback: package-downgrade}\n  hooks: {beforeAsset: [{name: lb-drain}]}",
    );
    let batch_hooks = (
        "backup: none, rollback: package-downgrade}",
        "backup: none, rollback: package-downgrade}\n  hooks: {afterBatch: [{name: lb-drain}]}",
    );
    let snapshot = ("backup: none,", "backup: vm-snapshot,");
    let max_age = ("backup: none,", "backup: none, maxAge: 12h,");
    let never = ("reboot: ifNeeded", "reboot: never");
    let always = ("reboot: ifNeeded", "reboot: always");
    let cases: &[Case<'_>] = &[
        (&[("rollback", json!([]))], &[], "rollback `package-downgrade`"),
        (&[("hooks", json!("batch"))], &[hooks], "hooks around each asset"),
        (&[("hooks", json!("none"))], &[batch_hooks], "hooks around a batch"),
        (&[("backups", json!([]))], &[snapshot], "backup `vm-snapshot`"),
        (
            &[("backupEvidence", json!(false))],
            &[max_age],
            "a backup not older than `maxAge`",
        ),
        (&[("reboot", json!("client"))], &[never], "`reboot: never`"),
        (&[("reboot", json!("none"))], &[always], "`reboot: always`"),
        (&[("reboot", json!("client"))], &[always], "`reboot: always`"),
        // Never rebooted, a new kernel is installed and does not run.
        (&[("reboot", json!("none"))], &[], "`reboot: ifNeeded`"),
    ];
    for (lacks, changes, asks) in cases {
        let plan = planned(own("appliance", without(lacks)), changes);
        let told = of(&plan, "t1");
        assert_eq!(told.len(), 1, "{asks}: {:?}", plan.refusals);
        assert_eq!(&*told[0].reason, "target");
        let detail = &told[0].detail;
        assert!(
            detail.contains("target cannot do it: class test asks `appliance` for") && detail.contains(asks),
            "{detail}"
        );
        assert!(detail.contains(".yaml:"), "no line in {detail}");
        assert!(
            told[0].fixes.iter().any(|fix| fix == "use `ansible` in class test"),
            "{:?}",
            told[0].fixes
        );
        assert!(told[0].fixes.len() >= 2, "{:?}", told[0].fixes);
        // The same wishes are no refusal for a target that has it all.
        assert_eq!(
            refusals(&planned(own("appliance", without(&[])), changes)),
            [],
            "{asks}"
        );
    }
}

#[test]
fn a_window_that_closes_needs_a_target_that_can_wait_and_whose_late_clients_stay_away() {
    for lacks in [("notBefore", json!(false)), ("lateClients", json!("install"))] {
        let plan = planned(own("appliance", without(&[("control", json!("pull")), lacks])), &[]);
        // Only prod has nights; test and staging are always open.
        assert_eq!(refusals(&plan), [("target", "p1")], "{:?}", plan.refusals);
        assert!(
            plan.refusals[0].detail.contains("a window that is closed at times"),
            "{:?}",
            plan.refusals
        );
    }
}

#[test]
fn what_is_not_pinned_cannot_be_what_was_tested() {
    let plan = planned(own("appliance", without(&[("pins", json!(false))])), &[]);
    assert!(plan.rollouts.is_empty());
    assert!(
        plan.refusals.iter().all(|r| r.detail.contains("requires.tested")),
        "{:?}",
        plan.refusals
    );
}

#[test]
fn facts_a_target_cannot_do_without_are_asked_for_by_name() {
    let spec = own("appliance", json!({"capabilities": able(), "needs": ["content"]}));
    let plan = planned(spec, &[]);
    assert_eq!(refusals(&plan), [("target", "p1"), ("target", "s1"), ("target", "t1")]);
    assert!(
        plan.refusals[0].fixes.iter().any(|fix| fix.contains("`content`")),
        "{:?}",
        plan.refusals
    );
}

fn windows_fix(kb: Option<&str>) -> AdvisoryRecord {
    let fix =
        json!({"component": {"kind": "os", "vendor": "microsoft", "product": "windows"}, "fixed": "10.0.20348.2762"});
    let mut fix = own_fix(&serde_json::from_value(fix).unwrap()).unwrap();
    fix.kb = kb.map(Into::into);
    AdvisoryRecord {
        fixes: vec![fix],
        ..advisory("CVE-2026-1", Severity::High, "2026-11-18T00:00:00Z", &[])
    }
}

fn offered(kb: &str, superseded: bool) -> OfferedUpdate {
    OfferedUpdate {
        update_id: "fb95c1c8-de23-4089-ae29-fd3351d55421".into(),
        revision: 201,
        kbs: vec![kb.into()],
        title: "2026-11 Cumulative Update".into(),
        state: "NotInstalled".into(),
        approval: "NotApproved".into(),
        eula: false,
        uninstallable: false,
        superseded,
    }
}

/// Refusals of an estate of Windows servers that are offered `updates`.
fn windows(kb: Option<&str>, updates: Option<Vec<OfferedUpdate>>, rollback: &str) -> Plan {
    windows_after(History::default(), kb, updates, rollback)
}

fn windows_after(history: History, kb: Option<&str>, updates: Option<Vec<OfferedUpdate>>, rollback: &str) -> Plan {
    let now = at(NOW);
    let rollback = format!("rollback: {rollback}");
    let mut changes = vec![("target: ansible", "target: appliance"); 3];
    changes.extend([("rollback: package-downgrade", rollback.as_str()); 3]);
    let mut catalog = catalog(&resources(&changes), now);
    catalog.target_folders.insert("appliance".to_owned());
    catalog
        .targets
        .insert("appliance".to_owned(), own("appliance", without(&[])));
    let mut observation = observation("f", &[], &one_each(), &[windows_fix(kb)], now);
    for asset in &mut observation.assets {
        (asset.facts.os, asset.facts.packages) = (None, None);
        asset.facts.os_build = Some("10.0.20348.2700".into());
        asset.facts.updates = updates.clone().map(Arc::from);
    }
    World::new(catalog, observation, history, now).plan(now)
}

#[test]
fn a_build_that_the_update_server_does_not_offer_is_not_planned() {
    let fine = windows(Some("5044281"), Some(vec![offered("5044281", false)]), "none");
    assert_eq!(refusals(&fine), []);
    // Nobody asked an update server: unknown, planned and marked; but then nobody knows of a way back either.
    assert_eq!(refusals(&windows(Some("5044281"), None, "none")), []);
    for rollback in ["kb-uninstall", "package-downgrade"] {
        let plan = windows(Some("5044281"), None, rollback);
        assert_eq!(
            refusals(&plan),
            [("irreversible", "p1"), ("irreversible", "s1"), ("irreversible", "t1")]
        );
        let refused = &plan.refusals[0];
        assert!(
            refused.detail.contains("can be uninstalled")
                && refused.detail.contains(".yaml:")
                && refused.fixes.len() == 2,
            "{refused:?}"
        );
    }
    for (kb, updates, rollback, says) in [
        (
            Some("5044281"),
            vec![offered("5044999", false)],
            "none",
            "offers the asset none of them",
        ),
        (
            Some("5044281"),
            vec![offered("5044281", true)],
            "none",
            "offers the asset none of them",
        ),
        (
            None,
            vec![offered("5044281", false)],
            "none",
            "no advisory names the article",
        ),
        (
            Some("5044281"),
            vec![offered("5044281", false)],
            "kb-uninstall",
            "cannot be uninstalled",
        ),
    ] {
        let plan = windows(kb, Some(updates), rollback);
        assert!(plan.rollouts.is_empty(), "{says}");
        assert!(
            plan.refusals.iter().all(|r| r.detail.contains(says)),
            "{says}: {:?}",
            plan.refusals
        );
        assert_eq!(plan.refusals.len(), 3);
    }
}

/// Refusals of an estate whose machines have `bash` besides, fixed by the same advisory, with these changes to the policy.
fn whole(installs_whole: bool, changes: &[(&str, &str)]) -> Plan {
    let now = at(NOW);
    let mut all = vec![("target: ansible", "target: appliance"); 3];
    all.extend(changes);
    let mut catalog = catalog(&resources(&all), now);
    catalog.target_folders.insert("appliance".to_owned());
    let mut extra = without(&[]);
    extra["wholeAdvisories"] = installs_whole.into();
    catalog.targets.insert("appliance".to_owned(), own("appliance", extra));
    let mut machines = one_each();
    for machine in &mut machines {
        machine
            .packages
            .push(("bash".into(), "5.1.8-9.el9".into(), "bash".into()));
    }
    let fixes = [
        ("openssl-libs", "1:3.0.7-27.el9"),
        ("bash", "5.1.8-10.el9"),
        ("curl", "9-1.el9"),
    ];
    let advisories = [advisory("A-1", Severity::High, "2026-11-18T00:00:00Z", &fixes)];
    let observation = observation("f", &[], &machines, &advisories, now);
    World::new(catalog, observation, History::default(), now).plan(now)
}

#[test]
fn a_job_for_a_whole_advisory_does_not_bring_what_the_policy_keeps_out() {
    let exclude = [(
        "    - types: [security]\n",
        "    - types: [security]\n  exclude:\n    - packages: [bash]\n      reason: x\n",
    )];
    // Everything the advisory brings is wanted: nothing is in the way.
    assert_eq!(refusals(&whole(true, &[])), []);
    // A tool that installs packages leaves out what is excluded.
    let plan = whole(false, &exclude);
    assert_eq!(refusals(&plan), []);
    assert_eq!(plan.rollouts[0].targets.len(), 1);
    let plan = whole(true, &exclude);
    assert_eq!(refusals(&plan), [("target", "p1"), ("target", "s1"), ("target", "t1")]);
    let refused = &plan.refusals[0];
    assert!(
        refused.detail.contains("A-1") && refused.detail.contains("bash 5.1.8-10.el9"),
        "{refused:?}"
    );
    assert!(plan.rollouts.is_empty());
}

#[test]
fn what_was_cut_stays_approvable_after_the_next_month_has_superseded_it() {
    let kb = Some("5044281");
    let cut = windows(kb, Some(vec![offered("5044281", false)]), "none");
    let history = opened(&cut, &[WaveState::Promoted, WaveState::Approved]);
    let superseded = || Some(vec![offered("5044281", true)]);
    let went_on = windows_after(history.clone(), kb, superseded(), "none");
    assert_eq!(refusals(&went_on), []);
    assert_eq!(went_on.rollouts[0].name, cut.rollouts[0].name);
    let last: Vec<&str> = (went_on.rollouts[0].waves[2].batches.iter())
        .flat_map(|b| &b.assets)
        .map(|a| &*a.name)
        .collect();
    assert_eq!(last, ["p1"]);
    // Declined or expired it is not among what the server tells any more.
    let gone = windows_after(history, kb, Some(vec![]), "none");
    assert!(gone.refusals.iter().any(|r| &*r.asset == "p1"), "{:?}", gone.refusals);
}

#[test]
fn a_workload_is_measured_by_a_tool_that_can_or_the_class_is_told() {
    let suite = "---\napiVersion: patchwave.dev/v1\nkind: ValidationSuite\nmetadata: {name: bench}\nspec:\n  checks:\n    \
                 - {name: rate, workload: {command: bench, metric: rate, maxRegression: 5%}}\n---\n";
    let changes = [
        (
            "backup: none, rollback: package-downgrade}",
            "backup: none, rollback: package-downgrade}\n  validation: [bench]",
        ),
        (
            "---\napiVersion: patchwave.dev/v1\nkind: RolloutStrategy",
            &*format!("{suite}apiVersion: patchwave.dev/v1\nkind: RolloutStrategy"),
        ),
    ];
    assert_eq!(refusals(&planned(own("appliance", without(&[])), &changes)), []);
    let plan = planned(own("appliance", without(&[("workloads", json!(false))])), &changes);
    let told = of(&plan, "t1");
    assert_eq!(told.len(), 1, "{:?}", plan.refusals);
    assert!(
        told[0].detail.contains("a workload before and after") && told[0].detail.contains(".yaml:"),
        "{told:?}"
    );
}
