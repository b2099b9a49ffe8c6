//! The HTTP client: certificates verified, no redirects, bounded in time and size, credentials in one header and in no
//! message.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use patchwave_core::load::wire::{SecretRef, SourceSpec};
use ureq::http::{StatusCode, Uri};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};
use ureq::{Agent, Body, Proxy};

use crate::loopback::is_loopback;
use crate::secret::read_secret;

/// How long one answer may take, and how large it may be. By default 30 seconds, a little more than the slowest query a
/// monitor should be asked at every run, and 64 MiB, the range of some 5,000 series.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// From the resolution of the name to the last byte.
    pub time: Duration,
    /// Of the body.
    pub bytes: u64,
}

/// A client of one source.
pub struct Client {
    agent: Agent,
    authorization: Option<String>,
    bounds: Bounds,
}

/// An answer.
pub struct Fetched {
    /// HTTP status.
    pub status: u16,
    /// The body, whole.
    pub body: Vec<u8>,
}

/// What speaks HTTP: certificates verified against `roots`, no redirects, every exchange over within `time`. On the loopback
/// no proxy is asked.
pub(crate) fn agent(roots: RootCerts, loopback: bool, time: Duration) -> Agent {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(roots);
    let config = Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        // A redirect is never followed: it could carry the credential to another host.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(if loopback { None } else { Proxy::try_from_env() })
        .timeout_global(Some(time))
        .user_agent(concat!("patchwave/", env!("CARGO_PKG_VERSION")));
    config.build().new_agent()
}

/// Credentials and certificates are small; a larger file is a mistake.
const SMALL_BYTES_MAX: u64 = 1024 * 1024;

impl Client {
    /// A client without credentials that trusts what the system trusts.
    pub fn anonymous(bounds: Bounds) -> Self {
        Self::new(RootCerts::PlatformVerifier, None, false, bounds)
    }

    /// The client of a source: its certificates and its credential are read now.
    ///
    /// # Errors
    /// What of them cannot be read, without their content.
    pub fn open(root: &Path, spec: &SourceSpec, url: &str, bounds: Bounds) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| "its `url` is no address".to_owned())?;
        let loopback = uri.host().is_some_and(is_loopback);
        let authorization = spec.secret_ref.as_ref().map(|r| authorization(root, r)).transpose()?;
        if authorization.is_some() && uri.scheme_str() != Some("https") && !loopback {
            return Err("it has a credential, which is not sent without TLS: write `https://`".into());
        }
        let roots = spec
            .ca_file
            .as_deref()
            .map(|file| certificates(root, file))
            .transpose()?;
        let roots = roots.unwrap_or(RootCerts::PlatformVerifier);
        Ok(Self::new(roots, authorization, loopback, bounds))
    }

    fn new(roots: RootCerts, authorization: Option<String>, loopback: bool, bounds: Bounds) -> Self {
        Self {
            agent: agent(roots, loopback, bounds.time),
            authorization,
            bounds,
        }
    }

    /// Asks with GET; `query` is encoded.
    ///
    /// # Errors
    /// Why there is no answer. An HTTP error is an answer.
    pub fn get(&self, url: &str, query: &[(&str, &str)]) -> Result<Fetched, String> {
        let mut request = self.agent.get(url).header("Accept", "application/json");
        for (name, value) in query {
            request = request.query(*name, *value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        self.fetched(request.call())
    }

    /// Asks with POST and a JSON body.
    ///
    /// # Errors
    /// As for [`Client::get`].
    pub fn post(&self, url: &str, body: &serde_json::Value) -> Result<Fetched, String> {
        let request = self.agent.post(url);
        let mut request = request
            .header("Accept", "application/json")
            .header("Content-Type", "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header("Authorization", authorization);
        }
        self.fetched(request.send(body.to_string()))
    }

    fn fetched(&self, outcome: Result<ureq::http::Response<Body>, ureq::Error>) -> Result<Fetched, String> {
        let mut response = outcome.map_err(|e| reason(&e))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(format!(
                "it answers {status}, a redirect, and none is followed; write the address it leads to"
            ));
        }
        if matches!(
            status,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED
        ) {
            return Err(format!(
                "it answers {status}: check `secretRef` and what that account may read"
            ));
        }
        let body = response.body_mut().with_config().limit(self.bounds.bytes).read_to_vec();
        let body = body.map_err(|e| match e {
            ureq::Error::BodyExceedsLimit(_) => format!("its answer is larger than {} bytes", self.bounds.bytes),
            ureq::Error::Io(_) => "its answer breaks off".to_owned(),
            other => reason(&other),
        })?;
        Ok(Fetched {
            status: status.as_u16(),
            body,
        })
    }
}

impl Fetched {
    /// The body of a successful answer.
    ///
    /// # Errors
    /// The status of any other.
    pub fn ok(self) -> Result<Vec<u8>, String> {
        match self.status {
            200 => Ok(self.body),
            status => Err(format!("it answers {status}, not 200")),
        }
    }
}

/// Why there is no answer. Errors of the client can hold the whole address, so they are put into words here.
fn reason(error: &ureq::Error) -> String {
    use ureq::Error as E;
    match error {
        E::Io(e) if e.kind() == std::io::ErrorKind::ConnectionRefused => {
            "it cannot be reached: connection refused".into()
        }
        // A refused certificate comes as an error of reading, with the reason inside.
        E::Io(e) => match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            Some(tls) => format!("its certificate or TLS is refused: {tls}"),
            None => format!("it cannot be reached: {}", e.kind()),
        },
        E::Timeout(_) => "it does not answer in time".into(),
        E::HostNotFound => "its host is not known".into(),
        E::ConnectionFailed => "it cannot be reached".into(),
        E::Rustls(e) => format!("its certificate or TLS is refused: {e}"),
        E::Tls(why) => format!("its certificate or TLS is refused: {why}"),
        E::BodyExceedsLimit(bytes) => format!("its answer is larger than {bytes} bytes"),
        E::Protocol(_) => "its answer is no HTTP".into(),
        E::BadUri(_) | E::Http(_) => "its address cannot be asked".into(),
        _ => "it cannot be asked".into(),
    }
}

/// The header for a credential. What is read never stands in an error.
fn authorization(root: &Path, reference: &SecretRef) -> Result<String, String> {
    let secret = read_secret(reference, root).map_err(|e| format!("{}; {}", e.what, e.help))?;
    let text = secret.expose();
    if text.chars().any(char::is_control) {
        return Err("its `secretRef` holds several lines, and a credential is one".into());
    }
    if text.contains(':') {
        return Ok(format!("Basic {}", STANDARD.encode(text)));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("its `secretRef` holds no token: a token has no blanks".into());
    }
    Ok(format!("Bearer {text}"))
}

fn certificates(root: &Path, file: &str) -> Result<RootCerts, String> {
    let pem = read_small(&root.join(file)).map_err(|why| format!("its `caFile` {file} cannot be read: {why}"))?;
    let mut found: Vec<Certificate<'static>> = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(_) => return Err(format!("its `caFile` {file} is no PEM file")),
        }
    }
    if found.is_empty() {
        return Err(format!("its `caFile` {file} holds no certificate"));
    }
    Ok(RootCerts::new_with_certs(&found))
}

fn read_small(place: &Path) -> Result<Vec<u8>, String> {
    super::saved::read_bounded(place, SMALL_BYTES_MAX)
}
