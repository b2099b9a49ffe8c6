//! `reconcile`, `propose`, `verify`: the loop, or a part of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use patchwave_adapters::forge::{Forge, ForgeError, GuardedForge};
use patchwave_core::assess::Status;
use patchwave_core::propose::PullRequestState;
use patchwave_runner::lease::{Lease, NotTaken, holder_name};
use patchwave_runner::reconcile::{Extent, Network, Run, reconcile};
use patchwave_runner::repository::Repository;
use patchwave_runner::sources::Observed;
use serde_json::json;

use super::{Context, said, summary};
use crate::args::{ReconcileFormat, TextJson};
use crate::exit::{Exit, Failure};

/// The whole loop, once.
pub fn run(context: &Context, dry_run: bool, detailed: bool, format: ReconcileFormat) -> Result<Exit, Failure> {
    let extent = if dry_run { Extent::Nothing } else { Extent::Everything };
    go(context, extent, detailed, format)
}

/// A part of the loop.
pub fn run_part(context: &Context, extent: Extent, format: TextJson) -> Result<Exit, Failure> {
    let format = match format {
        TextJson::Text => ReconcileFormat::Text,
        TextJson::Json => ReconcileFormat::Json,
    };
    go(context, extent, false, format)
}

fn go(context: &Context, extent: Extent, detailed: bool, format: ReconcileFormat) -> Result<Exit, Failure> {
    let ran = one(context, extent, &|| false, &mut None)?;
    context.output.text(&words(&ran, context, format)?)?;
    let changed = !ran.run.done.is_empty() || !ran.run.wanted.is_empty();
    match ran.exit {
        Exit::Done if detailed && changed => Ok(Exit::Changes),
        exit => Ok(exit),
    }
}

/// One run, and what it was decided on.
pub(super) struct Ran {
    /// The resources.
    pub repository: Repository,
    /// The facts.
    pub observed: Observed,
    /// What was done.
    pub run: Run,
    /// How a command ends after it.
    pub exit: Exit,
}

/// What a run is told in.
pub(super) fn words(ran: &Ran, context: &Context, format: ReconcileFormat) -> Result<String, Failure> {
    Ok(match format {
        ReconcileFormat::Text => text(&ran.run, &ran.observed),
        ReconcileFormat::Markdown => summary::markdown(ran),
        ReconcileFormat::Json => serde_json::to_string_pretty(&document(&ran.run, context))?,
    })
}

/// Why there was no run.
pub(super) enum NoRun {
    /// Another runner holds the lease.
    Standby(Failure),
    /// It failed.
    Failed(Failure),
}

impl From<Failure> for NoRun {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl From<NoRun> for Failure {
    fn from(why: NoRun) -> Self {
        let (NoRun::Standby(failure) | NoRun::Failed(failure)) = why;
        failure
    }
}

/// Runs the loop, or a part of it, once. Whatever writes holds the lease, and ends before its next effect once `stopping`
/// says so. A lease that may be kept is left in `kept` for the next run; one that a run failed under is given back, so that
/// another runner may try.
pub(super) fn one(
    context: &Context,
    extent: Extent,
    stopping: &dyn Fn() -> bool,
    kept: &mut Option<Lease>,
) -> Result<Ran, NoRun> {
    let _span = tracing::debug_span!("reconcile").entered();
    let repository = context.load()?;
    let observe = || tracing::debug_span!("observe").in_scope(|| context.observed(&repository));
    let network = if context.offline { Network::None } else { Network::Any };
    let (observed, run) = if extent == Extent::Nothing {
        let observed = observe();
        let run = dry(context, &repository, &observed, network)?;
        (observed, run)
    } else {
        // First the lease: reading every source only to be refused would be a burden to them.
        let before = kept.take().filter(|lease| lease.may_be_kept(&repository));
        let fresh = before.is_none();
        let lease = before.map_or_else(|| take(&repository), Ok)?;
        let observed = observe();
        let outcome = leased(
            context,
            (&repository, &observed),
            (extent, network),
            (&lease, fresh),
            stopping,
        );
        if outcome.is_ok() && lease.may_be_kept(&repository) {
            *kept = Some(lease);
        } else {
            lease.give_back();
        }
        (observed, outcome?)
    };
    context.assessed(&run.survey);
    let exit = context.exit(&observed, &run.survey.assessment);
    Ok(Ran {
        repository,
        observed,
        run,
        exit,
    })
}

fn take(repository: &Repository) -> Result<Lease, NoRun> {
    let me = holder_name(&machine(), std::process::id(), Timestamp::now());
    Lease::take(repository, &me, Timestamp::now).map_err(|why| match why {
        NotTaken::Held(error) => NoRun::Standby(said(error)),
        NotTaken::Failed(error) => NoRun::Failed(said(error)),
    })
}

/// What this machine is called, for people who wonder who holds the lease.
fn machine() -> String {
    let name = std::env::var("HOSTNAME").or_else(|_| std::fs::read_to_string("/etc/hostname"));
    let name = name.unwrap_or_default().trim().to_owned();
    if name.is_empty() { "unnamed".to_owned() } else { name }
}

fn leased(
    context: &Context,
    (repository, observed): (&Repository, &Observed),
    (extent, network): (Extent, Network),
    (lease, fresh): (&Lease, bool),
    stopping: &dyn Fn() -> bool,
) -> Result<Run, Failure> {
    let forge = context.forge(repository)?;
    let ready = if fresh {
        lease.begin(&forge, context.now)
    } else {
        lease.go_on(&forge)
    };
    ready.map_err(said)?;
    let guard = || {
        if stopping() {
            return Err(ForgeError::retryable(
                "the run was asked to stop",
                "the next run goes on",
            ));
        }
        lease.may_act()
    };
    let guarded = GuardedForge::new(&forge, &guard);
    reconcile(repository, observed, &guarded, extent, network, context.now).map_err(said)
}

/// Decides and writes nothing.
fn dry(context: &Context, repository: &Repository, observed: &Observed, network: Network) -> Result<Run, Failure> {
    let forge = context.forge_if_any(repository)?;
    // A dry run without a forge decides on an empty one, in memory.
    let empty = patchwave_adapters::forge::FakeForge::new(&repository.catalog.project.paths.rollouts);
    let forge: &dyn Forge = match &forge {
        Some(forge) => forge,
        None => {
            empty
                .take_in(context.now)
                .map_err(|e| Failure::with_help(e.what, e.help))?;
            &empty
        }
    };
    reconcile(repository, observed, forge, Extent::Nothing, network, context.now).map_err(said)
}

fn counts(run: &Run, observed: &Observed) -> BTreeMap<Status, usize> {
    let mut counts = BTreeMap::new();
    for finding in run.survey.assessment.findings(&observed.observation) {
        *counts.entry(finding.judgement.status).or_insert(0) += 1;
    }
    counts
}

pub(super) fn read_lines(observed: &Observed) -> Vec<String> {
    let observation = &observed.observation;
    let mut lines: Vec<String> = observation
        .sources
        .iter()
        .map(|s| {
            format!(
                "{}: {} of {} records, {} skipped",
                s.name,
                s.account.read,
                s.account.total,
                s.account.skipped.len()
            )
        })
        .collect();
    let never = observation.assets.iter().filter(|a| a.observed_at.is_none()).count();
    lines.push(format!(
        "{} assets ({never} never observed), {} advisories",
        observation.assets.len(),
        observation.advisories.len()
    ));
    lines
}

pub(super) fn found_line(run: &Run, observed: &Observed) -> String {
    let counts = counts(run, observed);
    let words: Vec<String> = counts.iter().map(|(status, n)| format!("{n} {status}")).collect();
    if words.is_empty() {
        "no open findings".into()
    } else {
        words.join(", ")
    }
}

fn text(run: &Run, observed: &Observed) -> String {
    let mut out = String::from("read\n");
    for line in read_lines(observed) {
        out.push_str(&format!("  {line}\n"));
    }
    out.push_str(&format!("found\n  {}\n", found_line(run, observed)));
    out.push_str("planned\n");
    out.push_str(&indent(&patchwave_core::plan::text(&run.survey.plan)));
    if !run.wanted.is_empty() {
        out.push_str("would do (first step)\n");
        for action in &run.wanted {
            out.push_str(&format!("  {}\n", action_line(action)));
        }
    }
    if run.done.is_empty() && run.wanted.is_empty() {
        out.push_str("done\n  nothing to do: nothing was written\n");
    } else if !run.done.is_empty() {
        out.push_str("done\n");
        for line in &run.done {
            out.push_str(&format!("  {line}\n"));
        }
    }
    let open: Vec<_> = run
        .survey
        .view
        .pull_requests
        .iter()
        .filter(|p| p.state == PullRequestState::Open)
        .collect();
    if !open.is_empty() {
        out.push_str("open pull requests\n");
        for pull_request in open {
            out.push_str(&format!(
                "  #{} {} ({})\n",
                pull_request.number, pull_request.title, pull_request.branch
            ));
        }
    }
    if !run.remarks.is_empty() {
        out.push_str("waits\n");
        for remark in &run.remarks {
            out.push_str(&format!("  {}: {}\n", remark.subject, remark.message));
        }
    }
    out
}

fn indent(text: &str) -> String {
    text.lines()
        .map(|l| {
            if l.is_empty() {
                "\n".to_owned()
            } else {
                format!("  {l}\n")
            }
        })
        .collect()
}

pub(super) fn action_line(action: &patchwave_core::decide::Action) -> String {
    use patchwave_core::decide::Action;
    use patchwave_core::propose::ForgeOp;
    match action {
        Action::Record(events) => format!("record {} events in the ledger", events.len()),
        Action::Forge(ForgeOp::PutBranch { branch, files, .. }) => {
            format!("write branch {branch} ({} files)", files.len())
        }
        Action::Forge(ForgeOp::PutPullRequest { title, .. }) => format!("open or update pull request: {title}"),
        Action::Forge(ForgeOp::PutComment { number, .. }) => format!("comment on pull request #{number}"),
        Action::Forge(ForgeOp::ClosePullRequest { number, reason }) => {
            format!("close pull request #{number}: {reason}")
        }
        Action::Forge(ForgeOp::MergePullRequest { number, .. }) => format!("merge pull request #{number}"),
        Action::Forge(ForgeOp::PutStatus { commit, status }) => {
            format!(
                "set the status of {} to: {}",
                commit.get(..12).unwrap_or(commit),
                status.description
            )
        }
        Action::Forge(ForgeOp::PutDashboard { .. }) => "bring the dashboard in line".to_owned(),
    }
}

fn document(run: &Run, context: &Context) -> serde_json::Value {
    json!({
        "now": context.now.to_string(),
        "done": run.done,
        "wanted": run.wanted.iter().map(action_line).collect::<Vec<_>>(),
        "writes": run.writes,
        "waits": run.remarks.iter().map(|r| json!({"subject": r.subject, "message": r.message})).collect::<Vec<_>>(),
        "pullRequests": run.survey.view.pull_requests,
    })
}
