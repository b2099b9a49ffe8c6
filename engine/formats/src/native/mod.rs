//! `native`: observations of patchwave itself, one asset a record.
//!
//! Every fact but `asset` and `observedAt` may be missing, and missing or `null` is unknown. A field that cannot be
//! read is dropped and reported; the asset stays.
//!
//! ```json
//! {"asset": "web-01", "observedAt": "2026-11-20T03:00:00Z", "os": {"family": "rhel", "id": "almalinux",
//!  "version": "9.4", "arch": "x86_64"}, "packages": [{"name": "bash", "version": "5.1.8-9.el9", "arch": "x86_64"}]}
//! ```

mod packages;
mod shapes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::load::known::OBSERVATION_FIELDS;
use patchwave_core::observe::{Facts, Identity, Os, Provenance};

use crate::fields::{Fields, Text, excerpt};
use crate::reading::{Reading, asset_name};
use crate::records::RecordReader;
use crate::sheet::{Known, ListField, ListUse, Sheet};

/// Reads observations.
pub(crate) struct Native {
    /// Observations later than this are reported.
    pub(crate) now: Timestamp,
}

impl RecordReader for Native {
    fn record(&self, raw: &[u8], at: &Provenance, known: &Known, sheet: &mut Sheet) {
        let fields = match Fields::parse(raw) {
            Ok(fields) => fields,
            Err(error) => return sheet.skip(at, format!("is no observation: {error}")),
        };
        let (name, observed_at) = match name_and_time(&fields) {
            Ok(both) => both,
            Err(why) => return sheet.skip(at, why),
        };
        for (field, _) in &fields.0 {
            if !OBSERVATION_FIELDS.contains(&&**field) {
                let what = format!(
                    "field `{}` is no field of an observation and was ignored",
                    excerpt(field)
                );
                sheet.tally(&at.file, &what, 1);
            }
        }
        let mut reading = Reading {
            fields,
            name: &name,
            at,
            sheet,
        };
        let facts = reading.facts();
        reading.list(ListField::Packages, known);
        reading.list(ListField::Available, known);
        sheet.take_asset(at, name, (observed_at, self.now), facts);
    }
}

fn name_and_time(fields: &Fields<'_>) -> Result<(Arc<str>, Timestamp), String> {
    let name: Text<'_> = fields.get("asset")?.ok_or("has no `asset`, the name of the machine")?;
    let name = asset_name(&name)?;
    let time: Text<'_> = fields.get("observedAt")?.ok_or_else(|| {
        format!(
            "{} has no `observedAt`, and facts without a time cannot be trusted",
            name
        )
    })?;
    let time = time.trim().parse::<Timestamp>().map_err(|_| {
        format!(
            "{}: `observedAt` reads `{}`, which is no time such as 2026-11-20T03:00:00Z",
            &*name,
            excerpt(&time)
        )
    })?;
    Ok((name, time))
}

impl<'a> Reading<'_, 'a> {
    fn texts(&mut self, field: &str) -> Option<Arc<[Arc<str>]>> {
        let texts = self.get::<Vec<Text<'a>>>(field)?;
        Some(texts.iter().map(|text| Arc::from(&**text)).collect())
    }

    fn facts(&mut self) -> Facts {
        Facts {
            identity: self.identity(),
            labels: self.labels(),
            lifecycle: self.get("lifecycle"),
            os: self.os(),
            kernel: self.get::<shapes::Kernel<'_>>("kernel").map(Into::into),
            boot_time: self.boot_time(),
            pending_reboot: self.get("pendingReboot"),
            restart_needed: self
                .get::<Vec<shapes::RestartNeeded<'_>>>("restartNeeded")
                .map(|list| list.into_iter().map(Into::into).collect()),
            live_patch: self
                .get::<shapes::LivePatch<'_>>("livePatch")
                .map(|patch| Arc::new(patch.into())),
            packages: None,
            available: None,
            kbs: self.texts("kbs"),
            os_build: self.text("osBuild"),
            components: self
                .get::<Vec<shapes::Component<'_>>>("components")
                .map(|list| list.into_iter().map(Into::into).collect()),
            kubernetes: self
                .get::<shapes::Kubernetes<'_>>("kubernetes")
                .map(|node| Arc::new(node.into())),
            gpu: self.get::<shapes::Gpu<'_>>("gpu").map(|gpu| Arc::new(gpu.into())),
            updaters: self
                .get::<Vec<shapes::Updater<'_>>>("updaters")
                .map(|list| list.into_iter().map(Into::into).collect()),
            entitlements: self.texts("entitlements"),
            updates: self.rows::<shapes::Update<'_>, _>("updates", Into::into),
            content: self.rows::<shapes::Content<'_>, _>("content", Into::into),
        }
    }

    /// Keys other than the four are allowed: they are for other tools.
    fn identity(&mut self) -> Identity {
        let Some(keys) = self.get::<Fields<'a>>("identity") else {
            return Identity::default();
        };
        let mut key = |name: &str| match keys.get::<Text<'a>>(name) {
            Ok(text) => text
                .map(|text| Arc::from(text.trim()))
                .filter(|text: &Arc<str>| !text.is_empty()),
            Err(why) => {
                self.drop_field(&format!("identity: {why}"));
                None
            }
        };
        Identity {
            machine_id: key("machineId"),
            fqdn: key("fqdn"),
            serial: key("serial"),
            bios_uuid: key("biosUuid"),
        }
    }

    fn labels(&mut self) -> BTreeMap<Arc<str>, Arc<str>> {
        let mut labels = BTreeMap::new();
        let Some(fields) = self.get::<Fields<'a>>("labels") else {
            return labels;
        };
        for (key, raw) in &fields.0 {
            match serde_json::from_str::<Text<'_>>(raw.get()) {
                Ok(value) => {
                    labels.insert(Arc::from(&**key), Arc::from(&*value));
                }
                Err(_) => self.drop_field(&format!(
                    "label `{}` was dropped: it reads {}, and a label is a string",
                    excerpt(key),
                    excerpt(raw.get())
                )),
            }
        }
        labels
    }

    /// Release and id decide which advisories apply, so without them there is no fact; family and architecture may be
    /// missing, and are then the empty text.
    fn os(&mut self) -> Option<Os> {
        let os = self.get::<shapes::Os<'_>>("os")?;
        let text = |text: &Option<Text<'_>>| text.as_ref().map_or("", |text| text.trim()).into();
        let os = Os {
            family: text(&os.family),
            id: text(&os.id),
            version: text(&os.version),
            arch: text(&os.arch),
        };
        if os.id.is_empty() || os.version.is_empty() {
            self.drop_field("field `os` was dropped: it needs at least `id` and `version`, as in os-release");
            return None;
        }
        for (part, value) in [("family", &os.family), ("arch", &os.arch)] {
            if value.is_empty() {
                self.drop_field(&format!("`os.{part}` is missing, so it is unknown"));
            }
        }
        Some(os)
    }

    fn boot_time(&mut self) -> Option<Timestamp> {
        let text = self.get::<Text<'a>>("bootTime")?;
        let time = text.trim().parse().ok();
        if time.is_none() {
            self.drop_field(&format!(
                "field `bootTime` was dropped: `{}` is no time",
                excerpt(&text)
            ));
        }
        time
    }

    /// A package list: taken over if its bytes were read before, else read.
    fn list(&mut self, field: ListField, known: &Known) {
        let Some(raw) = self.fields.raw(field.name()) else {
            return;
        };
        let record = self.sheet.batch.assets.len();
        let digest = packages::digest(raw);
        let list = match (known.lists.get(&digest), self.sheet.by_digest.get(&digest)) {
            (Some(set), _) => ListUse::Known(*set),
            (None, Some(list)) => ListUse::New(*list),
            (None, None) => {
                let mut lost = Vec::new();
                let rows = packages::read(field.name(), raw, known, self.sheet, &mut lost);
                let list = self.sheet.lists.len();
                if lost.is_empty() {
                    self.sheet.by_digest.insert(digest, list);
                }
                if let Some(rows) = rows {
                    self.sheet.lists.push((rows, lost.is_empty().then_some(digest)));
                }
                let none = self.sheet.lists.len() == list;
                lost.iter().for_each(|why| self.drop_field(why));
                if none {
                    return;
                }
                ListUse::New(list)
            }
        };
        self.sheet.uses.push((record, field, list));
    }
}

impl ListField {
    const fn name(self) -> &'static str {
        match self {
            Self::Packages => "packages",
            Self::Available => "available",
        }
    }
}
