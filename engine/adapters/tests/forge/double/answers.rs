//! Answers in the shapes GitHub publishes.

use std::sync::OnceLock;

use base64::Engine as _;
use git2::{Commit, Oid, Signature};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::LOGIN;
use super::records::{Comment, Issue, Repo, Review};

fn shapes() -> &'static Value {
    static SHAPES: OnceLock<Value> = OnceLock::new();
    SHAPES.get_or_init(|| serde_json::from_str(include_str!("shapes.json")).unwrap())
}

/// A shape with some fields set; `$user` and `$repository` stand for those that are not.
fn shape(name: &str, fields: Value) -> Value {
    let mut made = shapes()[name].clone();
    let (Some(object), Value::Object(fields)) = (made.as_object_mut(), fields) else {
        panic!("{name} is no object");
    };
    object.extend(fields);
    filled(&made)
}

fn filled(value: &Value) -> Value {
    match value {
        Value::String(text) if text == "$user" => user("octocat"),
        Value::String(text) if text == "$repository" => shape("repository", json!({"owner": user("acme")})),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), filled(value)))
            .collect(),
        Value::Array(items) => items.iter().map(filled).collect(),
        other => other.clone(),
    }
}

pub(super) fn user(login: &str) -> Value {
    let kind = if login == LOGIN { "Bot" } else { "User" };
    shape("user", json!({"login": login, "type": kind}))
}

/// An account as it is read alone: `User` or `Organization`.
pub(super) fn public_account(login: &str, kind: &str) -> Value {
    let (none, day) = (Value::Null, "2026-01-01T00:00:00Z");
    let alone = json!({
        "login": login, "type": kind, "user_view_type": "public", "name": none, "company": none, "blog": none,
        "location": none, "email": none, "hireable": none, "bio": none, "public_repos": 0, "public_gists": 0,
        "followers": 0, "following": 0, "created_at": day, "updated_at": day,
    });
    shape("user", alone)
}

pub(super) fn team(slug: &str) -> Value {
    shape("team", json!({"slug": slug, "name": slug}))
}

pub(super) fn repository(repo: &Repo) -> Value {
    let (_, name) = repo.full_name.split_once('/').unwrap();
    shape(
        "repository",
        json!({"full_name": repo.full_name, "name": name, "node_id": format!("R_{}", repo.full_name), "owner": user("acme")}),
    )
}

pub(super) fn time(at: Timestamp) -> String {
    jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%SZ", at).unwrap()
}

pub(super) fn reference(name: &str, sha: &str) -> Value {
    let object = json!({"sha": sha, "type": "commit", "url": "https://api.github.com/x"});
    shape("ref", json!({"ref": name, "object": object}))
}

fn signature(by: &Signature<'_>) -> Value {
    let at = Timestamp::from_second(by.when().seconds()).unwrap();
    json!({"name": by.name().unwrap(), "email": by.email().unwrap(), "date": time(at)})
}

fn parents(commit: &Commit<'_>) -> Vec<Value> {
    let url = "https://api.github.com/x";
    let parent = |id: Oid| json!({"sha": id.to_string(), "url": url, "html_url": url});
    commit.parent_ids().map(parent).collect()
}

pub(super) fn git_commit(commit: &Commit<'_>) -> Value {
    let tree = json!({"sha": commit.tree_id().to_string(), "url": "https://api.github.com/x"});
    shape(
        "git_commit",
        json!({
            "sha": commit.id().to_string(), "message": commit.message().unwrap(), "tree": tree,
            "author": signature(&commit.author()), "committer": signature(&commit.committer()),
            "parents": parents(commit),
        }),
    )
}

pub(super) fn listed_commit(commit: &Commit<'_>) -> Value {
    let url = "https://api.github.com/x";
    let tree = json!({"sha": commit.tree_id().to_string(), "url": url});
    let text = json!({
        "url": url, "comment_count": 0, "message": commit.message().unwrap(), "tree": tree,
        "author": signature(&commit.author()), "committer": signature(&commit.committer()),
    });
    shape(
        "listed_commit",
        json!({
            "sha": commit.id().to_string(), "commit": text, "parents": parents(commit),
            "author": account(&commit.author()), "committer": account(&commit.committer()),
        }),
    )
}

/// The account with the address of a signature, where there is one.
fn account(by: &Signature<'_>) -> Value {
    let login = by.email().unwrap().strip_suffix("@example.org");
    login.map_or(Value::Null, user)
}

pub(super) fn comparison(fields: Value) -> Value {
    shape("comparison", fields)
}

pub(super) fn tree(sha: &str, entries: Vec<Value>, truncated: bool) -> Value {
    shape("tree", json!({"sha": sha, "tree": entries, "truncated": truncated}))
}

pub(super) fn blob(id: &str, bytes: &[u8]) -> Value {
    let content = base64::engine::general_purpose::STANDARD.encode(bytes);
    // In lines of 60, as GitHub sends it.
    let lines: Vec<String> = content
        .as_bytes()
        .chunks(60)
        .map(|line| String::from_utf8(line.to_vec()).unwrap() + "\n")
        .collect();
    shape(
        "blob",
        json!({"sha": id, "content": lines.concat(), "encoding": "base64", "size": bytes.len()}),
    )
}

pub(super) fn short_blob(id: &str) -> Value {
    shape("short_blob", json!({"sha": id}))
}

pub(super) fn labels(issue: &Issue) -> Vec<Value> {
    issue
        .labels
        .iter()
        .map(|name| shape("label", json!({"name": name})))
        .collect()
}

/// An issue, or a pull request as the issues API shows it.
pub(super) fn issue(issue: &Issue, alone: bool) -> Value {
    let mut fields = json!({
        "number": issue.number, "id": issue.number, "title": issue.title, "body": issue.body, "user": user(&issue.user),
        "labels": labels(issue), "state": if issue.open { "open" } else { "closed" }, "comments": issue.comments.len(),
        "created_at": time(issue.created), "updated_at": time(issue.updated),
        "closed_at": issue.closed.as_ref().map(|(at, _)| time(*at)),
    });
    if alone {
        fields["closed_by"] = issue.closed.as_ref().map_or(Value::Null, |(_, by)| user(by));
    }
    if issue.pull.is_some() {
        let url = "https://api.github.com/x";
        fields["pull_request"] = json!({"url": url, "html_url": url, "diff_url": url, "patch_url": url});
    }
    shape("listed_issue", fields)
}

/// A pull request; alone it says who merged it, in a list it does not.
pub(super) fn pull(repo: &Repo, issue: &Issue, alone: bool) -> Value {
    let pull = issue.pull.as_ref().unwrap();
    let here = repository(repo);
    let side = |branch: &str, sha: &str| json!({"label": format!("acme:{branch}"), "ref": branch, "sha": sha, "repo": here, "user": user("acme")});
    let base_sha = if issue.open {
        repo.head_of(&pull.base).unwrap()
    } else {
        pull.base_sha.clone()
    };
    let mut fields = json!({
        "number": issue.number, "id": issue.number, "title": issue.title, "body": issue.body, "user": user(&issue.user),
        "labels": labels(issue), "state": if issue.open { "open" } else { "closed" },
        "created_at": time(issue.created), "updated_at": time(issue.updated),
        "closed_at": issue.closed.as_ref().map(|(at, _)| time(*at)),
        "merged_at": pull.merged.as_ref().map(|(at, ..)| time(*at)),
        // For an open one it is a trial merge, which says nothing.
        "merge_commit_sha": pull.merged.as_ref().map_or_else(|| "e".repeat(40), |(_, _, commit)| commit.clone()),
        "head": side(&pull.branch, &repo.pull_head(issue)), "base": side(&pull.base, &base_sha),
        "requested_reviewers": pull.users.iter().map(|login| user(login)).collect::<Vec<_>>(),
        "requested_teams": pull.teams.iter().map(|slug| team(slug)).collect::<Vec<_>>(),
        "draft": false,
    });
    if alone {
        fields["mergeable_state"] = json!(repo.mergeable_state(issue));
        fields["merged"] = json!(pull.merged.is_some());
        fields["merged_by"] = pull.merged.as_ref().map_or(Value::Null, |(_, by, _)| user(by));
        fields["comments"] = json!(issue.comments.len());
    }
    shape(if alone { "pull" } else { "listed_pull" }, fields)
}

pub(super) fn review(id: usize, review: &Review) -> Value {
    shape(
        "review",
        json!({
            "id": id, "user": user(&review.user), "commit_id": review.commit,
            "state": if review.dismissed { "DISMISSED" } else { review.state },
            "submitted_at": time(review.at),
        }),
    )
}

pub(super) fn comment(comment: &Comment) -> Value {
    shape(
        "comment",
        json!({
            "id": comment.id, "user": user(&comment.user), "body": comment.body,
            "created_at": time(comment.created), "updated_at": time(comment.created),
        }),
    )
}

pub(super) fn status(posted: &Value) -> Value {
    let mut fields = posted.clone();
    fields["creator"] = user(LOGIN);
    shape("status", fields)
}
