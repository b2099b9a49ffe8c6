//! Judges each distinct (profile, subject) once and shares the rows of assets that are alike.

use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;

use super::Scoped;
use super::case::Case;
use super::finding::{Hit, Judgement, Row};
use super::found::{Cause, Findings, Found};
use super::judge::{self, Judged};
use super::rules::Rules;
use super::scope;
use super::trace::Steps;
use crate::lookup::Lookup;
use crate::observe::{Note, Observation};

/// Rows, with what must be said of rules.
pub(super) struct All {
    pub(super) hits: Vec<Hit>,
    pub(super) judgements: Vec<Judgement>,
    pub(super) lists: Vec<Arc<[Row]>>,
    pub(super) list_of: Vec<u32>,
    pub(super) notes: Vec<Note>,
}

/// The part of a hit that a judgement can depend on: hits with equal subjects are judged alike.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Subject<'f> {
    advisory: u32,
    package: &'f str,
    fixable: bool,
    cause: &'f Cause,
    arch: Option<&'f str>,
    module: Option<&'f str>,
    installed: Option<&'f str>,
    fixed: Option<&'f str>,
    /// Source and its fix, where no version of the binary can be named.
    in_source: Option<(Option<&'f str>, Option<&'f str>)>,
}

/// For each found hit the index of its subject, and one found hit of each subject.
fn subjects(rules: &Rules<'_>, found: &[Found]) -> (Vec<u32>, usize) {
    let facts = rules.hit_facts;
    let mut ids: Lookup<Subject<'_>, u32> = Lookup::default();
    let of = found
        .iter()
        .map(|f| {
            let hit = &f.hit;
            let subject = Subject {
                advisory: hit.advisory,
                package: &hit.package,
                fixable: hit.fixed.is_some(),
                cause: &f.cause,
                arch: facts.arch.then_some(&hit.arch),
                module: hit.module.as_deref().filter(|_| facts.module),
                installed: facts.installed.then_some(&hit.installed),
                fixed: hit.fixed.as_deref().filter(|_| facts.fixed),
                in_source: hit
                    .is_fixed_in_source_only()
                    .then_some((hit.source.as_deref(), hit.fixed.as_deref())),
            };
            let next = ids.len() as u32;
            *ids.entry(subject).or_insert(next)
        })
        .collect();
    (of, ids.len())
}

/// One profile and some of the hit lists its assets have.
struct Unit {
    profile: u32,
    /// Any asset of the profile.
    asset: usize,
    lists: Vec<u32>,
}

/// So many lists are judged by one thread at a time. Subjects that several units of a profile share are judged once in
/// each, so units must not be small; a profile with fewer lists is one unit.
const LISTS_A_UNIT: usize = 4096;

/// What judging a unit gives: judgements of its own, and rows that point to them.
struct Output {
    judgements: Vec<Judgement>,
    lists: Vec<Vec<Row>>,
    notes: BTreeSet<String>,
}

/// Scratch of a thread: the judgement of a subject, valid while its stamp is the current one.
struct Scratch {
    stamp: u32,
    known: Vec<(u32, u32)>,
}

/// No policy claims the subject.
const UNCLAIMED: u32 = u32::MAX;

pub(super) fn judge_all(rules: &Rules<'_>, observation: &Observation, findings: &Findings, scoped: &Scoped) -> All {
    let (subject_of, subject_count) = subjects(rules, &findings.found);
    // Distinct (profile, list), in order of profile and list; an asset without rows has none.
    let claimed = |profile: u32| {
        scoped
            .profiles
            .get(profile as usize)
            .is_some_and(|p| !p.policies.is_empty())
    };
    let pair_of: Vec<Option<(u32, u32)>> = scoped
        .profile_of
        .iter()
        .zip(&findings.list_of)
        .map(|(profile, list)| list.filter(|_| claimed(*profile)).map(|list| (*profile, list)))
        .collect();
    let mut pairs: Vec<(u32, u32, usize)> = pair_of
        .iter()
        .enumerate()
        .filter_map(|(asset, pair)| pair.map(|(p, l)| (p, l, asset)))
        .collect();
    pairs.par_sort_unstable();
    pairs.dedup_by_key(|(profile, list, _)| (*profile, *list));
    let units: Vec<Unit> = pairs
        .chunk_by(|a, b| a.0 == b.0)
        .flat_map(|of_profile| of_profile.chunks(LISTS_A_UNIT))
        .filter_map(|chunk| {
            let (profile, _, asset) = *chunk.first()?;
            Some(Unit {
                profile,
                asset,
                lists: chunk.iter().map(|(_, list, _)| *list).collect(),
            })
        })
        .collect();
    let outputs: Vec<Output> = units
        .par_iter()
        .map_init(
            || Scratch {
                stamp: 0,
                known: vec![(0, 0); subject_count],
            },
            |scratch, unit| judge_unit(rules, observation, findings, scoped, &subject_of, unit, scratch),
        )
        .collect();
    merge(findings, &pairs, &pair_of, outputs)
}

fn judge_unit(
    rules: &Rules<'_>,
    observation: &Observation,
    findings: &Findings,
    scoped: &Scoped,
    subject_of: &[u32],
    unit: &Unit,
    scratch: &mut Scratch,
) -> Output {
    scratch.stamp += 1;
    let mut output = Output {
        judgements: Vec::new(),
        lists: Vec::new(),
        notes: BTreeSet::new(),
    };
    let (Some(profile), Some(asset)) = (
        scoped.profiles.get(unit.profile as usize),
        observation.assets.get(unit.asset),
    ) else {
        return output;
    };
    let class = scope::chosen(rules, profile.class);
    let mut ids: Lookup<Judgement, u32> = Lookup::default();
    for list in &unit.lists {
        let list = findings.lists.get(*list as usize).map_or(&[][..], |l| l);
        let mut rows = Vec::with_capacity(list.len());
        for hit in list {
            let subject = subject_of.get(*hit as usize).copied().unwrap_or_default();
            let Some(known) = scratch.known.get_mut(subject as usize) else {
                continue;
            };
            if known.0 != scratch.stamp {
                let Some(found) = findings.found.get(*hit as usize) else {
                    continue;
                };
                let Some(advisory) = observation.advisories.get(found.hit.advisory as usize) else {
                    continue;
                };
                let case = Case {
                    rules,
                    profile,
                    asset,
                    class,
                    advisory,
                    hit: &found.hit,
                    cause: &found.cause,
                };
                let judged = judge::judge(&case, &mut Steps::default());
                let id = judged.map_or(UNCLAIMED, |Judged { judgement, notes }| {
                    output.notes.extend(notes);
                    let all = &mut output.judgements;
                    *ids.entry(judgement).or_insert_with_key(|judgement| {
                        all.push(judgement.clone());
                        all.len() as u32 - 1
                    })
                });
                *known = (scratch.stamp, id);
            }
            if known.1 != UNCLAIMED {
                rows.push(Row {
                    hit: *hit,
                    judgement: known.1,
                });
            }
        }
        output.lists.push(rows);
    }
    output
}

/// Numbers judgements and hits in their own order, so that nothing shows in which order units were judged.
fn merge(
    findings: &Findings,
    pairs: &[(u32, u32, usize)],
    pair_of: &[Option<(u32, u32)>],
    outputs: Vec<Output>,
) -> All {
    let mut judgements: Vec<Judgement> = outputs.iter().flat_map(|o| o.judgements.iter().cloned()).collect();
    judgements.par_sort_unstable();
    judgements.dedup();
    let mut used = vec![false; findings.found.len()];
    for row in outputs.iter().flat_map(|o| o.lists.iter().flatten()) {
        if let Some(slot) = used.get_mut(row.hit as usize) {
            *slot = true;
        }
    }
    let (hits, place) = compact(&findings.found, &used);
    let final_lists: Vec<Vec<Arc<[Row]>>> = outputs
        .par_iter()
        .map(|output| {
            let here: Vec<u32> = output
                .judgements
                .iter()
                .map(|j| judgements.binary_search(j).map_or(0, |at| at as u32))
                .collect();
            let row = |row: &Row| Row {
                hit: place.get(row.hit as usize).copied().unwrap_or_default(),
                judgement: here.get(row.judgement as usize).copied().unwrap_or_default(),
            };
            output.lists.iter().map(|list| list.iter().map(row).collect()).collect()
        })
        .collect();
    let mut lists: Vec<Arc<[Row]>> = vec![Arc::from([])];
    let mut ids: Lookup<Arc<[Row]>, u32> = Lookup::default();
    ids.insert(Arc::from([]), 0);
    let mut list_of_pair: Lookup<(u32, u32), u32> = Lookup::default();
    for ((profile, list, _), rows) in pairs.iter().zip(final_lists.into_iter().flatten()) {
        let id = *ids.entry(rows).or_insert_with_key(|rows| {
            lists.push(Arc::clone(rows));
            lists.len() as u32 - 1
        });
        list_of_pair.insert((*profile, *list), id);
    }
    let list_of = pair_of
        .iter()
        .map(|pair| pair.and_then(|pair| list_of_pair.get(&pair).copied()).unwrap_or(0))
        .collect();
    let notes: BTreeSet<String> = outputs.into_iter().flat_map(|o| o.notes).collect();
    let notes = notes.into_iter().map(|message| Note {
        error: false,
        subject: "rules".into(),
        message,
    });
    All {
        hits,
        judgements,
        lists,
        list_of,
        notes: notes.collect(),
    }
}

/// The distinct hits that rows point to, and where each found hit went. Hits that differ only in why they stand are one.
fn compact(found: &[Found], used: &[bool]) -> (Vec<Hit>, Vec<u32>) {
    let mut hits: Vec<Hit> = Vec::new();
    let place = found
        .iter()
        .zip(used)
        .map(|(found, used)| {
            if *used && hits.last() != Some(&found.hit) {
                hits.push(found.hit.clone());
            }
            hits.len().saturating_sub(1) as u32
        })
        .collect();
    (hits, place)
}
