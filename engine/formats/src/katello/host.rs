//! One host.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::observe::{Component, Facts, Identity, Kernel, Os, Provenance};

use super::{content, lists, text};
use crate::fields::{Fields, Text, excerpt, ruby_instant};
use crate::os_names::os_of;
use crate::reading::{Reading, asset_name};
use crate::sheet::Sheet;

/// Fields that every answer about a host has, though they may be `null`; other things have names too.
const TELLING: &[&str] = &[
    "architecture_name",
    "certname",
    "content_facet_attributes",
    "operatingsystem_name",
];

/// What firmware says where nobody wrote anything.
const NOTHING: &[&str] = &[
    "not specified",
    "none",
    "n/a",
    "unknown",
    "default string",
    "to be filled by o.e.m.",
    "0",
];

/// Reads a host with the lists beside it.
pub(super) fn read(
    host: Fields<'_>,
    beside: &Fields<'_>,
    at: &Provenance,
    now: Timestamp,
    sheet: &mut Sheet,
) -> Result<(), String> {
    let name: Text<'_> = host.get("name")?.ok_or("is no host: it has no `name`")?;
    let name = asset_name(name.trim())?;
    if !host.0.iter().any(|(field, _)| TELLING.contains(&&**field)) {
        return Err(format!(
            "{name} is no host, or one of a thin list, which tells nothing of it; ask without `thin`"
        ));
    }
    let mut reading = Reading {
        fields: host,
        name: &name,
        at,
        sheet,
    };
    let content = reading.get::<Fields<'_>>("content_facet_attributes");
    let subscription = reading
        .get::<Fields<'_>>("subscription_facet_attributes")
        .unwrap_or_default();
    let registered = reading.get::<Fields<'_>>("facts").unwrap_or_default();
    let mut time = |fields: &Fields<'_>, field: &str| {
        let text = text(fields, field)?;
        let time = ruby_instant(&text);
        if time.is_none() {
            let why = format!("{name}: field `{field}` was dropped: `{}` is no time", excerpt(&text));
            reading.sheet.drop_field(at, why);
        }
        time
    };
    let reported = time(&subscription, "last_checkin").or_else(|| time(&reading.fields, "last_report"));
    let known = reported
        .or_else(|| time(beside, "fetched_at"))
        .or_else(|| time(&reading.fields, "updated_at"));
    let Some(observed_at) = known else {
        return Err(format!(
            "{name} has neither a check-in nor any other time, and facts without a time cannot be trusted"
        ));
    };
    let content = content
        .map(|facet| content::views(&facet, &mut reading))
        .unwrap_or_default();
    let facts = Facts {
        identity: identity(&name, &subscription, &registered),
        labels: labels(&reading.fields, &content),
        os: os(&mut reading, &registered),
        kernel: text(&registered, "uname::release").map(|running| Kernel {
            running: Some(running.into()),
            default_boot: None,
        }),
        pending_reboot: reboot(&reading.fields),
        components: image(&mut reading),
        content: (!content.is_empty()).then(|| content.into()),
        ..Facts::default()
    };
    if reported.is_some() {
        lists::read(beside, &mut reading);
    } else {
        let what = "a host has never checked in, so nothing is known of its packages";
        reading.sheet.tally(&at.file, what, 1);
    }
    sheet.take_asset(at, name, (observed_at, now), facts);
    Ok(())
}

fn identity(name: &str, subscription: &Fields<'_>, registered: &Fields<'_>) -> Identity {
    let written = |text: Option<String>| {
        text.filter(|text| !NOTHING.contains(&text.to_ascii_lowercase().as_str()))
            .map(Arc::from)
    };
    Identity {
        machine_id: None,
        fqdn: Some(name.into()),
        serial: written(text(registered, "dmi::system::serial_number")),
        bios_uuid: written(text(registered, "dmi::system::uuid").or_else(|| text(subscription, "dmi_uuid"))),
    }
}

fn labels(host: &Fields<'_>, content: &[patchwave_core::observe::ContentView]) -> BTreeMap<Arc<str>, Arc<str>> {
    let mut labels = BTreeMap::new();
    for (label, field) in [
        ("foreman/organization", "organization_name"),
        ("foreman/location", "location_name"),
        ("foreman/hostgroup", "hostgroup_title"),
    ] {
        if let Some(value) = text(host, field) {
            labels.insert(label.into(), value.into());
        }
    }
    if let [view] = content {
        labels.insert("katello/environment".into(), Arc::clone(&view.environment));
        labels.insert("katello/content-view".into(), Arc::clone(&view.view));
    }
    labels
}

/// What Foreman was told, else what the host said when it registered.
fn os(reading: &mut Reading<'_, '_>, registered: &Fields<'_>) -> Option<Os> {
    let arch = text(&reading.fields, "architecture_name").or_else(|| text(registered, "uname::machine"));
    let arch = arch.unwrap_or_default();
    let told = text(&reading.fields, "operatingsystem_name");
    let own = || {
        let name = text(registered, "distribution::name")?;
        os_of(&format!("{name} {}", text(registered, "distribution::version")?), &arch)
    };
    let os = told.as_deref().and_then(|told| os_of(told, &arch)).or_else(own);
    if let (Some(told), None) = (told, &os) {
        let what = format!("no operating system and version can be told from `{}`", excerpt(&told));
        reading.sheet.tally(&reading.at.file, &what, 1);
    }
    os
}

/// What the tracer found: that it asks for a reboot is a fact, that it does not is none, because it may not be there.
fn reboot(host: &Fields<'_>) -> Option<bool> {
    let label = text(host, "traces_status_label")?.to_ascii_lowercase();
    (label.contains("reboot") && !label.contains("no reboot")).then_some(true)
}

/// The image that an image-mode host booted.
fn image(reading: &mut Reading<'_, '_>) -> Option<Arc<[Component]>> {
    let facet = reading.fields.get::<Fields<'_>>("content_facet_attributes").ok()??;
    let (image, digest) = (
        text(&facet, "bootc_booted_image")?,
        text(&facet, "bootc_booted_digest")?,
    );
    Some(
        [Component {
            kind: "image".into(),
            vendor: "bootc".into(),
            product: image.into(),
            version: digest.into(),
            instance: None,
        }]
        .into(),
    )
}
