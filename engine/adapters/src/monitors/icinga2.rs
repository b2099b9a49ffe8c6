//! Icinga 2 through its REST API: every service, and the hosts that are down. The account needs `objects/query/Service` and
//! `objects/query/Host`.

use patchwave_core::verify::{Ask, GateAnswer, GateReading};
use patchwave_formats::monitors::{icinga2_hosts, icinga2_services};

use super::client::Client;
use super::no_answer;
use super::saved::Saved;

const PRODUCT: &str = "Icinga 2";

/// What is wanted of an object; the whole of it would be a hundred times as much.
const ATTRIBUTES: [(&str, &str); 6] = [
    ("attrs", "state"),
    ("attrs", "state_type"),
    ("attrs", "last_check"),
    ("attrs", "last_state_change"),
    ("attrs", "acknowledgement"),
    ("attrs", "downtime_depth"),
];

pub fn live(client: &Client, url: &str, ask: &Ask) -> GateReading {
    if !matches!(ask, Ask::Status) {
        return no_answer(PRODUCT, ask);
    }
    let asked = |objects, more: &[(&str, &str)]| {
        let query: Vec<(&str, &str)> = ATTRIBUTES.iter().chain(more).copied().collect();
        client.get(&format!("{url}/v1/objects/{objects}"), &query)?.ok()
    };
    let mut checks = icinga2_services(&asked("services", &[("attrs", "host_name")])?)?;
    checks.extend(icinga2_hosts(&asked("hosts", &[])?)?);
    Ok(GateAnswer::Checks(checks))
}

/// A folder has `services.json` and may have `hosts.json`.
pub fn saved(saved: &Saved, ask: &Ask) -> GateReading {
    if !matches!(ask, Ask::Status) {
        return no_answer(PRODUCT, ask);
    }
    let mut checks = icinga2_services(&saved.read("services.json")?)?;
    if let Some(hosts) = saved.read_besides("hosts.json")? {
        checks.extend(icinga2_hosts(&hosts)?);
    }
    Ok(GateAnswer::Checks(checks))
}
