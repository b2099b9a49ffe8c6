//! Prometheus and what speaks its API: the value of now, the instants of the samples, and the time before.

use jiff::Timestamp;
use patchwave_core::time::DurationSeconds;
use patchwave_core::verify::{Ask, GateAnswer, GateReading, Series};
use patchwave_formats::monitors::{prometheus_live, prometheus_saved, prometheus_values};

use super::client::Client;
use super::no_answer;
use super::saved::{Saved, file_name};

const PRODUCT: &str = "Prometheus";

/// So many points a series are asked for at most: a span of 30 minutes in steps of 4 seconds, finer than most scrape.
const POINTS_MAX: i64 = 480;
/// With many assets the steps grow, down to this.
const POINTS_MIN: i64 = 60;
/// So many points of all series together: some 30 MB of JSON.
const POINTS_WHOLE: i64 = 1_000_000;

pub fn live(client: &Client, url: &str, ask: &Ask) -> GateReading {
    let Ask::Promql {
        query,
        back,
        assets,
        at,
    } = ask
    else {
        return no_answer(PRODUCT, ask);
    };
    let now = instant(client, url, query, *at)?;
    // Of a scalar there is no timestamp, and an answer that is not vital must not cost the others.
    let timestamps = instant(client, url, &format!("timestamp({query})"), *at).ok();
    let range = back.map(|back| {
        let step = step(back, *assets);
        let start = at.checked_sub(back.signed()).unwrap_or(*at);
        let query = [
            ("query", query.as_str()),
            ("start", &start.to_string()),
            ("end", &at.to_string()),
            ("step", &step.seconds().to_string()),
        ];
        let fetched = client.get(&format!("{url}/api/v1/query_range"), &query)?;
        Ok::<_, String>((values(fetched.status, &fetched.body)?, step))
    });
    let range = range.transpose()?;
    Ok(GateAnswer::Series(prometheus_live(now, timestamps, range)))
}

fn instant(client: &Client, url: &str, query: &str, at: Timestamp) -> Result<Vec<Series>, String> {
    let time = at.to_string();
    let fetched = client.get(&format!("{url}/api/v1/query"), &[("query", query), ("time", &time)])?;
    values(fetched.status, &fetched.body)
}

/// A refused query is a 400 or 422 with the reason in the same shape as an answer.
fn values(status: u16, body: &[u8]) -> Result<Vec<Series>, String> {
    match (prometheus_values(body), status) {
        (Ok(series), 200) => Ok(series),
        (Err(why), 200 | 400 | 422) => Err(why),
        (_, status) => Err(format!("it answers {status}, not 200")),
    }
}

fn step(back: DurationSeconds, assets: usize) -> DurationSeconds {
    let assets = i64::try_from(assets).unwrap_or(i64::MAX).max(1);
    let points = (POINTS_WHOLE / assets).clamp(POINTS_MIN, POINTS_MAX);
    DurationSeconds((back.seconds().saturating_add(points - 1) / points).max(1))
}

pub fn saved(saved: &Saved, ask: &Ask) -> GateReading {
    let Ask::Promql { query, .. } = ask else {
        return no_answer(PRODUCT, ask);
    };
    let bytes = saved.read(&file_name(query))?;
    prometheus_saved(&bytes).map(GateAnswer::Series)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_fine_for_few_and_bounded_for_many() {
        let step = |back, assets| step(DurationSeconds(back), assets).seconds();
        assert_eq!(step(5, 1), 1);
        assert_eq!(step(1800, 10), 4);
        assert_eq!(step(86_400, 10), 180);
        assert_eq!(step(1800, 10_000), 18);
        assert_eq!(step(1800, usize::MAX), 30);
    }
}
