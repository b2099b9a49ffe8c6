//! Running on a schedule: one run after another, never two at once, with endpoints for whoever watches.
//!
//! | module | does |
//! | --- | --- |
//! | [`schedule`] | how long to wait for the next run: pure |
//! | [`board`] | what the loop and the endpoints tell each other |
//! | [`tally`] | what of a run is counted |
//! | [`metrics`] | the counts in Prometheus' text format |
//! | [`webhook`] | which requests may ask for a run: pure |
//! | [`server`] | signals, and the endpoints over HTTP |
//!
//! The loop itself is blocking and lives on the thread that calls [`serve`]; signals and endpoints live on a second one.
//! Nothing an endpoint does can start a run: it can only ask, and one question waits at most.

pub mod board;
pub mod metrics;
pub mod schedule;
pub mod server;
pub mod tally;
pub mod webhook;

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::SignedDuration;

use crate::RunError;
use crate::lease::Clock;
use board::Board;
use metrics::Metrics;
use schedule::After;
use server::{Endpoints, Server};
use tally::Tally;
use webhook::{Gatekeeper, Secret};

/// How to run on a schedule.
#[derive(Debug)]
pub struct Settings {
    /// From the end of one run to the start of the next.
    pub interval: SignedDuration,
    /// Seed of the jitter that keeps many runners from starting at the same moment.
    pub jitter_seed: u64,
    /// Where to answer; none = nowhere.
    pub listen: Option<SocketAddr>,
    /// Secret of the webhook; none = there is no webhook.
    pub webhook_secret: Option<Secret>,
}

/// How one run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its counts, if it came that far. A run of which a source failed has done what could be decided.
    pub tally: Option<Tally>,
    /// How it ended.
    pub ending: Ending,
}

/// How a run ended, or why there was none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As it should.
    Good,
    /// Not so, in words.
    Failed(String),
    /// Another runner holds the lease, and who, in words. That is no failure: this one tries again, so that it takes over
    /// soon after the other ended.
    Standby(String),
}

/// Runs `run` again and again until a signal asks to stop; then the run under way ends before its next effect.
///
/// `run` gets the board, whose [`Board::stopping`] it must ask before each effect.
///
/// # Errors
/// [`RunError`] if the address cannot be listened on. A run that fails is no error: it is logged and repeated.
pub fn serve(settings: Settings, clock: Clock, run: &mut dyn FnMut(&Board) -> Outcome) -> Result<(), RunError> {
    let metrics = Arc::new(Metrics::new().map_err(|e| {
        RunError::new(
            format!("the metrics cannot be set up: {e}"),
            "this is a fault of patchwave: please report it",
        )
    })?);
    let board = Arc::new(Board::default());
    let server = Server::start(Endpoints {
        board: Arc::clone(&board),
        metrics: Arc::clone(&metrics),
        gatekeeper: settings.webhook_secret.map(Gatekeeper::new),
        interval: settings.interval,
        listen: settings.listen,
        clock,
    })?;
    let (mut number, mut failures) = (0_u64, 0_u32);
    while !board.stopping() {
        number = number.saturating_add(1);
        let started = clock();
        tracing::info!(run = number, "run starts");
        let outcome = tracing::debug_span!("round", number).in_scope(|| run(&board));
        let ended = clock();
        let seconds = ended.duration_since(started).as_secs_f64().max(0.0);
        if board.stopping() && outcome.ending != Ending::Good {
            tracing::info!(run = number, seconds, "run ended early: asked to stop");
            break;
        }
        metrics.count(&outcome, seconds, ended);
        let (done, writes) = outcome.tally.as_ref().map_or((0, 0), |t| (t.done, t.writes));
        let after = match &outcome.ending {
            Ending::Good => {
                failures = 0;
                tracing::info!(run = number, seconds, done, writes, "run done");
                After::Good
            }
            Ending::Standby(why) => {
                failures = 0;
                tracing::info!(why, "standing by");
                After::Standby
            }
            Ending::Failed(why) => {
                failures = failures.saturating_add(1);
                tracing::error!(run = number, seconds, failures, done, writes, why, "run failed");
                After::Failures(failures)
            }
        };
        board.ended(outcome.ending, ended);
        board.wait(schedule::wait(settings.interval, after, settings.jitter_seed, number));
    }
    server.stop();
    tracing::info!("stopped");
    Ok(())
}
