//! One request and its answer over octocrab: bounded in time and size, no retries, no meaning.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method};
use http_body_util::{BodyExt as _, Limited};
use octocrab::Octocrab;

use crate::forge::ForgeError;
use crate::secret::Secret;

/// Longest time to wait for a connection.
const CONNECT_SECONDS: u64 = 10;
/// Longest time for one exchange, answer included. GitHub ends its own work on a request after 10 s.
const EXCHANGE_SECONDS: u64 = 60;
/// Largest answer that is read. The largest ones by far are files of the ledger, which GitHub sends as base64.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// The connection to one forge.
pub(in crate::forge) struct Exchange {
    runtime: tokio::runtime::Runtime,
    client: Octocrab,
    timeout: Duration,
}

/// A request: the path includes the query and starts with `/`.
#[derive(Clone, Debug)]
pub(in crate::forge) struct Request {
    pub(in crate::forge) method: Method,
    pub(in crate::forge) path: String,
    pub(in crate::forge) body: Option<serde_json::Value>,
    /// Asks for an answer only if it is another one than this.
    pub(in crate::forge) etag: Option<String>,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(in crate::forge) struct Answer {
    pub(in crate::forge) status: u16,
    pub(in crate::forge) headers: HeaderMap,
    pub(in crate::forge) body: Vec<u8>,
}

impl Answer {
    pub(in crate::forge) const fn is_success(&self) -> bool {
        self.status >= 200 && self.status < 300
    }

    pub(in crate::forge) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

impl Exchange {
    /// A connection to `base` (scheme and authority only).
    ///
    /// # Errors
    /// [`ForgeError`] if the address is none, or the machine has no trust store.
    pub(in crate::forge) fn new(base: &str, accept: &str, timeout: Option<Duration>) -> Result<Self, ForgeError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|e| {
                ForgeError::terminal(
                    format!("no connection can be made: {e}"),
                    "check the limits of this process",
                )
            })?;
        let wrong = |e: octocrab::Error| {
            ForgeError::terminal(
                format!("the forge at {base} cannot be used: {e}"),
                "correct `spec.forge.apiUrl` in patchwave.yaml, and check that this machine has certificates of authorities",
            )
        };
        let client = {
            // The client starts a task of its own when it is made.
            let _inside = runtime.enter();
            Octocrab::builder()
                .base_uri(base)
                .map_err(wrong)?
                .set_connect_timeout(Some(Duration::from_secs(CONNECT_SECONDS)))
                .add_header(http::header::ACCEPT, accept.to_owned())
                .add_header(
                    http::HeaderName::from_static("x-github-api-version"),
                    "2022-11-28".to_owned(),
                )
                .build()
                .map_err(wrong)?
        };
        let timeout = timeout.unwrap_or(Duration::from_secs(EXCHANGE_SECONDS));
        Ok(Self {
            runtime,
            client,
            timeout,
        })
    }

    /// Sends a request; the error side says in words why there is no answer.
    pub(in crate::forge) fn send(&self, request: &Request, bearer: &Secret) -> Result<Answer, String> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", bearer.expose()))
            .map_err(|_| "the token holds a character that no token has".to_owned())?;
        authorization.set_sensitive(true);
        let whole = async {
            match tokio::time::timeout(self.timeout, self.exchange(request, authorization)).await {
                Ok(outcome) => outcome,
                Err(_) => Err(format!("no answer within {} s", self.timeout.as_secs())),
            }
        };
        self.runtime.block_on(whole)
    }

    async fn exchange(&self, request: &Request, authorization: HeaderValue) -> Result<Answer, String> {
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .header(http::header::AUTHORIZATION, authorization)
            .uri(request.path.as_str());
        if let Some(etag) = &request.etag {
            builder = builder.header(http::header::IF_NONE_MATCH, etag);
        }
        let made = self
            .client
            .build_request(builder, request.body.as_ref())
            .map_err(words)?;
        let response = self.client.execute(made).await.map_err(words)?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|e| causes(e.as_ref()))?
            .to_bytes();
        Ok(Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: body.to_vec(),
        })
    }
}

fn words(error: octocrab::Error) -> String {
    causes(&error)
}

/// An error with its causes on one line; what a cause repeats is said once.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = first_line(&error.to_string());
    let mut cause = error.source();
    while let Some(next) = cause {
        let line = first_line(&next.to_string());
        if !text.contains(&line) {
            text.push_str(": ");
            text.push_str(&line);
        }
        cause = next.source();
    }
    text
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}
