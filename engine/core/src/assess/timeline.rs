//! The facts that an SLA reads and that change, as they were at each time at which they did.
//!
//! A fact counts from when it has been at least as strict as it is now without a break: what was stricter for a while and
//! is not any more has left no trace (a vendor corrected it), and what came, went and came back counts from its return.
//! So every step of a timeline is one towards strictness, and each is a move of the contract (design, deadlines).

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::case::Case;
use super::rules::Rules;
use crate::history::Taken;
use crate::load::table::Input;
use crate::load::wire::Exposure;
use crate::name::Severity;
use crate::observe::{AdvisoryRecord, Score, Ssvc};

/// A value that has only become stricter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Series<T> {
    first: T,
    changes: Vec<(Timestamp, T)>,
}

impl<T: Copy + PartialEq> Series<T> {
    /// A value that never changed.
    pub(super) const fn constant(value: T) -> Self {
        Self {
            first: value,
            changes: Vec::new(),
        }
    }

    /// From what was remembered and what is true now; `milder` gives the milder of two values. A value that differs from
    /// the one remembered last is taken now.
    pub(super) fn new(taken: &[(Timestamp, T)], current: T, now: Timestamp, milder: fn(T, T) -> T) -> Self {
        let mut values: Vec<(Timestamp, T)> = taken.to_vec();
        if values.last().is_none_or(|(_, last)| *last != current) {
            values.push((now, current));
        }
        let mut cap = current;
        for (_, value) in values.iter_mut().rev() {
            cap = milder(*value, cap);
            *value = cap;
        }
        let mut values = values.into_iter();
        let first = values.next().map_or(current, |(_, value)| value);
        let mut last = first;
        let changes = values.filter(|(_, value)| std::mem::replace(&mut last, *value) != *value);
        Self {
            first,
            changes: changes.collect(),
        }
    }

    /// The value at a time; before everything with none.
    pub(super) fn at(&self, at: Option<Timestamp>) -> T {
        let until = |(since, _): &&(Timestamp, T)| at.is_some_and(|at| *since <= at);
        self.changes
            .iter()
            .take_while(until)
            .last()
            .map_or(self.first, |(_, v)| *v)
    }

    pub(super) fn current(&self) -> T {
        self.changes.last().map_or(self.first, |(_, value)| *value)
    }

    fn times(&self) -> impl Iterator<Item = Timestamp> {
        self.changes.iter().map(|(at, _)| *at)
    }
}

/// What is known of an advisory over time: the same for every asset.
#[derive(Debug)]
pub(super) struct Past {
    severity: Series<Severity>,
    epss: Series<Option<Score>>,
    /// Since when it is exploited; none = it is not known to be.
    pub(super) exploited: Option<Timestamp>,
    cves: Vec<CvePast>,
}

#[derive(Debug)]
struct CvePast {
    cve: Arc<str>,
    /// In the catalogue of exploited vulnerabilities: since then, not, or not known.
    kev: Kev,
    ssvc: Series<Ssvc>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kev {
    Since(Timestamp),
    No,
    Unknown,
}

impl Past {
    pub(super) fn new(rules: &Rules<'_>, advisory: &AdvisoryRecord) -> Self {
        let changes = &rules.memory.changes;
        let taken = changes.severities.get(&advisory.id).map_or(&[][..], Vec::as_slice);
        let seen = |name: &Arc<str>| rules.memory.exploited.get(name).copied();
        let facts = |cve: &Arc<str>| advisory.cves.iter().find(|f| f.cve == *cve);
        let remembered = advisory.cve_ids().filter_map(seen).min();
        let exploited = match &advisory.exploited {
            Some(exploited) => Some(exploited.since.or(remembered).unwrap_or(rules.now)),
            // A catalogue that cannot be read today has taken nothing back.
            None if !rules.kev_known => remembered,
            None => None,
        };
        let of_a_cve = advisory.cves.iter().any(|f| f.exploited.is_some());
        let cves = advisory.cve_ids().map(|cve| CvePast {
            cve: Arc::clone(cve),
            kev: match facts(cve).and_then(|f| f.exploited.as_ref()) {
                Some(exploited) => Kev::Since(exploited.since.or(seen(cve)).unwrap_or(rules.now)),
                // The record itself says that it is exploited, and no catalogue says which of its CVEs.
                None if !of_a_cve && advisory.exploited.is_some() => Kev::Since(exploited.unwrap_or(rules.now)),
                None if rules.kev_known => Kev::No,
                None => seen(cve).map_or(Kev::Unknown, Kev::Since),
            },
            ssvc: {
                let taken = changes.answers.get(cve).map_or(&[][..], Vec::as_slice);
                let last = taken.last().map_or(Ssvc::UNKNOWN, |(_, last)| *last);
                let current = facts(cve).map_or(Ssvc::UNKNOWN, |f| f.ssvc).or(last);
                Series::new(taken, current, rules.now, milder_answers)
            },
        });
        Self {
            severity: Series::new(taken, advisory.severity, rules.now, milder_severity),
            epss: scores(rules, advisory),
            exploited,
            cves: cves.collect(),
        }
    }

    /// The EPSS score that counts, see [`Score::counted`].
    pub(super) fn epss(&self) -> Option<Score> {
        self.epss.current()
    }

    /// Whether the answer to a question about CVEs is known for each of them; where there is no CVE nobody was asked.
    pub(super) fn knows(&self, input: Input) -> bool {
        let answered = |cve: &CvePast| {
            let ssvc = cve.ssvc.current();
            match input {
                Input::Kev => cve.kev != Kev::Unknown,
                Input::Automatable => ssvc.automatable.is_some(),
                Input::TechnicalImpact => ssvc.total_impact.is_some(),
                Input::Exploitation => ssvc.exploitation.is_some() || matches!(cve.kev, Kev::Since(_)),
                _ => true,
            }
        };
        let of_cves = matches!(input, Input::Automatable | Input::TechnicalImpact | Input::Exploitation);
        (!of_cves || !self.cves.is_empty()) && self.cves.iter().all(answered)
    }
}

/// The highest of its CVEs at each time.
fn scores(rules: &Rules<'_>, advisory: &AdvisoryRecord) -> Series<Option<Score>> {
    let mut first = None;
    let mut times: BTreeSet<Timestamp> = BTreeSet::new();
    let mut all: Vec<Series<Option<Score>>> = Vec::new();
    for cve in advisory.cve_ids() {
        let facts = advisory.cves.iter().find(|f| f.cve == *cve);
        let today = facts.and_then(|f| f.epss.as_ref()).map(|e| e.score);
        let taken = rules.memory.changes.scores.get(cve).map_or(&[][..], Vec::as_slice);
        let taken: Vec<(Timestamp, Option<Score>)> = taken.iter().map(|(at, t)| (*at, Some(t.score))).collect();
        let last = taken.last().and_then(|(_, last)| *last);
        let series = Series::new(&taken, Score::counted(last, today), rules.now, Option::min);
        times.extend(series.times());
        first = first.max(series.first);
        all.push(series);
    }
    let highest = |at: Timestamp| all.iter().filter_map(|s| s.at(Some(at))).max();
    let mut last = first;
    let changes = times.into_iter().map(|at| (at, highest(at)));
    let changes = changes.filter(|(_, value)| std::mem::replace(&mut last, *value) != *value);
    Series {
        first,
        changes: changes.collect(),
    }
}

/// An unknown severity stands where `unknownSeverity` puts it by default.
fn milder_severity(a: Severity, b: Severity) -> Severity {
    let rank = |s| match s {
        Severity::Unknown => (Severity::High, 1),
        known => (known, 0),
    };
    if rank(a) <= rank(b) { a } else { b }
}

/// What is not answered is stricter than any answer: the strictest outcome counts.
fn milder_answers(a: Ssvc, b: Ssvc) -> Ssvc {
    fn milder<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
        match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }
    Ssvc {
        exploitation: milder(a.exploitation, b.exploitation),
        automatable: milder(a.automatable, b.automatable),
        total_impact: milder(a.total_impact, b.total_impact),
    }
}

/// The exposure of an asset over time. Exposures are declared from the strictest to the mildest.
pub(super) fn exposures(taken: Option<&Taken<Exposure>>, current: Exposure, now: Timestamp) -> Series<Exposure> {
    taken.map_or_else(
        || Series::constant(current),
        |taken| Series::new(taken, current, now, |a, b| a.max(b)),
    )
}

/// The facts at one time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct View {
    pub(super) exploited: bool,
    /// As the vendor says it.
    pub(super) severity: Severity,
    /// None where no class wins.
    pub(super) exposure: Option<Exposure>,
    pub(super) epss: Option<Score>,
    pub(super) cves: Vec<CveView>,
}

/// What is known of a CVE at one time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CveView {
    pub(super) cve: Arc<str>,
    /// In the catalogue of exploited vulnerabilities; none = not known.
    pub(super) kev: Option<bool>,
    pub(super) ssvc: Ssvc,
}

impl View {
    /// The facts at `at`; before every change with none. Those of single CVEs are for decision tables only.
    fn at(case: &Case<'_>, at: Option<Timestamp>, of_cves: bool) -> Self {
        let past = case.past();
        let since = |since: Timestamp| at.is_some_and(|at| since <= at);
        let cve = |cve: &CvePast| CveView {
            cve: Arc::clone(&cve.cve),
            kev: match cve.kev {
                Kev::Since(entry) => Some(since(entry)),
                Kev::No => Some(false),
                Kev::Unknown => None,
            },
            ssvc: cve.ssvc.at(at),
        };
        Self {
            exploited: past.exploited.is_some_and(since),
            severity: past.severity.at(at),
            exposure: case.profile.exposure.as_ref().map(|e| e.at(at)),
            epss: past.epss.at(at),
            cves: past.cves.iter().filter(|_| of_cves).map(cve).collect(),
        }
    }

    /// The facts now, without those of single CVEs. A date in the future is a date: what is in a catalogue is known.
    pub(super) fn now(case: &Case<'_>) -> Self {
        Self::at(case, Some(Timestamp::MAX), false)
    }

    /// What became stricter between `before` and `self`, in words.
    pub(super) fn news(&self, before: &Self) -> String {
        let mut words: Vec<String> = Vec::new();
        if self.exploited && !before.exploited {
            words.push("exploited".into());
        }
        if self.severity != before.severity {
            words.push(format!("severity {} → {}", before.severity, self.severity));
        }
        if let (Some(now), Some(was)) = (self.exposure, before.exposure)
            && now != was
        {
            words.push(format!("exposure {} → {}", was.as_str(), now.as_str()));
        }
        if self.epss != before.epss {
            let shown = |score: Option<Score>| score.map_or("none".to_owned(), |s| s.to_string());
            words.push(format!("EPSS {} → {}", shown(before.epss), shown(self.epss)));
        }
        for (now, was) in self.cves.iter().zip(&before.cves) {
            if now.kev != was.kev && !self.exploited {
                words.push(format!("{} exploited", now.cve));
            }
            if now.ssvc != was.ssvc {
                words.push(format!("SSVC of {} {} → {}", now.cve, was.ssvc.code(), now.ssvc.code()));
            }
        }
        words.join(", ")
    }
}

/// The facts before every change, and after each, in order of time.
pub(super) struct Timeline {
    pub(super) first: View,
    pub(super) later: Vec<(Timestamp, View)>,
}

impl Timeline {
    /// `of_cves`: a decision table is asked, so the facts of each CVE matter.
    pub(super) fn of(case: &Case<'_>, of_cves: bool) -> Self {
        let past = case.past();
        let mut times: BTreeSet<Timestamp> = BTreeSet::new();
        times.extend(past.exploited);
        times.extend(past.severity.times());
        times.extend(past.epss.times());
        times.extend(case.profile.exposure.iter().flat_map(Series::times));
        for cve in past.cves.iter().filter(|_| of_cves) {
            times.extend(cve.ssvc.times());
            if let Kev::Since(since) = cve.kev {
                times.insert(since);
            }
        }
        let first = View::at(case, None, of_cves);
        let mut later: Vec<(Timestamp, View)> = Vec::new();
        for at in times {
            let view = View::at(case, Some(at), of_cves);
            if later.last().map_or(&first, |(_, last)| last) != &view {
                later.push((at, view));
            }
        }
        Self { first, later }
    }
}

#[cfg(test)]
mod tests {
    use super::super::world::at;
    use super::*;

    fn day(day: u8) -> Timestamp {
        at(&format!("2026-11-{day:02}T00:00:00Z"))
    }

    fn series(taken: &[(u8, Severity)], current: Severity) -> Vec<(Option<Timestamp>, Severity)> {
        let taken: Vec<_> = taken.iter().map(|(d, s)| (day(*d), *s)).collect();
        let series = Series::new(&taken, current, day(30), milder_severity);
        let changes = series.changes.iter().map(|(at, s)| (Some(*at), *s));
        std::iter::once((None, series.first)).chain(changes).collect()
    }

    #[test]
    fn a_value_counts_from_when_it_was_at_least_as_strict_without_a_break() {
        use Severity::{Critical, High, Low, Medium, Unknown};
        assert_eq!(series(&[], High), [(None, High)]);
        assert_eq!(series(&[(1, High)], High), [(None, High)]);
        assert_eq!(
            series(&[(1, Low), (5, High)], High),
            [(None, Low), (Some(day(5)), High)]
        );
        assert_eq!(series(&[(1, Low)], High), [(None, Low), (Some(day(30)), High)]);
        // Corrected downwards: it was at least high since day 5.
        assert_eq!(
            series(&[(1, Low), (5, Critical), (9, High)], High),
            [(None, Low), (Some(day(5)), High)]
        );
        assert_eq!(series(&[(1, High), (5, Low)], Low), [(None, Low)]);
        // It came, went and came back.
        assert_eq!(
            series(&[(1, Low), (3, High), (5, Medium), (9, High)], High),
            [(None, Low), (Some(day(3)), Medium), (Some(day(9)), High)]
        );
        assert_eq!(series(&[(1, Unknown)], High), [(None, High)]);
        assert_eq!(
            series(&[(1, Medium)], Unknown),
            [(None, Medium), (Some(day(30)), Unknown)]
        );
    }

    #[test]
    fn an_answer_is_milder_than_none() {
        let answers = |code| Ssvc::from_code(code);
        assert_eq!(milder_answers(answers("AYT"), answers("---")).code(), "AYT");
        assert_eq!(milder_answers(answers("NYP"), answers("ANT")).code(), "NNP");
    }
}
