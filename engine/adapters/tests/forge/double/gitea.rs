//! The routes of Gitea: what each request does to a repository, and what it is answered.

use git2::{Commit, Oid, Signature};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answers::time;
use super::http::{Request, Response};
use super::records::{Comment, Issue, Past, Pull, Repo, Review};
use super::rest::{ACCOUNTS, TEAMS, create, edit, number, oid, text};
use super::serve::{self, Manner, Reply};
use super::{LOGIN, Repos, TOKEN, git_http};

const ROOT: &str = "/api/v1";
const DAY: &str = "2026-01-01T00:00:00Z";

const MANNER: Manner = Manner {
    authorized: |request| {
        let header = request.headers.get("authorization").map(String::as_str);
        header == Some(&format!("Bearer {TOKEN}")) || header == Some(&format!("token {TOKEN}"))
    },
    people,
    addressed: |request, _| {
        let mut parts = request.path.strip_prefix(ROOT)?.strip_prefix("/repos/")?.splitn(3, '/');
        let name = format!("{}/{}", parts.next()?, parts.next()?);
        Some((name, parts.next().unwrap_or_default().to_owned()))
    },
    route,
    page: ("limit", 30),
};

/// Answers one request, of Git or of the API.
pub(super) fn answer(repos: &Repos, request: &Request) -> Response {
    git_http::served(repos, request).unwrap_or_else(|| serve::answer(&MANNER, repos, request, false))
}

fn user(login: &str) -> Value {
    let link = "http://gitea.example/x";
    json!({
        "id": 1, "login": login, "full_name": "", "email": "somebody@example.org", "avatar_url": link,
        "html_url": link, "language": "", "is_admin": false, "last_login": DAY, "created": DAY, "active": true,
    })
}

fn team(at: usize) -> Value {
    json!({"id": at + 1, "name": TEAMS[at].0, "description": "", "permission": "write", "units": ["repo.code"]})
}

fn team_called(name: &str) -> Option<Value> {
    TEAMS.iter().position(|(team, _)| *team == name).map(team)
}

fn people(request: &Request, _body: &Value) -> Option<Reply> {
    let path = request.path.strip_prefix(ROOT)?;
    let parts: Vec<&str> = path.split('/').skip(1).collect();
    let absent = || Err((404, "The target couldn't be found.".to_owned()));
    let logins = |people: &[&str]| Ok((200, people.iter().map(|login| user(login)).collect()));
    Some(match parts.as_slice() {
        ["user"] => Ok((200, user(LOGIN))),
        // An organisation is answered like a person.
        ["users", name @ ("acme" | "closed" | "veiled")] => Ok((200, user(name))),
        ["users", login] => match ACCOUNTS.iter().find(|name| name.eq_ignore_ascii_case(login)) {
            Some(name) => Ok((200, user(name))),
            None => absent(),
        },
        ["orgs", name @ ("acme" | "closed" | "veiled")] => Ok((
            200,
            json!({"id": 1, "name": name, "username": name, "full_name": "", "visibility": "public"}),
        )),
        ["orgs", "acme", "teams"] => Ok((200, (0..TEAMS.len()).map(team).collect())),
        ["orgs", "closed", "teams"] => Err((403, "Must be an organization member".to_owned())),
        ["teams", id, "members"] => match id.parse::<usize>().ok().and_then(|id| TEAMS.get(id.wrapping_sub(1))) {
            Some((_, people)) => logins(people),
            None => absent(),
        },
        ["users" | "orgs" | "teams", ..] => absent(),
        _ => return None,
    })
}

fn missing() -> (u16, String) {
    (404, "The target couldn't be found.".to_owned())
}

fn signature(by: &Signature<'_>) -> Value {
    let at = Timestamp::from_second(by.when().seconds()).unwrap();
    json!({"name": by.name().unwrap(), "email": by.email().unwrap(), "date": time(at)})
}

fn commit(commit: &Commit<'_>) -> Value {
    // The account with the address of a signature, where there is one.
    let account = |by: &Signature<'_>| by.email().unwrap().strip_suffix("@example.org").map(user);
    let meta = |id: Oid| json!({"sha": id.to_string(), "url": "http://gitea.example/x", "created": DAY});
    let mut found = json!({
        "sha": commit.id().to_string(), "url": "http://gitea.example/x", "html_url": "http://gitea.example/x", "created": DAY,
        "commit": {
            "url": "http://gitea.example/x", "message": commit.message().unwrap(), "tree": meta(commit.tree_id()),
            "author": signature(&commit.author()), "committer": signature(&commit.committer()),
        },
        "parents": commit.parent_ids().map(meta).collect::<Vec<_>>(),
    });
    for (field, by) in [("author", commit.author()), ("committer", commit.committer())] {
        found[field] = account(&by).unwrap_or(Value::Null);
    }
    without_null(found)
}

/// Gitea says null where the description knows none; a validating proxy takes that for a fault, and leaving it out says the same.
fn without_null(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

fn label(repo: &Repo, name: &str) -> Value {
    let id = repo
        .labels
        .iter()
        .position(|label| label == name)
        .map_or(0, |at| at + 1);
    json!({"id": id, "name": name, "color": "2f6f9f", "description": "", "url": "http://gitea.example/x"})
}

fn labels(repo: &Repo, issue: &Issue) -> Vec<Value> {
    issue.labels.iter().map(|name| label(repo, name)).collect()
}

fn common(repo: &Repo, issue: &Issue) -> Value {
    json!({
        "id": issue.number, "number": issue.number, "title": issue.title, "body": issue.body, "user": user(&issue.user),
        "labels": labels(repo, issue), "state": if issue.open { "open" } else { "closed" },
        "comments": issue.comments.len(), "created_at": time(issue.created), "updated_at": time(issue.updated),
        "closed_at": issue.closed.as_ref().map(|(at, _)| time(*at)), "html_url": "http://gitea.example/x",
    })
}

fn issue_shown(repo: &Repo, issue: &Issue) -> Value {
    without_null(common(repo, issue))
}

fn pull_shown(repo: &Repo, issue: &Issue) -> Value {
    let pull = issue.pull.as_ref().unwrap();
    let here = json!({"id": 1, "full_name": repo.full_name, "name": "x"});
    // A branch that went on is shown as the head even of what has ended; one that is gone leaves the reference.
    let (name, sha) = match repo.head_of(&pull.branch) {
        Some(sha) => (pull.branch.clone(), sha),
        None => (format!("refs/pull/{}/head", issue.number), pull.head.clone()),
    };
    let base_sha = if issue.open {
        repo.head_of(&pull.base).unwrap()
    } else {
        pull.base_sha.clone()
    };
    let mut shown = common(repo, issue);
    let more = json!({
        "head": {"label": pull.branch, "ref": name, "sha": sha, "repo_id": 1, "repo": here},
        "base": {"label": pull.base, "ref": pull.base, "sha": base_sha, "repo_id": 1, "repo": here},
        "merged": pull.merged.is_some(), "merged_at": pull.merged.as_ref().map(|(at, ..)| time(*at)),
        "merged_by": pull.merged.as_ref().map(|(_, by, _)| user(by)),
        "merge_commit_sha": pull.merged.as_ref().map(|(_, _, commit)| commit.clone()),
        "mergeable": issue.open && repo.mergeable_state(issue) == "clean", "draft": false,
        "requested_reviewers": pull.users.iter().map(|login| user(login)).collect::<Vec<_>>(),
        "requested_reviewers_teams": pull.teams.iter().filter_map(|name| team_called(name)).collect::<Vec<_>>(),
    });
    let (Some(shown_fields), Value::Object(more)) = (shown.as_object_mut(), more) else {
        unreachable!()
    };
    shown_fields.extend(more);
    without_null(shown)
}

fn comment_shown(comment: &Comment) -> Value {
    json!({
        "id": comment.id, "user": user(&comment.user), "body": comment.body, "html_url": "http://gitea.example/x",
        "created_at": time(comment.created), "updated_at": time(comment.created),
    })
}

fn review_shown(repo: &Repo, issue: &Issue, id: usize, review: &Review) -> Value {
    let state = match review.state {
        "CHANGES_REQUESTED" => "REQUEST_CHANGES",
        "COMMENTED" => "COMMENT",
        state => state,
    };
    json!({
        "id": id + 1, "user": user(&review.user), "state": state, "commit_id": review.commit, "body": "",
        "submitted_at": time(review.at), "dismissed": review.dismissed,
        "official": !repo.outsiders.contains(&review.user), "stale": review.commit != repo.pull_head(issue),
    })
}

/// The reviews that were given and those that were asked for.
fn reviews(repo: &Repo, issue: &Issue) -> Vec<Value> {
    let pull = issue.pull.as_ref().unwrap();
    let given = pull.reviews.iter().enumerate();
    let mut shown: Vec<Value> = given
        .map(|(id, review)| review_shown(repo, issue, id, review))
        .collect();
    let asked = json!({"id": 99, "state": "REQUEST_REVIEW", "commit_id": repo.pull_head(issue), "submitted_at": DAY});
    for (field, who) in pull
        .users
        .iter()
        .map(|login| ("user", user(login)))
        .chain(pull.teams.iter().filter_map(|name| Some(("team", team_called(name)?))))
    {
        let mut one = asked.clone();
        one[field] = who;
        shown.push(one);
    }
    shown
}

fn status_shown(id: usize, posted: &Value) -> Value {
    json!({
        "id": id + 1, "status": posted["state"], "context": posted["context"], "description": posted["description"],
        "creator": user(LOGIN), "created_at": DAY, "updated_at": DAY, "target_url": "", "url": "http://gitea.example/x",
    })
}

/// The names of labels that a request gives by their ids.
fn names_of_ids(repo: &Repo, list: &Value) -> Result<Vec<String>, (u16, String)> {
    let mut names = Vec::new();
    for id in list.as_array().into_iter().flatten() {
        let at = id.as_u64().and_then(|id| usize::try_from(id).ok()).unwrap_or(0);
        let name = repo.labels.get(at.wrapping_sub(1));
        names.push(name.cloned().ok_or((422, format!("label {id} does not exist")))?);
    }
    Ok(names)
}

fn route(repo: &mut Repo, request: &Request, rest: &str, body: &Value, _past: Option<&Past>) -> Reply {
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    let reply = match (request.method.as_str(), parts.as_slice()) {
        ("GET", ["teams"]) => match repo.full_name.split_once('/') {
            Some(("acme" | "closed" | "veiled", _)) => Ok((200, (0..TEAMS.len()).map(team).collect())),
            _ => Err((405, "repo is not owned by an organization".to_owned())),
        },
        ("GET", ["labels"]) => Ok((200, repo.labels.iter().map(|name| label(repo, name)).collect())),
        ("POST", ["labels"]) => {
            let name = text(body, "name")?;
            text(body, "color")?;
            repo.labels.push(name.clone());
            Ok((201, label(repo, &name)))
        }
        ("GET", ["git", "commits", id]) => {
            let git = repo.git();
            let found = git.find_commit(oid(id)?).map_err(|_| missing())?;
            Ok((200, commit(&found)))
        }
        ("GET", ["commits", sha, "statuses"]) => {
            let of_it = repo
                .statuses
                .iter()
                .enumerate()
                .filter(|(_, (commit, _))| commit == sha);
            Ok((200, of_it.map(|(id, (_, posted))| status_shown(id, posted)).collect()))
        }
        ("POST", ["statuses", sha]) => {
            repo.git().find_commit(oid(sha)?).map_err(|_| missing())?;
            repo.statuses.push(((*sha).to_owned(), body.clone()));
            Ok((201, status_shown(repo.statuses.len() - 1, body)))
        }
        (_, ["pulls", ..]) => pulls(repo, request, &parts, body),
        (_, ["issues", ..]) => issues(repo, request, &parts, body),
        _ => Err(missing()),
    };
    git_http::point_pulls(repo);
    reply
}

fn pulls(repo: &mut Repo, request: &Request, parts: &[&str], body: &Value) -> Reply {
    match (request.method.as_str(), parts) {
        ("GET", ["pulls"]) => {
            let state = request.query.get("state").map_or("open", String::as_str);
            let wanted = |issue: &&Issue| issue.pull.is_some() && (state == "all" || (state == "open") == issue.open);
            let found = repo.issues.values().filter(wanted);
            Ok((200, found.map(|issue| pull_shown(repo, issue)).collect()))
        }
        ("POST", ["pulls"]) => create_pull(repo, body),
        ("GET", ["pulls", n]) => {
            let n = number(repo, n, true)?;
            Ok((200, pull_shown(repo, &repo.issues[&n])))
        }
        ("PATCH", ["pulls", n]) => {
            let n = number(repo, n, true)?;
            edit(repo, n, body);
            Ok((201, pull_shown(repo, &repo.issues[&n])))
        }
        ("GET", ["pulls", n, "reviews"]) => {
            let n = number(repo, n, true)?;
            Ok((200, reviews(repo, &repo.issues[&n]).into()))
        }
        ("GET", ["pulls", n, "commits"]) => {
            let n = number(repo, n, true)?;
            let issue = &repo.issues[&n];
            let base = if issue.open {
                repo.head_of("main").unwrap()
            } else {
                issue.pull.as_ref().unwrap().base_sha.clone()
            };
            let git = repo.git();
            let mut walk = git.revwalk().unwrap();
            walk.push(oid(&repo.pull_head(issue))?).unwrap();
            walk.hide(oid(&base)?).unwrap();
            Ok((
                200,
                walk.map(|id| commit(&git.find_commit(id.unwrap()).unwrap())).collect(),
            ))
        }
        ("POST", ["pulls", n, "requested_reviewers"]) => {
            let n = number(repo, n, true)?;
            super::rest::request_reviews(repo, n, body).map_err(|_| missing())?;
            let asked = reviews(repo, &repo.issues[&n]).into_iter();
            Ok((
                201,
                asked.filter(|review| review["state"] == "REQUEST_REVIEW").collect(),
            ))
        }
        ("POST", ["pulls", n, "merge"]) => {
            let n = number(repo, n, true)?;
            let issue = &repo.issues[&n];
            if !issue.open || body["Do"] != json!("merge") {
                return Err((405, "Please try again later".to_owned()));
            }
            if body["head_commit_id"]
                .as_str()
                .is_some_and(|sha| sha != repo.pull_head(issue))
            {
                return Err((409, "head out of date".to_owned()));
            }
            let message = format!(
                "{}\n\n{}",
                text(body, "MergeTitleField")?,
                text(body, "MergeMessageField")?
            );
            repo.merge(n, LOGIN, &message)
                .map_err(|_| (409, "merge conflict".to_owned()))?;
            Ok((200, Value::Null))
        }
        _ => Err(missing()),
    }
}

fn create_pull(repo: &mut Repo, body: &Value) -> Reply {
    let (branch, base) = (text(body, "head")?, text(body, "base")?);
    let (Some(head), Some(base_sha)) = (repo.head_of(&branch), repo.head_of(&base)) else {
        return Err(missing());
    };
    let same = |issue: &Issue| issue.open && issue.pull.as_ref().is_some_and(|pull| pull.branch == branch);
    if repo.issues.values().any(same) {
        return Err((409, "pull request already exists for these targets".to_owned()));
    }
    let pull = Pull {
        branch,
        base,
        head,
        base_sha,
        merged: None,
        users: Default::default(),
        teams: Default::default(),
        reviews: Vec::new(),
    };
    let number = create(repo, body, Some(pull))?;
    Ok((201, pull_shown(repo, &repo.issues[&number])))
}

fn issues(repo: &mut Repo, request: &Request, parts: &[&str], body: &Value) -> Reply {
    let clock = repo.clock;
    match (request.method.as_str(), parts) {
        ("GET", ["issues"]) => {
            let wanted = request.query.get("labels").cloned().unwrap_or_default();
            let open_too = request.query.get("state").is_some_and(|state| state == "all");
            let found = repo.issues.values().filter(|issue| {
                issue.pull.is_none()
                    && (open_too || issue.open)
                    && (wanted.is_empty() || issue.labels.contains(&wanted))
            });
            Ok((200, found.map(|issue| issue_shown(repo, issue)).collect()))
        }
        ("POST", ["issues"]) => {
            let names = names_of_ids(repo, &body["labels"])?;
            let named = json!({"title": body["title"], "body": body["body"], "labels": names});
            let number = create(repo, &named, None)?;
            Ok((201, issue_shown(repo, &repo.issues[&number])))
        }
        ("PATCH", ["issues", "comments", id]) => {
            let id: u64 = id.parse().map_err(|_| missing())?;
            let said = text(body, "body")?;
            for issue in repo.issues.values_mut() {
                if let Some(comment) = issue.comments.iter_mut().find(|comment| comment.id == id) {
                    comment.body = said;
                    issue.updated = clock;
                    return Ok((200, comment_shown(comment)));
                }
            }
            Err(missing())
        }
        ("PATCH", ["issues", n]) => {
            let n = number(repo, n, false)?;
            edit(repo, n, body);
            Ok((201, issue_shown(repo, &repo.issues[&n])))
        }
        ("GET", ["issues", n, "comments"]) => {
            let n = number(repo, n, false)?;
            Ok((200, repo.issues[&n].comments.iter().map(comment_shown).collect()))
        }
        ("GET", ["issues", n, "timeline"]) => {
            let n = number(repo, n, false)?;
            let event = |id: u64, kind: &str, by: &str, at: Timestamp| json!({"id": id, "type": kind, "user": user(by), "created_at": time(at), "updated_at": time(at)});
            let issue = &repo.issues[&n];
            let said = issue
                .comments
                .iter()
                .map(|c| event(c.id, "comment", &c.user, c.created));
            let ended = issue.closed.iter().map(|(at, by)| event(9_999, "close", by, *at));
            Ok((200, said.chain(ended).collect()))
        }
        ("POST", ["issues", n, "comments"]) => {
            let n = number(repo, n, false)?;
            let comment = Comment {
                id: repo.id(),
                user: LOGIN.to_owned(),
                body: text(body, "body")?,
                created: clock,
            };
            let shown = comment_shown(&comment);
            let issue = repo.issues.get_mut(&n).unwrap();
            issue.updated = clock;
            issue.comments.push(comment);
            Ok((201, shown))
        }
        ("POST", ["issues", n, "labels"]) => {
            let n = number(repo, n, false)?;
            let names = names_of_ids(repo, &body["labels"])?;
            let issue = repo.issues.get_mut(&n).unwrap();
            issue.updated = clock;
            issue.labels.extend(names);
            Ok((200, labels(repo, &repo.issues[&n]).into()))
        }
        ("DELETE", ["issues", n, "labels", id]) => {
            let n = number(repo, n, false)?;
            let at: usize = id.parse().map_err(|_| missing())?;
            let name = repo.labels.get(at.wrapping_sub(1)).cloned().ok_or_else(missing)?;
            let issue = repo.issues.get_mut(&n).unwrap();
            issue.updated = clock;
            issue.labels.remove(&name);
            Ok((204, Value::Null))
        }
        _ => Err(missing()),
    }
}
