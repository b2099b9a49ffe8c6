//! `epss`: the daily scores of the Exploit Prediction Scoring System, as CSV.
//!
//! Shape: <https://www.first.org/epss/data_stats>. The first line is a comment with the model and the day since 2022,
//! and is missing before; the header is `cve,epss` in 2021 and `cve,epss,percentile` since. The comment makes the file
//! ragged for a reader of CSV, and no value is ever quoted, so lines are cut here.

use std::sync::Arc;

use jiff::Timestamp;
use patchwave_core::observe::{Batch, CveRecord, Epss, Provenance, Score, Ssvc};

use crate::cut::{EMPTY, lines, without_mark};
use crate::documents::read_documents;
use crate::fields::excerpt;
use crate::kev::is_cve;
use crate::sheet::Sheet;
use crate::{FormatEntry, InputFile};

/// Reads every file, in order of their paths. A line that scores a CVE is a record.
pub(crate) fn read(entry: &FormatEntry, source: &Arc<str>, files: &[InputFile<'_>]) -> Batch {
    read_documents(entry, source, files, &table)
}

/// The model and the day that a file speaks for.
#[derive(Default)]
struct Head {
    model: Option<Arc<str>>,
    at: Option<Timestamp>,
}

/// Reads one document.
fn table(bytes: &[u8], file: &Provenance, sheet: &mut Sheet) {
    let at = |record| Provenance { record, ..file.clone() };
    let mut head = Head::default();
    let mut columns: Option<(usize, usize)> = None;
    let mut any = false;
    for (line, number) in lines(without_mark(bytes), 1) {
        let Ok(line) = std::str::from_utf8(line) else {
            any = true;
            sheet.skip(&at(number), "is not UTF-8");
            continue;
        };
        if let Some(comment) = line.strip_prefix('#') {
            read_head(comment, &at(number), &mut head, sheet);
            continue;
        }
        any = true;
        let Some(columns) = columns else {
            columns = header(line);
            if columns.is_none() {
                let why = format!(
                    "is no table of EPSS scores: its header `{}` names no columns `cve` and `epss`",
                    excerpt(line)
                );
                return sheet.skip(&at(number), why);
            }
            continue;
        };
        match score(line, columns) {
            Ok((cve, score)) => {
                sheet.read();
                sheet.batch.cves.push(CveRecord {
                    cve,
                    epss: Some(Epss {
                        score,
                        model: head.model.clone(),
                        at: head.at,
                    }),
                    ssvc: Ssvc::UNKNOWN,
                    at: head.at,
                });
            }
            Err(why) => sheet.skip(&at(number), why),
        }
    }
    if !any {
        sheet.note(&at(0), EMPTY);
    }
}

/// `model_version:v2023.03.01,score_date:2025-02-20T00:00:00+0000`. What cannot be read of it costs only itself.
fn read_head(comment: &str, at: &Provenance, head: &mut Head, sheet: &mut Sheet) {
    for part in comment.split(',') {
        match part.trim().split_once(':') {
            Some(("model_version", model)) => {
                head.model = Some(model.trim().chars().take(40).collect::<String>().into())
            }
            Some(("score_date", date)) => match day(date.trim()) {
                Some(day) => head.at = Some(day),
                None => sheet.drop_field(at, format!("`score_date` `{}` is no date", excerpt(date))),
            },
            _ => {}
        }
    }
}

/// With `Z`, with an offset with or without its colon, or a day alone.
fn day(text: &str) -> Option<Timestamp> {
    let offset = |format| {
        jiff::fmt::strtime::parse(format, text)
            .and_then(|t| t.to_timestamp())
            .ok()
    };
    let date = || {
        let date = text.parse::<jiff::civil::Date>().ok()?;
        date.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|z| z.timestamp())
    };
    text.parse()
        .ok()
        .or_else(|| offset("%Y-%m-%dT%H:%M:%S%z"))
        .or_else(date)
}

fn header(line: &str) -> Option<(usize, usize)> {
    let place = |name: &str| line.split(',').position(|c| c.trim().eq_ignore_ascii_case(name));
    place("cve").zip(place("epss"))
}

fn score(line: &str, (cve, epss): (usize, usize)) -> Result<(Arc<str>, Score), String> {
    let mut fields = line.split(',').map(str::trim);
    let name = fields.clone().nth(cve).unwrap_or_default();
    let value = fields.nth(epss).unwrap_or_default();
    if !is_cve(name) {
        return Err(format!("`{}` is no CVE id", excerpt(name)));
    }
    let score = value.parse().ok().and_then(Score::of);
    let score = score.ok_or_else(|| format!("{name}: `{}` is no probability between 0 and 1", excerpt(value)))?;
    Ok((name.into(), score))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Batch {
        let files = [InputFile {
            path: "epss_scores.csv".into(),
            bytes: text.as_bytes().into(),
        }];
        let batch = crate::read("epss", &"epss".into(), &files, Timestamp::UNIX_EPOCH).unwrap();
        let account = &batch.account;
        assert_eq!(account.read + account.skipped.len() as u64, account.total);
        batch
    }

    #[test]
    fn a_file_has_a_model_and_scores() {
        let batch = read_text(
            "#model_version:v2022.01.01,score_date:2022-02-04T00:00:00+0000\ncve,epss,percentile\n\
             CVE-2020-5902,0.96817,0.99999\r\nCVE-2018-19571,0.17187,0.93112\n",
        );
        let first = batch.cves[0].epss.clone().unwrap();
        assert_eq!(
            (&*batch.cves[0].cve, first.score.probability()),
            ("CVE-2020-5902", 0.96817)
        );
        assert_eq!(first.model.as_deref(), Some("v2022.01.01"));
        assert_eq!(first.at.unwrap().to_string(), "2022-02-04T00:00:00Z");
        assert_eq!(batch.cves.len(), 2);
    }

    #[test]
    fn a_file_of_2021_has_no_comment_and_no_percentile() {
        let batch = read_text("cve,epss\nCVE-2020-5902,0.65117\n");
        let epss = batch.cves[0].epss.clone().unwrap();
        assert_eq!(
            (epss.model, epss.at, epss.score.to_string()),
            (None, None, "0.65117".into())
        );
    }

    #[test]
    fn bad_lines_cost_only_themselves() {
        let batch = read_text(
            "#model_version:v1,score_date:soon\ncve,epss\nCVE-2020-5902,0.5\nCVE-2020-1,2\nx,0.1\nCVE-2020-1000\n\"a,b\"\n",
        );
        assert_eq!((batch.account.total, batch.account.read), (5, 1));
        assert_eq!(batch.account.dropped_fields.len(), 1);
        assert!(
            batch.account.skipped[1].reason.contains("no CVE id"),
            "{:?}",
            batch.account.skipped
        );
    }

    #[test]
    fn a_table_with_another_header_is_refused_whole() {
        let batch = read_text("#model_version:v1\ninvalid,header,format\nCVE-2024-6775,0.00043,0.09291\n");
        assert_eq!((batch.account.total, batch.account.read), (1, 0));
        assert!(batch.account.skipped[0].reason.contains("no columns `cve` and `epss`"));
        assert_eq!(read_text("").account.notes.len(), 1);
    }
}
