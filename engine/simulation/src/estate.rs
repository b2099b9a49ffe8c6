//! The estate: its resources as people have them in force, and what these mean, said a second time without the engine.

use std::sync::{Arc, OnceLock};

use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use patchwave_core::load::{Catalog, load};
use patchwave_core::source::{SourceFile, SourceSet};

/// Resources that people add and take away. A set of them is what is in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InForce(pub u8);

impl InForce {
    /// Staging and production are frozen for two days.
    pub const FREEZE: u8 = 1;
    /// That freeze is lifted for what serves the web.
    pub const OVERRIDE: u8 = 2;
    /// Policy `linux` is paused.
    pub const PAUSE: u8 = 4;
    /// The strategy asks for more reviewers and other batches.
    pub const STRICTER: u8 = 8;
    /// No limit on what is down at once: never in force, except for a fault.
    pub const UNBOUNDED: u8 = 16;
    const COUNT: usize = 32;

    /// Whether it is in force.
    pub const fn has(self, what: u8) -> bool {
        self.0 & what != 0
    }
}

/// When the freeze holds.
pub const FREEZE: (&str, &str) = ("2026-11-22T00:00:00Z", "2026-11-24T00:00:00Z");
/// When the pause ends.
pub const PAUSED_UNTIL: &str = "2026-11-23T12:00:00Z";
/// When every history starts: a Friday noon.
pub const START: &str = "2026-11-20T12:00:00Z";
/// The rollouts folder.
pub const ROLLOUTS: &str = "rollouts";

/// Name, environment and tier of each asset: few, so that many histories fit into a minute, and enough for every rule.
pub const ASSETS: [(&str, &str, &str); 5] = [
    ("d1", "prod", "db"),
    ("p1", "prod", "web"),
    ("p2", "prod", "web"),
    ("s1", "staging", "web"),
    ("t1", "test", "web"),
];

/// Environment and tier of an asset.
pub fn place(asset: &str) -> (&'static str, &'static str) {
    let found = ASSETS.iter().find(|(name, ..)| *name == asset);
    found.map_or(("", ""), |(_, environment, tier)| (environment, tier))
}

/// How many members of a service (a tier within an environment) may be down at once: one, as both services say.
pub const DOWN_MAX: usize = 1;

/// The approvals a wave needs at least, whatever is in force.
pub fn approvals_needed(policy: &str, wave: &str) -> usize {
    match (policy, wave) {
        ("kernel", "test") => 0,
        ("linux", "critical") => 2,
        _ => 1,
    }
}

/// The wave whose proof a wave builds on.
pub fn needs(policy: &str, wave: &str) -> Option<&'static str> {
    match (policy, wave) {
        ("linux", "staging") | ("kernel", "rest") => Some("test"),
        ("linux", "critical") => Some("staging"),
        _ => None,
    }
}

/// Whether a wave is promoted past a gate.
pub fn gated(policy: &str, wave: &str) -> bool {
    matches!((policy, wave), ("linux", "test") | ("kernel", "rest"))
}

/// The policy of a rollout, by its name.
pub fn policy_of(rollout: &str) -> &str {
    rollout.split('-').next().unwrap_or(rollout)
}

/// Whether a rollout of the policy may run outside windows in the emergency lane.
pub fn outside_windows(rollout: &str) -> bool {
    policy_of(rollout) == "linux" && rollout.contains("-emergency")
}

/// Whether the window of an asset is open: production at night, from ten to four; the rest always.
pub fn window_open(asset: &str, at: Timestamp) -> bool {
    let hour = at.to_zoned(TimeZone::UTC).hour();
    place(asset).0 != "prod" || hour >= 22 || hour < 4
}

/// Whether a freeze in force keeps an asset closed.
pub fn frozen(in_force: InForce, asset: &str, at: Timestamp) -> bool {
    let (environment, tier) = place(asset);
    let lifted = in_force.has(InForce::OVERRIDE) && tier == "web";
    in_force.has(InForce::FREEZE)
        && environment != "test"
        && !lifted
        && instant(FREEZE.0) <= at
        && at < instant(FREEZE.1)
}

/// Whether the policy of a rollout is paused.
pub fn paused(in_force: InForce, rollout: &str, at: Timestamp) -> bool {
    in_force.has(InForce::PAUSE) && policy_of(rollout) == "linux" && at < instant(PAUSED_UNTIL)
}

/// An instant written down in this crate.
pub fn instant(text: &str) -> Timestamp {
    text.parse().unwrap_or(Timestamp::UNIX_EPOCH)
}

/// So many minutes later.
pub fn after(at: Timestamp, minutes: i64) -> Timestamp {
    at.saturating_add(SignedDuration::from_mins(minutes))
        .unwrap_or(Timestamp::MAX)
}

/// Five past ten in the evening, the next time after `at`.
pub fn next_night(at: Timestamp) -> Timestamp {
    let zoned = at.to_zoned(TimeZone::UTC);
    let tonight = zoned
        .with()
        .hour(22)
        .minute(5)
        .second(0)
        .subsec_nanosecond(0)
        .build()
        .unwrap_or(zoned.clone());
    let next = if tonight > zoned {
        tonight
    } else {
        tonight.saturating_add(1.day())
    };
    next.timestamp()
}

/// The resources that are in force, parsed once for all histories.
///
/// # Panics
/// Never: resources with errors are returned with them, and a history on them fails.
pub fn catalog(in_force: InForce) -> &'static Result<Arc<Catalog>, String> {
    static PARSED: [OnceLock<Result<Arc<Catalog>, String>>; InForce::COUNT] =
        [const { OnceLock::new() }; InForce::COUNT];
    static NONE: Result<Arc<Catalog>, String> = Err(String::new());
    let slot = PARSED.get(usize::from(in_force.0));
    slot.map_or(&NONE, |slot| slot.get_or_init(|| parse(in_force)))
}

fn parse(in_force: InForce) -> Result<Arc<Catalog>, String> {
    let project = "apiVersion: patchwave.dev/v1\nkind: Project\nmetadata:\n  name: estate\n".to_owned();
    let files = vec![
        SourceFile::new("patchwave.yaml", project),
        SourceFile::new("policies/all.yaml", resources(in_force)),
    ];
    let set = SourceSet {
        files,
        ..SourceSet::default()
    };
    let (catalog, diagnostics) = load(&set, instant(START));
    if diagnostics.has_errors() {
        return Err(diagnostics.iter().map(|d| format!("{d:?}\n")).collect());
    }
    Ok(Arc::new(catalog))
}

fn resources(in_force: InForce) -> String {
    let mut text = RESOURCES.to_owned();
    if in_force.has(InForce::FREEZE) {
        text.push_str(&FREEZE_RESOURCE.replace("FROM", FREEZE.0).replace("TO", FREEZE.1));
    }
    if in_force.has(InForce::FREEZE) && in_force.has(InForce::OVERRIDE) {
        text.push_str(OVERRIDE_RESOURCE);
    }
    if in_force.has(InForce::PAUSE) {
        text = text.replace(
            "  sla: sla # linux",
            &format!("  sla: sla\n  pause: {{until: {PAUSED_UNTIL}, reason: audit}}"),
        );
    }
    if in_force.has(InForce::STRICTER) {
        text = text
            .replace("batches: [1, \"100%\"] # staging", "batches: [1]")
            .replace("reviewers: 1}} # staging", "reviewers: 2}}");
    }
    if in_force.has(InForce::UNBOUNDED) {
        text = text
            .replace("maxUnavailable: 1, per: service", "maxUnavailable: 100%, per: class")
            .replace("maxUnavailable: 1,", "maxUnavailable: 100%,");
    }
    text
}

const FREEZE_RESOURCE: &str = "---
apiVersion: patchwave.dev/v1
kind: ChangeFreeze
metadata: {name: closing}
spec:
  selector: {matchExpressions: [{key: env, operator: In, values: [staging, prod]}]}
  from: FROM
  to: TO
  reason: closing of the books
  overridableBy: [ciso]
";

const OVERRIDE_RESOURCE: &str = "---
apiVersion: patchwave.dev/v1
kind: Override
metadata: {name: chg-1}
spec:
  what: freeze
  freeze: closing
  selector: {matchLabels: {tier: web}}
  by: ciso
  reason: exploited in the wild
  ticket: CHG-1
  until: 2026-11-30
  reviewBy: 2026-12-30
";

const RESOURCES: &str = r#"apiVersion: patchwave.dev/v1
kind: AssetClass
metadata: {name: test}
spec:
  selector: {matchLabels: {env: test}}
  environment: test
  criticality: low
  exposure: internal
  target: ansible
  window: any-time
  disruption: {maxUnavailable: 1, per: service, reboot: ifNeeded}
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
  window: any-time
  disruption: {maxUnavailable: 1, per: service, reboot: ifNeeded}
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
  window: nights
  disruption: {maxUnavailable: 1, per: service, reboot: ifNeeded}
  protection: {backup: none, rollback: package-downgrade}
---
apiVersion: patchwave.dev/v1
kind: MaintenanceWindow
metadata: {name: any-time}
spec:
  schedules:
    - {rrule: FREQ=MONTHLY;BYMONTHDAY=1;UNTIL=20261220T000000Z, start: "00:00", duration: 31d, timezone: UTC}
---
apiVersion: patchwave.dev/v1
kind: MaintenanceWindow
metadata: {name: nights}
spec:
  cutoff: 30m
  schedules:
    - {rrule: FREQ=DAILY;UNTIL=20261220T000000Z, start: "22:00", duration: 6h, timezone: UTC}
---
apiVersion: patchwave.dev/v1
kind: RolloutStrategy
metadata: {name: standard}
spec:
  estimate: {perAsset: 10m, reboot: 5m}
  waves:
    - {name: test, environments: [test], soak: 1h, gates: [{http: "https://health.example/ok", scope: global}], approval: {pullRequest: {reviewers: 1}}}
    - {name: staging, needs: [test], environments: [staging], batches: [1, "100%"] # staging
      , soak: 2h, approval: {pullRequest: {reviewers: 1}} # staging
      }
    - {name: critical, needs: [staging], environments: [prod], batches: [1, "100%"], soak: 2h, approval: {pullRequest: {reviewers: 2}}}
  lanes:
    emergency: {soak: 30m, outsideWindows: {allowed: true, approvers: [boss], notice: 0s}}
---
apiVersion: patchwave.dev/v1
kind: RolloutStrategy
metadata: {name: quick}
spec:
  estimate: {perAsset: 10m, reboot: 5m}
  waves:
    - {name: test, environments: [test], soak: 30m, approval: automatic}
    - {name: rest, needs: [test], environments: [staging, prod], soak: 2h, gates: [{http: "https://health.example/ok", scope: global}], maxFailures: 1, promoteAt: {patched: 75%, of: reachable, min: 1}, approval: {pullRequest: {reviewers: 1}}}
  lanes:
    emergency: {soak: 30m}
---
apiVersion: patchwave.dev/v1
kind: SlaPolicy
metadata: {name: sla}
spec:
  rules:
    - {name: exploited, exploited: true, clock: exploited, within: 20d, lane: emergency}
    - {name: critical, severity: critical, within: 25d}
    - {name: high, severity: high, within: 30d}
  default: {within: 60d}
---
apiVersion: patchwave.dev/v1
kind: Fleet
metadata: {name: f}
spec:
  assets:
    - {name: t1}
    - {name: p1}
  services:
    - {name: db, members: {matchLabels: {tier: db}}, maxUnavailable: 1, owner: dba}
    - {name: web, members: {matchLabels: {tier: web}}, maxUnavailable: 1, owner: web, dependsOn: [db]}
---
apiVersion: patchwave.dev/v1
kind: PatchPolicy
metadata: {name: linux}
spec:
  roles: {approvers: [sre], deployers: [hands]}
  scope: {selector: {}}
  include:
    - types: [security]
  exclude:
    - packages: ["kernel*"]
  sla: sla # linux
  rollout: standard
---
apiVersion: patchwave.dev/v1
kind: PatchPolicy
metadata: {name: kernel}
spec:
  scope: {selector: {}}
  include:
    - {types: [security], packages: ["kernel*"]}
  sla: sla
  rollout: quick
"#;
