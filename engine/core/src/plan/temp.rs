//! Temporary.
use super::*;
/// t
pub fn text(p: &Plan) -> String {
    let mut o = String::new();
    for r in &p.rollouts { o += &format!("{} rev {} exp {} targets {}\n", r.name, r.revision, r.expedited, r.targets.len());
      for w in &r.waves { o += &format!("  {} {} deadline {:?} slack {:?}\n", w.name, w.state, w.deadline.map(|d| d.to_string()), w.slack_seconds);
        for b in &w.batches { o += &format!("    {} {} {:?} {:?} {:?}\n", b.id, b.window.name, b.start.map(|d| d.to_string()), b.finish.map(|d| d.to_string()), b.assets.iter().map(|a| a.name.to_string()).collect::<Vec<_>>()); } } }
    for w in &p.waiting { o += &format!("waiting {w:?}\n"); }
    for w in &p.refusals { o += &format!("refusal {w:?}\n"); }
    for w in &p.notes { o += &format!("note {w:?}\n"); }
    o
}
/// t
pub fn json(_: &Plan, _: &BTreeMap<String, String>) -> serde_json::Value { serde_json::Value::Null }
/// t
pub fn dot(_: &Plan, _: Option<&str>) -> String { String::new() }
/// t
pub fn mermaid(_: &Plan, _: Option<&str>) -> String { String::new() }
/// t
pub fn graph_json(_: &Plan, _: Option<&str>) -> serde_json::Value { serde_json::Value::Null }
