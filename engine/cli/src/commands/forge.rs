//! `forge`: the people's part on the local forge.

use patchwave_adapters::forge::{Applied, Forge, LocalForge, People};
use patchwave_core::decide::approvals_of;
use patchwave_core::history::{branch_rollout, branch_wave, fold};
use patchwave_core::load::wire::Approval;
use patchwave_core::propose::{PullRequest, PullRequestState};
use patchwave_runner::forge::ProjectForge;
use patchwave_runner::repository::Repository;

use super::Context;
use crate::args::{ForgeCommand, TextJson};
use crate::exit::{Exit, Failure};

/// Runs one of the people's commands.
pub fn run(context: &Context, what: &ForgeCommand) -> Result<Exit, Failure> {
    let repository = context.load()?;
    let Some(forge) = context.forge_if_any(&repository)? else {
        return Err(Failure::with_help(
            "there is no local forge yet",
            "`patchwave reconcile --once` or `patchwave propose` makes it",
        ));
    };
    if let ForgeCommand::List { format } = what {
        return list(context, &forge, *format);
    }
    let ProjectForge::Local(forge) = forge else {
        return Err(elsewhere(&repository, what));
    };
    match what {
        ForgeCommand::List { format } => list(context, &forge, *format),
        ForgeCommand::Approve { number, by } => applied(
            context,
            forge.approve(*number, by, context.now).map_err(failed)?,
            &format!("approved #{number} as {by}"),
        ),
        ForgeCommand::Close { number, by } => applied(
            context,
            forge.close(*number, by, context.now).map_err(failed)?,
            &format!("closed #{number} as {by}"),
        ),
        ForgeCommand::Merge { number, by } => merge(context, &repository, &forge, *number, by.as_deref()),
    }
}

/// On a forge with people of its own nobody can play their part from here.
fn elsewhere(repository: &Repository, what: &ForgeCommand) -> Failure {
    let spec = &repository.catalog.project.forge;
    let name = spec.repository.as_deref().unwrap_or_default();
    let (doing, number) = match what {
        ForgeCommand::List { .. } => ("listing", 0),
        ForgeCommand::Approve { number, .. } => ("approving", *number),
        ForgeCommand::Close { number, .. } => ("closing", *number),
        ForgeCommand::Merge { number, .. } => ("merging", *number),
    };
    Failure::with_help(
        format!("{doing} is people's part, and the people of {name} act on its forge themselves"),
        format!(
            "open pull request #{number} of {name} there; only the local forge has people played with `patchwave forge`"
        ),
    )
}

fn failed(error: patchwave_adapters::forge::ForgeError) -> Failure {
    Failure::with_help(error.what, error.help)
}

fn applied(context: &Context, outcome: Applied, line: &str) -> Result<Exit, Failure> {
    match outcome {
        Applied::Done { .. } => context.output.text(line)?,
        Applied::Unchanged => context.output.text(&format!("{line}: it already was so"))?,
        Applied::Refused(why) => return Err(Failure::new(why.to_string())),
    }
    Ok(Exit::Done)
}

fn list(context: &Context, forge: &dyn Forge, format: TextJson) -> Result<Exit, Failure> {
    let view = forge.view().map_err(failed)?;
    if format == TextJson::Json {
        context.output.json(&view.pull_requests)?;
        return Ok(Exit::Done);
    }
    let mut out = String::new();
    for pull_request in &view.pull_requests {
        let state = match pull_request.state {
            PullRequestState::Open => "open",
            PullRequestState::Merged => "merged",
            PullRequestState::Closed => "closed",
        };
        let approvals: Vec<&str> = pull_request
            .approvals
            .iter()
            .filter(|a| a.head == pull_request.head)
            .map(|a| a.by.as_str())
            .collect();
        let approved = if approvals.is_empty() {
            String::new()
        } else {
            format!(" approved by {}", approvals.join(", "))
        };
        out.push_str(&format!(
            "#{} {state} {} ({}){approved}\n",
            pull_request.number, pull_request.title, pull_request.branch
        ));
    }
    if out.is_empty() {
        out.push_str("no pull requests\n");
    }
    context.output.text(&out)?;
    Ok(Exit::Done)
}

/// Merges; without a name, records the approvals that are missing as `local-1`, `local-2`, … first, and says so.
fn merge(
    context: &Context,
    repository: &Repository,
    forge: &LocalForge,
    number: u64,
    by: Option<&str>,
) -> Result<Exit, Failure> {
    let view = forge.view().map_err(failed)?;
    let Some(pull_request) = view.pull_requests.iter().find(|p| p.number == number) else {
        return Err(Failure::with_help(
            format!("there is no pull request #{number}"),
            "`patchwave forge list` lists them",
        ));
    };
    if by.is_none() && pull_request.state == PullRequestState::Open {
        let missing = missing_approvals(repository, &view, pull_request);
        let mut names = Vec::new();
        for index in 1.. {
            if names.len() >= missing {
                break;
            }
            let name = format!("local-{index}");
            if !pull_request
                .approvals
                .iter()
                .any(|a| a.by == name && a.head == pull_request.head)
            {
                forge.approve(number, &name, context.now).map_err(failed)?;
                names.push(name);
            }
        }
        if !names.is_empty() {
            context.output.text(&format!(
                "recorded the missing approvals of #{number} as {}",
                names.join(", ")
            ))?;
        }
    }
    let name = by.unwrap_or("local");
    let outcome = forge.merge(number, name, None, context.now).map_err(failed)?;
    applied(context, outcome, &format!("merged #{number} as {name}"))
}

fn missing_approvals(
    repository: &Repository,
    view: &patchwave_core::propose::ForgeView,
    pull_request: &PullRequest,
) -> usize {
    let catalog = &repository.catalog;
    let history = fold(view, &catalog.project.paths.rollouts).unwrap_or_default();
    let frozen = branch_rollout(&pull_request.branch).and_then(|name| history.frozen.get(name));
    let Some(frozen) = frozen else { return 0 };
    let needs = |approval: &Approval| match approval {
        Approval::Automatic => 0,
        Approval::PullRequest { reviewers } => *reviewers as usize,
    };
    let wave = branch_wave(&pull_request.branch).and_then(|name| frozen.waves.iter().find(|w| w.name == name));
    let needed = match wave {
        Some(wave) => needs(&wave.approval),
        // A request to resume needs the strictest approval of any wave.
        None => frozen
            .waves
            .iter()
            .map(|w| needs(&w.approval))
            .max()
            .unwrap_or(1)
            .max(1),
    };
    let policy = catalog.policies.get(frozen.rollout.policy.as_str());
    let given = policy.map_or(0, |p| approvals_of(pull_request, &p.spec, view).len());
    needed.saturating_sub(given)
}
