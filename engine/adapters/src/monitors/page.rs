//! A page: its status and its text.

use jiff::Timestamp;
use patchwave_core::verify::{Ask, GateAnswer, GateReading, Page};
use serde::Deserialize;

use super::client::Client;
use super::no_answer;
use super::saved::{Saved, file_name};

const PRODUCT: &str = "a page";

/// A saved page.
#[derive(Deserialize)]
struct SavedPage {
    /// When it was asked.
    at: Timestamp,
    /// HTTP status.
    status: u16,
    /// Its text.
    #[serde(default)]
    body: String,
}

/// `url` is the address of the source, or empty. An address of its own must be one of the same host, because the
/// credential of the source goes with it.
pub fn live(client: &Client, url: &str, ask: &Ask) -> GateReading {
    let Ask::Page { address, at } = ask else {
        return no_answer(PRODUCT, ask);
    };
    let whole = address.starts_with("http://") || address.starts_with("https://");
    let address = match (whole, url) {
        (true, "") => address.clone(),
        (true, url) if same_place(url, address) => address.clone(),
        (true, _) => return Err("the page of the gate is not on the host of its source".into()),
        (false, "") => return Err("the page of the gate has no `http://` or `https://`".into()),
        (false, url) => format!("{url}/{}", address.trim_start_matches('/')),
    };
    let fetched = client.get(&address, &[])?;
    Ok(GateAnswer::Page(Page {
        at: *at,
        status: fetched.status,
        body: String::from_utf8_lossy(&fetched.body).into_owned(),
    }))
}

fn same_place(a: &str, b: &str) -> bool {
    let place = |text: &str| {
        let uri: ureq::http::Uri = text.parse().ok()?;
        Some((uri.scheme_str()?.to_owned(), uri.authority()?.to_string()))
    };
    place(a).is_some_and(|a| place(b) == Some(a))
}

/// A folder has a file for each address: `{"at": …, "status": 200, "body": "…"}`.
pub fn saved(saved: &Saved, ask: &Ask) -> GateReading {
    let Ask::Page { address, .. } = ask else {
        return no_answer(PRODUCT, ask);
    };
    let bytes = saved.read(&file_name(address))?;
    let page: SavedPage =
        serde_json::from_slice(&bytes).map_err(|e| format!("this is no saved page (`at`, `status`, `body`): {e}"))?;
    Ok(GateAnswer::Page(Page {
        at: page.at,
        status: page.status,
        body: page.body,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_stays_on_its_host() {
        assert!(same_place("https://a.example/x", "https://a.example/y"));
        for other in [
            "https://a.example.evil/y",
            "http://a.example/y",
            "https://a.example:8443/",
            "https://x@a.example/",
            "y",
        ] {
            assert!(!same_place("https://a.example/x", other), "{other}");
        }
    }
}
