use patchwave_core::observe::Batch;

use crate::InputFile;

fn read_as(path: &str, text: &str) -> Batch {
    let files = [InputFile {
        path: path.into(),
        bytes: text.as_bytes().into(),
    }];
    let now = "2026-11-20T12:00:00Z".parse().unwrap();
    let batch = crate::read("ansible-facts", &"facts".into(), &files, now).unwrap();
    let account = &batch.account;
    assert_eq!(account.read + account.skipped.len() as u64, account.total);
    batch
}

fn names(batch: &Batch) -> Vec<String> {
    let tables = &batch.tables;
    let mut names: Vec<_> = tables
        .set(batch.assets[0].facts.packages.unwrap())
        .iter()
        .map(|id| tables.package(*id))
        .map(|p| {
            format!(
                "{} {} {}",
                tables.text(p.name),
                tables.text(p.version),
                tables.text(p.arch)
            )
        })
        .collect();
    names.sort();
    names
}

const RPM: &str = r#"{"ansible_date_time":{"iso8601":"2026-11-20T03:00:00Z","tz":"CET"},"ansible_hostname":"a","ansible_hostname":"b",
    "ansible_distribution":"AlmaLinux","ansible_distribution_version":"9.4","ansible_architecture":"x86_64","ansible_os_family":"RedHat",
    "ansible_kernel":"5.14.0-427.el9.x86_64","ansible_fqdn":{"__ansible_unsafe":"web1.corp"},"ansible_machine_id":{"__ansible_type":"_AnsibleTaggedStr","value":"m1"},
    "ansible_product_serial":"NA","ansible_product_uuid":{"__ansible_vault":"x"},"ansible_uptime_seconds":3600,
    "packages":{"kernel":[{"arch":"x86_64","epoch":null,"name":"kernel","release":"427.el9","source":"rpm","version":"5.14.0"},
        {"arch":"x86_64","epoch":null,"name":"kernel","release":"503.el9","source":"rpm","version":"5.14.0"}],
      "openssl-libs":[{"arch":"x86_64","epoch":1,"name":"openssl-libs","release":"24.el9","source":"rpm","version":"3.0.7"}]}}"#;

#[test]
fn a_file_of_the_cache_is_its_host() {
    let batch = read_as("cache/web1.example.com", RPM);
    assert_eq!(batch.account.read, 1);
    let record = &batch.assets[0];
    assert_eq!(
        (&*record.name, record.observed_at.to_string().as_str()),
        ("web1.example.com", "2026-11-20T03:00:00Z")
    );
    let facts = &record.facts;
    let os = facts.os.as_ref().unwrap();
    assert_eq!(
        (&*os.id, &*os.version, &*os.family, &*os.arch),
        ("almalinux", "9.4", "rhel", "x86_64")
    );
    assert_eq!(facts.boot_time.unwrap().to_string(), "2026-11-20T02:00:00Z");
    assert_eq!(
        facts.kernel.as_ref().unwrap().running.as_deref(),
        Some("5.14.0-427.el9.x86_64")
    );
    assert_eq!(
        (facts.identity.fqdn.as_deref(), facts.identity.machine_id.as_deref()),
        (Some("web1.corp"), Some("m1"))
    );
    assert_eq!(
        (facts.identity.serial.as_deref(), facts.identity.bios_uuid.as_deref()),
        (None, None)
    );
    assert_eq!(
        batch.account.dropped_fields.len(),
        1,
        "the one in the vault: {:#?}",
        batch.account
    );
    assert_eq!(
        names(&batch),
        [
            "kernel 5.14.0-427.el9 x86_64",
            "kernel 5.14.0-503.el9 x86_64",
            "openssl-libs 1:3.0.7-24.el9 x86_64"
        ]
    );
}

#[test]
fn a_tree_of_setup_is_read_as_well() {
    let text = format!(r#"{{"ansible_facts":{RPM},"changed":false}}"#);
    assert_eq!(&*read_as("tree/web1.json", &text).assets[0].name, "web1");
    let bare = r#"{"ansible_facts":{"date_time":{"epoch":"1795143600"},"distribution":"Ubuntu","distribution_version":"22.04",
        "packages":{"libssl3":[{"version":"1:3.0.2-0ubuntu1","source":"apt","arch":"amd64","name":"libssl3"}]}}}"#;
    let batch = read_as("web2", bare);
    assert_eq!(names(&batch), ["libssl3 1:3.0.2-0ubuntu1 amd64"]);
    assert_eq!(batch.assets[0].observed_at.as_second(), 1_795_143_600);
    assert!(batch.account.notes[0].reason.contains("half-configured"));
}

#[test]
fn windows_has_no_build_here_because_its_revision_is_missing() {
    let text = r#"{"ansible_date_time":{"iso8601":"2026-11-20T03:00:00Z"},"ansible_os_family":"Windows","ansible_kernel":"10.0.20348.0",
        "ansible_distribution":"Microsoft Windows Server 2022 Standard","ansible_distribution_version":"10.0.20348.0","ansible_architecture":"64-bit","ansible_reboot_pending":true}"#;
    let batch = read_as("win1", text);
    let facts = &batch.assets[0].facts;
    let os = facts.os.as_ref().unwrap();
    assert_eq!((&*os.id, &*os.version, &*os.arch), ("windows", "2022", "x86_64"));
    assert_eq!(
        (&facts.os_build, &facts.kernel, facts.pending_reboot),
        (&None, &None, Some(true))
    );
}

#[test]
fn what_cannot_be_believed_is_skipped() {
    let skipped = |path: &str, text: &str| read_as(path, text).account.skipped[0].reason.clone();
    assert!(skipped("a b", RPM).contains("called as its host"));
    assert!(skipped("a", r#"{"ansible_facts":{"packages":{}}}"#).contains("gather `setup`"));
    assert!(skipped("a", r#"{"msg":"no route","unreachable":true}"#).contains("no route"));
    assert!(skipped("a", "[]").contains("is no facts of a host"));
    assert!(skipped("a", "{").contains("is no facts of a host"));
    assert_eq!(read_as("a", " ").account.notes[0].reason, "holds no records");
}

#[test]
fn bad_fields_cost_only_themselves() {
    let text = r#"{"ansible_date_time":{"iso8601":"2026-11-20T03:00:00Z"},"ansible_distribution":7,"ansible_uptime_seconds":"long","ansible_fqdn":"ip6-localhost",
        "packages":{"a":[7,{"version":"1","epoch":"x"},{"release":"1"}],"b":{"version":"1","release":"2","epoch":"(none)","arch":null},"":[{"version":"1"}]}}"#;
    let batch = read_as("web1", text);
    assert_eq!(names(&batch), ["b 1-2 "]);
    let dropped: Vec<_> = batch.account.dropped_fields.iter().map(|d| d.reason.as_str()).collect();
    assert_eq!(dropped.len(), 3, "{dropped:#?}");
    assert!(dropped[2].ends_with("and 3 more in this list"), "{dropped:#?}");
    assert_eq!(batch.assets[0].facts.identity.fqdn, None);
    let empty = read_as(
        "web1",
        r#"{"ansible_date_time":{"iso8601":"2026-11-20T03:00:00Z"},"packages":{}}"#,
    );
    assert_eq!(empty.assets[0].facts.packages, None);
}
