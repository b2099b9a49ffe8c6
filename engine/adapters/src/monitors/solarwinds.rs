//! SolarWinds through SWIS: every node.

use patchwave_core::verify::{Ask, GateAnswer, GateReading};
use patchwave_formats::monitors::{SOLARWINDS_QUERY, solarwinds_nodes};

use super::client::Client;
use super::no_answer;
use super::saved::Saved;

const PRODUCT: &str = "SolarWinds";

pub fn live(client: &Client, url: &str, ask: &Ask) -> GateReading {
    if !matches!(ask, Ask::Status) {
        return no_answer(PRODUCT, ask);
    }
    let address = format!("{url}/SolarWinds/InformationService/v3/Json/Query");
    let fetched = client.post(&address, &serde_json::json!({"query": SOLARWINDS_QUERY}))?;
    solarwinds_nodes(&fetched.ok()?).map(GateAnswer::Checks)
}

/// A folder has `nodes.json`.
pub fn saved(saved: &Saved, ask: &Ask) -> GateReading {
    if !matches!(ask, Ask::Status) {
        return no_answer(PRODUCT, ask);
    }
    solarwinds_nodes(&saved.read("nodes.json")?).map(GateAnswer::Checks)
}
