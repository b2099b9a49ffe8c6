//! The `patchwave` command: words, colours, exit codes. A command is a thin call into the runner.

#![expect(
    clippy::disallowed_methods,
    reason = "the list fences core and formats; the command line is where the clock and the environment are read"
)]

mod args;
mod commands;
mod exit;
mod layout;
mod lsp;
mod output;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Color, Command, LogFormat};
use exit::USAGE;
use output::Output;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(USAGE)
            };
        }
    };
    start_logging(&cli);
    let output = Output {
        quiet: cli.global.quiet,
        colour: colour(cli.global.color) && cli.global.log_format == LogFormat::Text,
        as_log: cli.global.log_format == LogFormat::Json,
    };
    match commands::run(&cli, &output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            ExitCode::FAILURE
        }
    }
}

fn colour(choice: Color) -> bool {
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    }
}

fn is_daemon(command: &Command) -> bool {
    matches!(command, Command::Reconcile { schedule, .. } if schedule.interval.is_some())
}

fn start_logging(cli: &Cli) {
    let level = match (cli.global.quiet, cli.global.verbose) {
        (true, _) => "error",
        // Nobody watches a daemon: what it did stands in its log.
        (_, 0) if is_daemon(&cli.command) => "info",
        (_, 0) => "warn",
        (_, 1) => "info",
        _ => "debug",
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(format!(
            "patchwave={level},patchwave_runner={level},patchwave_adapters={level}"
        )))
        .with_writer(std::io::stderr)
        .with_target(false);
    match cli.global.log_format {
        LogFormat::Text => builder.with_ansi(colour(cli.global.color)).without_time().init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}
