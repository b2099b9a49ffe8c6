//! One small estate, written out once; tests change the words they are about.

use jiff::Timestamp;
use patchwave_core::history::History;
use patchwave_core::name::Severity;
use patchwave_core::observe::AdvisoryRecord;

use super::*;

pub const NOW: &str = "2026-11-20T12:00:00Z";

/// Three environments, one policy that cuts at each run, one advisory's worth of machines.
pub const ESTATE: &str = r#"apiVersion: patchwave.dev/v1
kind: AssetClass
metadata: {name: test}
spec:
  selector: {matchLabels: {env: test}}
  environment: test
  criticality: low
  exposure: internal
  target: ansible
  window: always
  disruption: {maxUnavailable: 100%, per: class, reboot: ifNeeded}
  protection: {backup: none, rollback: package-downgrade}
---
apiVersion: patchwave.dev/v1
kind: AssetClass
metadata: {name: staging}
spec:
  selector: {matchLabels: {env: staging}}
  environment: staging
  exposure: internal
  target: ansible
  window: always
  disruption: {maxUnavailable: 100%, per: class, reboot: ifNeeded}
  protection: {backup: none, rollback: package-downgrade}
---
apiVersion: patchwave.dev/v1
kind: AssetClass
metadata: {name: prod}
spec:
  selector: {matchLabels: {env: prod}}
  environment: prod
  criticality: high
  exposure: internal
  target: ansible
  window: {fromLabel: window, default: nights}
  disruption: {maxUnavailable: 100%, per: class, reboot: ifNeeded}
  protection: {backup: none, rollback: package-downgrade}
---
apiVersion: patchwave.dev/v1
kind: RolloutStrategy
metadata: {name: standard}
spec:
  estimate: {perAsset: 20m, reboot: 10m}
  waves:
    - {name: test, environments: [test], soak: 24h}
    - {name: staging, needs: [test], environments: [staging], soak: 24h}
    - {name: prod, needs: [staging], environments: [prod], soak: 24h}
  lanes:
    emergency: {soak: 1h, outsideWindows: {allowed: true, approvers: [boss], notice: 2h}}
---
apiVersion: patchwave.dev/v1
kind: MaintenanceWindow
metadata: {name: always}
spec:
  schedules:
    - {rrule: FREQ=DAILY, start: "00:00", duration: 24h, timezone: UTC}
---
apiVersion: patchwave.dev/v1
kind: MaintenanceWindow
metadata: {name: nights}
spec:
  cutoff: 30m
  schedules:
    - {rrule: FREQ=DAILY, start: "22:00", duration: 4h, timezone: UTC}
---
apiVersion: patchwave.dev/v1
kind: MaintenanceWindow
metadata: {name: sundays}
spec:
  schedules:
    - {rrule: FREQ=WEEKLY;BYDAY=SU, start: "02:00", duration: 4h, timezone: UTC}
---
apiVersion: patchwave.dev/v1
kind: SlaPolicy
metadata: {name: sla}
spec:
  rules:
    - {name: exploited, exploited: true, clock: exploited, within: 24h, lane: emergency}
    - {name: high, severity: high, within: 30d}
  default: {within: 60d}
---
apiVersion: patchwave.dev/v1
kind: Fleet
metadata: {name: f}
spec:
  assets: [{name: p1}]
  services: []
---
apiVersion: patchwave.dev/v1
kind: PatchPolicy
metadata: {name: linux}
spec:
  scope: {selector: {}}
  include:
    - types: [security]
  sla: sla
  rollout: standard
"#;

/// The estate's resources with some words changed; every change must change something.
pub fn resources(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(ESTATE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from} is not in the estate");
        text.replacen(from, to, 1)
    })
}

/// One machine an environment.
pub fn one_each() -> Vec<Machine> {
    vec![
        machine("p1", &[("env", "prod")]),
        machine("s1", &[("env", "staging")]),
        machine("t1", &[("env", "test")]),
    ]
}

/// openssl, high, two days old.
pub fn openssl() -> AdvisoryRecord {
    advisory(
        "ALSA-1",
        Severity::High,
        "2026-11-18T00:00:00Z",
        &[("openssl-libs", "1:3.0.7-27.el9")],
    )
}

pub fn world_at(
    yaml: &str,
    machines: &[Machine],
    advisories: &[AdvisoryRecord],
    history: History,
    now: Timestamp,
) -> World {
    let observation = observation("f", &[], machines, advisories, now);
    World::new(catalog(yaml, now), observation, history, now)
}

pub fn world(changes: &[(&str, &str)], machines: &[Machine], advisories: &[AdvisoryRecord]) -> World {
    world_at(&resources(changes), machines, advisories, History::default(), at(NOW))
}
