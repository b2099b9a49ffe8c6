use patchwave_core::observe::{Batch, PackageSetId};
use serde_json::{Value, json};

use crate::InputFile;

fn read(value: &Value) -> Batch {
    let files = [InputFile {
        path: "hosts.json".into(),
        bytes: value.to_string().into_bytes().into(),
    }];
    let now = "2026-11-20T12:00:00Z".parse().unwrap();
    let batch = crate::read("katello", &"katello".into(), &files, now).unwrap();
    let account = &batch.account;
    assert_eq!(account.read + account.skipped.len() as u64, account.total);
    batch
}

fn host() -> Value {
    json!({"id": 17, "name": "web1.example.com", "operatingsystem_name": "RedHat 9.6", "architecture_name": "x86_64",
        "organization_name": "Org", "location_name": null, "last_report": null, "updated_at": "2026-11-01 00:00:00 UTC",
        "traces_status_label": "Reboot required",
        "content_facet_attributes": {"content_view_environments": [{"label": "prod/web",
            "content_view": {"id": 3, "name": "web", "composite": true, "rolling": false, "content_view_version": "12.0", "content_view_version_id": 88},
            "lifecycle_environment": {"id": 4, "name": "prod"}}],
            "content_view": {"id": 9, "name": "other"}, "lifecycle_environment": {"id": 9, "name": "other"}},
        "subscription_facet_attributes": {"last_checkin": "2026-11-20 03:00:00 +0100"},
        "facts": {"dmi::system::uuid": "U-1", "dmi::system::serial_number": "Not Specified", "uname::release": "5.14.0-570.el9.x86_64"}})
}

fn bundle() -> Value {
    json!({"host": host(),
        "packages": {"total": 2, "subtotal": 2, "results": [
            {"id": 1, "name": "openssl-libs", "nvra": "openssl-libs-3.0.7-24.el9.x86_64", "nvrea": "openssl-libs-1:3.0.7-24.el9.x86_64", "upgradable_versions": ["openssl-libs-3.0.7-25.el9.x86_64"]},
            {"id": 2, "name": "bash", "nvra": "bash-5.1.8-9.el9.x86_64", "upgradable_versions": null}]},
        "debs": [],
        "errata": [{"subtotal": 2, "results": [{"errata_id": "RHSA-1", "installable": true, "packages": ["openssl-libs-3.0.7-27.el9.x86_64", "openssl-3.0.7-27.el9.src"]}]},
                   {"subtotal": 2, "results": [{"errata_id": "RHSA-2", "installable": false, "packages": ["bash-5.1.8-10.el9.x86_64"]}]}],
        "applicable": {"results": [{"errata_id": "RHSA-2", "installable": false}]}})
}

fn names(batch: &Batch, set: Option<PackageSetId>) -> Vec<String> {
    let tables = &batch.tables;
    let mut names: Vec<_> = tables
        .set(set.unwrap())
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

#[test]
fn a_host_with_its_lists_has_packages_content_and_what_it_can_install() {
    let batch = read(&bundle());
    assert_eq!(
        (batch.account.read, batch.account.dropped_fields.len()),
        (1, 0),
        "{:#?}",
        batch.account
    );
    let record = &batch.assets[0];
    assert_eq!(
        (&*record.name, record.observed_at.to_string().as_str()),
        ("web1.example.com", "2026-11-20T02:00:00Z")
    );
    let facts = &record.facts;
    assert_eq!(
        names(&batch, facts.packages),
        ["bash 5.1.8-9.el9 x86_64", "openssl-libs 1:3.0.7-24.el9 x86_64"]
    );
    assert_eq!(
        names(&batch, facts.available),
        [
            "openssl-libs 1:3.0.7-25.el9 x86_64",
            "openssl-libs 1:3.0.7-27.el9 x86_64"
        ]
    );
    let os = facts.os.as_ref().unwrap();
    assert_eq!((&*os.id, &*os.version, &*os.arch), ("rhel", "9.6", "x86_64"));
    assert_eq!(
        (facts.pending_reboot, facts.identity.serial.as_deref()),
        (Some(true), None)
    );
    assert_eq!(facts.identity.bios_uuid.as_deref(), Some("U-1"));
    let [view] = &**facts.content.as_ref().unwrap() else {
        panic!()
    };
    assert_eq!(
        (view.host_id, &*view.organization, &*view.view, view.view_id),
        (Some(17), "Org", "web", 3)
    );
    assert_eq!(
        (&*view.version, view.version_id, &*view.environment, view.environment_id),
        ("12.0", 88, "prod", 4)
    );
    assert!(view.composite && !view.rolling);
    let labels: Vec<_> = facts.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(
        labels,
        [
            "foreman/organization=Org",
            "katello/content-view=web",
            "katello/environment=prod"
        ]
    );
    let notes: Vec<_> = batch.account.notes.iter().map(|n| n.reason.as_str()).collect();
    assert_eq!(notes.len(), 2, "{notes:#?}");
    assert!(
        notes[0].contains("without `nvrea`") && notes[1].contains("applicable to a host but not in its content (1")
    );
}

#[test]
fn old_and_new_content_and_pages_of_hosts_are_read() {
    let mut old = host();
    old["content_facet_attributes"] = json!({"content_view": {"id": 1, "name": "v"}, "lifecycle_environment": {"id": 2, "name": "Library"},
        "content_view_version": "1.0", "content_view_version_id": 5, "bootc_booted_image": "img", "bootc_booted_digest": "sha256:1"});
    let mut several = host();
    several["name"] = json!("b.example.com");
    let row = several["content_facet_attributes"]["content_view_environments"][0].clone();
    let mut second = row.clone();
    second["lifecycle_environment"]["id"] = json!(7);
    several["content_facet_attributes"]["content_view_environments"] = json!([row, second, {"label": "x"}]);
    let batch = read(
        &json!({"total": 20, "subtotal": 4, "page": 1, "per_page": "2", "results": [old, several, {"id": 1, "name": "thin"}]}),
    );
    assert_eq!((batch.account.total, batch.account.read), (3, 2));
    assert!(batch.account.skipped[0].reason.contains("thin list"));
    assert!(batch.account.notes.iter().any(|n| n.reason.contains("3 of 4 hosts")));
    assert_eq!(batch.account.dropped_fields.len(), 1);
    let [view] = &**batch.assets[0].facts.content.as_ref().unwrap() else {
        panic!()
    };
    assert_eq!((&*view.version, view.version_id, view.environment_id), ("1.0", 5, 2));
    assert_eq!(
        &*batch.assets[0].facts.components.as_ref().unwrap()[0].version,
        "sha256:1"
    );
    assert_eq!(batch.assets[1].facts.content.as_ref().unwrap().len(), 2);
    assert!(!batch.assets[1].facts.labels.contains_key("katello/environment"));
}

#[test]
fn a_list_that_is_not_whole_is_none() {
    let mut cut = bundle();
    cut["packages"]["subtotal"] = json!(400);
    cut["errata"] = json!("x");
    let batch = read(&cut);
    let facts = &batch.assets[0].facts;
    assert_eq!(
        facts.packages, None,
        "`debs` is whole and empty, but says nothing of the rest"
    );
    assert_eq!(facts.available, None);
    let dropped: Vec<_> = batch.account.dropped_fields.iter().map(|d| d.reason.as_str()).collect();
    assert!(
        dropped[0].contains("2 of 400 rows") && dropped[1].contains("`errata`"),
        "{dropped:#?}"
    );
}

#[test]
fn a_host_that_never_checked_in_has_no_packages() {
    let mut never = bundle();
    let mut empty = bundle();
    empty["packages"] = json!([]);
    let batch = read(&empty);
    assert_eq!(batch.assets[0].facts.packages, None);
    assert!(
        batch
            .account
            .notes
            .iter()
            .any(|n| n.reason.contains("no package at all"))
    );
    never["host"]["subscription_facet_attributes"] = json!(null);
    never["fetched_at"] = json!("2026-11-20T11:00:00Z");
    let batch = read(&never);
    assert_eq!(batch.assets[0].observed_at.to_string(), "2026-11-20T11:00:00Z");
    assert_eq!(batch.assets[0].facts.packages, None);
    assert!(batch.account.notes[0].reason.contains("never checked in"));
}

#[test]
fn bad_fields_cost_only_themselves() {
    let batch = read(&json!([
        {"host": 7}, {"error": {"message": "x"}}, {}, 7, {"name": "a b", "updated_at": "2026-11-01"}, {"results": 7},
        {"host": {"name": "c", "id": "x", "updated_at": "2026-11-01 00:00:00 UTC", "last_report": "soon", "content_facet_attributes": {"content_view": 7}, "operatingsystem_name": "Plan9 4"}},
        {"host": host(), "packages": [7, {"nvrea": "bash"}, {"nvrea": "bash-5-1.noarch", "upgradable_versions": 1}], "debs": {"results": [{"name": "a"}, {"name": "b", "version": "1:2-3", "architecture": "amd64"}]}}
    ]));
    assert_eq!(
        (batch.account.total, batch.account.read),
        (8, 2),
        "{:#?}",
        batch.account
    );
    assert_eq!(
        batch.account.dropped_fields.len(),
        5,
        "{:#?}",
        batch.account.dropped_fields
    );
    assert!(
        batch.account.dropped_fields[3]
            .reason
            .ends_with("and 2 more in this list")
    );
    assert_eq!(
        names(&batch, batch.assets[1].facts.packages),
        ["b 1:2-3 amd64", "bash 5-1 noarch"]
    );
}
