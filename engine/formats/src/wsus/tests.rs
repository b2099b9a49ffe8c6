use patchwave_core::observe::Batch;

use crate::InputFile;

fn read_bytes(bytes: &[u8]) -> Batch {
    let files = [InputFile {
        path: "wsus01.json".into(),
        bytes: bytes.into(),
    }];
    let now = "2026-11-20T20:00:00Z".parse().unwrap();
    let batch = crate::read("wsus", &"wsus".into(), &files, now).unwrap();
    let account = &batch.account;
    assert_eq!(account.read + account.skipped.len() as u64, account.total);
    batch
}

fn read(text: &str) -> Batch {
    read_bytes(text.as_bytes())
}

fn reasons(list: &[patchwave_core::observe::Skipped]) -> Vec<&str> {
    list.iter().map(|s| s.reason.as_str()).collect()
}

const NEEDED: &str = r#"{"update_id":"FB95C1C8-DE23-4089-AE29-FD3351D55421","revision":201,"kbs":["KB5034439"],"title":"2026-11 Update","state":"NotInstalled","approval":"Install","eula":true}"#;
const THERE: &str =
    r#"{"update_id":"00000000-0000-4000-8000-000000000001","revision":"7","kb":5034440,"state":"Installed"}"#;

fn export(computers: &str) -> String {
    format!(r#"{{"version":1,"server":"wsus01","generated_at":"2026-11-20T19:00:00Z","computers":[{computers}]}}"#)
}

fn web(rest: &str) -> String {
    format!(r#"{{"id":"1","fqdn":"web7.corp.example","last_reported":"2026-11-20T03:11:00Z",{rest}}}"#)
}

#[test]
fn a_computer_has_its_build_its_articles_and_what_is_offered() {
    let rest = format!(
        r#""os":"Windows Server 2022 Standard","os_build":"10.0.20348.2700","arch":"AMD64","groups":["All Computers","PW Staging"],"updates":[{NEEDED},{THERE}]"#
    );
    let batch = read(&export(&web(&rest)));
    assert_eq!((batch.account.total, batch.account.read), (1, 1));
    assert!(
        batch.account.dropped_fields.is_empty() && batch.account.notes.is_empty(),
        "{:#?}",
        batch.account
    );
    let record = &batch.assets[0];
    assert_eq!(
        (&*record.name, record.observed_at.to_string().as_str()),
        ("web7.corp.example", "2026-11-20T03:11:00Z")
    );
    let facts = &record.facts;
    let os = facts.os.as_ref().unwrap();
    assert_eq!((&*os.id, &*os.version, &*os.arch), ("windows", "2022", "x86_64"));
    assert_eq!(facts.os_build.as_deref(), Some("10.0.20348.2700"));
    assert_eq!(facts.kbs.as_deref(), Some(["5034440".into()].as_slice()));
    assert_eq!(facts.pending_reboot, None);
    let labels: Vec<_> = facts.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(labels, ["wsus/group.PW Staging=true", "wsus/server=wsus01"]);
    let [there, needed] = &**facts.updates.as_ref().unwrap() else {
        panic!()
    };
    assert_eq!(
        (&*needed.update_id, needed.revision),
        ("fb95c1c8-de23-4089-ae29-fd3351d55421", 201)
    );
    assert_eq!(
        (&*needed.kbs[0], &*needed.title, &*needed.approval, needed.eula),
        ("5034439", "2026-11 Update", "Install", true)
    );
    assert_eq!(
        (there.revision, &*there.kbs[0], &*there.state),
        (7, "5034440", "Installed")
    );
}

#[test]
fn the_shapes_of_powershell_are_the_same_export() {
    let straight = read(&export(&web(&format!(
        r#""osBuild":"10.0.20348.2700","groups":["G"],"updates":[{NEEDED}]"#
    ))));
    let ragged = format!(
        r#"{{"server":"wsus01","generated_at":{{"value":"\/Date(1795201200000)\/","DisplayHint":2}},"computers":{{"id":1,"fqdn":"web7.corp.example","last_reported":"\/Date(1795144260000)\/","osBuild":"10.0.20348.2700","groups":"G","updates":{NEEDED}}}}}"#
    );
    let mut utf16 = vec![0xff, 0xfe];
    utf16.extend(ragged.encode_utf16().flat_map(u16::to_le_bytes));
    let mut marked = b"\xef\xbb\xbf".to_vec();
    marked.extend(ragged.bytes());
    for bytes in [ragged.into_bytes(), utf16, marked] {
        let batch = read_bytes(&bytes);
        assert_eq!(
            (batch.account.read, batch.account.dropped_fields.len()),
            (1, 0),
            "{:#?}",
            batch.account
        );
        assert_eq!(batch.assets[0].facts, straight.assets[0].facts);
        assert_eq!(batch.assets[0].observed_at, straight.assets[0].observed_at);
    }
}

#[test]
fn what_the_depth_cut_off_is_told_and_never_guessed() {
    let computers = [
        r#""@{id=1; fqdn=a.corp}""#.to_owned(),
        web(r#""updates":"System.Object[]""#),
        web(r#""updates":["@{update_id=1}","@{update_id=2}"]"#),
        web(&format!(
            r#""groups":"@{{Name=G}}","updates":[{}]"#,
            NEEDED.replace(r#"["KB5034439"]"#, r#""System.String[]""#)
        )),
    ];
    let batch = read(&export(&computers.join(",")));
    assert_eq!((batch.account.total, batch.account.read), (4, 3));
    assert!(reasons(&batch.account.skipped)[0].contains("-Depth"));
    let dropped = reasons(&batch.account.dropped_fields);
    assert_eq!(dropped.len(), 4, "{dropped:#?}");
    assert!(dropped.iter().all(|why| why.contains("-Depth")), "{dropped:#?}");
    assert!(dropped[1].contains("updates[0]") && dropped[1].ends_with("and 1 more in this list"));
    let facts: Vec<_> = batch
        .assets
        .iter()
        .map(|a| a.facts.updates.as_ref().map(|u| u.len()))
        .collect();
    assert_eq!(facts, [None, Some(0), Some(1)]);
}

#[test]
fn a_computer_that_never_reported_is_an_asset_of_which_nothing_is_known() {
    let never = |reported: &str| {
        format!(r#"{{"fqdn":"new.corp","last_reported":{reported},"os_build":"10.0.20348.1","updates":[{NEEDED}]}}"#)
    };
    for reported in [r#""\/Date(-62135596800000)\/""#, "null", r#""soon""#] {
        let batch = read(&export(&never(reported)));
        let record = &batch.assets[0];
        assert_eq!(record.observed_at.to_string(), "2026-11-20T19:00:00Z");
        assert_eq!((&record.facts.os_build, &record.facts.updates), (&None, &None));
        assert!(reasons(&batch.account.notes)[0].contains("never reported"));
    }
    let without = format!(r#"{{"computers":[{}]}}"#, never("null"));
    assert!(reasons(&read(&without).account.skipped)[0].contains("without a time"));
}

#[test]
fn bad_fields_cost_only_themselves() {
    let updates = [
        NEEDED.to_owned(),
        NEEDED.replace("NotInstalled", "Later"),
        NEEDED.replace(r#""NotInstalled""#, "2"),
        NEEDED.replace("FB95C1C8", "x"),
        NEEDED.replace("201", "-1"),
        NEEDED.replace("KB5034439", "all"),
        "7".to_owned(),
    ];
    let rest = format!(
        r#""os":["x"],"os_build":"10.0.20348","colour":1,"groups":[{{}}],"updates":[{}]"#,
        updates.join(",")
    );
    let batch = read(&export(&format!("{},{{\"fqdn\":\"a b\"}},{{}},7", web(&rest))));
    assert_eq!((batch.account.total, batch.account.read), (4, 1));
    let dropped = reasons(&batch.account.dropped_fields);
    assert_eq!(dropped.len(), 4, "{dropped:#?}");
    assert!(dropped.iter().any(|why| why.contains("and 5 more")), "{dropped:#?}");
    assert_eq!(
        batch.assets[0].facts.updates.as_ref().unwrap().len(),
        2,
        "the same update without its article"
    );
    assert!(reasons(&batch.account.notes)[0].contains("`colour`"));
}

#[test]
fn what_is_no_export_is_told() {
    for (text, why) in [
        ("{}", "no `computers`"),
        (r#"{"version":2,"computers":[]}"#, "version 2"),
        (r#"{"computers":"System.Object[]"}"#, "-Depth"),
        ("7", "invalid type"),
        ("{", "is not JSON"),
    ] {
        let batch = read(text);
        assert!(
            reasons(&batch.account.skipped)[0].contains(why),
            "{text}: {:#?}",
            batch.account
        );
    }
    for text in ["", "[]", r#"{"computers":[]}"#] {
        assert_eq!(reasons(&read(text).account.notes), ["holds no records"], "{text}");
    }
    let two = format!("[{},{}]", export(&web(r#""os":"x""#)), export(&web(r#""os":"x""#)));
    let records: Vec<_> = read(&two).assets.iter().map(|a| a.provenance.record).collect();
    assert_eq!(records, [1, 2]);
}
