//! The samples: one small export of each format as its product writes it, read without a loss. They are also what the
//! fuzzer starts from.
#![cfg(test)]
#![expect(clippy::disallowed_methods, reason = "tests read the house's own files")]

use std::path::Path;

use patchwave_core::observe::Batch;
use patchwave_formats::{InputFile, find, read};

/// The samples of a format, all as files of one source.
fn samples(format: &str) -> Batch {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples").join(format);
    let mut files: Vec<InputFile<'_>> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| InputFile {
            path: entry.file_name().into_string().unwrap().into(),
            bytes: std::fs::read(entry.path()).unwrap().into(),
        })
        .collect();
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let entry = find(format).unwrap();
    assert!(files.iter().all(|file| entry.accepts(&file.path)), "{format}");
    let batch = read(
        format,
        &"samples".into(),
        &files,
        "2026-11-20T12:00:00Z".parse().unwrap(),
    )
    .unwrap();
    assert_eq!(
        batch.account.read, batch.account.total,
        "{format}: {:#?}",
        batch.account.skipped
    );
    assert!(
        batch.account.dropped_fields.is_empty(),
        "{format}: {:#?}",
        batch.account.dropped_fields
    );
    batch
}

/// `name os-id version packages/available` of each asset; `-` where it is unknown.
fn assets(batch: &Batch) -> Vec<String> {
    let size = |set: Option<patchwave_core::observe::PackageSetId>| {
        set.map_or("-".to_owned(), |set| batch.tables.set(set).len().to_string())
    };
    let line = |record: &patchwave_core::observe::AssetRecord| {
        let os = record
            .facts
            .os
            .as_ref()
            .map_or("-".to_owned(), |os| format!("{} {}", os.id, os.version));
        let facts = &record.facts;
        format!(
            "{} {os} {}/{}",
            record.name,
            size(facts.packages),
            size(facts.available)
        )
    };
    batch.assets.iter().map(line).collect()
}

#[test]
fn every_sample_is_read_whole() {
    for (format, expected) in [
        ("ansible-facts", vec!["app-01 ubuntu 22.04 2/-"]),
        (
            "katello",
            vec![
                "web-01.corp.example rhel 9.4 2/1",
                "db-01.corp.example debian 12 -/-",
                "new-01.corp.example - -/-",
            ],
        ),
        (
            "kubernetes",
            vec!["node-01 almalinux 9.4 -/-", "node-02 ubuntu 22.04 -/-"],
        ),
        ("nvidia-smi", vec!["gpu-01 - -/-"]),
        (
            "wsus",
            vec![
                "win-01.corp.example windows 2022 -/-",
                "win-02.corp.example windows 11 -/-",
            ],
        ),
    ] {
        assert_eq!(assets(&samples(format)), expected, "{format}");
    }
}

#[test]
fn the_builds_of_a_month_of_microsoft_are_fixes() {
    let batch = samples("msrc");
    let shown: Vec<String> = batch
        .advisories
        .iter()
        .map(|a| {
            let fixes = a
                .fixes
                .iter()
                .map(|f| format!("{} KB{}", f.fixed.as_ref().unwrap(), f.kb.as_ref().unwrap()));
            format!("{} {} {}", a.id, a.severity, fixes.collect::<Vec<_>>().join(", "))
        })
        .collect();
    assert_eq!(
        shown,
        [
            "CVE-2026-90001 high 10.0.20348.2762 KB5099999, 10.0.26100.4061 KB5099998, 10.0.26100.4061 KB5099998",
            "CVE-2026-90002 critical 10.0.20348.2762 KB5099999",
        ]
    );
}
