//! Signals, and the endpoints over HTTP: a second thread with an asynchronous runtime of its own.
//!
//! Every connection is bounded: in number, in the time it may take altogether, in the time until its head is read, and
//! in the size of its body. One request a connection: a probe or a scrape needs no more, and an idle connection would
//! hold a place.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use jiff::SignedDuration;
use tokio::sync::{Semaphore, oneshot};

use super::board::Board;
use super::metrics::{CONTENT_TYPE, Metrics};
use super::webhook::{Gatekeeper, Shown, Verdict};
use crate::RunError;
use crate::lease::Clock;

/// A webhook of GitHub has at most 25 MiB; only its signature is looked at, and pushes are far below 1 MiB.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Connections at once: probes, scrapes and hooks are few; the rest waits in the listener's queue.
const CONNECTIONS_MAX: usize = 64;
/// Of these for webhooks, whose bodies anybody may send slowly, or never: the other half stays for probes and scrapes. A forge
/// sends a few at a time; one that is turned away asks for a run that the interval brings anyway.
const WEBHOOKS_MAX: usize = CONNECTIONS_MAX / 2;
/// Until the body of a webhook is there; a forge sends it at once.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// Until the head of a request is there.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// For a whole connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);
/// After a failed accept (too many open files, mostly): trying again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the endpoints need.
#[derive(Debug)]
pub struct Endpoints {
    /// What the loop says.
    pub board: Arc<Board>,
    /// What was counted.
    pub metrics: Arc<Metrics>,
    /// Who judges webhooks; none = there is no webhook.
    pub gatekeeper: Option<Gatekeeper>,
    /// How often runs are to be repeated.
    pub interval: SignedDuration,
    /// Where to listen; none = nowhere.
    pub listen: Option<SocketAddr>,
    /// The clock.
    pub clock: Clock,
}

/// The second thread.
#[derive(Debug)]
pub struct Server {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Listens for signals and, if asked, for connections.
    ///
    /// # Errors
    /// [`RunError`] if the address cannot be listened on or signals cannot be caught.
    pub fn start(endpoints: Endpoints) -> Result<Self, RunError> {
        let failed = |what: &str, why: &dyn std::fmt::Display| {
            RunError::new(
                format!("{what}: {why}"),
                "choose another address, or end what listens there",
            )
        };
        let listener = match endpoints.listen {
            Some(address) => Some(listen(address).map_err(|e| failed(&format!("cannot listen on {address}"), &e))?),
            None => None,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| failed("the runtime cannot be started", &e))?;
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let thread = std::thread::spawn(move || runtime.block_on(work(endpoints, listener, stopped, &ready)));
        match is_ready.recv() {
            Ok(Ok(())) => Ok(Self { stop, thread }),
            Ok(Err(why)) => Err(failed("signals cannot be caught", &why)),
            Err(why) => Err(failed("the endpoints cannot be started", &why)),
        }
    }

    /// Ends the thread.
    pub fn stop(self) {
        let _ = self.stop.send(());
        if self.thread.join().is_err() {
            tracing::error!("the thread of the endpoints ended by a panic");
        }
    }
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    Ok(listener)
}

async fn work(
    endpoints: Endpoints,
    listener: Option<TcpListener>,
    stopped: oneshot::Receiver<()>,
    ready: &mpsc::Sender<Result<(), String>>,
) {
    let board = Arc::clone(&endpoints.board);
    let signals = signals::catch();
    let listener = listener.map(tokio::net::TcpListener::from_std).transpose();
    let (mut signals, listener) = match (signals, listener) {
        (Ok(signals), Ok(listener)) => (signals, listener),
        (Err(e), _) | (_, Err(e)) => {
            let _ = ready.send(Err(e.to_string()));
            return;
        }
    };
    let _ = ready.send(Ok(()));
    let serving = async {
        match listener {
            Some(listener) => accept(listener, routes(endpoints)).await,
            None => std::future::pending().await,
        }
    };
    let signalled = async {
        signals.next().await;
        tracing::info!("asked to stop: the effect under way is finished; a second signal ends at once");
        board.stop();
        signals.next().await;
        end_at_once();
    };
    tokio::select! {
        () = serving => {}
        () = signalled => {}
        _ = stopped => {}
    }
}

#[expect(
    clippy::exit,
    reason = "the person who signals twice does not want to wait for anything"
)]
fn end_at_once() {
    // As the shell reports a program that a signal ended.
    std::process::exit(130)
}

async fn accept(listener: tokio::net::TcpListener, routes: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let service = TowerToHyperService::new(routes.clone());
        tokio::spawn(async move {
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service);
            // Who is too slow or gone is no news.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
            drop(place);
        });
    }
}

/// What every request is answered from.
struct Desk {
    board: Arc<Board>,
    metrics: Arc<Metrics>,
    gatekeeper: Option<Mutex<Gatekeeper>>,
    webhooks: Semaphore,
    interval: SignedDuration,
    clock: Clock,
}

fn routes(endpoints: Endpoints) -> Router {
    let desk = Desk {
        board: endpoints.board,
        metrics: endpoints.metrics,
        gatekeeper: endpoints.gatekeeper.map(Mutex::new),
        webhooks: Semaphore::new(WEBHOOKS_MAX),
        interval: endpoints.interval,
        clock: endpoints.clock,
    };
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/webhook", post(webhook).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)))
        .with_state(Arc::new(desk))
}

async fn readyz(State(desk): State<Arc<Desk>>) -> (StatusCode, String) {
    match desk.board.ready(desk.interval, (desk.clock)()) {
        Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}

async fn metrics(State(desk): State<Arc<Desk>>) -> impl IntoResponse {
    match desk.metrics.text() {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, CONTENT_TYPE)], text),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                [(header::CONTENT_TYPE, "text/plain")],
                Vec::new(),
            )
        }
    }
}

async fn webhook(State(desk): State<Arc<Desk>>, request: Request) -> Response {
    let Some(gatekeeper) = &desk.gatekeeper else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Ok(_place) = desk.webhooks.try_acquire() else {
        desk.metrics.webhook("refused");
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let headers = request.headers().clone();
    let body = match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await {
        Ok(Ok(body)) => body,
        Ok(Err(unread)) => return unread.into_response(),
        Err(_) => return StatusCode::REQUEST_TIMEOUT.into_response(),
    };
    let shown = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let shown = Shown {
        signature: shown("x-hub-signature-256"),
        delivery: shown("x-github-delivery"),
        time: shown("webhook-timestamp"),
    };
    let verdict = gatekeeper
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .judge(shown, &body, (desk.clock)());
    match verdict {
        Verdict::Accepted => {
            desk.metrics.webhook("accepted");
            desk.board.ask();
            (StatusCode::ACCEPTED, "a run follows\n").into_response()
        }
        Verdict::Repeated => {
            desk.metrics.webhook("repeated");
            (StatusCode::OK, "seen before\n").into_response()
        }
        Verdict::Refused => {
            desk.metrics.webhook("refused");
            StatusCode::UNAUTHORIZED.into_response()
        }
    }
}

/// The signals that ask to stop.
#[cfg(unix)]
mod signals {
    use tokio::signal::unix::{Signal, SignalKind, signal};

    pub(super) struct Signals(Signal, Signal);

    pub(super) fn catch() -> std::io::Result<Signals> {
        Ok(Signals(
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ))
    }

    impl Signals {
        pub(super) async fn next(&mut self) {
            tokio::select! {
                _ = self.0.recv() => {}
                _ = self.1.recv() => {}
            }
        }
    }
}

/// The signals that ask to stop.
#[cfg(not(unix))]
mod signals {
    pub(super) struct Signals;

    pub(super) fn catch() -> std::io::Result<Signals> {
        Ok(Signals)
    }

    impl Signals {
        pub(super) async fn next(&mut self) {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}
