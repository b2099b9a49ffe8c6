//! Windows servers from what their update server exports to the scripts that approve for it: exactly what each computer is
//! offered, and nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::Sandbox;

const RESOURCES: &str = r#"apiVersion: patchwave.dev/v1
kind: Fleet
metadata: {name: windows}
spec:
  sources: [wsus01]
  assets:
    - {name: ws-test.corp.example, labels: {env: test}}
    - {name: ws-1.corp.example, labels: {env: prod}}
    - {name: ws-2.corp.example, labels: {env: prod}}
---
apiVersion: patchwave.dev/v1
kind: Source
metadata: {name: wsus01}
spec: {kind: inventory, type: wsus, path: observed, staleAfter: 48h}
---
apiVersion: patchwave.dev/v1
kind: Source
metadata: {name: msrc}
spec: {kind: advisories, type: msrc, path: msrc}
---
apiVersion: patchwave.dev/v1
kind: AssetClass
metadata: {name: test}
spec:
  selector: {matchLabels: {env: test}}
  environment: test
  exposure: internal
  target: wsus
  content: wsus
  window: nights
  disruption: {maxUnavailable: 100%, per: class, reboot: ifNeeded}
  protection: {backup: none, rollback: kb-uninstall}
---
apiVersion: patchwave.dev/v1
kind: AssetClass
metadata: {name: prod}
spec:
  selector: {matchLabels: {env: prod}}
  environment: prod
  exposure: internal
  target: wsus
  content: wsus
  window: nights
  disruption: {maxUnavailable: 100%, per: class, reboot: ifNeeded}
  protection: {backup: none, rollback: none}
---
apiVersion: patchwave.dev/v1
kind: MaintenanceWindow
metadata: {name: nights}
spec:
  cutoff: 2h
  schedules: [{rrule: FREQ=DAILY, start: "20:00", duration: 8h, timezone: UTC}]
---
apiVersion: patchwave.dev/v1
kind: RolloutStrategy
metadata: {name: standard}
spec:
  estimate: {perAsset: 40m, reboot: 20m}
  waves:
    - {name: test, environments: [test], soak: 12h}
    - {name: prod, needs: [test], environments: [prod], soak: 24h}
---
apiVersion: patchwave.dev/v1
kind: SlaPolicy
metadata: {name: standard}
spec: {clock: published, rules: [{name: critical, severity: critical, within: 14d}], default: {within: 30d}}
---
apiVersion: patchwave.dev/v1
kind: PatchPolicy
metadata: {name: windows}
spec:
  mode: propose
  owner: team-windows
  roles: {approvers: [team-sre], deployers: [team-windows]}
  scope: {selector: {}}
  include: [{types: [security]}]
  strategy: latest
  sla: standard
  rollout: standard
"#;

const OFFERED: &str = "fb95c1c8-de23-4089-ae29-fd3351d55421";
const WITH_AGREEMENT: &str = "0b6bd6a5-7b1e-4a3e-93cb-c1f5d3a7f001";
const OF_ANOTHER_ARTICLE: &str = "c7e0a9f2-5d43-4c58-8f0e-6a2b1d9e4002";
const SUPERSEDED: &str = "11111111-5d43-4c58-8f0e-6a2b1d9e4002";

/// An update as `export.ps1` writes it.
fn update(id: &str, kb: &str, title: &str) -> Value {
    json!({"update_id": id, "revision": 200, "kbs": [kb], "title": title, "state": "NotInstalled", "approval": "NotApproved",
        "eula": id == WITH_AGREEMENT, "uninstallable": true, "superseded": id == SUPERSEDED})
}

/// A computer as `export.ps1` writes it.
fn computer(name: &str, updates: &[Value]) -> Value {
    json!({"id": name, "fqdn": format!("{name}.corp.example"), "os": "Windows Server 2022 Standard", "arch": "AMD64",
        "groups": ["All Computers"], "last_reported": "2026-11-20T10:00:00Z", "updates": updates, "os_build": "10.0.20348.2700"})
}

fn estate() -> Sandbox {
    let sandbox = Sandbox::empty();
    let both = [
        update(OFFERED, "5062572", "2026-11 Cumulative Update"),
        update(OF_ANOTHER_ARTICLE, "5062999", "2026-11 .NET"),
        update(SUPERSEDED, "5062572", "2026-10 Cumulative Update"),
    ];
    let agreed = [update(WITH_AGREEMENT, "5062572", "2026-11 Update | with [terms]")];
    let export = json!({"version": 1, "server": "wsus01", "generated_at": "2026-11-20T11:00:00Z", "computers": [
        computer("ws-test", &both), computer("ws-1", &both), computer("ws-2", &agreed)]});
    let msrc = json!({
        "ProductTree": {"FullProductName": [{"ProductID": "1", "Value": "Windows Server 2022"}]},
        "Vulnerability": [{
            "CVE": "CVE-2026-1001",
            "ProductStatuses": [{"Type": 3, "ProductID": ["1"]}],
            "Threats": [{"Type": 3, "ProductID": ["1"], "Description": {"Value": "Critical"}}],
            "Remediations": [{"Type": 2, "Description": {"Value": "5062572"}, "ProductID": ["1"], "FixedBuild": "10.0.20348.2762",
                "SubType": "Security Update", "RestartRequired": {"Value": "Yes"}}],
            "RevisionHistory": [{"Number": "1.0", "Date": "2026-11-10T08:00:00Z"}],
        }],
    });
    let project =
        "apiVersion: patchwave.dev/v1\nkind: Project\nmetadata: {name: windows}\nspec: {forge: {type: local}}\n";
    for (file, text) in [
        ("patchwave.yaml", project.to_owned()),
        ("fleets/windows.yaml", RESOURCES.to_owned()),
        ("observed/wsus01.json", export.to_string()),
        ("msrc/2026-Nov.json", msrc.to_string()),
    ] {
        let path = sandbox.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    sandbox.commit("Windows servers");
    sandbox
}

/// The update ids of a rendered batch, by asset.
fn approved(batch: &Value) -> BTreeSet<(String, String)> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let assets = batch["assets"].as_array().unwrap().iter();
    assets
        .flat_map(|asset| {
            let updates = asset["updates"].as_array().unwrap().iter();
            updates
                .map(|update| (word(&asset["computer"]), word(&update["updateId"])))
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn an_update_server_gets_exactly_what_its_computers_are_offered() {
    let mut sandbox = estate();
    sandbox.does(&["render", "--out", "out"]).exits(0);
    let rollout = sandbox.path().join("out/rollouts/windows-2026-11-20");
    let read = |path: &str| std::fs::read_to_string(rollout.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let batch = |path: &str| approved(&serde_json::from_str(&read(path)).unwrap());
    let pair = |name: &str, id: &str| (format!("{name}.corp.example"), id.to_owned());
    assert_eq!(
        batch("waves/01-test/wsus/batch-01.json"),
        BTreeSet::from([pair("ws-test", OFFERED)])
    );
    assert_eq!(
        batch("waves/02-prod/wsus/batch-01.json"),
        BTreeSet::from([pair("ws-1", OFFERED), pair("ws-2", WITH_AGREEMENT)])
    );
    for file in ["approve.ps1", "withdraw.ps1", "export.ps1", "functions.ps1"] {
        assert!(read(&format!("waves/02-prod/wsus/{file}")).starts_with("#Requires -Version 5.1\n"));
    }
    assert!(read("waves/02-prod/rollback/wsus/batch-01.json").contains("\"rollback\": \"none\""));
    assert!(read("waves/01-test/rollback/wsus/batch-01.json").contains("\"rollback\": \"exact\""));
    // What a merge accepts is said where people decide.
    assert!(!read("waves/01-test/change.md").contains("icense agreement"));
    assert!(read("waves/02-prod/change.md").contains(WITH_AGREEMENT));
}

#[test]
fn the_pull_request_names_the_agreements_that_its_merge_accepts() {
    let mut sandbox = estate();
    sandbox.edit(
        "fleets/windows.yaml",
        "ws-2.corp.example, labels: {env: prod}",
        "ws-2.corp.example, labels: {env: test}",
    );
    sandbox.reconcile();
    let body = sandbox.pull_request("test")["body"].as_str().unwrap().to_owned();
    let line = format!("  - 2026-11 Update \\| with \\[terms\\] (`{WITH_AGREEMENT}`, revision 200)\n");
    assert!(
        body.contains("**EULAs accepted by this merge:**\n") && body.contains(&line),
        "{body}"
    );
}
