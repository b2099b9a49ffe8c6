//! The command line: names and options only; meaning is in `commands`.

mod formats;
#[cfg(test)]
mod spoken;
mod values;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use jiff::Timestamp;
use patchwave_core::time::{DurationSeconds, When};
use patchwave_core::version::Scheme;

pub use formats::*;
use values::{interval, labels, openings_count, parse_scheme, when};

/// Declarative GitOps patch management: what must be patched on which machine by when, in which order, and why.
#[derive(Debug, Parser)]
#[command(name = "patchwave", version, max_term_width = 110, after_help = EXAMPLES)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "Examples:
  patchwave init estate && cd estate          a repository that validates, plans and renders at once
  patchwave validate                          every problem of the YAML, with file:line:column and a fix
  patchwave plan                              rollouts, waves, batches, slack, and what is refused and why
  patchwave explain asset web-1               why each finding has its deadline
  patchwave reconcile --once                  the whole loop, once
Exit codes: 0 done, 1 error, 2 changes found (plan and reconcile with --detailed-exitcode), 64 usage,
130 ended at once (a daemon that was signalled twice).";

/// Options of every command.
#[derive(Args, Debug)]
pub struct Global {
    /// Work in this repository instead of the current folder.
    #[arg(short = 'C', long = "chdir", value_name = "DIR", global = true)]
    pub chdir: Option<PathBuf>,
    /// The instant to decide for (RFC 3339); default: the clock. With it every command is deterministic.
    #[arg(long, value_name = "RFC3339", global = true)]
    pub now: Option<Timestamp>,
    /// Colours: auto (also honours NO_COLOR), always, never.
    #[arg(long, value_enum, default_value_t = Color::Auto, global = true)]
    pub color: Color,
    /// Say less.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more; twice for debugging.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    /// How logs are written to standard error.
    #[arg(long, value_enum, default_value_t = LogFormat::Text, global = true)]
    pub log_format: LogFormat,
    /// No network at all.
    #[arg(long, global = true)]
    pub offline: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Scaffold a repository that validates, plans and renders at once; never overwrites.
    #[command(after_help = "Examples:
  patchwave init estate            samples, schemas, settings of editors
  patchwave init estate --github   the same, and workflows for GitHub Actions
  patchwave init --github          in a repository in use: only the workflows that are not there yet")]
    Init {
        /// Where; default the current folder.
        dir: Option<PathBuf>,
        /// Write workflows for GitHub Actions too (docs/github.md); where there is a patchwave.yaml already, only those.
        #[arg(long)]
        github: bool,
    },
    /// Check schema, references and lints: all problems at once.
    Validate {
        /// Report only problems in these files or folders; the whole repository is read all the same.
        paths: Vec<PathBuf>,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: ValidateFormat,
    },
    /// Write the canonical layout of YAML files; comments are kept. A file that is not YAML is left alone.
    Fmt {
        /// Files or folders; default: `patchwave.yaml` and the resource folders. What the engine writes is never touched.
        paths: Vec<PathBuf>,
        /// Write nothing: list the files that would change, with a diff, and exit 1 if there are any.
        #[arg(long)]
        check: bool,
    },
    /// The language server, over standard input and output: start it from an editor (docs/editor.md).
    Lsp {
        /// Taken and ignored, because many editors pass it: standard input and output are the only way to speak.
        #[arg(long)]
        stdio: bool,
    },
    /// Print a JSON Schema.
    Schema {
        /// Kind, for example PatchPolicy; without it the schema that chooses by kind.
        kind: Option<String>,
        /// Write every schema into this folder instead.
        #[arg(long, value_name = "DIR")]
        write: Option<PathBuf>,
    },
    /// Run PolicyTests: the policies of this repository judge small worlds, and what comes out is compared.
    #[command(after_help = "Examples:
  patchwave test                       every PolicyTest of the repository; exit 1 when one fails
  patchwave test policies/linux.yaml   those of one file or folder
  patchwave test --format junit        for a CI system")]
    Test {
        /// Run only the tests in these files or folders; the whole repository is read all the same.
        paths: Vec<PathBuf>,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TestFormat,
    },
    /// Read all inventory sources, merge, store a snapshot; print what was read, skipped, and why.
    Observe {
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
    /// Read all advisory sources, merge, store a snapshot; print what was read, skipped, and why.
    Feeds {
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
    /// Findings with deadlines.
    Assess {
        /// Also compliant ones.
        #[arg(long)]
        all: bool,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: AssessFormat,
    },
    /// Rollouts, waves, batches, schedule, waiting, refusals; with --base, what an edit changes.
    Plan {
        /// Compare with the resources at this Git reference: who is moved by the edit, and how. Both are judged by the
        /// facts of the work tree.
        #[arg(long, value_name = "REF")]
        base: Option<String>,
        /// What the plan would be at this instant or on this day, if nothing else happened until then.
        #[arg(long, value_name = "DATE", conflicts_with = "base", value_parser = when)]
        at: Option<When>,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: PlanFormat,
        /// Write the plan (JSON) to this file as well.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Exit 2 when there is something to do.
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// The rollout graph.
    Graph {
        /// Only this rollout.
        rollout: Option<String>,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: GraphFormat,
    },
    /// Next openings, and why a window is closed now.
    Windows {
        /// Only this window.
        name: Option<String>,
        /// How many openings.
        #[arg(long, default_value_t = 5, value_parser = openings_count)]
        count: usize,
        /// Subtract the freezes of an asset with these labels, for example `env=prod,tier=web`.
        #[arg(long, value_name = "LABELS", value_parser = labels)]
        selector: Option<BTreeMap<String, String>>,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: WindowsFormat,
    },
    /// The trace: facts and file:line of each rule that decided.
    Explain {
        /// What to explain.
        #[command(subcommand)]
        subject: ExplainSubject,
    },
    /// Write the artifacts of the current plan.
    Render {
        /// Where; default `.patchwave/render`.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Bring branches and pull requests in line with the plan.
    Propose {
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
    /// May this batch (or this asset of it) run now? Exit 0 with a permit, 1 with the reason.
    Permit {
        /// Rollout.
        rollout: String,
        /// Wave.
        wave: String,
        /// Batch.
        batch: String,
        /// Asset.
        asset: Option<String>,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
    /// Stop a rollout before its next asset.
    Halt {
        /// Rollout.
        rollout: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Who says so; default `local`.
        #[arg(long = "as", value_name = "NAME", default_value = "local")]
        by: String,
    },
    /// Ask to go on: opens a pull request that needs the normal approval.
    Resume {
        /// Rollout.
        rollout: String,
    },
    /// Running, half done, next, how to stop, whom to call.
    Status {
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
    /// Read evidence and fresh observations, move waves on.
    Verify {
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
    /// The whole loop: observe, assess, plan, verify, release, propose, until nothing is left to do.
    ///
    /// Whatever writes holds a lease: a second run meanwhile is refused, and told who holds it and since when.
    #[command(after_help = "Examples:
  patchwave reconcile --once                      one run, for a timer or a CI job
  patchwave reconcile --once --format markdown    the same, as a summary for people
  patchwave reconcile --once --dry-run            what the first step would do
  patchwave reconcile --interval 15m --listen 127.0.0.1:8080
                                                  again and again, with probes, metrics and a webhook (docs/daemon.md)")]
    Reconcile {
        /// Once (the default).
        #[arg(long)]
        once: bool,
        /// How to repeat it, and how to be watched.
        #[command(flatten)]
        schedule: Schedule,
        /// Take the resources from this Git reference instead of the work tree; sources are read from the work tree all
        /// the same.
        #[arg(long = "ref", value_name = "REF")]
        git_ref: Option<String>,
        /// Decide, but write nothing: print the first step's actions.
        #[arg(long)]
        dry_run: bool,
        /// Exit 2 when something was (or would be) done.
        #[arg(long)]
        detailed_exitcode: bool,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: ReconcileFormat,
    },
    /// Record evidence.
    Evidence {
        /// What.
        #[command(subcommand)]
        what: EvidenceCommand,
    },
    /// The local forge: play the people's part.
    Forge {
        /// What.
        #[command(subcommand)]
        what: ForgeCommand,
    },
    /// Compare versions: prints `<`, `=` or `>`; without A and B reads `A<TAB>B` lines, one verdict a line.
    Vercmp {
        /// rpm, deb, apk, semver, windows, nvidia or dotted.
        #[arg(value_parser = parse_scheme)]
        ecosystem: Scheme,
        /// First version.
        #[arg(requires = "b", allow_hyphen_values = true)]
        a: Option<String>,
        /// Second version.
        #[arg(allow_hyphen_values = true)]
        b: Option<String>,
    },
    /// The render targets there are, with what they can promise.
    Targets {
        /// What to do with them; without it, the list.
        #[command(subcommand)]
        what: Option<TargetsCommand>,
        /// Output format.
        #[arg(long, value_enum, default_value_t, global = true)]
        format: TextJson,
    },
    /// The connectors there are.
    Sources {
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
    /// Check the ledger.
    Audit {
        /// What.
        #[command(subcommand)]
        what: AuditCommand,
    },
    /// Print a completion script.
    Completions {
        /// Shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page (roff).
    Man,
}

/// How `reconcile` is repeated, and watched.
#[derive(Args, Debug)]
pub struct Schedule {
    /// Again and again until SIGTERM or SIGINT, so long apart (for example 15m), give or take a tenth. A run that fails
    /// is logged and repeated sooner: after half a minute, then a minute, and so on.
    #[arg(long, value_name = "DUR", conflicts_with_all = ["once", "dry_run", "detailed_exitcode"], value_parser = interval)]
    pub interval: Option<DurationSeconds>,
    /// Answer /healthz, /readyz, /metrics and /webhook here, for example 127.0.0.1:8080.
    #[arg(long, value_name = "ADDR", requires = "interval", conflicts_with = "once")]
    pub listen: Option<SocketAddr>,
    /// Seed of the give or take; default: another one at each start.
    #[arg(long, value_name = "N", requires = "interval", conflicts_with = "once")]
    pub jitter_seed: Option<u64>,
    /// File with the secret of /webhook; default: the environment variable PATCHWAVE_WEBHOOK_SECRET. With neither there
    /// is no webhook.
    #[arg(long, value_name = "FILE", requires = "listen")]
    pub webhook_secret_file: Option<PathBuf>,
}

/// What `explain` explains.
#[derive(Debug, Subcommand)]
pub enum ExplainSubject {
    /// A diagnostic code such as PW0101: what it means, why it matters, an example and a fix.
    Code {
        /// The code.
        code: String,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
    /// An asset: its class, policies, coverage and findings.
    Asset {
        /// Its name.
        name: String,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
    /// One finding: every rule that was looked at.
    Finding {
        /// The asset.
        asset: String,
        /// Advisory id or alias.
        advisory: String,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
    /// A rollout: why it was cut, what it carries, and what places each wave in time.
    Rollout {
        /// Its name.
        name: String,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
    /// A window: its rules, who uses it, what closes it.
    Window {
        /// Its name.
        name: String,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
    /// Everything that is refused of an asset, a rollout or a policy.
    Refusal {
        /// The asset, rollout or policy.
        name: String,
        /// Only this reason, for example `untested`.
        reason: Option<String>,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
}

/// What `evidence` records.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Add a result file (or a folder of them) of an executor.
    Add {
        /// Rollout.
        rollout: String,
        /// Wave.
        wave: String,
        /// Result file.
        file: PathBuf,
    },
    /// Let a straggler go; it is counted.
    Waive {
        /// Rollout.
        rollout: String,
        /// Wave.
        wave: String,
        /// Asset.
        asset: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// Until when: a date or an instant.
        #[arg(long)]
        until: String,
        /// Who says so; default `local`.
        #[arg(long = "as", value_name = "NAME", default_value = "local")]
        by: String,
    },
}

/// What to do with render targets.
#[derive(Debug, Subcommand)]
pub enum TargetsCommand {
    /// Read the folder of a target, render it, and try to break out of its files with more than 500 hostile texts.
    Check {
        /// The folder that holds target.yaml.
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// What people do on the local forge.
#[derive(Debug, Subcommand)]
pub enum ForgeCommand {
    /// Pull requests.
    List {
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
    /// Approve the current head of a pull request.
    Approve {
        /// Its number.
        number: u64,
        /// As whom.
        #[arg(long = "as", value_name = "NAME")]
        by: String,
    },
    /// Merge a pull request; without --as the missing approvals are recorded as local-1, local-2, ….
    Merge {
        /// Its number.
        number: u64,
        /// As whom.
        #[arg(long = "as", value_name = "NAME")]
        by: Option<String>,
    },
    /// Close a pull request without a merge.
    Close {
        /// Its number.
        number: u64,
        /// As whom; default `local`.
        #[arg(long = "as", value_name = "NAME", default_value = "local")]
        by: String,
    },
}

/// What `audit` checks.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Chains of the ledger, the moves they record, and what was merged against what was approved.
    Verify {
        /// A report that an earlier run gave with `--format json` and that was kept outside: its heads must still be there.
        #[arg(long, value_name = "FILE")]
        anchor: Option<PathBuf>,
        /// Output format.
        #[arg(long, value_enum, default_value_t)]
        format: TextJson,
    },
}
