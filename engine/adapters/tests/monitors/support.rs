//! A server on the loopback that answers as it is told, and questions to ask it.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use patchwave_adapters::monitors::{Bounds, ask_within};
use patchwave_core::load::load;
use patchwave_core::source::{SourceFile, SourceSet};
use patchwave_core::verify::{Ask, GateKey, GateQuestion, GateReading};

/// A server.
pub struct Server {
    /// `127.0.0.1:port`.
    pub address: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// One that hands every connection, with the head of its request, to `answer`.
    pub fn new(answer: impl Fn(&str, TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let head = head(&mut stream);
                    kept.lock().unwrap().push(head.clone());
                    answer(&head, stream);
                });
            }
        });
        Self { address, seen }
    }

    /// One that says the same to everybody, and listens to nobody.
    pub fn at_once(text: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let _ = stream.write_all(text);
                let _ = stream.read(&mut [0; 1024]);
            }
        });
        Self {
            address,
            seen: Arc::default(),
        }
    }

    /// One that answers every request with a status and a body.
    pub fn says(status: &'static str, body: impl Fn(&str) -> String + Send + Sync + 'static) -> Self {
        Self::new(move |head, mut stream| {
            let body = body(head);
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        })
    }

    /// Its address, without TLS.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    // What is sent must be read, or closing the connection resets it.
    let length = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("content-length:")?
            .trim()
            .parse()
            .ok()
    });
    let mut body = vec![0; length.unwrap_or(0)];
    let _ = stream.read_exact(&mut body);
    head
}

/// The value of `up` at noon.
pub fn promql() -> Ask {
    Ask::Promql {
        query: "up{job=\"node\"}".into(),
        back: None,
        assets: 2,
        at: noon(),
    }
}

/// An instant.
pub fn noon() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

/// Asks one question of a Source whose spec is `spec`.
pub fn asked(root: &Path, spec: &str, ask: Ask) -> GateReading {
    let bounds = Bounds {
        time: Duration::from_secs(20),
        bytes: 1024 * 1024,
    };
    asked_within(root, spec, ask, bounds)
}

/// The same within bounds.
pub fn asked_within(root: &Path, spec: &str, ask: Ask, bounds: Bounds) -> GateReading {
    let text = format!("apiVersion: patchwave.dev/v1\nkind: Source\nmetadata: {{name: monitor}}\nspec: {{{spec}}}\n");
    let set = SourceSet {
        files: vec![SourceFile::from_bytes("fleets/monitor.yaml", text.into_bytes())],
        ..SourceSet::default()
    };
    let (catalog, diagnostics) = load(&set, noon());
    assert!(catalog.sources.contains_key("monitor"), "{diagnostics:?}");
    let key = GateKey {
        rollout: "r".into(),
        wave: "w".into(),
        gate: 1,
    };
    let question = GateQuestion {
        source: Some("monitor".into()),
        ask,
    };
    let mut answers = ask_within(
        root,
        &catalog.sources,
        &BTreeMap::from([(key.clone(), question)]),
        bounds,
    );
    answers.remove(&key).unwrap()
}
