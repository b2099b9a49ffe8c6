//! Whose sample is whose: the label of a sample and the fact of an asset.

use std::collections::BTreeMap;

use crate::load::wire::GateMatch;
use crate::observe::Asset;

/// The facts an asset can be found by, best first, where a gate has no `match`.
pub(super) const NAMES: [&str; 3] = ["asset.name", "asset.fqdn", "asset.address"];

/// The value of a fact that `match.to` can name; none if it was not observed.
pub(super) fn fact<'a>(to: &str, asset: &'a Asset) -> Option<&'a str> {
    let identity = &asset.facts.identity;
    match to {
        "asset.name" => Some(&asset.name),
        "asset.address" => asset.address.as_deref(),
        "asset.fqdn" | "asset.identity.fqdn" => identity.fqdn.as_deref(),
        "asset.identity.machineId" => identity.machine_id.as_deref(),
        "asset.identity.serial" => identity.serial.as_deref(),
        _ => asset.label(to.strip_prefix("asset.labels.")?),
    }
}

/// Whether two values of a fact are the same. Names of hosts know no case (RFC 4343); everything else does.
pub(super) fn same(to: &str, a: &str, b: &str) -> bool {
    match to {
        "asset.name" | "asset.address" | "asset.fqdn" | "asset.identity.fqdn" => a.eq_ignore_ascii_case(b),
        _ => a == b,
    }
}

/// The value of a sample's label, for the comparison.
pub(super) fn label<'a>(matching: &GateMatch, labels: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let value = labels.get(&matching.label)?;
    Some(if matching.strip_port {
        without_port(value)
    } else {
        value
    })
}

/// A host without its port: `web-1:9100` and `[::1]:9100` have one, `web-1` and `fe80::1` have none.
fn without_port(host: &str) -> &str {
    if let Some((inside, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inside;
    }
    match host.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_told_from_an_address() {
        for (text, host) in [
            ("web-1:9100", "web-1"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("web-1", "web-1"),
            ("[::1]:9100", "::1"),
            ("[::1]", "::1"),
            ("fe80::1", "fe80::1"),
            ("web:x", "web:x"),
            ("web:", "web"),
            ("", ""),
            ("[", "["),
        ] {
            assert_eq!(without_port(text), host, "{text}");
        }
    }
}
