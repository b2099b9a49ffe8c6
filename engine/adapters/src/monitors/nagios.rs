//! Nagios Core through `statusjson.cgi`: every service, and the hosts that are down.

use patchwave_core::verify::{Ask, GateAnswer, GateReading};
use patchwave_formats::monitors::{nagios_hosts, nagios_services};

use super::client::Client;
use super::no_answer;
use super::saved::Saved;

const PRODUCT: &str = "Nagios";

pub fn live(client: &Client, url: &str, ask: &Ask) -> GateReading {
    if !matches!(ask, Ask::Status) {
        return no_answer(PRODUCT, ask);
    }
    let cgi = if url.ends_with(".cgi") {
        url.to_owned()
    } else {
        format!("{url}/statusjson.cgi")
    };
    let asked = |query| client.get(&cgi, &[("query", query), ("details", "true")])?.ok();
    let mut checks = nagios_services(&asked("servicelist")?)?;
    checks.extend(nagios_hosts(&asked("hostlist")?)?);
    Ok(GateAnswer::Checks(checks))
}

/// A folder has `services.json` and may have `hosts.json`.
pub fn saved(saved: &Saved, ask: &Ask) -> GateReading {
    if !matches!(ask, Ask::Status) {
        return no_answer(PRODUCT, ask);
    }
    let mut checks = nagios_services(&saved.read("services.json")?)?;
    if let Some(hosts) = saved.read_besides("hosts.json")? {
        checks.extend(nagios_hosts(&hosts)?);
    }
    Ok(GateAnswer::Checks(checks))
}
