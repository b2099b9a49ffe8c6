//! The commands, one file each. They call the runner and put what comes back into words.

mod assess;
mod audit;
#[cfg(feature = "daemon")]
mod daemon;
#[cfg(not(feature = "daemon"))]
#[path = "without_daemon.rs"]
mod daemon;
mod evidence;
mod explain;
mod fmt;
mod forge;
mod graph;
mod init;
mod observe;
mod permit;
mod plan;
mod reconcile;
mod render;
mod schema;
mod status;
mod summary;
mod targets;
mod test;
mod validate;
mod vercmp;
mod windows;

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use jiff::Timestamp;
use patchwave_adapters::forge::Forge;
use patchwave_core::assess::Assessment;
use patchwave_core::diag::{Diagnostic, Diagnostics, Severity, render as diag_render};
use patchwave_core::load::PROJECT_FILE;
use patchwave_core::source::SourceSet;
use patchwave_core::time::{Boundary, When};
use patchwave_runner::forge::{ProjectForge, look_at_forge, open_forge};
use patchwave_runner::reconcile::Extent;
use patchwave_runner::repository::{Repository, open, open_at};
use patchwave_runner::sources::{Observed, observe as read_sources};
use patchwave_runner::survey::{Survey, findings, survey};

use crate::args::{Cli, Command, TargetsCommand};
use crate::exit::{Exit, Failure};
use crate::lsp;
use crate::output::Output;

/// Runs the command of a command line.
pub fn run(cli: &Cli, output: &Output) -> Result<Exit, Failure> {
    let context = Context {
        root: cli.global.chdir.clone().unwrap_or_else(|| PathBuf::from(".")),
        now: cli.global.now.unwrap_or_else(Timestamp::now),
        offline: cli.global.offline,
        git_ref: None,
        output: *output,
    };
    let at = &context;
    if !matches!(cli.command, Command::Init { .. }) && !context.root.is_dir() {
        let root = context.root.display();
        let what = if context.root.exists() {
            "is not a folder"
        } else {
            "does not exist"
        };
        return Err(Failure::with_help(
            format!("{root} {what}"),
            "`-C` names the root of a repository",
        ));
    }
    match &cli.command {
        Command::Init { dir, github } => init::run(at, dir.as_deref(), *github),
        Command::Validate { paths, format } => validate::run(at, paths, *format),
        Command::Fmt { paths, check } => fmt::run(at, paths, *check),
        Command::Lsp { stdio: _ } => lsp::run(at, cli.global.now),
        Command::Schema { kind, write } => schema::run(kind.as_deref(), write.as_deref(), output),
        Command::Test { paths, format } => test::run(at, paths, *format),
        Command::Observe { format } => observe::run(at, observe::Subject::Inventory, *format),
        Command::Feeds { format } => observe::run(at, observe::Subject::Advisories, *format),
        Command::Assess { all, format } => assess::run(at, *all, *format),
        Command::Plan {
            base: Some(base),
            format,
            out,
            detailed_exitcode,
            ..
        } => plan::compare_with(at, base, *format, out.as_deref(), *detailed_exitcode),
        Command::Plan {
            at: when,
            format,
            out,
            detailed_exitcode,
            ..
        } => plan::run(at, *when, *format, out.as_deref(), *detailed_exitcode),
        Command::Graph { rollout, format } => graph::run(at, rollout.as_deref(), *format),
        Command::Windows {
            name,
            count,
            selector,
            format,
        } => windows::run(at, name.as_deref(), *count, selector.as_ref(), *format),
        Command::Explain { subject } => explain::run(at, subject),
        Command::Render { out } => render::run(at, out.as_deref()),
        Command::Propose { format } => reconcile::run_part(at, Extent::Propose, *format),
        Command::Verify { format } => reconcile::run_part(at, Extent::Verify, *format),
        Command::Reconcile {
            once: _,
            schedule,
            git_ref,
            dry_run,
            detailed_exitcode,
            format,
        } => {
            let at = &Context {
                git_ref: git_ref.clone(),
                ..context.clone()
            };
            if schedule.interval.is_some() {
                daemon::run(at, cli.global.now, schedule, *format)
            } else {
                reconcile::run(at, *dry_run, *detailed_exitcode, *format)
            }
        }
        Command::Permit {
            rollout,
            wave,
            batch,
            asset,
            format,
        } => permit::run(at, (rollout, wave, batch), asset.as_deref(), *format),
        Command::Halt { rollout, reason, by } => status::halt(at, rollout, reason, by),
        Command::Resume { rollout } => status::resume(at, rollout),
        Command::Status { format } => status::run(at, *format),
        Command::Evidence { what } => evidence::run(at, what),
        Command::Forge { what } => forge::run(at, what),
        Command::Vercmp { ecosystem, a, b } => vercmp::run(*ecosystem, a.as_deref().zip(b.as_deref())),
        Command::Targets { what: None, format } => targets::targets(at, *format),
        Command::Targets {
            what: Some(TargetsCommand::Check { folder }),
            format,
        } => targets::check(at, folder, *format),
        Command::Sources { format } => targets::sources(at, *format),
        Command::Audit { what } => audit::run(at, what),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "patchwave", &mut script);
            output.result(&script)?;
            Ok(Exit::Done)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            output.result(&page)?;
            Ok(Exit::Done)
        }
    }
}

/// Where and when a command works.
#[derive(Clone, Debug)]
pub struct Context {
    /// Root of the repository.
    pub root: PathBuf,
    /// The instant.
    pub now: Timestamp,
    /// Whether the network is left alone.
    pub offline: bool,
    /// Where the resources are taken from; none = the work tree.
    pub git_ref: Option<String>,
    /// How to speak.
    pub output: Output,
}

/// Everything one look needs.
pub struct Look {
    /// The repository.
    pub repository: Repository,
    /// The merged facts.
    pub observed: Observed,
    /// Forge, ledger, findings, plan.
    pub survey: Survey,
    /// The forge could not be asked: its part of the survey is what this clone holds, as old as that may be.
    pub from_clone: bool,
}

impl Context {
    /// The repository, with its problems said. An error among them ends the command.
    pub fn load(&self) -> Result<Repository, Failure> {
        let repository = match &self.git_ref {
            Some(git_ref) => open_at(&self.root, git_ref, self.now).map_err(|e| Failure::with_help(e.what, e.help))?,
            None => open(&self.root, self.now),
        };
        self.diagnostics(&repository.diagnostics, &repository.set);
        if repository.diagnostics.has_errors() {
            let count = repository.diagnostics.count(Severity::Error);
            let what = if count == 1 {
                "1 error".to_owned()
            } else {
                format!("{count} errors")
            };
            return Err(Failure::with_help(
                format!("the repository at {} has {what}", self.root.display()),
                "`patchwave validate` lists all problems",
            ));
        }
        Ok(repository)
    }

    /// The repository for a command that needs its Project only: an error in another file is said and ends nothing.
    pub fn load_project(&self) -> Result<Repository, Failure> {
        let repository = open(&self.root, self.now);
        let of_project = |d: &Diagnostic| {
            let place = d.location.as_ref();
            place.is_none_or(|place| place.file.as_ref() == PROJECT_FILE)
        };
        let errors = repository.diagnostics.iter().filter(|d| d.severity == Severity::Error);
        if errors.into_iter().any(of_project) {
            return self.load();
        }
        self.diagnostics(&repository.diagnostics, &repository.set);
        Ok(repository)
    }

    /// Problems for people, to standard error; only errors when quiet.
    pub fn diagnostics(&self, diagnostics: &Diagnostics, set: &SourceSet) {
        let mut seen = diagnostics.clone();
        seen.retain(|d| d.severity == Severity::Error || !self.output.quiet);
        self.output
            .warn(&diag_render::text::document(&seen, set, self.output.colour));
        if !self.root.join(PROJECT_FILE).exists()
            && let Some(above) = self.root.canonicalize().ok().as_deref().and_then(project_above)
        {
            self.output.say(&format!(
                "note: {} is a patchwave repository: run with `-C {0}`",
                above.display()
            ));
        }
    }

    /// Repository and facts, with failed sources said.
    pub fn facts(&self) -> Result<(Repository, Observed), Failure> {
        let repository = self.load()?;
        let observed = self.observed(&repository);
        Ok((repository, observed))
    }

    /// The facts of a repository, with failed sources said.
    pub fn observed(&self, repository: &Repository) -> Observed {
        let observed = read_sources(repository, self.now);
        for warning in &observed.warnings {
            self.output.say(&format!("warning: {warning}"));
        }
        for note in &observed.observation.notes {
            if note.error || !self.output.quiet {
                let word = if note.error { "error" } else { "note" };
                self.output
                    .warn(&format!("{word}: {}: {}\n", note.subject, note.message));
            }
        }
        for source in &observed.observation.sources {
            if let Some(failure) = &source.failure {
                self.output.warn(&format!("error: source {}: {failure}\n", source.name));
            }
            let skipped = source.account.skipped.len();
            if skipped > 0 {
                self.output.say(&format!(
                    "warning: source {}: {skipped} of {} records skipped; `patchwave observe` and `patchwave feeds` list them",
                    source.name, source.account.total
                ));
            }
        }
        observed
    }

    /// A look at everything, without changing anything.
    pub fn look(&self) -> Result<Look, Failure> {
        self.look_ahead(None)
    }

    /// As [`Context::look`], judged and planned for another instant. The facts stay those of now: nothing is assumed to be
    /// observed, published, merged or patched in between.
    pub fn look_ahead(&self, at: Option<When>) -> Result<Look, Failure> {
        let (repository, observed) = self.facts()?;
        let forge = self.forge_if_any(&repository)?;
        let from_clone = matches!(forge, Some(ProjectForge::Cloned(_)));
        let forge = forge.as_ref().map(|f| f as &dyn Forge);
        let at = at.map_or(self.now, |at| at.resolve(Boundary::Start, &repository.catalog.zone.0));
        let survey = survey(&repository, &observed, forge, None, at).map_err(said)?;
        self.assessed(&survey);
        Ok(Look {
            repository,
            observed,
            survey,
            from_clone,
        })
    }

    /// A look that plans nothing: what is found, and why.
    pub fn findings(&self) -> Result<Look, Failure> {
        let (repository, observed) = self.facts()?;
        let forge = self.forge_if_any(&repository)?;
        let from_clone = matches!(forge, Some(ProjectForge::Cloned(_)));
        let forge = forge.as_ref().map(|f| f as &dyn Forge);
        let survey = findings(&repository, &observed, forge, self.now).map_err(said)?;
        self.assessed(&survey);
        Ok(Look {
            repository,
            observed,
            survey,
            from_clone,
        })
    }

    /// What the assessment has to say, to standard error; only errors when quiet.
    pub fn assessed(&self, survey: &Survey) {
        for note in survey
            .assessment
            .diagnostics
            .iter()
            .filter(|note| note.error || !self.output.quiet)
        {
            let word = if note.error { "error" } else { "warning" };
            self.output
                .warn(&format!("{word}: {}: {}\n", note.subject, note.message));
        }
    }

    /// The forge, if it is there already.
    pub fn forge_if_any(&self, repository: &Repository) -> Result<Option<ProjectForge>, Failure> {
        let opened = look_at_forge(repository, self.offline).map_err(said)?;
        Ok(opened.map(|opened| self.opened(opened)))
    }

    /// The forge, made if there is none, with new commits taken in.
    pub fn forge(&self, repository: &Repository) -> Result<ProjectForge, Failure> {
        let opened = open_forge(repository, self.offline, self.now).map_err(said)?;
        Ok(self.opened(opened))
    }

    fn opened(&self, (forge, note): (ProjectForge, Option<String>)) -> ProjectForge {
        if let Some(note) = note {
            self.output.say(&format!("note: {note}"));
        }
        forge
    }

    /// How the command ends where nothing else decides: an error if a source failed, two facts contradict, or rules do
    /// (two classes of the same priority).
    pub fn exit(&self, observed: &Observed, assessment: &Assessment) -> Exit {
        let mut notes = observed.observation.notes.iter().chain(&assessment.diagnostics);
        let failed = observed.failures().next().is_some() || notes.any(|n| n.error);
        if failed { Exit::Error } else { Exit::Done }
    }

    /// A path as given on the command line, relative to where the command works.
    pub fn place(&self, path: &Path) -> PathBuf {
        if path.is_absolute() {
            path.to_owned()
        } else {
            self.root.join(path)
        }
    }
}

/// The nearest folder above that holds a Project.
fn project_above(folder: &Path) -> Option<&Path> {
    folder
        .ancestors()
        .skip(1)
        .find(|above| above.join(PROJECT_FILE).is_file())
}

/// An error of a run as a failure of the command.
pub fn said(error: patchwave_runner::RunError) -> Failure {
    Failure::with_help(error.what, error.help)
}
