//! Any forge kept in a Git store of our own: the rules of [`Forge`] and [`People`] over [`Plumbing`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use patchwave_core::propose::{ForgeOp, ForgeView, PullRequestState};

use super::branches::{self, BranchContent};
use super::plumbing::{Author, ENGINE_NAME, LEDGER, Layout, Plumbing, read_files};
use super::records::{self, Change, Wanted};
use super::{Appended, Applied, Forge, ForgeError, People, Refusal, TakenIn, intake, ledger};

/// A forge in a Git store.
pub trait OnGit {
    /// The store.
    type Git: Plumbing;
    /// Opens the store for one call.
    fn git(&self) -> Result<Self::Git, ForgeError>;
    /// Where the project lies in it.
    fn layout(&self) -> &Layout;
    /// Copies the commit outside into the store and names it; the error side of the inner result says why there is none.
    fn fetch_outside(&self) -> Result<Result<String, String>, ForgeError>;
    /// Reference updates made so far.
    fn ref_updates(&self) -> u64;
}

impl<F: OnGit> Forge for F {
    fn take_in(&self, now: Timestamp) -> Result<TakenIn, ForgeError> {
        match self.fetch_outside()? {
            Ok(head) => intake::take_in(&self.git()?, self.layout(), &head, now),
            Err(reason) => {
                intake::start_empty(&self.git()?, now)?;
                Ok(TakenIn::Nothing { reason })
            }
        }
    }

    fn view(&self) -> Result<ForgeView, ForgeError> {
        let git = self.git()?;
        let layout = self.layout();
        let base_head = branches::main_head(&git)?;
        let rollouts = |commit: &str| -> Result<BTreeMap<String, Vec<u8>>, ForgeError> {
            let files = read_files(&git, Some(commit), &layout.rollouts_path())?.into_iter();
            Ok(files
                .filter_map(|(path, bytes)| Some((path.strip_prefix(&layout.prefix)?.to_owned(), bytes)))
                .collect())
        };
        let mut records = records::load(&git)?;
        for pull in records
            .pulls
            .values_mut()
            .filter(|pull| pull.state != PullRequestState::Merged)
        {
            pull.files = rollouts(&pull.head)?;
        }
        let ledger_head = git.target(LEDGER)?;
        let ledger = read_files(&git, ledger_head.as_deref(), "")?;
        Ok(ForgeView {
            merged_files: rollouts(&base_head)?,
            base_head,
            pull_requests: records.pulls.into_values().collect(),
            ledger,
            ledger_head,
            dashboard: records.dashboard,
            members: None,
            unread_roles: BTreeMap::new(),
            statuses: None,
        })
    }

    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError> {
        let git = self.git()?;
        match op {
            ForgeOp::PutBranch {
                branch,
                files,
                replace_under,
                message,
            } => {
                let wanted = BranchContent {
                    branch,
                    files,
                    replace_under,
                    message,
                };
                branches::put_branch(&git, self.layout(), &wanted, now)
            }
            ForgeOp::PutPullRequest {
                branch,
                title,
                body,
                labels,
                reviewers,
            } => {
                let head = match branches::mergeable_head(&git, branch)? {
                    Ok(head) => head,
                    Err(refusal) => return Ok(Applied::Refused(refusal)),
                };
                let wanted = Wanted {
                    branch,
                    title,
                    body,
                    labels,
                    reviewers,
                };
                records::change(&git, now, &format!("Put the pull request of {branch}\n"), |records| {
                    Ok(records.put_pull(&wanted, ENGINE_NAME, &head, now))
                })
            }
            ForgeOp::PutComment { number, marker, body } => {
                records::change(&git, now, &format!("Comment on pull request {number}\n"), |records| {
                    records.put_comment(*number, marker, body, ENGINE_NAME, now)
                })
            }
            ForgeOp::ClosePullRequest { number, reason } => {
                records::change(&git, now, &format!("Close pull request {number}\n"), |records| {
                    records.close(*number, ENGINE_NAME, Some(reason), now)
                })
            }
            ForgeOp::MergePullRequest { number, head } => {
                branches::merge(&git, *number, &Author::engine(), Some(head), now)
            }
            // A view without statuses asks for none.
            ForgeOp::PutStatus { .. } => Ok(Applied::Unchanged),
            ForgeOp::PutDashboard { body } => records::change(&git, now, "Put the dashboard\n", |records| {
                if records.dashboard.as_ref() == Some(body) {
                    return Ok(Change::None);
                }
                records.dashboard = Some(body.clone());
                Ok(Change::Dashboard)
            }),
        }
    }

    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        ledger::append(&self.git()?, expected_head, files, message, now)
    }

    fn fence(&self) -> Result<Option<u64>, ForgeError> {
        ledger::fence(&self.git()?)
    }

    fn writes(&self) -> u64 {
        self.ref_updates()
    }
}

impl<F: OnGit> People for F {
    fn approve(&self, number: u64, by: &str, now: Timestamp) -> Result<Applied, ForgeError> {
        let by = Author::person(by)?.name;
        let what = format!("{by} approves pull request {number}\n");
        records::change(&self.git()?, now, &what, |records| records.approve(number, &by, now))
    }

    fn merge(&self, number: u64, by: &str, head: Option<&str>, now: Timestamp) -> Result<Applied, ForgeError> {
        let by = Author::person(by)?;
        match branches::merge(&self.git()?, number, &by, head, now)? {
            // For the engine a merged pull request is as asked; a person who merges it again is told.
            Applied::Unchanged => Ok(Applied::Refused(Refusal::NotOpen {
                number,
                state: "merged",
            })),
            applied => Ok(applied),
        }
    }

    fn close(&self, number: u64, by: &str, now: Timestamp) -> Result<Applied, ForgeError> {
        let by = Author::person(by)?.name;
        let what = format!("{by} closes pull request {number}\n");
        records::change(&self.git()?, now, &what, |records| {
            let _ = records.open(number)?;
            records.close(number, &by, None, now)
        })
    }
}
