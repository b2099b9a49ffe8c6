use patchwave_core::observe::Batch;

use crate::InputFile;

fn read(records: &str) -> Batch {
    let files = [InputFile {
        path: "feed.json".into(),
        bytes: records.as_bytes().into(),
    }];
    let batch = crate::read("osv", &"feed".into(), &files, jiff::Timestamp::UNIX_EPOCH).unwrap();
    let account = &batch.account;
    assert_eq!(account.read + account.skipped.len() as u64, account.total);
    batch
}

fn fixes(batch: &Batch, at: usize) -> Vec<String> {
    let fix = |f: &patchwave_core::observe::Fix| {
        let source = if f.by_source { " by source" } else { "" };
        let needs = f
            .entitlement
            .as_deref()
            .map(|e| format!(" needs {e}"))
            .unwrap_or_default();
        let text = |t: &Option<std::sync::Arc<str>>| t.as_deref().unwrap_or("-").to_owned();
        format!(
            "{}: {} {}..{}{source}{needs}",
            f.ecosystem,
            f.package,
            text(&f.introduced),
            text(&f.fixed)
        )
    };
    batch.advisories[at].fixes.iter().map(fix).collect()
}

#[test]
fn an_almalinux_record_is_read_in_full() {
    let batch = read(
        r#"{"id":"ALSA-2025:10073","summary":"Important: firefox security update","affected":[
        {"package":{"ecosystem":"AlmaLinux:10","name":"firefox"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"128.12.0-1.el10_0"}]}]},
        {"package":{"ecosystem":"AlmaLinux:9","name":"firefox"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"128.12.0-1.el9_6"}]}]}],
        "related":["CVE-2025-6430","CVE-2025-6424","CVE-2025-6430"],"published":"2025-07-01T00:00:00Z","modified":"2025-07-01T19:42:01Z"}"#,
    );
    let advisory = &batch.advisories[0];
    assert_eq!((&*advisory.id, advisory.severity.as_str()), ("ALSA-2025:10073", "high"));
    assert_eq!(advisory.aliases, ["CVE-2025-6424".into(), "CVE-2025-6430".into()]);
    assert_eq!(
        fixes(&batch, 0),
        [
            "almalinux 10: firefox -..128.12.0-1.el10_0",
            "almalinux 9: firefox -..128.12.0-1.el9_6"
        ]
    );
    assert_eq!(advisory.published.unwrap().to_string(), "2025-07-01T00:00:00Z");
    assert!(advisory.withdrawn.is_none() && batch.account.dropped_fields.is_empty() && batch.account.notes.is_empty());
}

#[test]
fn severity_and_type_of_almalinux_are_in_summary_and_id() {
    for (id, summary, severity, kind) in [
        ("ALSA-1", "Critical: x", "critical", "security"),
        ("ALSA-1", "Moderate: x", "medium", "security"),
        ("ALSA-1", "Low: x", "low", "security"),
        ("ALSA-1", "None: x", "unknown", "security"),
        ("ALBA-1", "NetworkManager bug fix", "unknown", "bugfix"),
        ("ALEA-1", "", "unknown", "enhancement"),
    ] {
        let batch = read(&format!(r#"{{"id":"{id}","summary":"{summary}"}}"#));
        let advisory = &batch.advisories[0];
        assert_eq!(
            (advisory.severity.as_str(), advisory.types[0].as_str()),
            (severity, kind),
            "{id} {summary}"
        );
    }
}

#[test]
fn other_distributions_are_read_as_far_as_they_go() {
    let batch = read(
        r#"[{"id":"DLA-1","related":["CVE-2014-3466","DSA-1"],"affected":[{"package":{"ecosystem":"Debian:6.0","name":"gnutls26"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2.8.6-1"}]}],"versions":["1"]}]},
        {"id":"USN-1","upstream":["CVE-2024-1234","UBUNTU-CVE-2024-1234"],"related":["CVE-2024-9999"],"affected":[{"package":{"ecosystem":"Ubuntu:Pro:18.04:LTS","name":"openssl"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.1"}]}],"ecosystem_specific":{"ubuntu_priority":"high","binaries":[{"binary_name":"libssl","binary_version":"1.1"}]}}]},
        {"id":"SUSE-SU-1","affected":[{"package":{"ecosystem":"SUSE:Linux Enterprise Server 15 SP5","name":"zlib"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.2"}]}],"ecosystem_specific":{"binaries":[{"libz1":"1.2","zlib-devel":"1.2"}]}}]},
        {"id":"GO-1","published":"0001-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"Go","name":"x"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}]"#,
    );
    assert_eq!(fixes(&batch, 0), ["debian 6: gnutls26 -..2.8.6-1 by source"]);
    assert_eq!(batch.advisories[0].aliases, ["CVE-2014-3466".into()]);
    assert_eq!(
        fixes(&batch, 1),
        ["ubuntu 18.04: openssl -..1.1 by source needs ubuntu-pro"]
    );
    assert_eq!(
        batch.advisories[1].aliases,
        ["CVE-2024-1234".into(), "UBUNTU-CVE-2024-1234".into()]
    );
    assert_eq!(batch.advisories[1].severity.as_str(), "high");
    assert_eq!(
        fixes(&batch, 2),
        ["sles 15.5: libz1 -..1.2", "sles 15.5: zlib-devel -..1.2"]
    );
    assert_eq!(fixes(&batch, 3), [""; 0]);
    assert_eq!(batch.advisories[3].published, None);
    let notes: Vec<_> = batch.account.notes.iter().map(|n| n.reason.as_str()).collect();
    assert!(
        notes.len() == 2 && notes[0].contains("`published`") && notes[1].contains("ecosystem `Go`"),
        "{notes:#?}"
    );
}

#[test]
fn records_that_are_none_are_skipped_and_bad_fields_dropped() {
    let batch = read(
        r#"[7, {}, {"id":4}, {"id":"../../etc"}, {"id":"X-1","withdrawn":"never","aliases":[1,"CVE-2024-1111"],"affected":[3,{"package":{"ecosystem":"Debian:12","name":"a b"}}]}]"#,
    );
    assert_eq!(
        (batch.account.total, batch.account.read, batch.account.skipped.len()),
        (5, 1, 4)
    );
    assert_eq!(
        batch.account.dropped_fields.len(),
        4,
        "{:#?}",
        batch.account.dropped_fields
    );
    assert_eq!(batch.advisories[0].aliases, ["CVE-2024-1111".into()]);
}
