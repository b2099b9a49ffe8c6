use patchwave_core::name::Severity;
use patchwave_core::observe::{AdvisoryRecord, Batch};

use crate::InputFile;

fn read_as(path: &str, text: &str) -> Batch {
    let files = [InputFile {
        path: path.into(),
        bytes: text.as_bytes().into(),
    }];
    let batch = crate::read("msrc", &"msrc".into(), &files, jiff::Timestamp::UNIX_EPOCH).unwrap();
    let account = &batch.account;
    assert_eq!(account.read + account.skipped.len() as u64, account.total);
    batch
}

fn read(text: &str) -> Batch {
    read_as("2026-Nov.json", text)
}

const TREE: &str = r#""ProductTree":{"Branch":[{"Type":0,"Name":"Microsoft","Items":[
    {"Type":1,"Name":"Windows","Items":[{"ProductID":"1","Value":"Windows Server 2022"},{"ProductID":"2","Value":"Windows Server 2022 (Server Core installation)"},
        {"ProductID":"3","Value":"Windows 10 Version 1809 for x64-based Systems"},{"ProductID":"9","Value":"Windows Defender Antimalware Platform"}]},
    {"Type":1,"Name":"Microsoft Office","Items":[{"ProductID":"4","Value":"Microsoft Excel 2016"}]}]}],
    "FullProductName":[{"ProductID":"1","Value":"Windows Server 2022"}]}"#;

fn document(vulnerabilities: &str) -> String {
    format!(r#"{{"DocumentTitle":{{"Value":"t"}},{TREE},"Vulnerability":[{vulnerabilities}]}}"#)
}

fn fix(ids: &str, kb: &str, build: &str, rest: &str) -> String {
    format!(
        r#"{{"Type":2,"Description":{{"Value":"{kb}"}},"ProductID":[{ids}],"FixedBuild":"{build}","Supercedence":"5060000","SubType":"Security Update","RestartRequired":{{"Value":"Yes"}}{rest}}}"#
    )
}

fn cve(remediations: &[String]) -> String {
    format!(
        r#"{{"CVE":"CVE-2026-1001","Title":{{"Value":"x"}},
        "ProductStatuses":[{{"Type":3,"ProductID":["1","2","4"]}}],
        "Threats":[{{"Type":0,"ProductID":["1"],"Description":{{"Value":"Spoofing"}}}},
            {{"Type":3,"ProductID":["1"],"Description":{{"Value":"Important"}}}},{{"Type":3,"ProductID":["4"],"Description":{{"Value":"Critical"}}}},
            {{"Type":1,"ProductID":[],"Description":{{"Value":"Publicly Disclosed:No;Exploited:Yes;Latest Software Release:Exploitation Detected"}}}}],
        "CVSSScoreSets":[{{"BaseScore":9.8,"Vector":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H/E:P/RL:O/RC:C","ProductID":["1"]}}],
        "Remediations":[{}],
        "RevisionHistory":[{{"Number":"2.0","Date":"2026-11-12T08:00:00","Description":{{"Value":"x"}}}},{{"Number":"1.0","Date":"2026-11-10T08:00:00Z"}}]}}"#,
        remediations.join(",")
    )
}

/// `introduced..last_affected <fixed kb` of each fix.
fn shown(record: &AdvisoryRecord) -> Vec<String> {
    let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().unwrap_or("").to_owned();
    let fixes = record.fixes.iter();
    fixes
        .map(|f| {
            assert_eq!(
                (f.ecosystem.to_string().as_str(), &*f.package),
                ("os microsoft", "windows")
            );
            format!(
                "{}..{} <{} KB{}",
                text(&f.introduced),
                text(&f.last_affected),
                text(&f.fixed),
                text(&f.kb)
            )
        })
        .collect()
}

fn notes(batch: &Batch) -> Vec<&str> {
    batch.account.notes.iter().map(|n| n.reason.as_str()).collect()
}

#[test]
fn a_vulnerability_has_a_fix_for_each_build_and_article() {
    let batch = read(&document(&cve(&[
        fix(r#""1""#, "5062572", "10.0.20348.2762", ""),
        fix(r#""2""#, "5062572", "10.0.20348.2762", ""),
        fix(r#""3""#, "5062557", "10.0.17763.7558", ""),
        fix(r#""4""#, "5002700", "16.0.5435.1001", ""),
    ])));
    assert_eq!((batch.account.read, batch.account.dropped_fields.len()), (1, 0));
    let record = &batch.advisories[0];
    assert_eq!(
        shown(record),
        [".. <10.0.17763.7558 KB5062557", ".. <10.0.20348.2762 KB5062572"]
    );
    assert_eq!(
        (&*record.id, record.severity, record.reboot),
        ("CVE-2026-1001", Severity::High, Some(true))
    );
    assert!(record.exploited.as_ref().is_some_and(|e| e.since.is_none()));
    assert_eq!(record.published.unwrap().to_string(), "2026-11-10T08:00:00Z");
    assert_eq!(record.modified.unwrap().to_string(), "2026-11-12T08:00:00Z");
    assert_eq!(
        notes(&batch),
        ["products of family `Microsoft Office` have no build of Windows and match no asset (1 ×)"]
    );
}

#[test]
fn client_and_server_of_one_branch_have_fixes_of_their_own_where_they_differ() {
    let products = r#"{"ProductID":"11","Value":"Windows 11 Version 24H2 for x64-based Systems"},{"ProductID":"12","Value":"Windows Server 2025"},"#;
    let shown = |fixes: &[String]| {
        let with = document(&cve(fixes)).replacen(
            r#""Items":[{"ProductID":"1","#,
            &format!(r#""Items":[{products}{{"ProductID":"1","#),
            1,
        );
        let record = read(&with).advisories.remove(0);
        let edition = |f: &patchwave_core::observe::Fix| f.edition.map_or("any", |e| e.as_str());
        let fixes = record.fixes.iter();
        fixes
            .map(|f| {
                format!(
                    "{} {} KB{}",
                    edition(f),
                    f.fixed.as_deref().unwrap(),
                    f.kb.as_deref().unwrap()
                )
            })
            .collect::<Vec<_>>()
    };
    let (client, server) = ("10.0.26100.4349", "10.0.26100.4351");
    assert_eq!(
        shown(&[
            fix(r#""11""#, "5060842", client, ""),
            fix(r#""12""#, "5060843", server, "")
        ]),
        ["client 10.0.26100.4349 KB5060842", "server 10.0.26100.4351 KB5060843"]
    );
    // What they agree on is for both, whether one remediation says so or two.
    let alike = ["any 10.0.26100.4349 KB5060842"];
    assert_eq!(shown(&[fix(r#""11","12""#, "5060842", client, "")]), alike);
    assert_eq!(
        shown(&[
            fix(r#""11""#, "5060842", client, ""),
            fix(r#""12""#, "5060842", client, "")
        ]),
        alike
    );
    // Only the server is affected; a branch that is a server alone says nothing.
    assert_eq!(
        shown(&[fix(r#""12""#, "5060843", server, "")]),
        ["server 10.0.26100.4351 KB5060843"]
    );
    assert_eq!(
        shown(&[fix(r#""1""#, "5060843", "10.0.20348.1", "")]),
        ["any 10.0.20348.1 KB5060843"]
    );
}

#[test]
fn only_a_windows_has_a_build_of_windows() {
    let batch = read(&document(&cve(&[
        fix(r#""9""#, "5000001", "4.18.25010.11", ""),
        fix(r#""4","7""#, "5000002", "10.0.1.1", ""),
    ])));
    assert!(batch.advisories[0].fixes.is_empty());
    assert_eq!(batch.advisories[0].reboot, None);
    let notes = notes(&batch);
    assert_eq!(notes.len(), 4, "{notes:#?}");
    assert!(
        notes
            .iter()
            .any(|n| n.starts_with("a Windows is affected and no fix for it is published (2"))
    );
    assert!(
        notes
            .iter()
            .any(|n| n.starts_with("a fix is for a product that the document does not name (1"))
    );
}

#[test]
fn texts_that_are_no_build_are_told() {
    let batch = read(&document(&cve(&[
        fix(r#""1""#, "5062572", "https://aka.ms/x", ""),
        fix(r#""1""#, "5062573", "10.0.14393.X, 10.0.14393.8000", ""),
        fix(r#""1""#, "5062574", "", r#","FixedBuild":null"#),
        fix(r#""1""#, "Release Notes", "10.0.20348.1;10.0.20348.2", ""),
    ])));
    assert_eq!(
        shown(&batch.advisories[0]),
        [
            ".. <10.0.14393.8000 KB5062573",
            ".. <10.0.20348.1 KB",
            ".. <10.0.20348.2 KB"
        ]
    );
    let dropped: Vec<_> = batch.account.dropped_fields.iter().map(|d| d.reason.as_str()).collect();
    assert_eq!(dropped.len(), 2, "{dropped:#?}");
    assert!(dropped[0].contains("https://aka.ms/x") && dropped[1].contains("10.0.14393.X"));
    assert!(
        notes(&batch)
            .iter()
            .any(|n| n.starts_with("a fix of Windows names no build"))
    );
}

#[test]
fn exactly_the_build_of_a_hotpatch_is_fixed_without_the_update() {
    let hot = |build| fix(r#""1""#, "5058497", build, r#","SubType":"Security Hotpatch Update""#);
    let batch = read(&document(&cve(&[
        fix(r#""1""#, "5058411", "10.0.26100.4061", ""),
        hot("10.0.26100.3981"),
    ])));
    let record = &batch.advisories[0];
    assert_eq!(
        shown(record),
        [
            "..10.0.26100.3980 <10.0.26100.4061 KB5058411",
            "10.0.26100.3982.. <10.0.26100.4061 KB5058411"
        ]
    );
    let affected = |build: &str| record.fixes.iter().any(|fix| fix.affects(build));
    for (build, expected) in [
        ("3915", true),
        ("3981", false),
        ("4000", true),
        ("4061", false),
        ("4270", false),
    ] {
        assert_eq!(affected(&format!("10.0.26100.{build}")), expected, "{build}");
    }
    let alone = read(&document(&cve(&[hot("10.0.26100.3981")])));
    assert_eq!(shown(&alone.advisories[0]), [".. <10.0.26100.3981 KB5058497"]);
    let update = || fix(r#""1""#, "5058411", "10.0.26100.5", "");
    let neighbours = [
        update(),
        hot("10.0.26100.0"),
        hot("10.0.26100.1"),
        hot("10.0.26100.4"),
        hot("10.0.26100.9"),
    ];
    let neighbours = read(&document(&cve(&neighbours)));
    assert_eq!(
        shown(&neighbours.advisories[0]),
        ["10.0.26100.2..10.0.26100.3 <10.0.26100.5 KB5058411"],
        "no range without a revision in it, and none above the update"
    );
}

#[test]
fn xml_says_the_same_as_json() {
    let xml = r#"<?xml version="1.0"?><cvrf:cvrfdoc xmlns:cvrf="c" xmlns:prod="p" xmlns:vuln="v"><prod:ProductTree><prod:Branch Type="Vendor" Name="Microsoft">
        <prod:Branch Type="Product Family" Name="Windows"><prod:FullProductName ProductID="1">Windows Server 2022</prod:FullProductName></prod:Branch>
        <prod:Branch Type="Product Family" Name="Microsoft Office"><prod:FullProductName ProductID="4">Microsoft Excel 2016</prod:FullProductName></prod:Branch></prod:Branch>
        <prod:FullProductName ProductID="1">Windows Server 2022</prod:FullProductName></prod:ProductTree>
      <vuln:Vulnerability Ordinal="1"><vuln:CVE>CVE-2026-1001</vuln:CVE>
        <vuln:ProductStatuses><vuln:Status Type="Known Affected"><vuln:ProductID>1</vuln:ProductID><vuln:ProductID>4</vuln:ProductID></vuln:Status></vuln:ProductStatuses>
        <vuln:Threats><vuln:Threat Type="Severity"><vuln:Description>Important</vuln:Description><vuln:ProductID>1</vuln:ProductID></vuln:Threat>
          <vuln:Threat Type="Exploit Status"><vuln:Description>Publicly Disclosed:No;Exploited:Yes</vuln:Description></vuln:Threat></vuln:Threats>
        <vuln:Remediations><vuln:Remediation Type="Vendor Fix"><vuln:Description>5062572</vuln:Description><vuln:ProductID>1</vuln:ProductID>
          <vuln:SubType>Security Update</vuln:SubType><vuln:FixedBuild>10.0.20348.2762</vuln:FixedBuild><vuln:RestartRequired>Yes</vuln:RestartRequired></vuln:Remediation>
          <vuln:Remediation Type="Known Issue"><vuln:Description>5062572</vuln:Description><vuln:ProductID>1</vuln:ProductID></vuln:Remediation></vuln:Remediations>
        <vuln:RevisionHistory><vuln:Revision><cvrf:Date>2026-11-10T08:00:00</cvrf:Date></vuln:Revision><vuln:Revision><cvrf:Date>2026-11-12T08:00:00</cvrf:Date></vuln:Revision></vuln:RevisionHistory>
      </vuln:Vulnerability></cvrf:cvrfdoc>"#;
    let json = read(&document(&cve(&[fix(r#""1""#, "5062572", "10.0.20348.2762", "")])));
    let mut batch = read_as("2026-Nov.xml", xml);
    assert_eq!(batch.account.dropped_fields, []);
    let mut from_xml = batch.advisories.remove(0);
    let from_json = &json.advisories[0];
    from_xml.provenance = from_json.provenance.clone();
    from_xml.exploited.clone_from(&from_json.exploited);
    assert_eq!(&from_xml, from_json);
    let broken = read_as("b.xml", &xml.replace("</cvrf:cvrfdoc>", "<vuln:Vulnerability>&x;"));
    assert_eq!((broken.account.read, broken.account.skipped.len()), (1, 1));
    assert!(broken.account.skipped[0].reason.contains("entity `x`"));
}

#[test]
fn what_is_no_vulnerability_is_told() {
    for (text, why) in [
        (r#"{"document":{"category":"csaf_vex"}}"#, "`csaf`"),
        (r#"{"value":[]}"#, "neither `ProductTree` nor"),
        (r#"{"Vulnerability":7}"#, "`Vulnerability`"),
        (r#"{"Vulnerability":[{}]}"#, "no `CVE`"),
        (r#"{"Vulnerability":[{"CVE":"x y"}]}"#, "`x y` cannot be the id"),
        ("<html/>", "its root is `html`"),
        ("{", "neither JSON nor XML"),
    ] {
        let batch = read(text);
        assert_eq!(batch.account.skipped.len(), 1, "{text}");
        assert!(
            batch.account.skipped[0].reason.contains(why),
            "{text}: {:?}",
            batch.account.skipped
        );
    }
    assert_eq!(notes(&read("")), ["holds no records"]);
    let odd =
        r#"{"CVE":"CVE-2026-1","Threats":[7,{"Type":"x"}],"Remediations":{},"RevisionHistory":[{"Date":"soon"}]}"#;
    let batch = read(&document(odd));
    assert_eq!(
        (batch.account.read, batch.account.dropped_fields.len()),
        (1, 4),
        "{:#?}",
        batch.account
    );
}
