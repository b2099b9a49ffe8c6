//! Whose approval counts, and what went past the separation of duties.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{ENGINE, Remark};
use crate::history::{FrozenRollout, FrozenWave, History};
use crate::load::Catalog;
use crate::load::wire::{Approval, PatchPolicySpec};
use crate::propose::{ForgeView, PullRequest, PullRequestState, branch_of, resume_branches, rollback_branches};

/// The approvals that count for the merged head of a pull request: one a person, given for that very head, not by its
/// author or anybody who committed to its branch, and (where the forge knows teams) by a member of `roles.approvers` who is no deployer.
///
/// Unknown is not approved: while it is not known who the deployers are, or who committed to the branch, nobody is known to
/// be none of them, and no approval counts.
pub fn approvals_of(pull_request: &PullRequest, policy: &PatchPolicySpec, view: &ForgeView) -> Vec<String> {
    if pull_request.committers_unknown.is_some() || view.unread(&policy.roles.deployers).next().is_some() {
        return Vec::new();
    }
    // As everywhere else, names of accounts do not differ by case alone.
    let made = |by: &str| {
        let committers = pull_request.committers.iter().chain([&pull_request.author]);
        committers.into_iter().any(|who| who.eq_ignore_ascii_case(by))
    };
    // On a forge that knows no people anybody may play any part, deployer included: there nothing is separated.
    let deploys = |by: &str| view.members.is_some() && view.is_member(by, &policy.roles.deployers);
    let counted = pull_request
        .approvals
        .iter()
        .filter(|a| a.head == pull_request.head && !made(&a.by))
        .map(|a| a.by.as_str())
        .filter(|by| policy.roles.approvers.is_empty() || view.is_member(by, &policy.roles.approvers))
        .filter(|by| !deploys(by));
    let mut people = BTreeMap::new();
    for by in counted {
        people.entry(by.to_ascii_lowercase()).or_insert(by);
    }
    people.into_values().map(str::to_owned).collect()
}

/// How many approvals an approval rule needs.
pub const fn approvals_needed(approval: &Approval) -> usize {
    match approval {
        Approval::Automatic => 0,
        Approval::PullRequest { reviewers } => *reviewers as usize,
    }
}

/// `1 of 2 approvals (alice)`, and what keeps it from being decided because the forge did not say it: who is in which roles,
/// or who committed to the branch.
pub fn approvals_text(
    pull_request: &PullRequest,
    given: &[String],
    needed: usize,
    policy: Option<&PatchPolicySpec>,
    view: &ForgeView,
) -> String {
    let names = if given.is_empty() {
        String::new()
    } else {
        format!(" ({})", given.join(", "))
    };
    let mut text = format!("{} of {needed} approvals{names}", given.len());
    if let Some(why) = &pull_request.committers_unknown {
        let _ = write!(
            text,
            "; no approval counts, because whoever approves may have committed to the branch: {why}"
        );
    }
    let roles = policy.map(|policy| {
        [
            ("approvers", &policy.roles.approvers),
            ("deployers", &policy.roles.deployers),
        ]
    });
    for (field, names) in roles.into_iter().flatten() {
        for (name, why) in view.unread(names) {
            let _ = write!(
                text,
                "; who is in `{name}` of `roles.{field}` is not known, and unknown is not approved: {why}"
            );
        }
    }
    text
}

/// How many approvals a wave needs: what its merged files say, or what its strategy or that of its policy says now if that is
/// more. The files alone could be edited before the merge to need none, or to name a strategy that needs none.
pub(super) fn needed(catalog: &Catalog, policy: &str, strategy: &str, wave: &FrozenWave) -> usize {
    let policy = catalog.policies.get(policy);
    let names = [Some(strategy), policy.map(|p| p.spec.rollout.as_str())];
    let asked = names.into_iter().flatten().map(|name| {
        let strategy = catalog.strategies.get(name);
        let authored = strategy.and_then(|s| s.spec.waves.iter().find(|w| w.name == wave.name));
        // A strategy or wave that nobody wrote needs the strictest approval that anybody did write: a name in the merged
        // files must not be a way around it.
        authored.map_or_else(|| strictest(catalog), |w| approvals_needed(&w.approval))
    });
    asked.fold(approvals_needed(&wave.approval), usize::max)
}

fn strictest(catalog: &Catalog) -> usize {
    let waves = catalog.strategies.values().flat_map(|s| &s.spec.waves);
    waves.map(|w| approvals_needed(&w.approval)).max().unwrap_or(1).max(1)
}

/// Merges that went past the rules: by the author of the pull request, or without the approvals it needs (a bypass of
/// the branch's protection). Nothing of such a wave runs before the rest is there; that it happened stays a finding.
pub fn past_the_rules(catalog: &Catalog, history: &History, view: &ForgeView) -> Vec<Remark> {
    // What an ended rollout needed is what it was merged with: a strategy that is stricter today accuses nobody of then.
    let open = history.frozen.iter().map(|(name, frozen)| (name, frozen, true));
    let ended = history.ended.iter().map(|(name, frozen)| (name, frozen, false));
    let mut findings: Vec<Remark> = open
        .chain(ended)
        .flat_map(|(name, frozen, is_open)| {
            let head = &frozen.rollout;
            let policy = catalog.policies.get(head.policy.as_str()).map(|p| &p.spec);
            let needed = move |wave: &FrozenWave| match is_open {
                true => needed(catalog, &head.policy, &head.strategy, wave),
                false => approvals_needed(&wave.approval),
            };
            merged(view, name, frozen, needed).flat_map(move |(what, needed, pull_request)| {
                let said = faults_of(pull_request, needed, policy, view).into_iter();
                said.map(move |fault| Remark {
                    subject: name.clone(),
                    message: format!("{what}, pull request {}: {fault}", pull_request.number),
                })
            })
        })
        .collect();
    findings.sort();
    findings
}

/// Every merged pull request of a rollout: what it is of, and how many approvals that needs. To resume, or to roll back,
/// takes the approvals of the waves it is about, and never none.
fn merged<'a>(
    view: &'a ForgeView,
    rollout: &'a str,
    frozen: &'a FrozenRollout,
    needed: impl Fn(&FrozenWave) -> usize,
) -> impl Iterator<Item = (String, usize, &'a PullRequest)> {
    let least = frozen.waves.iter().map(&needed).min().unwrap_or(1).max(1);
    let asked_below = |prefix: String| {
        let pulls = view.pull_requests.iter().map(|p| p.branch.as_str());
        let found: BTreeSet<&str> = pulls.filter(|branch| branch.starts_with(&prefix)).collect();
        found.into_iter().map(str::to_owned)
    };
    let resumes = asked_below(resume_branches(rollout));
    let mut branches: Vec<_> = resumes.map(|branch| (branch, "resume".to_owned(), least)).collect();
    for wave in &frozen.waves {
        let (name, needed) = (&wave.name, needed(wave));
        branches.push((branch_of(rollout, name), format!("wave {name}"), needed));
        let what = format!("rollback of wave {name}");
        let back = asked_below(rollback_branches(rollout, name));
        branches.extend(back.map(|b| (b, what.clone(), needed.max(1))));
    }
    branches.into_iter().flat_map(move |(branch, what, needed)| {
        let pulls = view.pull_requests.iter();
        let merged = pulls.filter(move |p| p.state == PullRequestState::Merged && p.branch == branch);
        merged.map(move |pull| (what.clone(), needed, pull))
    })
}

fn faults_of(
    pull_request: &PullRequest,
    needed: usize,
    policy: Option<&PatchPolicySpec>,
    view: &ForgeView,
) -> Vec<String> {
    let by = pull_request.ended_by.as_deref().unwrap_or("somebody");
    let mut faults = Vec::new();
    if by.eq_ignore_ascii_case(&pull_request.author) && by != ENGINE {
        faults.push(format!("{by} merged what {by} had opened"));
    }
    let merged_at = pull_request.ended_at;
    let mut before = pull_request.clone();
    before
        .approvals
        .retain(|a| merged_at.is_none_or(|merged| a.at <= merged));
    // Whose approvals count is not known without the policy, and not knowing accuses nobody.
    let given = policy.map(|policy| approvals_of(&before, policy, view));
    if let Some(given) = given.filter(|given| given.len() < needed) {
        faults.push(format!(
            "{by} merged it with {}",
            approvals_text(pull_request, &given, needed, policy, view)
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::history::Approved;

    fn pull_request(approvals: &[&str], author: &str, ended_by: &str) -> PullRequest {
        let at: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let approved = |by: &&str| Approved {
            by: (*by).to_owned(),
            at,
            head: "h".into(),
        };
        PullRequest {
            number: 1,
            branch: "patchwave/r/test".into(),
            title: String::new(),
            body: String::new(),
            labels: Vec::new(),
            reviewers: Vec::new(),
            author: author.into(),
            state: PullRequestState::Merged,
            head: "h".into(),
            committers: Vec::new(),
            committers_unknown: None,
            opened_at: at,
            approvals: approvals.iter().map(approved).collect(),
            ended_at: Some(at),
            ended_by: Some(ended_by.into()),
            merge_commit: None,
            comments: Vec::new(),
            files: BTreeMap::new(),
        }
    }

    fn policy() -> PatchPolicySpec {
        let text = r#"{"scope": {}, "include": [{"types": ["security"]}], "rollout": "s", "sla": "x", "roles": {"approvers": ["ops"], "deployers": ["hands"]}}"#;
        serde_json::from_str(text).unwrap()
    }

    fn teams(list: &[(&str, &[&str])]) -> ForgeView {
        let members = list.iter();
        let members =
            members.map(|(team, people)| ((*team).to_owned(), people.iter().map(|p| (*p).to_owned()).collect()));
        ForgeView {
            members: Some(members.collect()),
            ..ForgeView::default()
        }
    }

    #[test]
    fn only_approvers_who_deploy_nothing_count() {
        let pull = pull_request(&["anna", "berta", "carl", "patchwave"], "patchwave", "anna");
        let known = teams(&[("ops", &["anna", "berta"]), ("hands", &["berta", "dora"])]);
        assert_eq!(approvals_of(&pull, &policy(), &known), ["anna"]);
        // Where nobody is known, everybody may play any part but the author's.
        assert_eq!(
            approvals_of(&pull, &policy(), &ForgeView::default()),
            ["anna", "berta", "carl"]
        );
    }

    #[test]
    fn while_a_team_cannot_be_read_nobody_is_known_to_stand_outside_it() {
        let pull = pull_request(&["anna", "berta"], "patchwave", "anna");
        let mut view = teams(&[("ops", &["anna", "berta"])]);
        assert_eq!(
            approvals_of(&pull, &policy(), &view),
            ["anna", "berta"],
            "nobody deploys"
        );
        view.unread_roles
            .insert("hands".into(), "answered 404; give the token read:org".into());
        assert_eq!(approvals_of(&pull, &policy(), &view), Vec::<String>::new());
        let told = faults_of(&pull, 1, Some(&policy()), &view);
        assert_eq!(
            told,
            [
                "anna merged it with 0 of 1 approvals; who is in `hands` of `roles.deployers` is not known, and unknown is not \
              approved: answered 404; give the token read:org"
            ]
        );
        // An approver's team that cannot be read counts for nobody; a person named beside it still counts.
        let mut policy = policy();
        policy.roles.deployers.clear();
        policy.roles.approvers.push("berta".into());
        let mut view = teams(&[("berta", &["berta"])]);
        view.unread_roles.insert("ops".into(), "answered 403".into());
        assert_eq!(approvals_of(&pull, &policy, &view), ["berta"]);
    }

    #[test]
    fn a_merge_past_the_rules_is_told() {
        let view = ForgeView::default();
        let faults = |pull: &PullRequest, needed| faults_of(pull, needed, Some(&policy()), &view);
        assert_eq!(
            faults(&pull_request(&["anna"], "patchwave", "anna"), 1),
            Vec::<String>::new()
        );
        assert_eq!(
            faults(&pull_request(&["berta"], "patchwave", "anna"), 2),
            ["anna merged it with 1 of 2 approvals (berta)"]
        );
        assert_eq!(
            faults(&pull_request(&["berta"], "anna", "anna"), 1),
            ["anna merged what anna had opened"]
        );
        // An approval that came after the merge lets the wave run, and leaves the bypass what it was.
        let mut late = pull_request(&["berta"], "patchwave", "anna");
        late.ended_at = Some("2026-11-20T11:59:00Z".parse().unwrap());
        assert_eq!(faults(&late, 1), ["anna merged it with 0 of 1 approvals"]);
        assert_eq!(faults(&pull_request(&[], "patchwave", ENGINE), 0), Vec::<String>::new());
        // Who changed what is merged does not approve it.
        let mut edited = pull_request(&["anna", "berta"], "patchwave", "anna");
        edited.committers = vec!["berta".into()];
        assert_eq!(approvals_of(&edited, &policy(), &view), ["anna"]);
    }

    #[test]
    fn names_do_not_differ_by_case_alone() {
        let view = ForgeView::default();
        let mut pull = pull_request(&["anna", "berta", "carl", "Carl"], "Anna", "anna");
        pull.committers = vec!["Berta".into()];
        assert_eq!(
            approvals_of(&pull, &policy(), &view),
            ["carl"],
            "one person is one approval"
        );
        let told = faults_of(&pull, 1, Some(&policy()), &view);
        assert_eq!(told, ["anna merged what anna had opened"]);
    }

    #[test]
    fn while_a_committer_is_unknown_nobody_is_known_to_have_changed_nothing() {
        let mut pull = pull_request(&["anna", "berta"], "patchwave", "anna");
        pull.committers_unknown = Some("who made commit 1a2b is not known to the forge".into());
        let view = ForgeView::default();
        assert_eq!(approvals_of(&pull, &policy(), &view), Vec::<String>::new());
        assert_eq!(
            faults_of(&pull, 1, Some(&policy()), &view),
            [
                "anna merged it with 0 of 1 approvals; no approval counts, because whoever approves may have committed to the \
              branch: who made commit 1a2b is not known to the forge"
            ]
        );
    }
}
