//! What is on this machine: what is sent there passes no network, so that it may go without TLS, and through no proxy.

/// Whether a host is this machine, as a name or as an address, with or without the brackets of IPv6.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether an address is one on this machine.
#[cfg(any(feature = "github", feature = "otel"))]
pub(crate) fn is_loopback_url(url: &str) -> bool {
    let uri: Option<ureq::http::Uri> = url.parse().ok();
    uri.as_ref().and_then(|uri| uri.host()).is_some_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_goes_by_many_names() {
        for host in ["localhost", "LocalHost", "127.0.0.1", "127.3.2.1", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "10.0.0.1",
            "[::2]",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[cfg(any(feature = "github", feature = "otel"))]
    #[test]
    fn the_host_of_an_address_decides() {
        assert!(is_loopback_url("http://127.0.0.1:4318/v1/traces") && is_loopback_url("http://[::1]:3000/x.git"));
        assert!(!is_loopback_url("https://example.org/127.0.0.1") && !is_loopback_url("localhost:4318/x y"));
    }
}
