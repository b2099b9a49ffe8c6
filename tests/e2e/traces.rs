//! Traces for a collector of OpenTelemetry, in a build that has them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc;

use crate::support::{Sandbox, pw};

const NOW: [&str; 4] = ["--now", "2026-11-20T12:00:00Z", "reconcile", "--once"];

/// A collector that takes everything: its address, and what came (head and body of each request).
fn collector() -> (String, mpsc::Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, came) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let line = line.trim_end().to_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(bytes) = line.strip_prefix("content-length: ") {
                    length = bytes.parse().unwrap();
                }
                head.push_str(&line);
                head.push('\n');
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            stream.get_mut().write_all(answer).unwrap();
            if sender.send((head, body)).is_err() {
                return;
            }
        }
    });
    (address, came)
}

fn holds(body: &[u8], word: &str) -> bool {
    body.windows(word.len()).any(|w| w == word.as_bytes())
}

#[test]
fn a_collector_gets_the_stages_and_no_findings() {
    let estate = Sandbox::estate();
    let (address, came) = collector();
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()),
        (
            "OTEL_EXPORTER_OTLP_HEADERS",
            "authorization=Bearer%20planted6b1f0c93d25e8a47",
        ),
    ];
    let said = pw(estate.path(), &NOW, "", &environment).exits(0);
    assert!(
        !said.err.contains("planted") && !said.err.contains("collector"),
        "{}",
        said.err
    );
    let came: Vec<_> = came.try_iter().collect();
    assert!(!came.is_empty());
    for (head, _) in &came {
        assert!(head.starts_with("post /v1/traces "), "{head}");
        assert!(head.contains("authorization: bearer planted6b1f0c93d25e8a47"), "{head}");
    }
    let sent: Vec<u8> = came.into_iter().flat_map(|(_, body)| body).collect();
    for word in [
        "patchwave",
        "reconcile",
        "observe",
        "survey",
        "gates",
        "decide",
        "execute",
    ] {
        assert!(holds(&sent, word), "{word} is missing");
    }
    for word in ["openssl", "linux-2026", "put-branch", "planted"] {
        assert!(!holds(&sent, word), "{word} was sent");
    }
}

#[test]
fn without_a_collector_nothing_is_sent_and_one_that_is_gone_hinders_nothing() {
    let estate = Sandbox::estate();
    let (address, came) = collector();
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str())];
    let offline = ["--offline", NOW[0], NOW[1], "plan"];
    pw(estate.path(), &offline, "", &endpoint).exits(0);
    assert_eq!(came.try_iter().count(), 0);
    // A port that was free a moment ago: nobody listens.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gone = format!("http://{gone}");
    let said = pw(
        estate.path(),
        &NOW,
        "",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", gone.as_str())],
    )
    .exits(0);
    let complaints = said.err.matches("does not take them").count();
    assert_eq!(complaints, 1, "{}", said.err);
    let wrong = pw(
        estate.path(),
        &NOW,
        "",
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", "not an address")],
    )
    .exits(0);
    assert!(wrong.err.contains("traces cannot be sent"), "{}", wrong.err);
}
