//! Which update of an update server brings a Windows build.
//!
//! An advisory names the build that fixes it and the article (KB) that brings this build; an update server names its
//! updates by id and revision, and the articles they belong to. A KB alone is ambiguous (one article has an update for each
//! product), so what is offered to the computer itself decides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::advisory::AdvisoryRecord;
use super::asset::{Facts, OfferedUpdate};
use crate::version::Scheme;

/// Articles by the build they bring.
#[derive(Clone, Debug, Default)]
pub struct Articles<'o> {
    of_build: BTreeMap<&'o str, BTreeSet<&'o Arc<str>>>,
}

impl<'o> Articles<'o> {
    /// The articles that advisories name; a build that no article is known for is not in it.
    pub fn new(advisories: &'o [AdvisoryRecord]) -> Self {
        let mut of_build: BTreeMap<&'o str, BTreeSet<&'o Arc<str>>> = BTreeMap::new();
        let fixes = advisories.iter().flat_map(|advisory| &advisory.fixes);
        for fix in fixes.filter(|fix| fix.ecosystem.scheme == Scheme::Windows) {
            if let (Some(build), Some(kb)) = (fix.fixed.as_deref(), &fix.kb) {
                of_build.entry(build).or_default().insert(kb);
            }
        }
        Self { of_build }
    }

    /// The articles that bring a build, sorted.
    pub fn bringing(&self, build: &str) -> impl Iterator<Item = &'o Arc<str>> {
        self.of_build.get(build).into_iter().flatten().copied()
    }

    /// What the update server offers the asset that brings the build, for a rollout that is cut now, in order of id and
    /// revision: an update of one of its articles that the asset can take (it lacks it, or it failed) and that nothing
    /// supersedes. None when nobody asked an update server.
    pub fn offered<'f>(&self, facts: &'f Facts, build: &str) -> Option<Vec<&'f OfferedUpdate>> {
        let mut found = self.still_offered(facts, build)?;
        found.retain(|update| !update.superseded);
        Some(found)
    }

    /// The same for a rollout that was cut before: what its earlier waves proved is superseded by the next month's update, and
    /// can be approved nevertheless until it expires or is declined, which takes it out of the answers. What is not superseded
    /// comes before what is.
    pub fn still_offered<'f>(&self, facts: &'f Facts, build: &str) -> Option<Vec<&'f OfferedUpdate>> {
        let updates = facts.updates.as_deref()?;
        let articles: BTreeSet<&str> = self.bringing(build).map(AsRef::as_ref).collect();
        let mut found: Vec<&OfferedUpdate> = updates
            .iter()
            .filter(|update| update.kbs.iter().any(|kb| articles.contains(kb.as_ref())))
            .filter(|update| !matches!(update.state.as_ref(), "NotApplicable" | "Unknown"))
            .collect();
        if found.iter().any(|update| !update.superseded) {
            found.retain(|update| !update.superseded);
        }
        found.sort_by(|a, b| (&a.update_id, a.revision).cmp(&(&b.update_id, b.revision)));
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(id: &str, kb: &str, state: &str, superseded: bool) -> OfferedUpdate {
        OfferedUpdate {
            update_id: id.into(),
            revision: 200,
            kbs: vec![kb.into()],
            title: "x".into(),
            state: state.into(),
            approval: "NotApproved".into(),
            eula: false,
            uninstallable: true,
            superseded,
        }
    }

    #[test]
    fn what_the_computer_itself_is_offered_decides() {
        let articles = Articles {
            of_build: BTreeMap::from([("10.0.20348.2762", BTreeSet::new())]),
        };
        let kb: Arc<str> = "5044281".into();
        let mut articles = articles;
        articles.of_build.insert("10.0.20348.2762", BTreeSet::from([&kb]));
        let facts = Facts {
            updates: Some(
                vec![
                    update("b", "5044281", "NotInstalled", false),
                    update("a", "5044281", "Failed", false),
                    update("c", "5044281", "NotApplicable", false),
                    update("d", "5044281", "NotInstalled", true),
                    update("e", "1", "NotInstalled", false),
                ]
                .into(),
            ),
            ..Facts::default()
        };
        let ids = |build: &str| -> Vec<String> {
            let found = articles.offered(&facts, build).unwrap();
            found.iter().map(|u| u.update_id.to_string()).collect()
        };
        assert_eq!(ids("10.0.20348.2762"), ["a", "b"]);
        let still = |facts: &Facts| -> Vec<String> {
            let found = articles.still_offered(facts, "10.0.20348.2762").unwrap();
            found.iter().map(|u| u.update_id.to_string()).collect()
        };
        assert_eq!(still(&facts), ["a", "b"]);
        // The next month's update supersedes it: no new rollout takes it, and one that was cut goes on.
        let next_month = Facts {
            updates: Some([update("d", "5044281", "NotInstalled", true)].into()),
            ..Facts::default()
        };
        assert_eq!(still(&next_month), ["d"]);
        assert_eq!(articles.offered(&next_month, "10.0.20348.2762"), Some(vec![]));
        assert!(ids("10.0.20348.9999").is_empty());
        assert_eq!(articles.offered(&Facts::default(), "10.0.20348.2762"), None);
    }
}
