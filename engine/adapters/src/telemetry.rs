//! Traces for a collector of OpenTelemetry: how long runs and their stages take.
//!
//! Sent are the names of stages, how long they took, and numbers; no log line, because log lines name machines and what is
//! open on them, and a collector is read by more people than this log. Where to, and with which headers, stands in the
//! variables that every exporter of OpenTelemetry reads (`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`, …;
//! OpenTelemetry specification, "OpenTelemetry Protocol Exporter").

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use ureq::Agent;
use ureq::tls::RootCerts;

use crate::loopback::is_loopback_url;
use crate::monitors::agent;

/// Variables that name a collector, the one that decides first. Without one nothing is sent, and nobody is asked at the standard's own default address.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// Variable that names the service.
const SERVICE: &str = "OTEL_SERVICE_NAME";
/// For one batch. A collector stands near; one that hangs must not keep a command from ending.
const SEND_TIMEOUT: Duration = Duration::from_secs(5);
/// What a collector answers is a few bytes; more is cut off as an error.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;

/// The traces of this process.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Traces for the collector that the environment names; none if it names none.
    ///
    /// # Errors
    /// In words, if what the environment says cannot be understood.
    pub fn open() -> Result<Option<Self>, String> {
        let set_to = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if !ENDPOINTS.into_iter().any(set) {
            return Ok(None);
        }
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Client {
                agent: agent(RootCerts::PlatformVerifier, is_near(&set_to), SEND_TIMEOUT),
                complained: AtomicBool::new(false),
            })
            .build()
            .map_err(|e| format!("traces cannot be sent: {e}"))?;
        let mut resource = Resource::builder();
        if !set(SERVICE) {
            resource = resource.with_service_name("patchwave");
        }
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource.build());
        Ok(Some(Self(provider.build())))
    }

    /// What turns spans of patchwave into traces.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("patchwave"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(filter_fn(|found| {
                found.is_span() && found.target().starts_with("patchwave")
            }))
    }

    /// Sends what is left.
    pub fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(SEND_TIMEOUT) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Whether the collector is on this machine: its headers may hold a secret, and no proxy is to hear them.
fn is_near(set_to: &impl Fn(&str) -> Option<String>) -> bool {
    ENDPOINTS
        .into_iter()
        .find_map(set_to)
        .is_some_and(|url| is_loopback_url(&url))
}

/// The HTTP client of the exporter. It blocks, which is what the thread that the exporter has is for.
#[derive(Debug)]
struct Client {
    agent: Agent,
    /// The first failure is told and those that follow it are not: a collector that is gone stays gone for a while.
    complained: AtomicBool,
}

impl Client {
    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let answer = self.agent.run(Request::from_parts(parts, body.to_vec()))?;
        let (parts, mut body) = answer.into_parts();
        let body = body.with_config().limit(ANSWER_BYTES_MAX).read_to_vec()?;
        Ok(Response::from_parts(parts, Bytes::from(body)))
    }
}

#[async_trait::async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sent = self.send(request);
        let why = match &sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        match why {
            None => self.complained.store(false, Ordering::Relaxed),
            Some(why) if !self.complained.swap(true, Ordering::Relaxed) => {
                tracing::warn!(why, "the collector of traces does not take them");
            }
            Some(_) => {}
        }
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_on_this_machine_is_asked_without_a_proxy() {
        let near = "http://127.0.0.1:4318".to_owned();
        let far = "https://collector.example.org".to_owned();
        let traces = |name: &str| (name == "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").then(|| near.clone());
        let both = |name: &str| traces(name).or_else(|| Some(far.clone()));
        assert!(is_near(&traces) && is_near(&both));
        assert!(!is_near(&|_: &str| Some(far.clone())) && !is_near(&|_: &str| None));
    }
}
