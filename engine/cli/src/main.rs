//! The `patchwave` command: words, colours, exit codes. A command is a thin call into the runner.

#![expect(
    clippy::disallowed_methods,
    reason = "the list fences core and formats; the command line is where the clock and the environment are read"
)]

mod args;
mod commands;
mod exit;
mod layout;
mod logging;
mod lsp;
mod output;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Color, LogFormat};
use exit::USAGE;
use logging::start_logging;
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
    let traces = start_logging(&cli);
    let output = Output {
        quiet: cli.global.quiet,
        colour: colour(cli.global.color) && cli.global.log_format == LogFormat::Text,
        as_log: cli.global.log_format == LogFormat::Json,
    };
    let code = match commands::run(&cli, &output) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            ExitCode::FAILURE
        }
    };
    traces.end();
    code
}

fn colour(choice: Color) -> bool {
    match choice {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty()),
    }
}
