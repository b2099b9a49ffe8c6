//! Servers that are slow, broken, hostile or elsewhere.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use patchwave_adapters::monitors::Bounds;
use patchwave_core::verify::{Ask, GateReading};

use crate::planted;
use crate::support::{Server, asked, asked_within, noon, promql};

const SECRET: &str = "planted3c9d61f0a8e2b754";

/// Asks with a credential, and checks that it is not told.
fn why(url: &str, more: &str) -> String {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("token"), SECRET).unwrap();
    let spec = format!("kind: monitor, type: prometheus, url: \"{url}\", secretRef: {{file: token}}{more}");
    told(asked(root.path(), &spec, promql()))
}

fn told(reading: GateReading) -> String {
    let why = reading.expect_err("no answer");
    assert!(!planted::is_in(why.as_bytes()), "{why}");
    assert!(why.starts_with("source monitor: "), "{why}");
    why
}

#[test]
fn a_server_that_is_not_there_or_answers_wrongly_is_told() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let found = why(&format!("http://{free}"), "");
    assert!(found.contains("connection refused"), "{found}");
    for (status, said) in [
        ("500 Internal Server Error", "it answers 500, not 200"),
        ("404 Not Found", "it answers 404, not 200"),
        ("401 Unauthorized", "401 Unauthorized: check `secretRef`"),
        ("403 Forbidden", "403 Forbidden: check `secretRef`"),
        ("200 OK", "this is no answer of Prometheus"),
    ] {
        let server = Server::says(status, |_| "<html>down</html>".into());
        let found = why(&server.url(), "");
        assert!(found.contains(said), "{status}: {found}");
    }
    let server = Server::new(|_, mut stream| {
        let _ = stream.write_all(b"\x16\x03\x01 this is no HTTP\r\n\r\n");
    });
    let found = why(&server.url(), "");
    assert!(found.contains("no HTTP"), "{found}");
}

#[test]
fn a_redirect_is_not_followed_and_takes_no_credential_along() {
    let other = Server::says("200 OK", |_| "{}".into());
    let there = other.url();
    let server = Server::new(move |_, mut stream| {
        let _ = write!(
            stream,
            "HTTP/1.1 302 Found\r\nLocation: {there}/login\r\nContent-Length: 0\r\n\r\n"
        );
    });
    let found = why(&server.url(), "");
    assert!(found.contains("a redirect, and none is followed"), "{found}");
    assert!(other.seen().is_empty(), "{:?}", other.seen());
    let first = server.seen().remove(0);
    assert!(
        first
            .to_lowercase()
            .contains(&format!("authorization: bearer {SECRET}")),
        "{first}"
    );
}

#[test]
fn an_answer_that_breaks_off_is_no_answer() {
    let server = Server::new(|_, mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{\"status\":\"success\"");
    });
    let found = why(&server.url(), "");
    assert!(found.contains("breaks off"), "{found}");
    // Without a length the shape shows it.
    let server = Server::new(|_, mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"status\":\"success\"");
    });
    let found = why(&server.url(), "");
    assert!(found.contains("no answer of Prometheus"), "{found}");
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let server = Server::new(|_, mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    let found = why(&server.url(), "");
    assert!(found.contains("larger than 1048576 bytes"), "{found}");
}

#[test]
fn a_server_that_says_nothing_is_left() {
    let root = tempfile::tempdir().unwrap();
    // Held open until the client goes.
    let server = Server::new(|_, mut stream| {
        use std::io::Read as _;
        let _ = stream.read(&mut [0]);
    });
    let bounds = Bounds {
        time: Duration::from_millis(300),
        bytes: 1024,
    };
    let spec = format!("kind: monitor, type: prometheus, url: \"{}\"", server.url());
    let found = told(asked_within(root.path(), &spec, promql(), bounds));
    assert!(found.contains("does not answer in time"), "{found}");
    // One byte at a time is no answer either.
    let server = Server::new(|_, mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n");
        while stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let spec = format!("kind: monitor, type: prometheus, url: \"{}\"", server.url());
    let found = told(asked_within(root.path(), &spec, promql(), bounds));
    assert!(found.contains("does not answer in time"), "{found}");
}

#[test]
fn a_credential_is_not_sent_without_tls_and_must_be_one() {
    let found = why("http://monitor.example:9090", "");
    assert!(found.contains("not sent without TLS"), "{found}");
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("two"), "aaaaaa\nbbbbbb").unwrap();
    std::fs::write(root.path().join("none"), "\n").unwrap();
    let server = Server::says("200 OK", |_| "{}".into());
    for (reference, said) in [
        ("{file: gone}", "gone cannot be read"),
        ("{env: PATCHWAVE_TEST_NOT_SET}", "PATCHWAVE_TEST_NOT_SET is not set"),
        ("{file: two}", "several lines"),
        ("{file: none}", "is empty"),
    ] {
        let spec = format!(
            "kind: monitor, type: prometheus, url: \"{}\", secretRef: {reference}",
            server.url()
        );
        let found = asked(root.path(), &spec, promql()).unwrap_err();
        assert!(found.contains(said) && !found.contains("aaaaaa"), "{found}");
    }
    assert!(server.seen().is_empty(), "nothing is asked without the credential");
}

#[test]
fn certificates_are_verified() {
    let root = tempfile::tempdir().unwrap();
    // A server that is none of TLS, where TLS is asked for.
    let server = Server::at_once(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    let spec = format!("kind: monitor, type: prometheus, url: \"https://{}\"", server.address);
    let found = told(asked(root.path(), &spec, promql()));
    assert!(found.contains("TLS is refused"), "{found}");
    std::fs::write(root.path().join("ca.pem"), "no certificate").unwrap();
    for (file, said) in [("ca.pem", "holds no certificate"), ("gone.pem", "cannot be read")] {
        let spec = format!(
            "kind: monitor, type: prometheus, url: \"https://{}\", caFile: {file}",
            server.address
        );
        let found = told(asked(root.path(), &spec, promql()));
        assert!(found.contains(said), "{found}");
    }
}

#[test]
fn a_page_takes_no_credential_to_another_host() {
    let root = tempfile::tempdir().unwrap();
    let other = Server::says("200 OK", |_| "fine".into());
    let server = Server::says("200 OK", |_| "fine".into());
    let spec = format!("kind: monitor, type: http, url: \"{}\"", server.url());
    let page = |address: String| Ask::Page { address, at: noon() };
    let found = told(asked(root.path(), &spec, page(format!("{}/health", other.url()))));
    assert!(found.contains("not on the host of its source"), "{found}");
    assert!(other.seen().is_empty());
    asked(root.path(), &spec, page("/health".into())).unwrap();
    assert!(server.seen()[0].starts_with("GET /health "), "{:?}", server.seen());
}
