//! The routes of GitHub: what each request does to a repository, and what it is answered.

use std::collections::BTreeSet;

use base64::Engine as _;
use git2::Oid;
use serde_json::{Value, json};

use super::git_data::{between, compare, create_commit, create_ref, create_tree, move_refs, tree, update_ref};
use super::http::Request;
use super::records::{Comment, Issue, Past, Pull, Repo};
use super::serve::{Manner, Reply};
use super::{LOGIN, TOKEN, answers, app};

/// GitHub.
pub(super) const MANNER: Manner = Manner {
    authorized: |request| match request
        .headers
        .get("authorization")
        .and_then(|h| h.strip_prefix("Bearer "))
    {
        Some(TOKEN) => true,
        Some(other) => app::is_lent(other) || app::stated_at(other).is_some(),
        None => false,
    },
    people,
    addressed,
    route,
    page: ("per_page", 30),
};

/// The teams of the organisation acme. The account berta has repositories of her own, and otto is in no team.
pub(super) const TEAMS: [(&str, &[&str]); 3] = [
    ("ops", &["lena", "maria"]),
    ("team-linux", &["carl"]),
    ("team-sre", &["anna", "berta"]),
];
/// Accounts of people; `sre` is a stranger whose login is what a team might be called.
pub(super) const ACCOUNTS: [&str; 6] = ["anna", "berta", "lena", "maria", "otto", "sre"];

/// Longest name of a label that GitHub takes.
const LABEL_CHARS_MAX: usize = 50;

/// Requests about accounts and teams.
fn people(request: &Request, body: &Value) -> Option<Reply> {
    if request.path == "/graphql" && body["query"].as_str().is_some_and(|query| query.contains("viewer")) {
        return Some(Ok((200, json!({"data": {"viewer": {"login": LOGIN}}}))));
    }
    let parts: Vec<&str> = request.path.split('/').skip(1).collect();
    let absent = || Err((404, "Not Found".to_owned()));
    let stated = request.headers["authorization"]
        .strip_prefix("Bearer ")
        .and_then(app::stated_at);
    Some(match parts.as_slice() {
        ["app", "installations", "77", "access_tokens"] => match stated {
            Some(at) => Ok((201, app::lend(at, body))),
            None => Err((401, "A JSON web token could not be decoded".to_owned())),
        },
        ["repos", "acme", _, "installation"] if stated.is_some() => Ok((200, app::installation())),
        ["repos", _, _, "installation"] => absent(),
        // What an App proves itself with opens nothing else.
        _ if stated.is_some() => Err((401, "Bad credentials".to_owned())),
        ["users", login] if ["acme", "closed", "veiled"].contains(login) => {
            Ok((200, answers::public_account(login, "Organization")))
        }
        ["users", login] => match ACCOUNTS.iter().find(|name| name.eq_ignore_ascii_case(login)) {
            Some(name) => Ok((200, answers::public_account(name, "User"))),
            None => absent(),
        },
        ["orgs", "acme", "teams"] => Ok((200, TEAMS.iter().map(|(slug, _)| answers::team(slug)).collect())),
        ["orgs", "acme", "teams", slug, "members"] => match TEAMS.iter().find(|(name, _)| name == slug) {
            Some((_, people)) => Ok((200, people.iter().map(|login| answers::user(login)).collect())),
            None => absent(),
        },
        ["orgs", "closed", ..] => Err((403, "Resource not accessible by integration".to_owned())),
        ["orgs", ..] => absent(),
        _ => return None,
    })
}

/// Which repository a request is about, and the rest of its path.
fn addressed(request: &Request, body: &Value) -> Option<(String, String)> {
    if request.path == "/graphql" {
        let id = body.pointer("/variables/input/repositoryId")?.as_str()?;
        return Some((id.strip_prefix("R_")?.to_owned(), "graphql".to_owned()));
    }
    if let Some(rest) = request.path.strip_prefix("/repos/") {
        let mut parts = rest.splitn(3, '/');
        let name = format!("{}/{}", parts.next()?, parts.next()?);
        return Some((name, parts.next().unwrap_or_default().to_owned()));
    }
    None
}

fn route(repo: &mut Repo, request: &Request, rest: &str, body: &Value, past: Option<&Past>) -> Reply {
    let parts: Vec<&str> = rest.split('/').filter(|part| !part.is_empty()).collect();
    match (request.method.as_str(), parts.as_slice()) {
        ("GET", []) => Ok((200, answers::repository(repo))),
        ("POST", ["graphql"]) => Ok((200, move_refs(repo, body))),
        ("GET", ["git", "ref", name @ ..]) => {
            let name = format!("refs/{}", name.join("/"));
            let refs = past.map_or_else(|| repo.refs(), |past| past.refs.clone());
            let sha = refs.get(&name).ok_or_else(not_found)?;
            Ok((200, answers::reference(&name, sha)))
        }
        ("GET", ["git", "matching-refs", name @ ..]) => {
            let prefix = format!("refs/{}", name.join("/"));
            let refs = past.map_or_else(|| repo.refs(), |past| past.refs.clone());
            let matching = refs.iter().filter(|(name, _)| name.starts_with(&prefix));
            Ok((200, matching.map(|(name, sha)| answers::reference(name, sha)).collect()))
        }
        ("POST", ["git", "refs"]) => create_ref(repo, body),
        ("PATCH", ["git", "refs", name @ ..]) => update_ref(repo, &format!("refs/{}", name.join("/")), body),
        ("GET", ["git", "commits", id]) => {
            let git = repo.git();
            let commit = git.find_commit(oid(id)?).map_err(|_| not_found())?;
            Ok((200, answers::git_commit(&commit)))
        }
        ("POST", ["git", "commits"]) => create_commit(repo, body),
        ("GET", ["git", "trees", id]) => tree(repo, id, request.query.contains_key("recursive")),
        ("POST", ["git", "trees"]) => create_tree(repo, body),
        ("GET", ["git", "blobs", id]) => {
            let git = repo.git();
            let blob = git.find_blob(oid(id)?).map_err(|_| not_found())?;
            Ok((200, answers::blob(id, blob.content())))
        }
        ("POST", ["git", "blobs"]) => {
            let content = text(body, "content")?;
            let mut bytes = match body["encoding"].as_str() {
                Some("base64") => base64::engine::general_purpose::STANDARD
                    .decode(content)
                    .map_err(|e| (422, e.to_string()))?,
                _ => content.into_bytes(),
            };
            if repo.garbles {
                bytes.push(b'!');
            }
            let id = repo.git().blob(&bytes).unwrap().to_string();
            Ok((201, answers::short_blob(&id)))
        }
        ("GET", ["commits"]) => {
            let git = repo.git();
            let head = oid(request.query.get("sha").map_or("", String::as_str))?;
            let mut walk = git.revwalk().unwrap();
            walk.push(head).map_err(|_| not_found())?;
            let commits = walk.map(|id| answers::listed_commit(&git.find_commit(id.unwrap()).unwrap()));
            Ok((200, commits.collect()))
        }
        ("GET", ["commits", sha]) => {
            let git = repo.git();
            let commit = git.find_commit(oid(sha)?).map_err(|_| not_found())?;
            Ok((200, answers::listed_commit(&commit)))
        }
        ("GET", ["commits", sha, "statuses"]) => {
            let of_it = repo.statuses.iter().rev().filter(|(commit, _)| commit == sha);
            Ok((200, of_it.map(|(_, status)| answers::status(status)).collect()))
        }
        ("POST", ["statuses", sha]) => {
            repo.git()
                .find_commit(oid(sha)?)
                .map_err(|_| (422, format!("No commit found for SHA: {sha}")))?;
            repo.statuses.push(((*sha).to_owned(), body.clone()));
            Ok((201, answers::status(body)))
        }
        ("GET", ["compare", range]) => compare(repo, range, request),
        (_, ["pulls", ..]) => pulls(repo, request, &parts, body),
        (_, ["issues", ..]) => issues(repo, request, &parts, body),
        _ => Err(not_found()),
    }
}

pub(super) fn not_found() -> (u16, String) {
    (404, "Not Found".to_owned())
}

pub(super) fn oid(text: &str) -> Result<Oid, (u16, String)> {
    Oid::from_str(text).map_err(|_| (422, "The sha parameter must be exactly 40 characters".to_owned()))
}

pub(super) fn text(body: &Value, field: &str) -> Result<String, (u16, String)> {
    let found = body[field].as_str().map(str::to_owned);
    found.ok_or_else(|| (422, format!("Invalid request. {field:?} wasn't supplied.")))
}

pub(super) fn number(repo: &Repo, text: &str, pull: bool) -> Result<u64, (u16, String)> {
    let number = text.parse().map_err(|_| not_found())?;
    let there = repo
        .issues
        .get(&number)
        .is_some_and(|issue| !pull || issue.pull.is_some());
    if there { Ok(number) } else { Err(not_found()) }
}

fn pulls(repo: &mut Repo, request: &Request, parts: &[&str], body: &Value) -> Reply {
    match (request.method.as_str(), parts) {
        ("GET", ["pulls"]) => {
            let asked = |name: &str| request.query.get(name).map(String::as_str);
            let wanted = |issue: &&Issue| {
                let Some(pull) = &issue.pull else { return false };
                let state = match asked("state").unwrap_or("open") {
                    "all" => true,
                    "open" => issue.open,
                    _ => !issue.open,
                };
                let head = asked("head").is_none_or(|head| head == format!("acme:{}", pull.branch));
                state && head && asked("base").is_none_or(|base| base == pull.base)
            };
            let found = repo.issues.values().filter(wanted);
            Ok((200, found.map(|issue| answers::pull(repo, issue, false)).collect()))
        }
        ("POST", ["pulls"]) => create_pull(repo, body),
        ("GET", ["pulls", n]) => {
            let n = number(repo, n, true)?;
            Ok((200, answers::pull(repo, &repo.issues[&n], true)))
        }
        ("PATCH", ["pulls", n]) => {
            let n = number(repo, n, true)?;
            edit(repo, n, body);
            Ok((200, answers::pull(repo, &repo.issues[&n], true)))
        }
        ("GET", ["pulls", n, "reviews"]) => {
            let n = number(repo, n, true)?;
            let reviews = &repo.issues[&n].pull.as_ref().unwrap().reviews;
            Ok((
                200,
                reviews
                    .iter()
                    .enumerate()
                    .map(|(id, r)| answers::review(id, r))
                    .collect(),
            ))
        }
        ("GET", ["pulls", n, "commits"]) => {
            let n = number(repo, n, true)?;
            let issue = &repo.issues[&n];
            let pull = issue.pull.as_ref().unwrap();
            let base = if issue.open {
                repo.head_of(&pull.base).unwrap()
            } else {
                pull.base_sha.clone()
            };
            let git = repo.git();
            Ok((200, between(&git, oid(&base)?, oid(&repo.pull_head(issue))?).into()))
        }
        ("POST", ["pulls", n, "requested_reviewers"]) => {
            let n = number(repo, n, true)?;
            request_reviews(repo, n, body)?;
            Ok((201, answers::pull(repo, &repo.issues[&n], false)))
        }
        ("PUT", ["pulls", n, "merge"]) => {
            let n = number(repo, n, true)?;
            let issue = &repo.issues[&n];
            if !issue.open {
                return Err((405, "Pull Request is not mergeable".to_owned()));
            }
            if body["sha"].as_str().is_some_and(|sha| sha != repo.pull_head(issue)) {
                return Err((
                    409,
                    "Head branch was modified. Review and try the merge again.".to_owned(),
                ));
            }
            let message = format!("{}\n\n{}", text(body, "commit_title")?, text(body, "commit_message")?);
            let merged = repo.merge(n, LOGIN, &message);
            let sha = merged.map_err(|_| (405, "Pull Request is not mergeable".to_owned()))?;
            Ok((
                200,
                json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"}),
            ))
        }
        _ => Err(not_found()),
    }
}

fn create_pull(repo: &mut Repo, body: &Value) -> Reply {
    let (branch, base) = (text(body, "head")?, text(body, "base")?);
    let head = repo
        .head_of(&branch)
        .ok_or((422, "Validation Failed: head is invalid".to_owned()))?;
    let same = |issue: &Issue| issue.open && issue.pull.as_ref().is_some_and(|pull| pull.branch == branch);
    if repo.issues.values().any(same) {
        return Err((422, format!("A pull request already exists for acme:{branch}.")));
    }
    let base_sha = repo.head_of(&base).unwrap();
    let pull = Pull {
        branch,
        base,
        head,
        base_sha,
        merged: None,
        users: BTreeSet::new(),
        teams: BTreeSet::new(),
        reviews: Vec::new(),
    };
    let number = create(repo, body, Some(pull))?;
    Ok((201, answers::pull(repo, &repo.issues[&number], true)))
}

pub(super) fn create(repo: &mut Repo, body: &Value, pull: Option<Pull>) -> Result<u64, (u16, String)> {
    let number = repo.issues.last_key_value().map_or(1, |(last, _)| last + 1);
    let issue = Issue {
        number,
        title: text(body, "title")?,
        body: body["body"].as_str().unwrap_or_default().to_owned(),
        user: LOGIN.to_owned(),
        labels: names(&body["labels"]),
        open: true,
        created: repo.clock,
        updated: repo.clock,
        closed: None,
        comments: Vec::new(),
        pull,
    };
    repo.issues.insert(number, issue);
    Ok(number)
}

pub(super) fn names(list: &Value) -> BTreeSet<String> {
    let items = list.as_array().into_iter().flatten();
    items.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

pub(super) fn edit(repo: &mut Repo, number: u64, body: &Value) {
    let clock = repo.clock;
    let issue = repo.issues.get_mut(&number).unwrap();
    issue.updated = clock;
    if let Some(title) = body["title"].as_str() {
        issue.title = title.to_owned();
    }
    if let Some(text) = body["body"].as_str() {
        issue.body = text.to_owned();
    }
    if body["state"] == json!("closed") && issue.open {
        repo.close(number, LOGIN);
    }
}

pub(super) fn request_reviews(repo: &mut Repo, number: u64, body: &Value) -> Result<(), (u16, String)> {
    let (users, teams) = (names(&body["reviewers"]), names(&body["team_reviewers"]));
    let user = |name: &String| TEAMS.iter().any(|(_, people)| people.contains(&name.as_str()));
    let team = |name: &String| TEAMS.iter().any(|(team, _)| team == name);
    if !users.iter().all(user) || !teams.iter().all(team) {
        let said = "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator.";
        return Err((422, said.to_owned()));
    }
    let clock = repo.clock;
    let issue = repo.issues.get_mut(&number).unwrap();
    issue.updated = clock;
    let pull = issue.pull.as_mut().unwrap();
    pull.users.extend(users);
    pull.teams.extend(teams);
    Ok(())
}

fn issues(repo: &mut Repo, request: &Request, parts: &[&str], body: &Value) -> Reply {
    let clock = repo.clock;
    match (request.method.as_str(), parts) {
        ("GET", ["issues"]) => {
            let labels: BTreeSet<&str> = request.query.get("labels").iter().flat_map(|l| l.split(',')).collect();
            let found = repo.issues.values().filter(|issue| {
                let state = request.query.get("state").is_some_and(|state| state == "all") || issue.open;
                state && labels.iter().all(|label| issue.labels.contains(*label))
            });
            Ok((200, found.map(|issue| answers::issue(issue, false)).collect()))
        }
        ("POST", ["issues"]) => {
            let number = create(repo, body, None)?;
            Ok((201, answers::issue(&repo.issues[&number], true)))
        }
        ("PATCH", ["issues", "comments", id]) => {
            let id: u64 = id.parse().map_err(|_| not_found())?;
            let said = text(body, "body")?;
            for issue in repo.issues.values_mut() {
                if let Some(comment) = issue.comments.iter_mut().find(|comment| comment.id == id) {
                    comment.body = said;
                    issue.updated = clock;
                    return Ok((200, answers::comment(comment)));
                }
            }
            Err(not_found())
        }
        ("GET", ["issues", n]) => {
            let n = number(repo, n, false)?;
            Ok((200, answers::issue(&repo.issues[&n], true)))
        }
        ("PATCH", ["issues", n]) => {
            let n = number(repo, n, false)?;
            edit(repo, n, body);
            Ok((200, answers::issue(&repo.issues[&n], true)))
        }
        ("GET", ["issues", n, "comments"]) => {
            let n = number(repo, n, false)?;
            Ok((200, repo.issues[&n].comments.iter().map(answers::comment).collect()))
        }
        ("POST", ["issues", n, "comments"]) => {
            let n = number(repo, n, false)?;
            let comment = Comment {
                id: repo.id(),
                user: LOGIN.to_owned(),
                body: text(body, "body")?,
                created: clock,
            };
            let answer = answers::comment(&comment);
            let issue = repo.issues.get_mut(&n).unwrap();
            issue.updated = clock;
            issue.comments.push(comment);
            Ok((201, answer))
        }
        ("POST", ["issues", n, "labels"]) => {
            let n = number(repo, n, false)?;
            let wanted = names(&body["labels"]);
            if wanted.iter().any(|name| name.chars().count() > LABEL_CHARS_MAX) {
                return Err((
                    422,
                    "Validation Failed: name is too long (maximum is 50 characters)".to_owned(),
                ));
            }
            let issue = repo.issues.get_mut(&n).unwrap();
            issue.updated = clock;
            issue.labels.extend(wanted);
            Ok((200, answers::labels(issue).into()))
        }
        ("DELETE", ["issues", n, "labels", label @ ..]) => {
            let n = number(repo, n, false)?;
            let issue = repo.issues.get_mut(&n).unwrap();
            if !issue.labels.remove(&label.join("/")) {
                return Err((404, "Label does not exist".to_owned()));
            }
            issue.updated = clock;
            Ok((200, answers::labels(issue).into()))
        }
        _ => Err(not_found()),
    }
}
