use patchwave_core::observe::{Batch, PackageState};

use super::*;
use crate::InputFile;

fn read(lines: &str) -> Batch {
    let files = [InputFile {
        path: "facts.ndjson".into(),
        bytes: lines.as_bytes().into(),
    }];
    let now = "2026-11-20T12:00:00Z".parse().unwrap();
    let batch = crate::read("native", &"facts".into(), &files, now).unwrap();
    let account = &batch.account;
    assert_eq!(account.read + account.skipped.len() as u64, account.total);
    batch
}

/// The packages of the `at`th asset as texts, sorted.
fn packages(batch: &Batch, at: usize) -> Vec<String> {
    let tables = &batch.tables;
    let set = tables.set(batch.assets[at].facts.packages.unwrap());
    let mut texts: Vec<_> = set
        .iter()
        .map(|id| {
            let p = tables.package(*id);
            let rest = [p.arch, p.source, p.module].map(|symbol| tables.text(symbol)).join("|");
            format!(
                "{} {} {rest} {} {:?}",
                tables.text(p.name),
                tables.text(p.version),
                p.held,
                p.state
            )
        })
        .collect();
    texts.sort();
    texts
}

#[test]
fn every_field_is_read() {
    let batch = read(
        r#"{"asset":"w-1","observedAt":"2026-11-20T04:00:00+01:00","identity":{"machineId":"m","fqdn":"w-1.x","serial":"s","biosUuid":"b","other":1},
        "labels":{"env":"prod"},"lifecycle":"standby","os":{"family":"rhel","id":"almalinux","version":"9.4","arch":"x86_64"},
        "kernel":{"running":"5-1","defaultBoot":"5-2"},"bootTime":"2026-11-01T00:00:00Z","pendingReboot":true,
        "restartNeeded":[{"process":"sshd","packages":["openssl-libs"]}],"livePatch":{"engine":"kpatch","fixes":["CVE-2026-1"]},
        "packages":[{"name":"nginx","version":"0:1.20-1","arch":"x86_64","source":"nginx","module":"nginx:1.20:8060:abc","held":true,"state":"installed"}],
        "available":[{"name":"nginx","version":"1.21-1","arch":"x86_64"}],"kbs":["KB1"],"osBuild":"10.0.1.2",
        "components":[{"kind":"firmware","vendor":"v","product":"p","version":"1","instance":"i"}],
        "kubernetes":{"kubelet":"1.30","runtime":"containerd 1","role":"worker","cluster":"c","bootId":"b-1","unschedulable":true,"ready":false},
        "gpu":{"driver":"550","loaded":"550","cuda":"12.4","devices":["A100"],"kmods":[{"kernel":"5-1","driver":"550"}],"secureBoot":true,"fabricManager":"550","mig":false},

        "updaters":[{"name":"dnf-automatic","enabled":true,"scope":"security"}],"entitlements":["ubuntu-pro"],
        "updates":[{"updateId":"FB95C1C8-DE23-4089-AE29-FD3351D55421","revision":201,"kbs":["KB5034439"],"title":"t","state":"NotInstalled","approval":"Install","eula":true,"uninstallable":true,"superseded":true},{"updateId":"x"}],
        "content":[{"hostId":17,"organization":"o","view":"web","viewId":3,"version":"12.0","versionId":88,"environment":"prod","environmentId":4,"rolling":true,"composite":true}]}"#
            .replace('\n', " ")
            .as_str(),
    );
    assert_eq!(
        batch.account,
        patchwave_core::observe::Account {
            total: 1,
            read: 1,
            dropped_fields: batch.account.dropped_fields.clone(),
            ..Default::default()
        }
    );
    let record = &batch.assets[0];
    assert_eq!(record.observed_at.to_string(), "2026-11-20T03:00:00Z");
    assert_eq!(
        packages(&batch, 0),
        ["nginx 0:1.20-1 x86_64|nginx|nginx:1.20:8060:abc true Installed"]
    );
    let Facts {
        identity,
        labels,
        lifecycle,
        os,
        kernel,
        boot_time,
        pending_reboot,
        restart_needed,
        live_patch,
        packages: _,
        available,
        kbs,
        os_build,
        components,
        kubernetes,
        gpu,
        updaters,
        entitlements,
        updates,
        content,
    } = &record.facts;
    assert_eq!(batch.account.dropped_fields.len(), 1);
    assert!(
        batch.account.dropped_fields[0]
            .reason
            .contains("`updates[1]` was dropped: missing field `revision`")
    );
    let [update] = &**updates.as_ref().unwrap() else {
        panic!("{updates:?}")
    };
    assert_eq!(
        (&*update.update_id, update.revision),
        ("fb95c1c8-de23-4089-ae29-fd3351d55421", 201)
    );
    assert_eq!(
        (&*update.kbs[0], &*update.state, &*update.approval),
        ("5034439", "NotInstalled", "Install")
    );
    assert!(update.eula && update.uninstallable && update.superseded);
    let [view] = &**content.as_ref().unwrap() else {
        panic!("{content:?}")
    };
    assert_eq!(
        (view.host_id, view.view_id, view.version_id, view.environment_id),
        (Some(17), 3, 88, 4)
    );
    assert!(&*view.version == "12.0" && view.rolling && view.composite);
    let node = kubernetes.as_ref().unwrap();
    assert_eq!(
        (node.cluster.as_deref(), node.boot_id.as_deref()),
        (Some("c"), Some("b-1"))
    );
    assert_eq!((node.unschedulable, node.ready), (Some(true), Some(false)));
    let gpus = gpu.as_ref().unwrap();
    assert_eq!(
        (gpus.secure_boot, gpus.mig, gpus.fabric_manager.as_deref()),
        (Some(true), Some(false), Some("550"))
    );
    assert_eq!(&*gpus.kmods[0].kernel, "5-1");
    assert_eq!(identity.bios_uuid.as_deref(), Some("b"));
    assert_eq!((labels.len(), lifecycle.unwrap().as_str()), (1, "standby"));
    assert_eq!(os.as_ref().unwrap().major(), "9");
    assert_eq!(kernel.as_ref().unwrap().default_boot.as_deref(), Some("5-2"));
    assert!(boot_time.is_some() && *pending_reboot == Some(true) && available.is_some());
    assert_eq!(&*restart_needed.as_ref().unwrap()[0].packages[0], "openssl-libs");
    assert_eq!(&*live_patch.as_ref().unwrap().fixes[0], "CVE-2026-1");
    assert_eq!(
        (&*kbs.as_ref().unwrap()[0], os_build.as_deref()),
        ("KB1", Some("10.0.1.2"))
    );
    assert_eq!(components.as_ref().unwrap()[0].instance.as_deref(), Some("i"));
    assert_eq!(kubernetes.as_ref().unwrap().role.as_deref(), Some("worker"));
    assert_eq!(gpu.as_ref().unwrap().devices.len(), 1);
    assert!(updaters.as_ref().unwrap()[0].enabled && entitlements.is_some());
}

#[test]
fn missing_and_null_are_unknown() {
    let batch =
        read(r#"{"asset":"a","observedAt":"2026-11-20T03:00:00Z","pendingReboot":null,"packages":null,"os":null}"#);
    assert_eq!(batch.assets[0].facts, Facts::default());
    assert!(batch.account.dropped_fields.is_empty() && batch.account.notes.is_empty());
}

#[test]
fn a_bad_field_costs_only_itself() {
    let batch = read(
        r#"{"asset":"a","observedAt":"2026-11-20T03:00:00Z","pendingReboot":"maybe","bootTime":"yesterday","lifecycle":"lost","labels":{"x":1,"y":"2"},"os":{"id":"almalinux"},"kernel":7,"identity":{"fqdn":4},"osBuild":"b"}"#,
    );
    let facts = &batch.assets[0].facts;
    assert_eq!((facts.labels.len(), facts.os_build.as_deref()), (1, Some("b")));
    let dropped: Vec<_> = batch.account.dropped_fields.iter().map(|d| d.reason.as_str()).collect();
    assert_eq!(dropped.len(), 7, "{dropped:#?}");
    assert!(
        dropped
            .iter()
            .any(|d| d.contains("`pendingReboot` was dropped: invalid type: string \"maybe\"")),
        "{dropped:#?}"
    );
}

#[test]
fn the_version_of_a_source_package_is_split_from_its_name() {
    let row = |name: &str, source: &str| format!(r#"{{"name":"{name}","version":"1.0-1","source":"{source}"}}"#);
    let rows = [
        row("a", "shadow (1:4.13-1)"),
        row("b", "b (1.0-1)"),
        row("c", "c"),
        row("d", "(1.0-1)"),
    ];
    let batch = read(&format!(
        r#"{{"asset":"a","observedAt":"2026-11-20T03:00:00Z","packages":[{}]}}"#,
        rows.join(",")
    ));
    let text = |symbol| batch.tables.text(symbol);
    let all: Vec<_> = batch
        .tables
        .packages()
        .iter()
        .map(|p| (text(p.source), text(p.source_version)))
        .collect();
    assert_eq!(all, [("shadow", "1:4.13-1"), ("b", ""), ("c", ""), ("(1.0-1)", "")]);
    assert!(batch.account.dropped_fields.is_empty());
}

#[test]
fn a_bad_row_costs_only_itself() {
    let batch = read(
        r#"{"asset":"a","observedAt":"2026-11-20T03:00:00Z","packages":[{"name":"ok","version":"1"},{"name":"no-version"},7,{"name":"odd","version":"2","held":"yes","arch":5},{"name":"","version":"1"},{"name":"s","version":"1","state":"weird"}]}"#,
    );
    assert_eq!(
        packages(&batch, 0),
        [
            "odd 2 || false Installed",
            "ok 1 || false Installed",
            "s 1 || false Installed"
        ]
    );
    let dropped: Vec<_> = batch.account.dropped_fields.iter().map(|d| d.reason.as_str()).collect();
    assert_eq!(dropped.len(), 6, "{dropped:#?}");
    assert!(
        dropped[0].starts_with("a: packages[1]: `no-version` was dropped"),
        "{dropped:#?}"
    );
}

#[test]
fn states_of_dpkg_are_understood() {
    let row = |state: &str| {
        format!(
            r#"{{"name":"{}","version":"1","state":"{state}"}}"#,
            state.replace(' ', "-")
        )
    };
    let rows: Vec<_> = [
        "installed",
        "half-configured",
        "triggers-pending",
        "deinstall ok config-files",
        "install ok unpacked",
    ]
    .map(row)
    .into();
    let batch = read(&format!(
        r#"{{"asset":"a","observedAt":"2026-11-20T03:00:00Z","packages":[{}]}}"#,
        rows.join(",")
    ));
    let states: Vec<_> = batch.tables.packages().iter().map(|p| p.state).collect();
    use PackageState::{ConfigFiles, HalfConfigured, Installed};
    assert_eq!(
        states,
        [Installed, HalfConfigured, HalfConfigured, ConfigFiles, HalfConfigured]
    );
    assert!(batch.account.dropped_fields.is_empty());
}

#[test]
fn records_without_name_or_time_are_skipped_with_the_line() {
    let batch = read(
        "{\"asset\":\"a b\",\"observedAt\":\"2026-11-20T03:00:00Z\"}\n{\"asset\":\"c\"}\n{\"asset\":\"d\",\"observedAt\":\"2026-11-20\"}\nnonsense\n[]\n{\"observedAt\":\"2026-11-20T03:00:00Z\"}\n{\"asset\":\"good\",\"observedAt\":\"2026-11-20T03:00:00Z\"}",
    );
    assert_eq!((batch.account.total, batch.account.read), (7, 1));
    let at: Vec<_> = batch.account.skipped.iter().map(|s| s.record).collect();
    assert_eq!(at, [1, 2, 3, 4, 5, 6]);
    assert_eq!(batch.assets[0].provenance.record, 7);
}

#[test]
fn times_to_come_and_unknown_fields_are_told_and_kept() {
    let batch = read(
        "{\"asset\":\"a\",\"observedAt\":\"2026-11-20T12:05:00Z\",\"colour\":1}\n{\"asset\":\"b\",\"observedAt\":\"2026-11-20T12:05:01Z\",\"colour\":2}",
    );
    let notes: Vec<_> = batch.account.notes.iter().map(|n| n.reason.as_str()).collect();
    assert_eq!(batch.account.read, 2);
    assert_eq!(notes.len(), 2, "{notes:#?}");
    assert!(notes[0].starts_with("b was observed at") && notes[1].contains("`colour`") && notes[1].ends_with("(2 ×)"));
}

#[test]
fn equal_lists_are_one_set_however_far_apart_they_stand() {
    let line = |n: usize, version: usize| {
        let filler: Vec<_> = (0..50)
            .map(|p| format!(r#"{{"name":"p{p}","version":"{version}"}}"#))
            .collect();
        format!(
            r#"{{"asset":"a{n}","observedAt":"2026-11-20T03:00:00Z","packages":[{}]}}"#,
            filler.join(",")
        )
    };
    let text: Vec<_> = (0..40_000).map(|n| line(n, n % 3)).collect();
    let batch = read(&text.join("\n"));
    assert_eq!(
        (
            batch.assets.len(),
            batch.tables.set_count(),
            batch.tables.packages().len()
        ),
        (40_000, 3, 150)
    );
    for (at, record) in batch.assets.iter().enumerate().step_by(997) {
        assert_eq!(*record.name, format!("a{at}"));
        assert!(packages(&batch, at)[0].starts_with(&format!("p0 {} ", at % 3)));
    }
}
