//! The example repository has exactly one right plan.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up should fail")]

use crate::support::*;
use jiff::Timestamp;
use patchwave_core::history::History;
use patchwave_core::load::wire::Lane;
use patchwave_core::name::Severity;
use patchwave_core::plan::Plan;

const NOW: &str = "2026-11-20T12:00:00Z";

fn world(now: Timestamp) -> World {
    let machines = [
        ("t1", "test", "web", None),
        ("t2", "test", "db", Some("replica")),
        ("s1", "staging", "web", None),
        ("s2", "staging", "db", Some("replica")),
        ("web-1", "prod", "web", None),
        ("web-2", "prod", "web", None),
        ("db-1", "prod", "db", Some("primary")),
        ("db-2", "prod", "db", Some("replica")),
    ];
    let machines = machines.map(|(name, env, tier, role)| {
        let mut machine = machine(name, &[("env", env), ("tier", tier)]);
        machine.labels.extend(role.map(|r| ("role".to_owned(), r.to_owned())));
        machine
    });
    let openssl = advisory(
        "ALSA-2026:0101",
        Severity::High,
        "2026-11-18T00:00:00Z",
        &[("openssl-libs", "1:3.0.7-27.el9")],
    );
    let observation = observation(
        "eu",
        &[("managed", "true"), ("site", "fra1")],
        &machines,
        &[openssl],
        now,
    );
    World::new(
        catalog(include_str!("data/dialect.yaml"), now),
        observation,
        History::default(),
        now,
    )
}

fn times(plan: &Plan) -> Vec<String> {
    let waves = plan.rollouts.iter().flat_map(|r| &r.waves);
    waves
        .map(|w| {
            let (first, last) = (w.batches.first().unwrap(), w.batches.last().unwrap());
            let slack = w.slack_seconds.unwrap();
            let (window, edges) = (&first.window.name, (first.window.start, first.window.end));
            let edges = format!("{:?}", edges);
            format!(
                "{} {:?} {window} {edges} {} {} {slack}",
                w.name,
                batches(w),
                first.start.unwrap(),
                last.finish.unwrap()
            )
        })
        .collect()
}

#[test]
fn the_one_right_answer() {
    let now = at(NOW);
    let plan = world(now).plan(now);
    assert_eq!(refusals(&plan), []);
    assert_eq!(plan.waiting, []);
    let [rollout] = plan.rollouts.as_slice() else {
        panic!("{plan:#?}")
    };
    assert_eq!(rollout.name.as_ref(), "linux-security-2026-11-20");
    assert_eq!(
        (rollout.revision, rollout.lane, rollout.expedited),
        (1, Lane::Routine, true)
    );
    assert_eq!((rollout.installability_unknown, rollout.reproducible), (true, false));
    let targets: Vec<_> = rollout
        .targets
        .iter()
        .map(|t| (t.name.as_ref(), t.version.as_ref()))
        .collect();
    assert_eq!(targets, [("openssl-libs", "1:3.0.7-27.el9")]);
    let day = 86_400;
    let expected = [
        format!(
            r#"test [["t2"], ["t1"]] any-time (None, None) 2026-11-20T12:00:00Z 2026-11-20T12:34:00Z {}"#,
            27 * day + 11 * 3600 + 26 * 60
        ),
        format!(
            r#"staging [["s2"], ["s1"]] any-time (None, None) 2026-11-21T12:34:00Z 2026-11-21T13:08:00Z {}"#,
            3 * day + 10 * 3600 + 52 * 60
        ),
        format!(
            r#"critical [["db-2"], ["db-1"], ["web-1"], ["web-2"]] prod-nights (Some(2026-11-24T21:00:00Z), Some(2026-11-25T03:00:00Z)) 2026-11-24T21:00:00Z 2026-11-24T22:08:00Z {}"#,
            3600 + 52 * 60
        ),
    ];
    assert_eq!(times(&plan), expected);
}
