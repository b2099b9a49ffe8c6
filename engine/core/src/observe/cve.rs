//! What catalogues say of single CVEs: known exploitation, EPSS, the SSVC answers of CISA (Vulnrichment).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use super::advisory::{AdvisoryRecord, Exploited, ExploitedRecord};

/// A probability of EPSS, in units of 0.00001: the five decimals that EPSS publishes, without the traps of floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Score(u32);

impl Score {
    const ONE: f64 = 100_000.0;

    /// None for what is no probability. Rounded to five decimals.
    pub fn of(probability: f64) -> Option<Self> {
        (0.0..=1.0)
            .contains(&probability)
            .then(|| Self((probability * Self::ONE).round() as u32))
    }

    /// So many hundredths.
    pub const fn hundredths(hundredths: u32) -> Self {
        Self(hundredths * 1_000)
    }

    /// Between 0 and 1.
    pub fn probability(self) -> f64 {
        f64::from(self.0) / Self::ONE
    }

    /// The score that decides, given the one that decided before: hysteresis. A rise counts at once; a fall counts only
    /// below half of what counted. Scores move a little every day and a lot when the model changes; a deadline must
    /// not follow each of these moves, and never the mild ones first. A source that has no score today (it failed, or
    /// it dropped the CVE) leaves the last one standing.
    pub fn counted(last: Option<Self>, today: Option<Self>) -> Option<Self> {
        match (last, today) {
            (None, today) => today,
            (last, None) => last,
            (Some(last), Some(today)) => Some(if today.0.saturating_mul(2) < last.0 {
                today
            } else {
                last.max(today)
            }),
        }
    }

    /// Whether the score that counts has moved so far from the one remembered that it is worth remembering: up by a
    /// hundredth, or down to where a fall counts. Less would write a line for nearly every CVE every day.
    pub fn is_news(last: Option<Self>, today: Self) -> bool {
        match last {
            None => true,
            Some(last) => today.0 >= last.0 + Self::hundredths(1).0 || today.0.saturating_mul(2) < last.0,
        }
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.probability())
    }
}

/// A score and the model that gave it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epss {
    /// The probability of exploitation within 30 days.
    pub score: Score,
    /// Model version, as the file says it; none in files before 2022.
    pub model: Option<Arc<str>>,
    /// The day of the score, if said.
    pub at: Option<Timestamp>,
}

/// SSVC *Exploitation* (`ssvc:E`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exploitation {
    /// Neither exploitation nor a public proof of concept.
    None,
    /// A public proof of concept.
    Poc,
    /// Used by attackers.
    Active,
}

/// The answers of CISA for one CVE; none = not answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ssvc {
    /// State of exploitation.
    pub exploitation: Option<Exploitation>,
    /// Whether exploitation can be automated.
    pub automatable: Option<bool>,
    /// Whether the technical impact is total; else it is partial.
    pub total_impact: Option<bool>,
}

impl Ssvc {
    /// Nothing is answered.
    pub const UNKNOWN: Self = Self {
        exploitation: None,
        automatable: None,
        total_impact: None,
    };

    /// Three letters as SSVC writes its values, `-` for what is not answered: `PNT` = proof of concept, not automatable,
    /// total impact.
    pub fn code(self) -> String {
        let yes = |answer: Option<bool>, yes: char, no: char| answer.map_or('-', |a| if a { yes } else { no });
        let exploitation = match self.exploitation {
            None => '-',
            Some(Exploitation::None) => 'N',
            Some(Exploitation::Poc) => 'P',
            Some(Exploitation::Active) => 'A',
        };
        [
            exploitation,
            yes(self.automatable, 'Y', 'N'),
            yes(self.total_impact, 'T', 'P'),
        ]
        .iter()
        .collect()
    }

    /// Reads [`Ssvc::code`]. A letter that is not one of its answers is no answer.
    pub fn from_code(code: &str) -> Self {
        let mut letters = code.chars();
        let exploitation = letters.next();
        let automatable = letters.next();
        let impact = letters.next();
        Self {
            exploitation: match exploitation {
                Some('N') => Some(Exploitation::None),
                Some('P') => Some(Exploitation::Poc),
                Some('A') => Some(Exploitation::Active),
                _ => None,
            },
            automatable: match automatable {
                Some('Y') => Some(true),
                Some('N') => Some(false),
                _ => None,
            },
            total_impact: match impact {
                Some('T') => Some(true),
                Some('P') => Some(false),
                _ => None,
            },
        }
    }

    /// Answers that are missing, taken from `last`: a feed that is silent today has not taken back what it said.
    pub fn or(self, last: Self) -> Self {
        Self {
            exploitation: self.exploitation.or(last.exploitation),
            automatable: self.automatable.or(last.automatable),
            total_impact: self.total_impact.or(last.total_impact),
        }
    }
}

/// What one record of a catalogue says of one CVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CveRecord {
    /// The CVE.
    pub cve: Arc<str>,
    /// Its EPSS score.
    pub epss: Option<Epss>,
    /// Its SSVC answers.
    pub ssvc: Ssvc,
    /// When the answers were given; the newest record counts.
    pub at: Option<Timestamp>,
}

/// Everything the catalogues say of one CVE of an advisory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CveFacts {
    /// The CVE.
    pub cve: Arc<str>,
    /// Known exploitation.
    pub exploited: Option<Exploited>,
    /// EPSS.
    pub epss: Option<Epss>,
    /// SSVC answers.
    pub ssvc: Ssvc,
}

impl AdvisoryRecord {
    /// The highest EPSS score of its CVEs.
    pub fn epss(&self) -> Option<&Epss> {
        self.cves.iter().filter_map(|cve| cve.epss.as_ref()).max()
    }

    /// The ids that are CVEs: its own, then its aliases.
    pub fn cve_ids(&self) -> impl Iterator<Item = &Arc<str>> {
        std::iter::once(&self.id)
            .chain(&self.aliases)
            .filter(|name| name.starts_with("CVE-"))
    }
}

/// Joins facts about CVEs onto every advisory that names them, by id or alias. Of several scores the one of the newest
/// day counts, of several answers to a question that of the newest record; only CVEs of which something is known are
/// joined.
pub(super) fn join_cves(advisories: &mut [AdvisoryRecord], exploited: &[ExploitedRecord], records: Vec<CveRecord>) {
    let mut known: BTreeMap<Arc<str>, CveFacts> = BTreeMap::new();
    let fresh = |cve: &Arc<str>| CveFacts {
        cve: Arc::clone(cve),
        exploited: None,
        epss: None,
        ssvc: Ssvc::UNKNOWN,
    };
    let mut records = records;
    // The newest first, then in an order that does not depend on which source was read first.
    records.sort_by(|a, b| (&a.cve, b.at, b.ssvc, &b.epss).cmp(&(&b.cve, a.at, a.ssvc, &a.epss)));
    for record in records {
        let facts = known
            .entry(Arc::clone(&record.cve))
            .or_insert_with(|| fresh(&record.cve));
        facts.ssvc = facts.ssvc.or(record.ssvc);
        let day = |epss: &Option<Epss>| epss.as_ref().map(|e| (e.at, e.score));
        if day(&record.epss) > day(&facts.epss) {
            facts.epss = record.epss;
        }
    }
    for record in exploited {
        let facts = known
            .entry(Arc::clone(&record.cve))
            .or_insert_with(|| fresh(&record.cve));
        facts.exploited = super::bulletin::join(facts.exploited.take(), &record.exploited);
    }
    for advisory in advisories {
        let cves: Vec<CveFacts> = advisory.cve_ids().filter_map(|cve| known.get(cve)).cloned().collect();
        advisory.cves = cves;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(probability: f64) -> Score {
        Score::of(probability).unwrap()
    }

    #[test]
    fn a_rise_counts_at_once_and_a_fall_below_the_half() {
        let counted = |last: f64, today: f64| Score::counted(Some(score(last)), Some(score(today))).unwrap();
        assert_eq!(counted(0.1, 0.12), score(0.12));
        assert_eq!(counted(0.1, 0.06), score(0.1));
        assert_eq!(counted(0.1, 0.049), score(0.049));
        assert_eq!(Score::counted(None, Some(score(0.2))), Some(score(0.2)));
        assert_eq!(
            Score::counted(Some(score(0.2)), None),
            Some(score(0.2)),
            "silence takes nothing back"
        );
        assert!(!Score::is_news(Some(score(0.1)), score(0.105)));
        assert!(Score::is_news(Some(score(0.1)), score(0.11)));
        assert!(Score::is_news(Some(score(0.1)), score(0.04)));
    }

    #[test]
    fn a_score_is_a_probability_with_five_decimals() {
        assert_eq!(score(0.65117).to_string(), "0.65117");
        assert_eq!(score(0.02).to_string(), "0.02");
        assert_eq!(score(1.0).to_string(), "1");
        for wrong in [-0.1, 1.1, f64::NAN] {
            assert_eq!(Score::of(wrong), None);
        }
    }

    #[test]
    fn answers_survive_their_code() {
        for exploitation in [
            None,
            Some(Exploitation::None),
            Some(Exploitation::Poc),
            Some(Exploitation::Active),
        ] {
            for automatable in [None, Some(true), Some(false)] {
                for total_impact in [None, Some(true), Some(false)] {
                    let answers = Ssvc {
                        exploitation,
                        automatable,
                        total_impact,
                    };
                    assert_eq!(Ssvc::from_code(&answers.code()), answers);
                }
            }
        }
        assert_eq!(Ssvc::from_code("??"), Ssvc::UNKNOWN);
    }
}
