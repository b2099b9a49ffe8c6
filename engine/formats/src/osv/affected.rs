//! `affected`: which packages, in which ranges, are fixed by what.

use std::sync::Arc;

use patchwave_core::observe::{Fix, OsvEcosystem};
use patchwave_core::version::{Scheme, compare};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Reading;
use crate::fields::{Fields, Text, excerpt, fault};

/// What `affected` says.
pub(super) struct Affected<'a> {
    /// Fixes of packages of distributions, sorted, each once.
    pub(super) fixes: Vec<Fix>,
    /// Its elements, for severities.
    pub(super) elements: Vec<Fields<'a>>,
}

#[derive(Deserialize)]
struct Package<'a> {
    #[serde(borrow)]
    ecosystem: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
}

#[derive(Deserialize)]
struct Range<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow, default)]
    events: Vec<Event<'a>>,
}

/// One of the three; `limit` is for commits and is not read.
#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default)]
    introduced: Option<Text<'a>>,
    #[serde(borrow, default)]
    fixed: Option<Text<'a>>,
    #[serde(borrow, default)]
    last_affected: Option<Text<'a>>,
}

impl<'a> Reading<'_, 'a> {
    pub(super) fn affected(&mut self) -> Affected<'a> {
        let list = self.fields.get::<Vec<&'a RawValue>>("affected").unwrap_or_else(|why| {
            self.drop_field(&why);
            None
        });
        let mut affected = Affected {
            fixes: Vec::new(),
            elements: Vec::new(),
        };
        for raw in list.unwrap_or_default() {
            let read = Fields::parse(raw.get().as_bytes()).map_err(|error| fault("affected", raw, &error));
            match read.and_then(|fields| Ok((self.element(&fields)?, fields))) {
                Ok((fixes, fields)) => {
                    affected.fixes.extend(fixes);
                    affected.elements.push(fields);
                }
                Err(why) => self.drop_field(&why),
            }
        }
        affected.fixes.sort();
        affected.fixes.dedup();
        affected
    }

    fn element(&mut self, fields: &Fields<'a>) -> Result<Vec<Fix>, String> {
        let Some(package) = fields.get::<Package<'a>>("package")? else {
            self.sheet.tally(
                &self.at.file,
                "affected: no `package`, so nothing that an inventory reports",
                1,
            );
            return Ok(Vec::new());
        };
        let Some(ecosystem) = OsvEcosystem::parse(&package.ecosystem) else {
            let what = format!(
                "affected: packages of ecosystem `{}` are not matched, no inventory reports them",
                excerpt(&package.ecosystem)
            );
            self.sheet.tally(&self.at.file, &what, 1);
            return Ok(Vec::new());
        };
        let name = sound(&package.name, "package name")?;
        let spans = self.spans(fields, ecosystem.ecosystem.scheme)?;
        if spans.is_empty() {
            self.sheet
                .tally(&self.at.file, "affected: neither a range of versions nor a version", 1);
        }
        let binaries = binaries(fields);
        let names: Vec<(Arc<str>, bool)> = match binaries.is_empty() {
            true => vec![(name, ecosystem.by_source)],
            false => binaries.into_iter().map(|binary| (binary, false)).collect(),
        };
        let fix = |(package, by_source): &(Arc<str>, bool), span: &Span| Fix {
            ecosystem: ecosystem.ecosystem.clone(),
            package: Arc::clone(package),
            by_source: *by_source,
            arch: None,
            module: None,
            edition: None,
            introduced: span.introduced.clone(),
            fixed: span.fixed.clone(),
            last_affected: span.last_affected.clone(),
            entitlement: ecosystem.entitlement.map(Arc::from),
            kb: None,
        };
        Ok(names
            .iter()
            .flat_map(|name| spans.iter().map(move |span| fix(name, span)))
            .collect())
    }

    /// The affected spans of the ranges; where there is none, each of `versions` alone, which is otherwise only a
    /// list of what the ranges say.
    fn spans(&mut self, fields: &Fields<'a>, scheme: Scheme) -> Result<Vec<Span>, String> {
        let mut spans = Vec::new();
        for range in fields.get::<Vec<Range<'a>>>("ranges")?.unwrap_or_default() {
            if &*range.kind == "GIT" {
                self.sheet
                    .tally(&self.at.file, "affected: ranges of commits are not matched", 1);
                continue;
            }
            spans.extend(spans_of(&range.events, scheme)?);
        }
        if !spans.is_empty() {
            return Ok(spans);
        }
        let versions = fields.get::<Vec<Text<'a>>>("versions")?.unwrap_or_default();
        let single = |version: &Text<'_>| {
            let version = sound(version, "version")?;
            Ok(Span {
                introduced: Some(Arc::clone(&version)),
                fixed: None,
                last_affected: Some(version),
            })
        };
        versions.iter().map(single).collect()
    }
}

/// From where to where a package is affected.
#[derive(Debug, Default, PartialEq, Eq)]
struct Span {
    introduced: Option<Arc<str>>,
    fixed: Option<Arc<str>>,
    last_affected: Option<Arc<str>>,
}

/// The spans of one range. Its events may stand in any order; as the schema's evaluation does, they are taken in
/// order of version, `introduced: "0"` first of all. At one version a span ends before the next begins, except that the
/// last affected version may be the first too.
fn spans_of(events: &[Event<'_>], scheme: Scheme) -> Result<Vec<Span>, String> {
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    enum Kind {
        Fixed,
        Introduced,
        LastAffected,
    }
    let mut points: Vec<(Option<Arc<str>>, Kind)> = Vec::new();
    for event in events {
        match (&event.introduced, &event.fixed, &event.last_affected) {
            (Some(version), ..) if &**version == "0" => points.push((None, Kind::Introduced)),
            (Some(version), ..) => points.push((Some(sound(version, "version")?), Kind::Introduced)),
            (_, Some(version), _) => points.push((Some(sound(version, "version")?), Kind::Fixed)),
            (_, _, Some(version)) => points.push((Some(sound(version, "version")?), Kind::LastAffected)),
            _ => {}
        }
    }
    points.sort_by(|(a, kind_a), (b, kind_b)| {
        let versions = match (a, b) {
            (Some(a), Some(b)) => compare(scheme, a, b),
            (a, b) => a.is_some().cmp(&b.is_some()),
        };
        versions.then(kind_a.cmp(kind_b))
    });
    let mut spans = Vec::new();
    let mut open: Option<Option<Arc<str>>> = None;
    let mut lone_end: Option<Arc<str>> = None;
    for (version, kind) in points {
        match (kind, open.take()) {
            // A second start inside an open span starts nothing.
            (Kind::Introduced, Some(introduced)) => open = Some(introduced),
            // What is fixed where it is introduced never was affected.
            (Kind::Introduced, None) if version.is_some() && version == lone_end => {}
            (Kind::Introduced, None) => open = Some(version),
            (Kind::Fixed, Some(introduced)) => spans.push(Span {
                introduced,
                fixed: version,
                last_affected: None,
            }),
            (Kind::LastAffected, Some(introduced)) => {
                spans.push(Span {
                    introduced,
                    fixed: None,
                    last_affected: version,
                });
            }
            // An end without a start ends nothing.
            (Kind::Fixed | Kind::LastAffected, None) => lone_end = version,
        }
    }
    // A start that nothing ends: no fix exists.
    spans.extend(open.map(|introduced| Span {
        introduced,
        ..Span::default()
    }));
    Ok(spans)
}

/// SUSE names the source package, and beside it every binary package with its fixed version.
fn binaries(fields: &Fields<'_>) -> Vec<Arc<str>> {
    let specific = fields.get::<Fields<'_>>("ecosystem_specific").ok().flatten();
    let binaries = specific.and_then(|specific| specific.get::<Vec<Fields<'_>>>("binaries").ok().flatten());
    let is_suse = |name: &str| !matches!(name, "binary_name" | "binary_version");
    let mut names: Vec<Arc<str>> = binaries
        .iter()
        .flatten()
        .flat_map(|binary| binary.0.iter())
        .filter(|(name, _)| is_suse(name))
        .filter_map(|(name, _)| sound(name, "package name").ok())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Names and versions end up in commands and files, so only what they are made of is let in.
fn sound(text: &str, what: &str) -> Result<Arc<str>, String> {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    match (1..=256).contains(&text.len()) && printable {
        true => Ok(Arc::from(text)),
        false => Err(format!(
            "an affected package was dropped: `{}` cannot be a {what}",
            excerpt(text)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(events: &str) -> Vec<String> {
        let events: Vec<Event<'_>> = serde_json::from_str(events).unwrap();
        let text = |version: &Option<Arc<str>>| version.as_deref().unwrap_or("-").to_owned();
        let spans = spans_of(&events, Scheme::Rpm).unwrap();
        spans
            .iter()
            .map(|s| {
                format!(
                    "{}..{} last {}",
                    text(&s.introduced),
                    text(&s.fixed),
                    text(&s.last_affected)
                )
            })
            .collect()
    }

    #[test]
    fn events_become_spans() {
        assert_eq!(spans(r#"[{"introduced":"0"},{"fixed":"1:2-1"}]"#), ["-..1:2-1 last -"]);
        assert_eq!(
            spans(r#"[{"fixed":"1.10"},{"introduced":"2.0"},{"introduced":"0"},{"fixed":"2.9"}]"#),
            ["-..1.10 last -", "2.0..2.9 last -"]
        );
        assert_eq!(spans(r#"[{"introduced":"0"}]"#), ["-..- last -"], "no fix exists");
        assert_eq!(spans(r#"[{"introduced":"1"},{"last_affected":"3"}]"#), ["1..- last 3"]);
        assert_eq!(
            spans(r#"[{"introduced":"0"},{"fixed":"5"},{"introduced":"5"},{"fixed":"6"}]"#),
            ["-..5 last -", "5..6 last -"]
        );
        assert_eq!(spans(r#"[{"introduced":"5"},{"last_affected":"5"}]"#), ["5..- last 5"]);
        assert_eq!(spans(r#"[{"introduced":"5"},{"fixed":"5"}]"#), [""; 0]);
        assert_eq!(spans(r#"[{"fixed":"1"}]"#), [""; 0]);
        assert_eq!(spans(r#"[{"introduced":"0"},{"limit":"9"}, {}]"#), ["-..- last -"]);
        assert!(
            spans_of(
                &serde_json::from_str::<Vec<Event<'_>>>(r#"[{"fixed":"1 2"}]"#).unwrap(),
                Scheme::Rpm
            )
            .is_err()
        );
    }
}
