//! Merging by example; `merge_properties` has what holds of any.

use std::sync::Arc;

use super::*;
use crate::load::wire::{AdvisorySpec, FleetSpec, Lifecycle, SourceSpec};
use crate::name::Severity;
use crate::version::Scheme;
use jiff::Timestamp;
use jiff::tz::TimeZone;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-20T12:00:00Z")
}

fn spec<T: serde::de::DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).unwrap()
}

fn inventory(extra: &str) -> SourceSpec {
    spec(&format!(r#"{{"kind":"inventory","type":"native","path":"x"{extra}}}"#))
}

/// A record in which `key=value` words set facts; `package=` is a list of one package.
fn record(source: &str, name: &str, observed_at: &str, words: &str, tables: &mut Tables) -> AssetRecord {
    let mut facts = Facts::default();
    for word in words.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap();
        let text: Option<Arc<str>> = Some(value.into());
        match key {
            "machine" => facts.identity.machine_id = text,
            "fqdn" => facts.identity.fqdn = text,
            "serial" => facts.identity.serial = text,
            "build" => facts.os_build = text,
            "kernel" => {
                facts.kernel = Some(Kernel {
                    running: text,
                    default_boot: None,
                })
            }
            "reboot" => facts.pending_reboot = Some(value == "true"),
            "life" => facts.lifecycle = Some(serde_json::from_str(&format!("\"{value}\"")).unwrap()),
            "package" => {
                let package = Package {
                    name: tables.intern("p"),
                    version: tables.intern(value),
                    ..Package::default()
                };
                let id = tables.package_id(package);
                facts.packages = Some(tables.set_id(vec![id]));
            }
            label => {
                facts.labels.insert(label.into(), value.into());
            }
        }
    }
    let provenance = Provenance {
        source: source.into(),
        file: "f".into(),
        record: 1,
    };
    AssetRecord {
        name: name.into(),
        observed_at: at(observed_at),
        provenance,
        facts,
    }
}

pub(super) type Words<'a> = (&'a str, &'a str, &'a str);
pub(super) type Owned = (String, String, String);
pub(super) type Said<'a> = (&'a str, &'a [Words<'a>]);

/// What sources say, each with (name, hour of 2026-11-20, facts).
fn batches(said: &[Said<'_>]) -> Vec<SourceBatch> {
    let batch = |(source, records): &Said<'_>| {
        let mut batch = Batch::default();
        for (name, hour, words) in *records {
            let time = if hour.len() == 2 {
                format!("2026-11-20T{hour}:00:00Z")
            } else {
                format!("{hour}T00:00:00Z")
            };
            let record = record(source, name, &time, words, &mut batch.tables);
            batch.assets.push(record);
        }
        SourceBatch {
            name: (*source).into(),
            digest: String::new(),
            fetched_at: None,
            outcome: Ok(batch),
        }
    };
    said.iter().map(batch).collect()
}

pub(super) fn merged(fleets: &[(&str, &str)], sources: &[(&str, &str)], said: &[Said<'_>]) -> Observation {
    let fleets: Vec<(&str, FleetSpec)> = fleets.iter().map(|(name, json)| (*name, spec(json))).collect();
    let fleets: Vec<_> = fleets.iter().map(|(name, spec)| (*name, spec)).collect();
    let sources: Vec<(&str, SourceSpec)> = sources.iter().map(|(name, extra)| (*name, inventory(extra))).collect();
    let sources: Vec<_> = sources.iter().map(|(name, spec)| (*name, spec)).collect();
    let input = MergeInput {
        fleets: &fleets,
        sources: &sources,
        advisories: &[],
        zone: &TimeZone::UTC,
    };
    merge(&input, batches(said), now())
}

/// One line an asset: what tests compare.
pub(super) fn lines(observation: &Observation) -> Vec<String> {
    let line = |asset: &Asset| {
        let versions = asset.facts.packages.map_or(String::new(), |set| {
            let tables = &observation.tables;
            let texts: Vec<_> = tables
                .set(set)
                .iter()
                .map(|id| tables.text(tables.package(*id).version))
                .collect();
            format!(" package={}", texts.join(","))
        });
        let labels: Vec<_> = asset.labels.iter().map(|(k, v)| format!(" {k}={v}")).collect();
        let kernel = asset.facts.kernel.as_ref().and_then(|k| k.running.as_ref());
        let kernel = kernel.map_or(String::new(), |k| format!(" kernel={k}"));
        let age = match (asset.observed_at, asset.stale) {
            (None, _) => " never",
            (_, true) => " stale",
            _ => "",
        };
        format!(
            "{}/{}{versions}{kernel}{}{age}",
            asset.fleet,
            asset.name,
            labels.concat()
        )
    };
    observation.assets.iter().map(line).collect()
}

pub(super) fn notes(observation: &Observation) -> Vec<String> {
    let note = |n: &Note| format!("{}{}: {}", if n.error { "error " } else { "" }, n.subject, n.message);
    observation.notes.iter().map(note).collect()
}

#[test]
fn every_reported_asset_is_a_member_and_a_listed_one_may_be_unknown() {
    let observation = merged(
        &[(
            "eu",
            r#"{"sources":["facts"],"labels":{"site":"fra","env":"prod"},"assets":[{"name":"T1","labels":{"env":"test"},"address":"10.0.0.1","lifecycle":"standby"},{"name":"ghost"}]}"#,
        )],
        &[("facts", ""), ("cmdb", "")],
        &[
            (
                "facts",
                &[
                    ("t1", "03", "package=1 env=obs tier=web"),
                    ("w1", "03", "package=2 env=obs life=retired"),
                ],
            ),
            ("cmdb", &[("stranger", "03", ""), ("w1", "03", "owner=x")]),
        ],
    );
    assert_eq!(
        lines(&observation),
        [
            "eu/T1 package=1 env=test site=fra tier=web",
            "eu/ghost env=prod site=fra never",
            "eu/w1 package=2 env=obs owner=x site=fra",
        ]
    );
    let asset = &observation.assets[0];
    assert_eq!(
        (asset.address.as_deref(), asset.lifecycle, asset.host()),
        (Some("10.0.0.1"), Lifecycle::Standby, "10.0.0.1")
    );
    assert_eq!(observation.assets[2].lifecycle, Lifecycle::Retired);
    assert_eq!(
        observation.unmanaged,
        [Unmanaged {
            name: "stranger".into(),
            source: "cmdb".into()
        }]
    );
    assert_eq!(notes(&observation), [""; 0]);
}

#[test]
fn an_asset_in_two_fleets_is_an_error() {
    let fleets = [
        ("a", r#"{"sources":["facts"]}"#),
        ("b", r#"{"sources":["other"],"assets":[{"name":"X"},{"name":"x"}]}"#),
        ("c", r#"{"sources":["facts"]}"#),
    ];
    let observation = merged(
        &fleets,
        &[("facts", ""), ("other", "")],
        &[("facts", &[("x", "03", "")]), ("other", &[])],
    );
    assert_eq!(lines(&observation), ["a/x"]);
    let notes = notes(&observation);
    assert_eq!(notes.len(), 3, "{notes:#?}");
    assert!(notes.iter().all(|note| note.starts_with("error ")));
    assert!(
        notes[0].contains("twice") && notes[1].contains("`a` and `b`") && notes[2].contains("`a` and `c`"),
        "{notes:#?}"
    );
}

#[test]
fn sources_merge_by_a_key_that_is_unique_on_both_sides() {
    let fleet = [("f", r#"{"sources":["one","two"]}"#)];
    let sources = [("one", ""), ("two", "")];
    let observation = merged(
        &fleet,
        &sources,
        &[
            (
                "one",
                &[
                    ("a", "03", "machine=M1 package=1"),
                    ("b", "03", "machine=M2"),
                    ("c", "03", "machine=M2"),
                ],
            ),
            (
                "two",
                &[("a.example", "04", "machine=m1 kernel=5"), ("d", "03", "machine=M2")],
            ),
        ],
    );
    assert_eq!(lines(&observation), ["f/a package=1 kernel=5", "f/b", "f/c", "f/d"]);
    let notes = notes(&observation);
    assert!(
        notes
            .iter()
            .any(|n| n.starts_with("a: is called `a.example` by source `two`")),
        "{notes:#?}"
    );
    assert!(
        notes
            .iter()
            .any(|n| n.starts_with("b: source `one` gives the machine id `m2` to b, c")),
        "{notes:#?}"
    );
}

#[test]
fn clones_are_told_and_never_merged() {
    let observation = merged(
        &[("f", r#"{"sources":["one","two"]}"#)],
        &[("one", ""), ("two", "")],
        &[
            ("one", &[("a", "03", "machine=M fqdn=a.x serial=1")]),
            ("two", &[("b", "03", "machine=M fqdn=a.x serial=2")]),
        ],
    );
    assert_eq!(
        lines(&observation),
        ["f/a", "f/b"],
        "not by the machine id, and not by the fqdn either"
    );
    let notes = notes(&observation);
    assert!(
        notes.iter().any(|n| n.contains("belongs to clones (a, b)")),
        "{notes:#?}"
    );
}

#[test]
fn records_of_one_source_with_different_names_are_never_merged_through_others() {
    let observation = merged(
        &[("f", r#"{"sources":["one","two"]}"#)],
        &[("one", ""), ("two", "")],
        &[
            (
                "one",
                &[("a", "03", "machine=M package=1"), ("b", "03", "fqdn=x.y package=2")],
            ),
            ("two", &[("c", "03", "machine=M fqdn=x.y kernel=5")]),
        ],
    );
    assert_eq!(lines(&observation), ["f/a package=1 kernel=5", "f/b package=2"]);
    assert!(
        notes(&observation)
            .iter()
            .any(|n| n.contains("one source knows them under different names"))
    );
}

#[test]
fn phrases_of_firmware_are_no_keys() {
    let observation = merged(
        &[("f", r#"{"sources":["one","two"],"identity":["serial","name"]}"#)],
        &[("one", ""), ("two", "")],
        &[
            ("one", &[("a", "03", "serial=None")]),
            ("two", &[("b", "03", "serial=none")]),
        ],
    );
    assert_eq!(lines(&observation), ["f/a", "f/b"]);
}

#[test]
fn authority_comes_before_age_and_age_is_that_of_the_fact() {
    let fleet = [("f", r#"{"sources":["cmdb","facts"]}"#)];
    let said: &[Said<'_>] = &[
        (
            "facts",
            &[("a", "01", "package=1 kernel=old env=facts"), ("a", "02", "kernel=new")],
        ),
        ("cmdb", &[("a", "05", "package=9 kernel=cmdb env=cmdb")]),
    ];
    let observation = merged(
        &fleet,
        &[("cmdb", ""), ("facts", r#","authoritativeFor":["packages","kernel"]"#)],
        said,
    );
    assert_eq!(lines(&observation), ["f/a package=1 kernel=new env=cmdb"]);
    assert_eq!(
        observation.assets[0].observed_at,
        Some(at("2026-11-20T01:00:00Z")),
        "as old as the package list"
    );
    let observation = merged(&fleet, &[("cmdb", ""), ("facts", "")], said);
    assert_eq!(lines(&observation), ["f/a package=9 kernel=cmdb env=cmdb"]);
}

#[test]
fn a_heartbeat_does_not_make_an_old_package_list_fresh() {
    let fleet = [("f", r#"{"sources":["facts"]}"#)];
    let said: &[Said<'_>] = &[(
        "facts",
        &[
            ("a", "2026-11-18", "package=1"),
            ("a", "11", "reboot=true"),
            ("b", "2026-11-19", "package=1"),
            ("c", "2026-11-18", "reboot=true"),
        ],
    )];
    assert_eq!(
        lines(&merged(&fleet, &[("facts", "")], said)),
        ["f/a package=1 stale", "f/b package=1", "f/c stale"]
    );
    let patient = [("facts", r#","staleAfter":"7d""#)];
    assert_eq!(
        lines(&merged(&fleet, &patient, said)),
        ["f/a package=1", "f/b package=1", "f/c"]
    );
}

fn advisory(id: &str, source: &str, aliases: &[&str], modified: Option<&str>) -> AdvisoryRecord {
    let ecosystem = Ecosystem {
        scheme: Scheme::Rpm,
        os_id: "almalinux".into(),
        release: Some("9".into()),
    };
    AdvisoryRecord {
        id: id.into(),
        aliases: aliases.iter().map(|a| Arc::from(*a)).collect(),
        severity: Severity::High,
        types: vec![],
        published: None,
        modified: modified.map(at),
        withdrawn: None,
        fixes: vec![Fix {
            ecosystem,
            package: "p".into(),
            by_source: false,
            arch: None,
            module: None,
            edition: None,
            introduced: None,
            fixed: Some("2".into()),
            last_affected: None,
            entitlement: None,
            kb: None,
        }],
        reboot: None,
        exploited: None,
        cves: Vec::new(),
        provenance: Provenance {
            source: source.into(),
            file: "f".into(),
            record: 1,
        },
    }
}

#[test]
fn advisories_are_kept_apart_joined_with_kev_and_claim_their_ecosystems() {
    let since = |day: &str| Exploited {
        since: Some(at(day)),
        ransomware: None,
        provenance: None,
    };
    let exploited = |cve: &str, day: &str| ExploitedRecord {
        cve: cve.into(),
        exploited: since(day),
    };
    let source = |name: &str, batch: Batch, fetched: Option<&str>| SourceBatch {
        name: name.into(),
        digest: "d".into(),
        fetched_at: fetched.map(at),
        outcome: Ok(batch),
    };
    let feed = |advisories| Batch {
        advisories,
        ..Batch::default()
    };
    let old = advisory("ALSA-1", "osv", &["CVE-1"], Some("2026-01-01T00:00:00Z"));
    let new = advisory("ALSA-1", "osv", &["CVE-1", "CVE-2"], Some("2026-02-01T00:00:00Z"));
    let own: AdvisorySpec = spec(
        r#"{"id":"OWN-1","published":"2026-11-10","exploitedSince":"2026-11-11","aliases":["CVE-2","OWN-1"],"fixes":[{"ecosystem":"AlmaLinux:9","package":"p","introduced":"0","fixed":"3"},{"component":{"kind":"storage"},"fixed":"1"}]}"#,
    );
    let sources = [("osv", inventory("")), ("other", inventory(""))];
    let sources: Vec<_> = sources.iter().map(|(name, spec)| (*name, spec)).collect();
    let provenance = Provenance {
        source: "own".into(),
        file: "policies/x.yaml".into(),
        record: 1,
    };
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let input = MergeInput {
        fleets: &[],
        sources: &sources,
        advisories: &[("own-1", &own, provenance)],
        zone: &zone,
    };
    let kev = vec![
        exploited("CVE-2", "2026-03-01T00:00:00Z"),
        exploited("CVE-1", "2026-04-01T00:00:00Z"),
    ];
    let batches = vec![
        source("osv", feed(vec![old, new.clone()]), None),
        source(
            "other",
            feed(vec![advisory("ALSA-1", "other", &[], None)]),
            Some("2026-11-18T00:00:00Z"),
        ),
        source(
            "kev",
            Batch {
                exploited: kev,
                ..Batch::default()
            },
            None,
        ),
        SourceBatch {
            name: "lost".into(),
            digest: "".into(),
            fetched_at: None,
            outcome: Err("gone".into()),
        },
    ];
    let observation = merge(&input, batches, now());
    let read: Vec<_> = observation
        .advisories
        .iter()
        .map(|a| {
            format!(
                "{} {} {:?}",
                a.id,
                a.provenance.source,
                a.exploited.as_ref().and_then(|e| e.since.map(|t| t.to_string()))
            )
        })
        .collect();
    assert_eq!(
        read,
        [
            r#"ALSA-1 osv Some("2026-03-01T00:00:00Z")"#,
            "ALSA-1 other None",
            r#"OWN-1 own Some("2026-03-01T00:00:00Z")"#
        ]
    );
    let own = &observation.advisories[2];
    assert_eq!(own.published.unwrap().to_string(), "2026-11-09T23:00:00Z");
    assert_eq!(
        (own.aliases.len(), own.fixes.len(), own.fixes[0].introduced.as_ref()),
        (1, 2, None)
    );
    let coverage: Vec<_> = observation
        .coverage
        .iter()
        .map(|c| format!("{} {:?} {} {}", c.os_id, c.release, c.source, c.fresh))
        .collect();
    assert_eq!(
        coverage,
        ["almalinux Some(\"9\") osv true", "almalinux Some(\"9\") other false"]
    );
    let status: Vec<_> = observation
        .sources
        .iter()
        .map(|s| (&*s.name, s.stale, s.failure.as_deref()))
        .collect();
    assert_eq!(
        status,
        [
            ("kev", false, None),
            ("lost", false, Some("gone")),
            ("osv", false, None),
            ("other", true, None)
        ]
    );
    let notes = notes(&observation);
    assert!(
        notes[0].contains("stands twice") && !notes.iter().any(|n| n.contains("OWN-1")),
        "{notes:#?}"
    );
}

#[test]
fn parts_of_one_record_are_put_together() {
    let mut other = advisory("A", "s", &["CVE-2"], None);
    other.fixes[0].ecosystem.release = Some("8".into());
    let copies = vec![
        advisory("A", "s", &["CVE-1"], None),
        other,
        advisory("A", "s", &["CVE-1"], None),
    ];
    let mut notes = Vec::new();
    let whole = bulletin::newest(copies, &mut notes);
    assert_eq!(
        (whole.len(), whole[0].fixes.len(), whole[0].aliases.len(), notes.len()),
        (1, 2, 2, 0)
    );
}

#[test]
fn a_range_ends_where_the_vendor_says() {
    let mut fix = advisory("A", "s", &[], None).fixes.remove(0);
    fix.introduced = Some("1".into());
    let affected = |fix: &Fix| ["0.9", "1", "1.9", "2", "3"].map(|version| fix.affects(version));
    assert_eq!(affected(&fix), [false, true, true, false, false]);
    (fix.fixed, fix.last_affected) = (None, Some("2".into()));
    assert_eq!(affected(&fix), [false, true, true, true, false]);
    fix.last_affected = None;
    assert_eq!(affected(&fix), [false, true, true, true, true]);
}
