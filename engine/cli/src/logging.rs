//! Logs to standard error, and traces for whoever collects them.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::args::{Cli, Command, LogFormat};
use crate::colour;

type Written = Box<dyn Layer<Registry> + Send + Sync>;

/// Starts both, as the command line asks.
pub fn start_logging(cli: &Cli) -> Traces {
    let level = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => "error",
        // Nobody watches a daemon: what it did stands in its log.
        (_, 0) if is_daemon(&cli.command) => "info",
        (_, 0) => "warn",
        (_, 1) => "info",
        _ => "debug",
    };
    let filter = EnvFilter::new(format!(
        "patchwave={level},patchwave_runner={level},patchwave_adapters={level}"
    ));
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let lines: Written = match cli.global.log_format {
        LogFormat::Text => lines
            .with_ansi(colour(cli.global.color))
            .without_time()
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    };
    let (traces, layer, fault) = Traces::open(cli.global.offline);
    let layers: Vec<Written> = std::iter::once(lines).chain(layer).collect();
    tracing_subscriber::registry().with(layers).init();
    if let Some(fault) = fault {
        tracing::warn!("{fault}");
    }
    traces
}

fn is_daemon(command: &Command) -> bool {
    matches!(command, Command::Reconcile { schedule, .. } if schedule.interval.is_some())
}

/// The traces of this process, if it sends any.
#[cfg(feature = "otel")]
pub struct Traces(Option<patchwave_adapters::telemetry::Traces>);

#[cfg(feature = "otel")]
impl Traces {
    /// The traces, what makes them, and what was wrong.
    fn open(offline: bool) -> (Self, Option<Written>, Option<String>) {
        use patchwave_adapters::telemetry::Traces;

        let (traces, fault) = match if offline { Ok(None) } else { Traces::open() } {
            Ok(traces) => (traces, None),
            Err(why) => (None, Some(why)),
        };
        let layer = traces.as_ref().map(|traces| traces.layer().boxed());
        (Self(traces), layer, fault)
    }

    /// Sends what is left.
    pub fn end(self) {
        if let Some(traces) = self.0 {
            traces.end();
        }
    }
}

/// The traces of this process: a build without the feature `otel` sends none.
#[cfg(not(feature = "otel"))]
pub struct Traces;

#[cfg(not(feature = "otel"))]
impl Traces {
    const fn open(_: bool) -> (Self, Option<Written>, Option<String>) {
        (Self, None, None)
    }

    /// Nothing is left to send.
    pub const fn end(self) {}
}
