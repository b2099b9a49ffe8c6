//! `reconcile --interval`: one run after another.

use jiff::Timestamp;

use super::Context;
use crate::args::{ReconcileFormat, Schedule};
use crate::exit::{Exit, Failure};

#[cfg(not(feature = "daemon"))]
pub fn run(_: &Context, _: Option<Timestamp>, _: &Schedule, _: ReconcileFormat) -> Result<Exit, Failure> {
    Err(Failure::with_help(
        "this build of patchwave runs once only",
        "build it with the feature `daemon`, or start `patchwave reconcile --once` from a timer",
    ))
}

/// Environment variable with the secret of the webhook.
#[cfg(feature = "daemon")]
const SECRET_VARIABLE: &str = "PATCHWAVE_WEBHOOK_SECRET";

/// Runs until it is asked to stop. Every run opens the repository anew, at the clock's instant unless one was given.
#[cfg(feature = "daemon")]
pub fn run(
    context: &Context,
    fixed: Option<Timestamp>,
    schedule: &Schedule,
    format: ReconcileFormat,
) -> Result<Exit, Failure> {
    use jiff::SignedDuration;
    use patchwave_runner::daemon::{Outcome, Settings, serve};

    let Some(interval) = schedule.interval else {
        return Err(Failure::new("`--interval` is missing"));
    };
    let settings = Settings {
        interval: SignedDuration::from_secs(interval.0),
        jitter_seed: schedule.jitter_seed.unwrap_or_else(seed),
        listen: schedule.listen,
        webhook_secret: webhook_secret(context, schedule)?,
    };
    let mut before = String::new();
    serve(settings, Timestamp::now, &mut |board| {
        let context = Context {
            now: fixed.unwrap_or_else(Timestamp::now),
            ..context.clone()
        };
        one(&context, format, &|| board.stopping(), &mut before).unwrap_or_else(|failure| {
            let help = failure.help.map_or_else(String::new, |help| format!(" ({help})"));
            Outcome {
                tally: None,
                result: Err(format!("{}{help}", failure.message)),
            }
        })
    })
    .map_err(super::said)?;
    Ok(Exit::Done)
}

/// One run. What it says goes to standard output when it is not what the run before said.
#[cfg(feature = "daemon")]
fn one(
    context: &Context,
    format: ReconcileFormat,
    stopping: &dyn Fn() -> bool,
    before: &mut String,
) -> Result<patchwave_runner::daemon::Outcome, Failure> {
    use super::reconcile;
    use patchwave_runner::daemon::Outcome;
    use patchwave_runner::daemon::tally::Tally;
    use patchwave_runner::reconcile::Extent;

    let ran = reconcile::one(context, Extent::Everything, stopping)?;
    let words = reconcile::words(&ran, context, format)?;
    if words != *before {
        context.output.text(&words)?;
        *before = words;
    }
    Ok(Outcome {
        tally: Some(Tally::of(&ran.run, &ran.observed)),
        result: match ran.exit {
            Exit::Error => {
                Err("a source failed, or facts or rules contradict: what could be decided was done".to_owned())
            }
            Exit::Done | Exit::Changes => Ok(()),
        },
    })
}

/// Another number at each start, so that runners started together drift apart.
#[cfg(feature = "daemon")]
fn seed() -> u64 {
    let nanos = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default();
    nanos ^ (u64::from(std::process::id()) << 32)
}

/// The secret, from the file or the environment; never from the command line, which every user of the machine can read.
#[cfg(feature = "daemon")]
fn webhook_secret(
    context: &Context,
    schedule: &Schedule,
) -> Result<Option<patchwave_runner::daemon::webhook::Secret>, Failure> {
    use patchwave_runner::daemon::webhook::Secret;

    let bytes = match &schedule.webhook_secret_file {
        Some(file) => {
            let file = context.place(file);
            let read = std::fs::read(&file);
            Some(read.map_err(|e| {
                Failure::with_help(
                    format!("the webhook secret cannot be read from {}: {e}", file.display()),
                    "without it nobody could be told from an attacker: make the file readable, or leave the option out",
                )
            })?)
        }
        None => std::env::var(SECRET_VARIABLE).ok().map(String::into_bytes),
    };
    let secret = bytes.map(|bytes| Secret::new(&bytes)).transpose();
    secret.map_err(|why| Failure::with_help(why, "make one with `openssl rand -hex 32`"))
}
