//! The updates of a computer.

use std::sync::Arc;

use patchwave_core::lookup::Lookup;
use patchwave_core::observe::{Facts, OfferedUpdate, kb_digits};
use serde_json::value::RawValue;

use super::powershell;
use crate::fields::{Fields, Text, excerpt};
use crate::reading::Reading;

/// Texts of an export that are kept once: every computer is offered the same updates.
#[derive(Debug, Default)]
pub(super) struct Texts(Lookup<Arc<str>, Arc<str>>);

impl Texts {
    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.into();
        self.0.insert(Arc::clone(&shared), Arc::clone(&shared));
        shared
    }
}

/// The states that the server knows (`UpdateInstallationState`).
const STATES: &[&str] = &[
    "Downloaded",
    "Failed",
    "Installed",
    "InstalledPendingReboot",
    "NotApplicable",
    "NotInstalled",
    "Unknown",
];

/// Reads `updates`, and what follows of them: the articles installed, and whether one waits for a reboot. That none
/// does is not known: other things than updates of this server ask for reboots.
pub(super) fn read(reading: &mut Reading<'_, '_>, texts: &mut Texts, facts: &mut Facts) {
    let Some(raw) = reading.fields.raw("updates") else {
        return;
    };
    let rows = match powershell::list(raw) {
        Ok(rows) => rows,
        Err(why) => return reading.drop_field(&format!("field `updates` was dropped: {why}")),
    };
    let mut updates = Vec::with_capacity(rows.len());
    let mut lost = Lost::default();
    for (raw, at) in rows.into_iter().zip(0..) {
        match update(raw, texts, &mut |why| lost.add(at, why)) {
            Ok(update) => updates.push(update),
            Err(why) => lost.add(at, format!("the update was dropped: {why}")),
        }
    }
    lost.report(reading);
    updates.sort();
    updates.dedup();
    let installed = updates.iter().filter(|update| &*update.state == "Installed");
    let mut kbs: Vec<Arc<str>> = installed.flat_map(|update| &update.kbs).cloned().collect();
    kbs.sort();
    kbs.dedup();
    let waits = updates.iter().any(|update| &*update.state == "InstalledPendingReboot");
    facts.pending_reboot = waits.then_some(true);
    // An export of what is needed alone says nothing of what is installed.
    facts.kbs = (!kbs.is_empty()).then(|| kbs.into());
    facts.updates = Some(updates.into());
}

fn update(raw: &RawValue, texts: &mut Texts, lose: &mut dyn FnMut(String)) -> Result<OfferedUpdate, String> {
    if let Some(why) = powershell::cut_off(raw) {
        return Err(why);
    }
    let fields = Fields::parse(raw.get().as_bytes()).map_err(|error| error.to_string())?;
    let needed = |name: &str| {
        fields
            .get::<Text<'_>>(name)?
            .ok_or_else(|| format!("it has no `{name}`"))
    };
    let update_id = needed("update_id")?.trim().to_ascii_lowercase();
    if !is_guid(&update_id) {
        return Err(format!("`{}` is no GUID", excerpt(&update_id)));
    }
    let revision = fields.raw("revision").ok_or("it has no `revision`")?;
    let revision = powershell::word(revision)
        .and_then(|word| word.parse().ok())
        .ok_or_else(|| format!("{} is no `revision`", excerpt(revision.get())))?;
    let state = needed("state").map_err(|why| format!("{why}; give it as text, with .ToString()"))?;
    let state = state.trim();
    if !STATES.contains(&state) {
        return Err(format!("`{}` is no state of an update", excerpt(state)));
    }
    let mut optional = |name: &str| match fields.get::<Text<'_>>(name) {
        Ok(text) => texts.share(text.as_deref().unwrap_or_default().trim()),
        Err(why) => {
            lose(why);
            texts.share("")
        }
    };
    let (title, approval) = (optional("title"), optional("approval"));
    let (update_id, state) = (texts.share(&update_id), texts.share(state));
    let kbs = kbs(&fields, texts, lose);
    let mut flag = |name: &str| match fields.get::<bool>(name) {
        Ok(flag) => flag.unwrap_or_default(),
        Err(why) => {
            lose(why);
            false
        }
    };
    Ok(OfferedUpdate {
        update_id,
        revision,
        kbs,
        title,
        state,
        approval,
        eula: flag("eula"),
        uninstallable: flag("uninstallable"),
        superseded: flag("superseded"),
    })
}

/// `kbs`, or `kb` as older scripts call it.
fn kbs(fields: &Fields<'_>, texts: &mut Texts, lose: &mut dyn FnMut(String)) -> Vec<Arc<str>> {
    let Some(raw) = fields.raw("kbs").or_else(|| fields.raw("kb")) else {
        return Vec::new();
    };
    let rows = powershell::list(raw).unwrap_or_else(|why| {
        lose(format!("field `kbs` was dropped: {why}"));
        Vec::new()
    });
    let mut kbs = Vec::with_capacity(rows.len());
    for raw in rows {
        let word = powershell::word(raw).unwrap_or_default();
        match kb_digits(&word) {
            Some(digits) => kbs.push(texts.share(digits)),
            None => lose(format!(
                "an article was dropped: {} is no number of one",
                excerpt(raw.get())
            )),
        }
    }
    kbs.sort();
    kbs.dedup();
    kbs
}

/// 32 hexadecimal digits in five groups.
fn is_guid(text: &str) -> bool {
    let mut groups = text.split('-');
    [8, 4, 4, 4, 12].into_iter().all(|length| {
        groups
            .next()
            .is_some_and(|group| group.len() == length && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }) && groups.next().is_none()
}

/// What was lost of the updates of a computer: told once, with the first and how many more, because a fault of a script
/// is in every row.
#[derive(Default)]
struct Lost {
    first: Option<(usize, String)>,
    more: usize,
}

impl Lost {
    fn add(&mut self, at: usize, why: String) {
        match self.first {
            None => self.first = Some((at, why)),
            Some(_) => self.more += 1,
        }
    }

    fn report(self, reading: &mut Reading<'_, '_>) {
        match self {
            Self {
                first: Some((at, why)),
                more: 0,
            } => reading.drop_field(&format!("updates[{at}]: {why}")),
            Self {
                first: Some((at, why)),
                more,
            } => {
                reading.drop_field(&format!("updates[{at}]: {why}; and {more} more in this list"));
            }
            Self { first: None, .. } => {}
        }
    }
}
