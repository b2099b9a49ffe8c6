//! A host for which no file can be made is left out with its reason, and the rest of its wave goes on.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot be set up should fail"
)]

use std::sync::Arc;

use crate::support::estate::*;
use crate::support::*;
use patchwave_core::history::History;
use patchwave_core::load::wire::TargetSpec;
use patchwave_core::name::Severity;
use patchwave_core::observe::{AdvisoryRecord, Asset, ContentView, Kubernetes, own_fix};
use patchwave_core::plan::Plan;
use serde_json::{Value, json};

/// The plan of two machines an environment, all by one target, with what is observed of each changed.
fn planned(tool: Value, advisories: &[AdvisoryRecord], edit: impl Fn(&mut Asset)) -> Plan {
    let now = at(NOW);
    let mut catalog = catalog(&resources(&[("target: ansible", "target: appliance"); 3]), now);
    let mut spec = json!({
        "formatVersion": "1.0", "name": "appliance", "description": "x", "ecosystems": ["rpm"], "kinds": ["kubernetes"],
        "files": [{"path": "appliance/x.txt", "copy": "x.txt", "escape": "none"}],
        "capabilities": {"control": "push", "pins": true, "notBefore": true, "rollback": ["exact"]},
    });
    spec.as_object_mut().unwrap().extend(tool.as_object().unwrap().clone());
    let spec: TargetSpec = serde_json::from_value(spec).unwrap();
    catalog.target_folders.insert("appliance".to_owned());
    catalog.targets.insert("appliance".to_owned(), spec);
    let names = [("t1", "test"), ("t2", "test"), ("s1", "staging"), ("p1", "prod")];
    let machines: Vec<Machine> = names.iter().map(|(name, env)| machine(name, &[("env", env)])).collect();
    let mut observation = observation("f", &[], &machines, advisories, now);
    observation.assets.iter_mut().for_each(edit);
    World::new(catalog, observation, History::default(), now).plan(now)
}

/// That `t2` alone was left out, by one refusal that says `words`, and every wave has its others.
fn leaves_out_one(plan: &Plan, words: &str) {
    assert_eq!(refusals(plan), [("target", "t2")], "{words}: {:?}", plan.refusals);
    let refused = &plan.refusals[0];
    assert!(
        refused.detail.contains(words) && !refused.fixes.is_empty(),
        "{words}: {refused:?}"
    );
    let waves = plan.rollouts[0].waves.iter();
    let assets: Vec<Vec<&str>> = waves
        .map(|w| w.batches.iter().flat_map(|b| &b.assets).map(|a| &*a.name).collect())
        .collect();
    assert_eq!(assets, [["t1"], ["s1"], ["p1"]], "{words}");
}

fn view() -> ContentView {
    ContentView {
        host_id: Some(17),
        organization: "Acme".into(),
        view: "base".into(),
        view_id: 3,
        version: "12.0".into(),
        version_id: 88,
        environment: "Prod".into(),
        environment_id: 2,
        rolling: false,
        composite: false,
    }
}

#[test]
fn a_host_whose_content_view_cannot_be_used_does_not_stop_its_wave() {
    let advisories = [advisory(
        "A-1",
        Severity::High,
        "2026-11-18T00:00:00Z",
        &[("openssl-libs", "1:3.0.7-27.el9")],
    )];
    let of = |odd: ContentView| {
        planned(
            json!({"needs": ["content"], "wholeAdvisories": true}),
            &advisories,
            |asset| {
                let view = if *asset.name == *"t2" { odd.clone() } else { view() };
                asset.facts.content = Some(Arc::from([view]));
            },
        )
    };
    assert_eq!(refusals(&of(view())), []);
    let odd: [(ContentView, &str); 4] = [
        (
            ContentView {
                rolling: true,
                ..view()
            },
            "`base` is rolling",
        ),
        (
            ContentView {
                host_id: None,
                ..view()
            },
            "without its `hostId`",
        ),
        (
            ContentView {
                version_id: 0,
                ..view()
            },
            "without the ids",
        ),
        (
            ContentView {
                view: "ba\"se".into(),
                ..view()
            },
            "holds a quote",
        ),
    ];
    for (odd, words) in odd {
        leaves_out_one(&of(odd), words);
    }
}

#[test]
fn a_node_whose_version_lacks_its_build_does_not_stop_its_wave() {
    let component = json!({"component": {"kind": "kubernetes", "product": "kubelet"}, "fixed": "1.31.5"});
    let advisories = [AdvisoryRecord {
        fixes: vec![own_fix(&serde_json::from_value(component).unwrap()).unwrap()],
        ..advisory("K-1", Severity::High, "2026-11-18T00:00:00Z", &[])
    }];
    let plan = planned(json!({"needs": ["kubernetes"]}), &advisories, |asset| {
        let kubelet = if *asset.name == *"t2" {
            "v1.31.4+k3s1"
        } else {
            "v1.31.4"
        };
        asset.facts.kubernetes = Some(Arc::new(Kubernetes {
            kubelet: Some(kubelet.into()),
            role: Some("worker".into()),
            ..Kubernetes::default()
        }));
    });
    leaves_out_one(&plan, "needs a version with its build, and the advisory names 1.31.5");
}
