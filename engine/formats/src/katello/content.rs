//! Where a host gets its packages from.

use std::sync::Arc;

use patchwave_core::observe::ContentView;
use serde_json::value::RawValue;

use super::text;
use crate::fields::{Fields, excerpt};
use crate::reading::Reading;

/// The content view environments of a host: an array since hosts may have several, a pair of single fields before.
pub(super) fn views(facet: &Fields<'_>, reading: &mut Reading<'_, '_>) -> Vec<ContentView> {
    let organization: Arc<str> = text(&reading.fields, "organization_name").unwrap_or_default().into();
    let host_id = reading.get::<u64>("id");
    let mut views = Vec::new();
    let mut lost = Vec::new();
    let rows = facet
        .get::<Vec<&RawValue>>("content_view_environments")
        .unwrap_or_else(|why| {
            lost.push(why);
            None
        });
    for raw in rows.unwrap_or_default() {
        let row = Fields::parse(raw.get().as_bytes()).map_err(|error| error.to_string());
        // The version stands in the view there, and in the facet in the old shape.
        let read = row.and_then(|row| {
            let view = row
                .get::<Fields<'_>>("content_view")?
                .ok_or("it has no `content_view`")?;
            view_of(&row, &view, &view)
        });
        match read {
            Ok(view) => views.push(view),
            Err(why) => lost.push(format!(
                "a content view environment was dropped: {why}; it reads {}",
                excerpt(raw.get())
            )),
        }
    }
    if views.is_empty() && facet.raw("content_view").is_some() {
        let old = facet
            .get::<Fields<'_>>("content_view")
            .and_then(|view| view_of(facet, &view.unwrap_or_default(), facet));
        match old {
            Ok(view) => views.push(view),
            Err(why) => lost.push(format!("the content view was dropped: {why}")),
        }
    }
    lost.iter().for_each(|why| reading.drop_field(why));
    for view in &mut views {
        view.host_id = host_id;
        view.organization = Arc::clone(&organization);
    }
    views.sort();
    views.dedup();
    views
}

fn view_of(row: &Fields<'_>, view: &Fields<'_>, version: &Fields<'_>) -> Result<ContentView, String> {
    let environment = row
        .get::<Fields<'_>>("lifecycle_environment")?
        .ok_or("it has no `lifecycle_environment`")?;
    let id = |fields: &Fields<'_>| fields.get::<u64>("id")?.ok_or_else(|| "it has no `id`".to_owned());
    let name = |fields: &Fields<'_>| text(fields, "name").ok_or("it has no `name`");
    let flag = |name: &str| view.get::<bool>(name).ok().flatten().unwrap_or_default();
    Ok(ContentView {
        host_id: None,
        organization: "".into(),
        view: name(view)?.into(),
        view_id: id(view)?,
        version: text(version, "content_view_version").unwrap_or_default().into(),
        version_id: version.get("content_view_version_id")?.unwrap_or_default(),
        environment: name(&environment)?.into(),
        environment_id: id(&environment)?,
        rolling: flag("rolling"),
        composite: flag("composite"),
    })
}
