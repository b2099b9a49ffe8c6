//! The license agreements that a merge accepts: those of the updates of an update server that the wave brings.
//!
//! An executor accepts an agreement only where the merged files name it, so what stands here is all that is accepted.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::history::Target;
use crate::load::wire::ComponentKind;
use crate::observe::{Articles, Observation};
use crate::plan::BatchAsset;
use crate::render::Escape;

/// An update with an agreement: title, id, revision.
pub(super) type Agreement<'o> = (&'o str, &'o str, u32);

/// The updates with an agreement that bring the builds of `assets`, once each, in order of title.
pub(super) fn of<'o>(
    observation: &'o Observation,
    targets: &[Target],
    assets: impl Iterator<Item = &'o BatchAsset>,
) -> BTreeSet<Agreement<'o>> {
    let articles = Articles::new(&observation.advisories);
    let mut found = BTreeSet::new();
    for asset in assets {
        let index = observation.assets.binary_search_by(|a| a.name.cmp(&asset.name));
        let Some(observed) = index.ok().and_then(|index| observation.assets.get(index)) else {
            continue;
        };
        let targets = asset.targets.iter().filter_map(|t| targets.get(*t));
        for build in targets.filter(|t| t.kind() == Some(ComponentKind::Os)) {
            let offered = articles
                .still_offered(&observed.facts, &build.version)
                .unwrap_or_default();
            let with = offered.into_iter().filter(|update| update.eula);
            found.extend(with.map(|u| (u.title.as_ref(), u.update_id.as_ref(), u.revision)));
        }
    }
    found
}

/// Writes them for the people who merge.
pub(super) fn write(out: &mut String, agreements: &BTreeSet<Agreement<'_>>) {
    if agreements.is_empty() {
        let _ = writeln!(out, "- EULAs accepted by this merge: none.\n");
        return;
    }
    let _ = writeln!(out, "- **EULAs accepted by this merge:**");
    for (title, id, revision) in agreements {
        // A title comes from a vendor's feed: nothing in it may be read as Markdown.
        let title = Escape::Markdown.function()(title);
        let _ = writeln!(out, "  - {title} (`{id}`, revision {revision})");
    }
    let _ = writeln!(out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_agreement_is_a_line_that_its_title_cannot_leave() {
        let mut out = String::new();
        write(&mut out, &BTreeSet::new());
        assert_eq!(out, "- EULAs accepted by this merge: none.\n\n");
        let hostile = "Update\n- [x] approved by @boss <script>";
        let mut out = String::new();
        write(
            &mut out,
            &BTreeSet::from([(hostile, "b", 7), ("2026-11 .NET", "a", 200)]),
        );
        assert_eq!(
            out,
            "- **EULAs accepted by this merge:**\n  - 2026-11 .NET (`a`, revision 200)\n  - Update - \\[x\\] approved by \
             &#64;boss &lt;script&gt; (`b`, revision 7)\n\n"
        );
    }
}
