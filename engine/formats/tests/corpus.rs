//! The readers against a corpus of feeds as vendors publish them.
//!
//! The corpus is not part of the repository. `PATCHWAVE_CORPUS_DIR` names its folder, with `advisories/` in it; unset,
//! the tests say so and pass, unless `PATCHWAVE_CORPUS=required`.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests read the environment and the corpus")]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;

use jiff::Timestamp;
use patchwave_core::observe::Batch;
use patchwave_formats::{InputFile, read};

fn corpus() -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os("PATCHWAVE_CORPUS_DIR") {
        return Some(folder.into());
    }
    assert_ne!(
        std::env::var("PATCHWAVE_CORPUS").as_deref(),
        Ok("required"),
        "PATCHWAVE_CORPUS_DIR is not set"
    );
    say("corpus left out");
    None
}

fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn read_file(format: &str, path: &str) -> Option<Batch> {
    let bytes = std::fs::read(corpus()?.join(path)).unwrap();
    Some(read_bytes(format, path, bytes))
}

fn read_bytes(format: &str, path: &str, bytes: Vec<u8>) -> Batch {
    let files = [InputFile {
        path: path.into(),
        bytes: bytes.into(),
    }];
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let batch = read(format, &"corpus".into(), &files, now).unwrap();
    let account = &batch.account;
    assert_eq!(account.read + account.skipped.len() as u64, account.total, "{path}");
    assert!(account.skipped.iter().all(|s| !s.reason.is_empty()), "{path}");
    say(&format!(
        "{path}: {} of {} read, {} fields dropped, {} notes, {} fixes",
        account.read,
        account.total,
        account.dropped_fields.len(),
        account.notes.len(),
        batch.advisories.iter().map(|a| a.fixes.len()).sum::<usize>(),
    ));
    for what in account
        .skipped
        .iter()
        .chain(&account.dropped_fields)
        .chain(&account.notes)
    {
        say(&format!("  {}:{} {}", what.file, what.record, what.reason));
    }
    batch
}

/// A member of an archive of the corpus, read as a file of its own called `name`.
fn read_member(format: &str, archive: &str, member: &str, name: &str) -> Option<Batch> {
    let bytes = std::fs::read(corpus()?.join(archive)).unwrap();
    let mut archive = tar::Archive::new(zstd::stream::read::Decoder::new(bytes.as_slice()).unwrap());
    let mut entries = archive.entries().unwrap().map(Result::unwrap);
    let mut entry = entries.find(|entry| entry.path().unwrap().ends_with(member)).unwrap();
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).unwrap();
    Some(read_bytes(format, name, bytes))
}

fn counts(words: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for word in words {
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
}

#[test]
fn every_almalinux_record_is_read() {
    let Some(batch) = read_file("osv", "advisories/osv-almalinux.tar.zst") else {
        return;
    };
    let account = &batch.account;
    assert_eq!((account.total, account.read), (2809, 2809));
    assert!(account.dropped_fields.is_empty(), "{:#?}", account.dropped_fields);
    assert!(
        batch
            .advisories
            .iter()
            .all(|a| !a.fixes.is_empty() && a.published.is_some())
    );
    let fixes = || batch.advisories.iter().flat_map(|a| &a.fixes);
    assert!(fixes().all(|f| f.fixed.is_some() && f.introduced.is_none() && !f.by_source));
    // Counted by an independent reading of the same archive.
    let severities = counts(batch.advisories.iter().map(|a| a.severity.to_string()));
    let expected = [
        ("critical", 11),
        ("high", 1160),
        ("low", 76),
        ("medium", 985),
        ("unknown", 577),
    ];
    assert_eq!(
        severities,
        expected.map(|(word, count)| (word.to_owned(), count)).into()
    );
    let types = counts(batch.advisories.iter().map(|a| a.types[0].as_str().to_owned()));
    let expected = [("bugfix", 465), ("enhancement", 112), ("security", 2232)];
    assert_eq!(types, expected.map(|(word, count)| (word.to_owned(), count)).into());
    let releases = counts(fixes().map(|f| f.ecosystem.to_string()));
    say(&format!("{releases:?}"));
    assert_eq!(
        releases.keys().collect::<Vec<_>>(),
        ["almalinux 10", "almalinux 8", "almalinux 9"]
    );
}

#[test]
fn other_feeds_are_read_or_told() {
    let feeds = [
        ("advisories/alma-other.tar.zst", 4),
        ("advisories/debian-osv-oval.tar.zst", 3),
        ("advisories/rocky.tar.zst", 2),
        ("advisories/suse.tar.zst", 0),
        ("advisories/ubuntu.tar.zst", 0),
        ("advisories/osv-go-containers.tar.zst", 99),
        ("advisories/osv-go-withdrawn.tar.zst", 6),
        ("advisories/osv-kubernetes.tar.zst", 26),
        ("advisories/osv-kubernetes-aqua.tar.zst", 25),
    ];
    for (path, least) in feeds {
        let Some(batch) = read_file("osv", path) else { return };
        assert!(batch.account.read >= least, "{path}: {:#?}", batch.account);
        if path.contains("withdrawn") {
            assert!(batch.advisories.iter().all(|a| a.withdrawn.is_some()));
        }
    }
}

#[test]
fn the_kev_catalogue_is_read() {
    let Some(batch) = read_file("kev", "advisories/kev/known_exploited_vulnerabilities.json") else {
        return;
    };
    assert_eq!((batch.account.total, batch.account.read), (1404, 1404));
    assert!(batch.account.dropped_fields.is_empty());
    assert!(batch.exploited.iter().all(|e| e.exploited.since.is_some()));
    assert!(batch.exploited.iter().any(|e| e.exploited.ransomware == Some(true)));
}

#[test]
fn every_epss_score_is_read() {
    let Some(batch) = read_file("epss", "advisories/epss-samples.tar.zst") else {
        return;
    };
    assert_eq!((batch.account.total, batch.account.read), (4, 4));
    let newest = batch.cves.iter().find(|r| r.at.is_some()).unwrap();
    assert_eq!(newest.epss.as_ref().unwrap().model.as_deref(), Some("v2022.01.01"));
}

#[test]
fn a_month_of_microsoft_is_read() {
    let archive = "advisories/msrc.tar.zst";
    let Some(batch) = read_member("msrc", archive, "cvrf/2024-Mar", "2024-Mar.xml") else {
        return;
    };
    assert_eq!((batch.account.total, batch.account.read), (1, 1));
    let advisory = &batch.advisories[0];
    assert_eq!((&*advisory.id, advisory.severity.as_str()), ("CVE-2024-21392", "high"));
    assert_eq!(advisory.published.unwrap().to_string(), "2024-03-12T07:00:00Z");
    assert!(advisory.fixes.is_empty() && advisory.exploited.is_none());
    assert!(
        batch
            .account
            .notes
            .iter()
            .any(|n| n.reason.contains("`Developer Tools`"))
    );
    // The other documents of the same house are told, not taken for something else.
    let other = read_file("msrc", archive).unwrap();
    assert_eq!(other.account.read, 0);
    assert!(other.account.skipped.iter().any(|s| s.reason.contains("CSAF")));
}

#[test]
fn every_node_is_read() {
    for (path, nodes) in [("troubleshoot-bundle-nodes", 6), ("troubleshoot-nodes", 7)] {
        let Some(batch) = read_file("kubernetes", &format!("inventories/k8s-nodes/{path}.json")) else {
            return;
        };
        assert_eq!((batch.account.total, batch.account.read), (nodes, nodes));
        assert!(batch.account.dropped_fields.is_empty() && batch.account.notes.is_empty());
        let facts = || batch.assets.iter().map(|record| &record.facts);
        assert!(
            facts().all(|facts| facts.os.is_some() && facts.kernel.is_some() && facts.identity.machine_id.is_some())
        );
        let node = |facts: &patchwave_core::observe::Facts| facts.kubernetes.clone().unwrap();
        assert!(
            facts()
                .map(node)
                .all(|node| node.kubelet.is_some() && node.boot_id.is_some() && node.ready == Some(true))
        );
        assert_eq!(facts().filter(|facts| facts.gpu.is_some()).count() as u64, nodes - 6);
    }
}

/// The JSON answers of recordings whose address holds `part`. They stand in YAML as texts in single quotes: a quote inside
/// is doubled, a line break is a blank and a blank line a line break.
fn recorded(archive: &str, part: &str) -> Option<Vec<String>> {
    let bytes = std::fs::read(corpus()?.join(archive)).unwrap();
    let mut archive = tar::Archive::new(zstd::stream::read::Decoder::new(bytes.as_slice()).unwrap());
    let mut answers = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut text = String::new();
        if entry.unwrap().read_to_string(&mut text).is_err() {
            continue;
        }
        for exchange in text.split("\n- request:").filter(|exchange| exchange.contains(part)) {
            let answer = exchange.split_once("      string: ").map(|(_, rest)| rest);
            let Some(answer) = answer.and_then(|rest| rest.trim_start_matches("!!python/unicode ").strip_prefix('\''))
            else {
                continue;
            };
            let answer = answer.replace("''", "\u{1}");
            let answer = answer.split('\'').next().unwrap_or_default().replace('\u{1}', "'");
            answers.push(answer.lines().map(str::trim).collect::<Vec<_>>().join(" "));
        }
    }
    Some(answers)
}

#[test]
fn hosts_of_katello_are_read() {
    let Some(batch) = read_file("katello", "inventories/katello/host.json") else {
        return;
    };
    assert_eq!((batch.account.read, batch.account.dropped_fields.len()), (1, 0));
    let facts = &batch.assets[0].facts;
    assert_eq!(batch.assets[0].observed_at.to_string(), "2016-05-26T14:46:18Z");
    let os = facts.os.as_ref().unwrap();
    assert_eq!((&*os.id, &*os.version, &*os.arch), ("centos", "7", "x86_64"));
    let view = &facts.content.as_ref().unwrap()[0];
    assert_eq!(
        (&*view.view, &*view.version, view.version_id),
        ("Default Organization View", "1.0", 1)
    );
    assert!(facts.identity.bios_uuid.is_some() && facts.identity.serial.is_none() && facts.components.is_some());

    let answers = recorded("inventories/foreman-api-vcr.tar.zst", "/api/hosts").unwrap();
    let answers: Vec<String> = answers
        .into_iter()
        .filter(|text| text.trim_start().starts_with('{'))
        .collect();
    let mut read = 0;
    for (answer, at) in answers.iter().zip(0..) {
        let batch = read_bytes("katello", &format!("{at}.json"), answer.clone().into_bytes());
        read += batch.account.read;
    }
    assert_eq!((answers.len(), read), (31, 23));
}

#[test]
fn every_output_of_nvidia_smi_is_read_that_says_when() {
    let Some(corpus) = corpus() else { return };
    let folder = corpus.join("inventories/nvidia-smi-xml");
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut drivers = Vec::new();
    let mut skipped = Vec::new();
    for name in &names {
        let batch = read_file("nvidia-smi", &format!("inventories/nvidia-smi-xml/{name}")).unwrap();
        skipped.extend(batch.account.skipped.iter().map(|s| s.reason.clone()));
        for record in &batch.assets {
            assert_eq!(Some(&*record.name), name.strip_suffix(".xml"));
            let gpu = record.facts.gpu.as_ref().unwrap();
            assert!(!gpu.devices.is_empty() && gpu.cuda.is_some());
            drivers.push(format!("{} {:?}", gpu.loaded.as_ref().unwrap(), gpu.mig));
        }
        let told = batch
            .account
            .notes
            .iter()
            .any(|n| n.reason.contains("4 GPUs attached and tells of 1"));
        assert_eq!(told, name.contains("influxdata-a100"), "{name}");
    }
    drivers.sort();
    let expected = [
        "510.47.03 Some(true)",
        "515.65.01 None",
        "525.125.06 None",
        "535.54.03 Some(true)",
        "570.124.04 None",
        "595.58.03 None",
        "595.84 None",
    ];
    assert_eq!(drivers, expected);
    assert_eq!(skipped.len(), 2);
    assert!(skipped.iter().all(|why| why.contains("no `timestamp`")), "{skipped:#?}");
}

#[test]
fn facts_of_ansible_are_read() {
    for (file, os, fqdn) in [
        ("ansible_centos_8", "centos 8.4", Some("foreman.cluster.local")),
        ("ansible_facts", "fedora 22", None),
        ("ansible_rhel_7_server", "rhel 7.9", Some("sat6-10.example.tst")),
    ] {
        let Some(batch) = read_file("ansible-facts", &format!("inventories/foreman-facts/{file}.json")) else {
            return;
        };
        assert_eq!((batch.account.read, batch.account.dropped_fields.len()), (1, 0));
        let facts = &batch.assets[0].facts;
        assert_eq!(&*batch.assets[0].name, file);
        let read = facts.os.as_ref().unwrap();
        assert_eq!(
            (
                format!("{} {}", read.id, read.version).as_str(),
                facts.identity.fqdn.as_deref()
            ),
            (os, fqdn)
        );
        assert!(facts.kernel.is_some() && facts.identity.machine_id.is_some() && facts.identity.serial.is_none());
    }
    // Facts of other tools say nothing of when in this shape.
    let other = read_file("ansible-facts", "inventories/foreman-facts/salt_centos_stream.json").unwrap();
    assert!(other.account.skipped[0].reason.contains("`ansible_date_time`"));
}
