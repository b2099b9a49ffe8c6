//! Properties that hold for every format and any bytes.
#![cfg(test)]

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Write;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::observe::{AssetRecord, Batch, Tables};
use patchwave_formats::{FORMATS, InputFile, ReadError, read};
use proptest::prelude::*;

fn read_files(format: &str, files: &[(&str, &[u8])]) -> Batch {
    let file = |(path, bytes): &(&str, &[u8])| InputFile {
        path: (*path).into(),
        bytes: Cow::Owned(bytes.to_vec()),
    };
    let files: Vec<_> = files.iter().map(file).collect();
    let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
    let batch = read(format, &"source".into(), &files, now).unwrap();
    let account = &batch.account;
    assert_eq!(account.read + account.skipped.len() as u64, account.total);
    assert!(account.skipped.iter().all(|skipped| !skipped.reason.is_empty()));
    batch
}

fn built() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().filter(|entry| entry.built()).map(|entry| entry.name)
}

#[test]
fn formats_that_are_not_there_are_told_apart_from_those_not_built() {
    let now = Timestamp::UNIX_EPOCH;
    assert!(matches!(
        read("nativ", &"s".into(), &[], now),
        Err(ReadError::Unknown(_))
    ));
    assert_eq!(
        read("csaf", &"s".into(), &[], now).unwrap_err(),
        ReadError::NotBuilt("csaf".to_owned())
    );
}

fn packed(bytes: &[u8], extension: &str) -> Vec<u8> {
    match extension {
        "gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zst" => zstd::encode_all(bytes, 1).unwrap(),
        "tar" => {
            let mut builder = tar::Builder::new(Vec::new());
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, "member.json", bytes).unwrap();
            builder.into_inner().unwrap()
        }
        _ => bytes.to_vec(),
    }
}

/// Text that is nearly what the readers know.
fn near_json() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        Just("asset"),
        Just("observedAt"),
        Just("packages"),
        Just("name"),
        Just("version"),
        Just("os"),
        Just("id"),
        Just("affected"),
        Just("package"),
        Just("ecosystem"),
        Just("AlmaLinux:9"),
        Just("ranges"),
        Just("events"),
        Just("introduced"),
        Just("fixed"),
        Just("last_affected"),
        Just("severity"),
        Just("type"),
        Just("score"),
        Just("CVSS_V3"),
        Just("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"),
        Just("CVSS_V4"),
        Just("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:A/MAC:H"),
        Just("vulnerabilities"),
        Just("cveID"),
        Just("CVE-2024-1234"),
        Just("dateAdded"),
        Just("2026-11-20T03:00:00Z"),
        Just("labels"),
        Just("available"),
        Just("versions"),
        Just("aliases"),
        Just("related"),
        Just("state"),
        Just("module"),
        Just("computers"),
        Just("fqdn"),
        Just("last_reported"),
        Just("updates"),
        Just("@{a=1}"),
        Just("Vulnerability"),
        Just("CVE"),
        Just("Remediations"),
        Just("FixedBuild"),
        Just("kind"),
        Just("Node"),
        Just("NodeList"),
        Just("items"),
        Just("metadata"),
        Just("conditions"),
        Just("lastHeartbeatTime"),
        Just("host"),
        Just("results"),
        Just("last_report"),
        Just("certname"),
        Just("errata"),
        Just("nvrea"),
        Just("bash-0:5.1-1.noarch"),
        Just("10.0.20348.2762"),
    ];
    let leaf = prop_oneof![
        words.clone().prop_map(|word| format!("\"{word}\"")),
        any::<i32>().prop_map(|number| number.to_string()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("\"\\ud800\"".to_owned()),
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let fields = prop::collection::vec((words.clone(), inner.clone()), 0..6).prop_map(|fields| {
            let fields: Vec<_> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            format!("{{{}}}", fields.join(","))
        });
        let list = prop::collection::vec(inner, 0..5).prop_map(|items| format!("[{}]", items.join(",")));
        prop_oneof![fields, list]
    })
}

/// XML of names that the readers know, some of it broken.
fn near_xml() -> impl Strategy<Value = String> {
    let name = || {
        prop::sample::select(vec![
            "cvrfdoc",
            "Vulnerability",
            "CVE",
            "Remediation",
            "ProductID",
            "nvidia_smi_log",
            "gpu",
        ])
    };
    let leaf = prop_oneof![
        any::<String>(),
        Just("CVE-2024-1234".to_owned()),
        Just("&amp;&#65;".to_owned()),
        Just("&x;".to_owned()),
        Just("<!DOCTYPE a [<!ENTITY x \"y\">]>".to_owned()),
    ];
    leaf.prop_recursive(6, 60, 5, move |inner| {
        (name(), prop::collection::vec(inner, 0..5), any::<bool>()).prop_map(|(name, inner, closed)| {
            let end = if closed { format!("</{name}>") } else { String::new() };
            format!("<{name} Type=\"Vendor Fix\">{}{end}", inner.concat())
        })
    })
}

/// A native record as a text, with a name and a time but anything else.
#[derive(Clone, Debug)]
struct Line {
    name: String,
    hour: u8,
    packages: Vec<(u8, u8, bool)>,
}

impl Line {
    fn text(&self) -> String {
        let package = |(name, version, held): &(u8, u8, bool)| serde_json::json!({"name": format!("p{name}"), "version": format!("{version}-1"), "arch": "x86_64", "held": held});
        let packages: Vec<_> = self.packages.iter().map(package).collect();
        let time = format!("2026-11-{:02}T00:00:00Z", self.hour + 1);
        serde_json::json!({"asset": self.name, "observedAt": time, "packages": packages}).to_string()
    }

    fn facts(&self) -> (String, u8, BTreeSet<(String, String, bool)>) {
        let packages = self
            .packages
            .iter()
            .map(|(n, v, held)| (format!("p{n}"), format!("{v}-1"), *held))
            .collect();
        (self.name.clone(), self.hour, packages)
    }
}

fn read_facts(tables: &Tables, record: &AssetRecord) -> (String, u8, BTreeSet<(String, String, bool)>) {
    let set = tables.set(record.facts.packages.unwrap());
    let packages = set.iter().map(|id| {
        let package = tables.package(*id);
        (
            tables.text(package.name).to_owned(),
            tables.text(package.version).to_owned(),
            package.held,
        )
    });
    let day: u8 = record
        .observed_at
        .to_string()
        .split(['-', 'T'])
        .nth(2)
        .unwrap()
        .parse()
        .unwrap();
    (record.name.to_string(), day - 1, packages.collect())
}

fn line() -> impl Strategy<Value = Line> {
    let packages = prop::collection::vec((0..9_u8, 0..4_u8, any::<bool>()), 0..6);
    ("[A-Za-z0-9._-]{1,20}", 0..20_u8, packages).prop_map(|(name, hour, packages)| Line { name, hour, packages })
}

proptest! {
    #[test]
    fn no_bytes_break_a_reader(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for format in built() {
            for path in ["x.json", "x.ndjson", "x.json.gz", "x.ndjson.zst", "x.tar", "x.tar.zst", "x.tgz", "x.zip", "x.xz", "x"] {
                read_files(format, &[(path, &bytes)]);
            }
        }
    }

    #[test]
    fn no_damage_to_a_container_breaks_a_reader(at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()) {
        let text = br#"{"asset":"a","observedAt":"2026-11-20T03:00:00Z","packages":[{"name":"p","version":"1"}]}"#.repeat(3);
        for layers in [["gz", ""], ["zst", ""], ["tar", ""], ["tar", "gz"], ["tar", "zst"]] {
            let mut bytes = text.clone();
            let mut path = if layers[0] == "tar" { "x".to_owned() } else { "x.ndjson".to_owned() };
            for layer in layers.iter().filter(|layer| !layer.is_empty()) {
                bytes = packed(&bytes, layer);
                path = format!("{path}.{layer}");
            }
            let at = at.index(bytes.len());
            if cut { bytes.truncate(at) } else { bytes[at] = byte }
            read_files("native", &[(&path, &bytes)]);
        }
    }

    #[test]
    fn no_json_breaks_a_reader(text in near_json()) {
        for format in built() {
            let batch = read_files(format, &[("x.json", text.as_bytes())]);
            prop_assert!(batch.account.total + batch.account.notes.len() as u64 > 0, "nothing was said of {}", text);
        }
    }

    #[test]
    fn no_xml_breaks_a_reader(text in near_xml()) {
        for format in built() {
            let batch = read_files(format, &[("x.xml", text.as_bytes())]);
            prop_assert!(batch.account.total + batch.account.notes.len() as u64 > 0, "nothing was said of {}", text);
        }
    }

    #[test]
    fn what_was_written_is_read(lines in prop::collection::vec(line(), 1..12), as_array in any::<bool>()) {
        let texts: Vec<_> = lines.iter().map(Line::text).collect();
        let (path, text) = match as_array {
            true => ("x.json", format!("[{}]", texts.join(","))),
            false => ("x.ndjson", texts.join("\n")),
        };
        let written: Vec<_> = lines.iter().map(Line::facts).collect();
        for extension in ["", "gz", "zst"] {
            let path = if extension.is_empty() { path.to_owned() } else { format!("{path}.{extension}") };
            let batch = read_files("native", &[(&path, &packed(text.as_bytes(), extension))]);
            let read: Vec<_> = batch.assets.iter().map(|record| read_facts(&batch.tables, record)).collect();
            prop_assert_eq!(&read, &written);
            let numbers: Vec<_> = batch.assets.iter().map(|record| record.provenance.record as usize).collect();
            prop_assert_eq!(numbers, (1..=lines.len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn neither_the_order_of_files_nor_threads_count(lines in prop::collection::vec(line(), 1..12), threads in 1..4_usize) {
        let texts: Vec<(String, String)> =
            lines.iter().enumerate().map(|(at, line)| (format!("f{at:02}.json"), line.text())).collect();
        let mut files: Vec<(&str, &[u8])> = texts.iter().map(|(path, text)| (path.as_str(), text.as_bytes())).collect();
        let straight = format!("{:?}", read_files("native", &files));
        files.reverse();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let reversed = pool.install(|| format!("{:?}", read_files("native", &files)));
        // The lookup tables inside print in no order; everything that they index does.
        let ordered = |text: &str| { let mut words: Vec<_> = text.split([',', '{', '}']).map(str::trim).map(str::to_owned).collect(); words.sort(); words };
        prop_assert_eq!(ordered(&straight), ordered(&reversed));
    }
}

/// A fleet that fills several rounds reads the same with one thread and with several.
#[test]
fn large_inputs_do_not_depend_on_threads() {
    let row = |p: usize, v: usize| format!(r#"{{"name":"package-{p}","version":"{v}-1.el9","arch":"x86_64"}}"#);
    let list = |n: usize| (0..60).map(|p| row(p, (n * 7 + p) % 5)).collect::<Vec<_>>().join(",");
    let line = |n: usize| {
        format!(
            r#"{{"asset":"a{n}","observedAt":"2026-11-20T03:00:00Z","packages":[{}]}}"#,
            list(n % 300)
        )
    };
    let text = (0..12_000).map(line).collect::<Vec<_>>().join("\n");
    let packed = zstd::encode_all(text.as_bytes(), 1).unwrap();
    let with = |threads: usize, path: &str, bytes: &[u8]| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let batch = pool.install(|| read_files("native", &[(path, bytes)]));
        let packages: Vec<_> = batch.tables.packages().to_vec();
        let records: Vec<_> = batch
            .assets
            .iter()
            .map(|r| (Arc::clone(&r.name), r.facts.packages, r.provenance.record))
            .collect();
        (packages, records, batch.tables.set_count())
    };
    let one = with(1, "x.ndjson.zst", &packed);
    assert_eq!((one.1.len(), one.2), (12_000, 5), "every fifth list is the same set");
    assert_eq!(one, with(3, "x.ndjson.zst", &packed));
    let plain = with(2, "x.ndjson", text.as_bytes());
    assert_eq!((plain.1.len(), plain.2), (12_000, 5));
}
