//! `reconcile --interval`: one run after another, all under one lease.

use jiff::{SignedDuration, Timestamp};
use patchwave_runner::daemon::tally::Tally;
use patchwave_runner::daemon::webhook::Secret;
use patchwave_runner::daemon::{Ending, Outcome, Settings, serve};
use patchwave_runner::lease::Lease;
use patchwave_runner::reconcile::Extent;

use super::Context;
use super::reconcile::{self, NoRun};
use crate::args::{ReconcileFormat, Schedule};
use crate::exit::{Exit, Failure};

/// Environment variable with the secret of the webhook.
const SECRET_VARIABLE: &str = "PATCHWAVE_WEBHOOK_SECRET";

/// Runs until it is asked to stop. Every run opens the repository anew, at the clock's instant unless one was given.
pub fn run(
    context: &Context,
    fixed: Option<Timestamp>,
    schedule: &Schedule,
    format: ReconcileFormat,
) -> Result<Exit, Failure> {
    let Some(interval) = schedule.interval else {
        return Err(Failure::new("`--interval` is missing"));
    };
    let settings = Settings {
        interval: SignedDuration::from_secs(interval.0),
        jitter_seed: schedule.jitter_seed.unwrap_or_else(seed),
        listen: schedule.listen,
        webhook_secret: webhook_secret(context, schedule)?,
    };
    let (mut before, mut lease) = (String::new(), None);
    serve(settings, Timestamp::now, &mut |board| {
        let context = Context {
            now: fixed.unwrap_or_else(Timestamp::now),
            ..context.clone()
        };
        one(&context, format, &|| board.stopping(), (&mut lease, &mut before)).unwrap_or_else(no_run)
    })
    .map_err(super::said)?;
    Ok(Exit::Done)
}

/// One run. What it says goes to standard output when it is not what the run before said.
fn one(
    context: &Context,
    format: ReconcileFormat,
    stopping: &dyn Fn() -> bool,
    (lease, before): (&mut Option<Lease>, &mut String),
) -> Result<Outcome, NoRun> {
    let ran = reconcile::one(context, Extent::Everything, stopping, lease)?;
    let words = reconcile::words(&ran, context, format)?;
    if words != *before {
        context.output.text(&words)?;
        *before = words;
    }
    Ok(Outcome {
        tally: Some(Tally::of(&ran.run, &ran.observed)),
        ending: match ran.exit {
            Exit::Error => Ending::Failed(
                "a source failed, or facts or rules contradict: what could be decided was done".to_owned(),
            ),
            Exit::Done | Exit::Changes => Ending::Good,
        },
    })
}

fn no_run(why: NoRun) -> Outcome {
    let words = |failure: Failure| {
        let help = failure.help.map_or_else(String::new, |help| format!(" ({help})"));
        format!("{}{help}", failure.message)
    };
    Outcome {
        tally: None,
        ending: match why {
            NoRun::Standby(failure) => Ending::Standby(words(failure)),
            NoRun::Failed(failure) => Ending::Failed(words(failure)),
        },
    }
}

/// Another number at each start, so that runners started together drift apart.
fn seed() -> u64 {
    let nanos = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or_default();
    nanos ^ (u64::from(std::process::id()) << 32)
}

/// The secret, from the file or the environment; never from the command line, which every user of the machine can read.
fn webhook_secret(context: &Context, schedule: &Schedule) -> Result<Option<Secret>, Failure> {
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
