//! What is no finding but must be said: assets nobody can judge, and rules that have no answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::found::Findings;
use super::matching::FixIndex;
use super::rules::Rules;
use super::scope::{Answer, ClassChoice};
use super::unsourced::Unsourced;
use super::{Remark, Scoped, coverage, may_be_away, scope};
use crate::load::table::DecisionTable;
use crate::load::wire::{AssetClassSpec, ComponentKind, Lifecycle};
use crate::name::Severity;
use crate::observe::{Asset, Note, Observation, Part, parts_of};

/// Remarks of every asset, sorted, and notes about rules, each once with the first asset it concerns.
pub(super) fn say(
    rules: &Rules<'_>,
    observation: &Observation,
    index: &FixIndex<'_>,
    findings: &Findings,
    scoped: &Scoped,
) -> (Vec<Remark>, Vec<Note>) {
    let mut remarks = Vec::new();
    let spoken = spoken_of(observation);
    let mut unsourced = Unsourced::new(observation, index);
    let mut rule_notes: BTreeMap<(bool, String), (Arc<str>, usize)> = BTreeMap::new();
    for (index, asset) in observation.assets.iter().enumerate() {
        if asset.lifecycle == Lifecycle::Retired {
            continue;
        }
        let mut say = |status: &str, detail: String| {
            remarks.push(Remark {
                asset: Arc::clone(&asset.name),
                status: status.into(),
                detail,
            });
        };
        let profile = scoped
            .profile_of
            .get(index)
            .and_then(|p| scoped.profiles.get(*p as usize));
        if asset.observed_at.is_none() {
            say(
                "unknown",
                "was never observed: nothing can be said of it; check that a source of its fleet reports it".into(),
            );
            continue;
        }
        let mut note = |error: bool, words: String| {
            rule_notes
                .entry((error, words))
                .or_insert_with(|| (Arc::clone(&asset.name), 0))
                .1 += 1;
        };
        if let Some(choice) = scoped.class_of.get(index) {
            class_remark(rules, choice, &mut say, &mut note);
        }
        let Some(profile) = profile else { continue };
        if profile.policies.is_empty() {
            say(
                "no-policy",
                "is in the scope of no PatchPolicy: its advisories are not looked at; widen a scope, or retire it"
                    .into(),
            );
            continue;
        }
        for (index, answer) in &profile.policies {
            if let (Answer::Unknown(why), Some(policy)) = (answer, rules.policies.get(*index)) {
                let at = rules.placed(policy.resource, "/spec/scope/when");
                say(
                    "unknown",
                    format!(
                        "scope of policy `{}`{at} cannot be decided: {why}",
                        policy.resource.name
                    ),
                );
                note(
                    false,
                    format!(
                        "scope of policy `{}`{at} cannot be decided: {why}",
                        policy.resource.name
                    ),
                );
            }
        }
        for (index, answer) in &profile.exceptions {
            if let (Answer::Unknown(why), Some(exception)) = (answer, rules.exceptions.get(*index)) {
                let at = rules.placed(*exception, "/spec/when");
                let words = format!(
                    "exception `{}`{at} gives no relief where it cannot be decided: {why}",
                    exception.name
                );
                say("unknown", words.clone());
                note(false, words);
            }
        }
        let class = scoped.class_of.get(index).and_then(ClassChoice::index);
        let class = scope::chosen(rules, class).map(|c| &c.spec);
        if asset.stale {
            stale_remark(asset, class, rules.now, &mut say);
        }
        facts_remark(observation, asset, &spoken, &mut say);
        if let Some(why) = unsourced.why(asset) {
            say("unknown", why);
        }
        if let Some(broken) = findings.broken.get(&index) {
            let mut names: Vec<&str> = broken
                .iter()
                .map(|id| observation.tables.text(observation.tables.package(*id).name))
                .collect();
            names.sort_unstable();
            names.dedup();
            say(
                "half-configured",
                format!(
                    "{}: unpacked but not configured; repair before patching (`dpkg --configure -a`)",
                    names.join(", ")
                ),
            );
        }
    }
    let mut notes: Vec<Note> = rule_notes
        .into_iter()
        .map(|((error, words), (first, count))| {
            let others = if count > 1 {
                format!(" (and {} more assets)", count - 1)
            } else {
                String::new()
            };
            Note {
                error,
                subject: first,
                message: words + &others,
            }
        })
        .collect();
    notes.extend(severity_notes(rules, observation));
    notes.extend(table_notes(rules, observation, findings));
    notes.extend(vanished(rules, observation, findings));
    remarks.sort();
    (remarks, notes)
}

fn class_remark(
    rules: &Rules<'_>,
    choice: &ClassChoice,
    say: &mut impl FnMut(&str, String),
    note: &mut impl FnMut(bool, String),
) {
    let class = |index: &usize| {
        rules.classes.get(*index).map_or_else(String::new, |class| {
            format!("`{}`{}", class.name, rules.placed(*class, "/spec/priority"))
        })
    };
    match choice {
        ClassChoice::One(_) => {}
        ClassChoice::None => say(
            "no-class",
            "no AssetClass matches it: no tool, window or environment is known for it; add a class or a label".into(),
        ),
        ClassChoice::Tie(several) => {
            let names: Vec<String> = several.iter().map(class).collect();
            let words = format!(
                "classes {} match with the same priority, so none wins; give one a higher `priority`",
                names.join(" and ")
            );
            say("no-class", words.clone());
            note(true, words);
        }
        ClassChoice::Unknown(index, why) => {
            let words = format!("class {} cannot be decided: {why}", class(index));
            say("no-class", words.clone());
            note(false, words);
        }
    }
}

/// An asset that was not seen for too long: away where its class allows that for a while, else unknown.
fn stale_remark(asset: &Asset, class: Option<&AssetClassSpec>, now: Timestamp, say: &mut impl FnMut(&str, String)) {
    let away = asset
        .observed_at
        .zip(class)
        .filter(|(seen, class)| may_be_away(class, *seen, now));
    if let Some((seen, absence)) = away.and_then(|(seen, class)| Some((seen, class.absence.as_ref()?))) {
        let allowed = absence.allowed.map_or_else(String::new, |a| format!(" for {a}"));
        let why = absence.reason.as_ref().map_or_else(String::new, |r| format!(" ({r})"));
        say(
            "away",
            format!(
                "last seen {seen}; its class allows it to be away{allowed}{why}: findings are planned from that and marked"
            ),
        );
        return;
    }
    let at = asset.observed_at.map_or_else(String::new, |at| format!(" of {at}"));
    say(
        "unknown",
        format!("its observation{at} is stale: older than its source allows; findings are planned from it and marked"),
    );
}

/// What of the asset is missing so that it can never count as compliant.
fn facts_remark(observation: &Observation, asset: &Asset, spoken: &Spoken<'_>, say: &mut impl FnMut(&str, String)) {
    let facts = &asset.facts;
    let Some(os) = facts
        .os
        .as_ref()
        .filter(|os| !os.id.is_empty() && !os.version.is_empty())
    else {
        appliance_remark(asset, spoken, say);
        return;
    };
    if facts.packages.is_none() && facts.kbs.is_none() && facts.components.is_none() {
        say(
            "unknown",
            "its packages were not observed, so no advisory can be matched".into(),
        );
    }
    let (fresh, stale) = coverage(observation, asset);
    if fresh.is_empty() {
        let release = format!("{} {}", os.id, os.major());
        let why = match stale.is_empty() {
            true => "no advisory source claims it; add one, or what is missing is never known".to_owned(),
            false => format!(
                "only stale sources claim it: {}",
                stale.into_iter().collect::<Vec<_>>().join(", ")
            ),
        };
        say("unknown", format!("no advisory coverage of {release}: {why}"));
    }
}

/// What advisories speak of besides packages: kind, vendor (none = any), product (empty = any).
type Spoken<'o> = BTreeSet<(&'o str, Option<&'o str>, &'o str)>;

fn spoken_of(observation: &Observation) -> Spoken<'_> {
    let fixes = observation.advisories.iter().flat_map(|a| &a.fixes);
    let fixes = fixes.filter(|f| ComponentKind::parse(&f.ecosystem.os_id).is_some());
    fixes
        .map(|f| {
            (
                f.ecosystem.os_id.as_ref(),
                f.ecosystem.release.as_deref(),
                f.package.as_ref(),
            )
        })
        .collect()
}

/// An asset without an operating system is judged by its parts: one no advisory has ever spoken of is not known to be
/// well, nobody looks at it.
fn appliance_remark(asset: &Asset, spoken: &Spoken<'_>, say: &mut impl FnMut(&str, String)) {
    let parts = parts_of(asset);
    if parts.is_empty() {
        say(
            "unknown",
            "its operating system was not observed, so no advisory can be matched".into(),
        );
    }
    let is_spoken_of = |part: &Part| {
        let (kind, vendor, product) = (part.kind.as_str(), part.vendor.as_str(), part.product.as_str());
        let names = [Some(vendor), None]
            .into_iter()
            .flat_map(|v| [(kind, v, product), (kind, v, "")]);
        names.into_iter().any(|name| spoken.contains(&name))
    };
    for part in parts.iter().filter(|part| !is_spoken_of(part)) {
        let name = format!("{} {} {}", part.kind.as_str(), part.vendor, part.product);
        say(
            "unknown",
            format!("no advisory coverage of {name}: write an Advisory for it, or what is missing is never known"),
        );
    }
}

/// How many standing advisories of each source state no severity, and the first of them: rules judge them by `unknownSeverity`.
fn severity_notes(rules: &Rules<'_>, observation: &Observation) -> Vec<Note> {
    let mut counts: BTreeMap<&Arc<str>, (usize, &str)> = BTreeMap::new();
    let standing = observation
        .advisories
        .iter()
        .filter(|a| a.severity == Severity::Unknown && a.withdrawn.is_none_or(|at| at > rules.now));
    for advisory in standing {
        let (count, first) = counts.entry(&advisory.provenance.source).or_insert((0, &advisory.id));
        *count += 1;
        *first = (*first).min(&*advisory.id);
    }
    let note = |(source, (count, first)): (&Arc<str>, (usize, &str))| {
        let what = if count == 1 {
            format!("1 advisory without severity ({first})")
        } else {
            format!("{count} advisories without severity (first {first})")
        };
        Note {
            error: false,
            subject: Arc::clone(source),
            message: format!("{what}: satisfies every `atLeast`, and SLA rules count it as `unknownSeverity`"),
        }
    };
    counts.into_iter().map(note).collect()
}

/// For each decision table the advisories that hit something and of which it asks what is not known: they get the
/// strictest outcome that is possible.
fn table_notes(rules: &Rules<'_>, observation: &Observation, findings: &Findings) -> Vec<Note> {
    let mut asked: BTreeMap<&Arc<str>, (&DecisionTable, String)> = BTreeMap::new();
    for policy in &rules.policies {
        if let (Some(sla), Some(table)) = (policy.sla, policy.table) {
            asked
                .entry(&sla.name)
                .or_insert_with(|| (table, rules.placed(sla, "/spec/table")));
        }
    }
    let has = |format: &str| rules.catalog.sources.values().any(|s| s.spec.format == format);
    let help = match (has("kev"), has("vulnrichment")) {
        (true, true) => "the sources `kev` and `vulnrichment` do not say it of every CVE",
        (true, false) => "add a source of type `vulnrichment`",
        (false, true) => "add a source of type `kev`",
        (false, false) => "add the sources `kev` and `vulnrichment`",
    };
    let mut hits: Vec<u32> = findings.found.iter().map(|f| f.hit.advisory).collect();
    hits.dedup();
    let note = |(sla, (table, at)): (&Arc<str>, (&DecisionTable, String))| {
        let mut open: BTreeMap<&str, usize> = BTreeMap::new();
        let mut count = 0;
        for hit in &hits {
            let Some(advisory) = observation.advisories.get(*hit as usize) else {
                continue;
            };
            let past = rules.past(*hit, advisory);
            let unknown: Vec<&str> = (table.columns.iter().filter(|c| !past.knows(c.input)))
                .map(|c| c.id.as_str())
                .collect();
            count += usize::from(!unknown.is_empty());
            for id in unknown {
                *open.entry(id).or_default() += 1;
            }
        }
        let words: Vec<String> = open.iter().map(|(id, count)| format!("{id} of {count}")).collect();
        (count > 0).then(|| Note {
            error: false,
            subject: Arc::clone(sla),
            message: format!(
                "the decision table of SlaPolicy `{sla}`{at} asks what is not known of {count} of {} advisories that hit something \
                 ({}): the strictest outcome that is possible counts; {help}",
                hits.len(),
                words.join(", ")
            ),
        })
    };
    asked.into_iter().filter_map(note).collect()
}

/// CVEs that stood in the catalogue of exploited vulnerabilities and do not any more. The catalogue marks no removal, so
/// nobody would notice that deadlines have become longer.
fn vanished(rules: &Rules<'_>, observation: &Observation, findings: &Findings) -> Option<Note> {
    let mut hits: Vec<u32> = findings.found.iter().map(|f| f.hit.advisory).collect();
    hits.dedup();
    let advisories = hits.iter().filter_map(|hit| observation.advisories.get(*hit as usize));
    let gone = advisories
        .filter(|advisory| advisory.exploited.is_none())
        .flat_map(|a| a.cve_ids());
    let cves: BTreeSet<&Arc<str>> = gone.filter(|cve| rules.memory.exploited.contains_key(*cve)).collect();
    let first = cves.first().filter(|_| rules.kev_known)?;
    Some(Note {
        error: false,
        subject: Arc::clone(first),
        message: format!(
            "{} CVEs with findings stood among the exploited vulnerabilities and are not there any more, {first} first: \
             their deadlines are again as if they had never been; the catalogue gives no reason for a removal",
            cves.len()
        ),
    })
}
