//! Prometheus, `/api/v1/query` and `/api/v1/query_range`
//! (<https://prometheus.io/docs/prometheus/latest/querying/api/#expression-queries>). Thanos, Mimir and VictoriaMetrics
//! answer in the same shape.

use std::collections::BTreeMap;

use jiff::Timestamp;
use patchwave_core::time::DurationSeconds;
use patchwave_core::verify::{Series, SeriesAnswer};
use serde::Deserialize;
use serde_json::Value;

use super::{seconds, shape};
use crate::fields::excerpt;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    status: String,
    data: Option<Data>,
    error_type: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    result_type: String,
    result: Value,
}

#[derive(Deserialize)]
struct Element {
    #[serde(default)]
    metric: BTreeMap<String, String>,
    value: Option<Point>,
    values: Option<Vec<Point>>,
}

/// `[1700000000.781, "1"]`.
#[derive(Deserialize)]
struct Point(f64, String);

impl Point {
    fn read(&self) -> Result<(Timestamp, f64), String> {
        let at = seconds(self.0).ok_or_else(|| format!("`{}` is no instant", self.0))?;
        let value = self.1.parse();
        let value = value.map_err(|_| format!("`{}` is no value of a sample", excerpt(&self.1)))?;
        Ok((at, value))
    }
}

/// Reads an answer: the newest value of each series, and earlier ones where there are any.
///
/// # Errors
/// The error the server gives, or what is wrong with the answer.
pub fn prometheus_values(bytes: &[u8]) -> Result<Vec<Series>, String> {
    let answer: Answer = shape("Prometheus", bytes)?;
    if answer.status != "success" {
        let kind = answer.error_type.unwrap_or_else(|| answer.status.clone());
        let why = answer.error.unwrap_or_else(|| "without a reason".into());
        return Err(format!(
            "Prometheus refuses the query: {}: {}",
            excerpt(&kind),
            excerpt(&why)
        ));
    }
    let data = answer.data.ok_or("the answer of Prometheus has no `data`")?;
    let wrong = |e: serde_json::Error| format!("the answer of Prometheus has a result that cannot be read: {e}");
    match data.result_type.as_str() {
        "scalar" => {
            let point: Point = serde_json::from_value(data.result).map_err(wrong)?;
            Ok(vec![one(BTreeMap::new(), &[point])?])
        }
        "vector" | "matrix" => {
            let elements: Vec<Element> = serde_json::from_value(data.result).map_err(wrong)?;
            elements.into_iter().map(element).collect()
        }
        other => Err(format!(
            "a result of type `{}` has no values to compare",
            excerpt(other)
        )),
    }
}

fn element(element: Element) -> Result<Series, String> {
    let points = element
        .values
        .or_else(|| element.value.map(|v| vec![v]))
        .unwrap_or_default();
    one(element.metric, &points)
}

fn one(labels: BTreeMap<String, String>, points: &[Point]) -> Result<Series, String> {
    let mut read = points.iter().map(Point::read).collect::<Result<Vec<_>, _>>()?;
    read.sort_by_key(|(at, _)| *at);
    let Some((at, value)) = read.pop() else {
        return Err("a series of the answer has no float value; histograms cannot be compared".into());
    };
    Ok(Series {
        labels,
        at,
        value,
        sampled_at: None,
        before: read,
    })
}

/// Puts three answers about one expression together: its values now, the instants of the samples behind them
/// (`timestamp(…)`, which gives the instant of evaluation where the expression computes), and the values before.
#[must_use]
pub fn prometheus_live(
    now: Vec<Series>,
    timestamps: Option<Vec<Series>>,
    range: Option<(Vec<Series>, DurationSeconds)>,
) -> SeriesAnswer {
    let mut sampled: BTreeMap<BTreeMap<String, String>, Option<Timestamp>> = BTreeMap::new();
    for series in timestamps.unwrap_or_default() {
        let at = seconds(series.value).filter(|at| *at != series.at);
        sampled
            .entry(without_name(&series.labels))
            // Two of them cannot be told apart, so neither is known.
            .and_modify(|known| *known = None)
            .or_insert(at);
    }
    let step = range.as_ref().map(|(_, step)| *step);
    let mut earlier: BTreeMap<BTreeMap<String, String>, Vec<(Timestamp, f64)>> = BTreeMap::new();
    for series in range.into_iter().flat_map(|(series, _)| series) {
        let points = earlier.entry(series.labels).or_default();
        points.extend(series.before);
        points.push((series.at, series.value));
    }
    let series = now.into_iter().map(|series| {
        let mut before = earlier.remove(&series.labels).unwrap_or_default();
        before.retain(|(at, _)| *at < series.at);
        before.sort_by_key(|(at, _)| *at);
        Series {
            sampled_at: sampled.get(&without_name(&series.labels)).copied().flatten(),
            before,
            ..series
        }
    });
    SeriesAnswer {
        series: series.collect(),
        step,
    }
}

/// Functions drop the name of a metric.
fn without_name(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let rest = labels.iter().filter(|(key, _)| *key != "__name__");
    rest.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Reads a saved answer. The instants in it are taken for those of the samples, as nobody can be asked any more; of a
/// saved range the distance of its points is the step.
///
/// # Errors
/// As for [`prometheus_values`].
pub fn prometheus_saved(bytes: &[u8]) -> Result<SeriesAnswer, String> {
    let series: Vec<Series> = prometheus_values(bytes)?;
    let distances = series.iter().flat_map(|s| {
        let ends = s.before.iter().map(|(at, _)| *at);
        let next = ends.clone().skip(1).chain([s.at]);
        ends.zip(next).map(|(a, b)| b.duration_since(a).as_secs())
    });
    let step = distances.filter(|d| *d > 0).min().map(DurationSeconds);
    let series = series.into_iter().map(|s| Series {
        sampled_at: Some(s.at),
        ..s
    });
    Ok(SeriesAnswer {
        series: series.collect(),
        step,
    })
}
