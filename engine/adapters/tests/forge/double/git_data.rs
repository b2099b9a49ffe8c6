//! The Git data API of GitHub: references, commits, trees, and what one commit has more than another.

use git2::{ObjectType, Oid, Signature, Time};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::answers;
use super::http::Request;
use super::records::{Repo, Truncates, with_path};
use super::rest::{not_found, oid, text};
use super::serve::Reply;

pub(super) fn move_refs(repo: &mut Repo, body: &Value) -> Value {
    if repo.old_server {
        return json!({"errors": [{"message": "Field 'updateRefs' doesn't exist on type 'Mutation'"}]});
    }
    let refused = |why: &str| json!({"data": {"updateRefs": null}, "errors": [{"message": why}]});
    let updates = body["variables"]["input"]["refUpdates"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    let refs = repo.refs();
    for update in &updates {
        let name = update["name"].as_str().unwrap_or_default();
        if refs.get(name).map(String::as_str) != update["beforeOid"].as_str() {
            return refused(&format!("{name} is not at the expected value"));
        }
    }
    for update in &updates {
        let (name, after) = (update["name"].as_str().unwrap(), update["afterOid"].as_str().unwrap());
        set_ref(repo, name, Oid::from_str(after).unwrap());
    }
    json!({"data": {"updateRefs": {"clientMutationId": null}}})
}

fn set_ref(repo: &mut Repo, name: &str, id: Oid) {
    repo.git().reference(name, id, true, "double").unwrap();
    if let Some(branch) = name.strip_prefix("refs/heads/") {
        repo.touched(branch);
    }
}

pub(super) fn create_ref(repo: &mut Repo, body: &Value) -> Reply {
    let (name, sha) = (text(body, "ref")?, text(body, "sha")?);
    if repo.refs().contains_key(&name) {
        return Err((422, "Reference already exists".to_owned()));
    }
    let id = oid(&sha)?;
    if repo.git().find_commit(id).is_err() {
        return Err((422, "Object does not exist".to_owned()));
    }
    set_ref(repo, &name, id);
    Ok((201, answers::reference(&name, &sha)))
}

pub(super) fn update_ref(repo: &mut Repo, name: &str, body: &Value) -> Reply {
    let refs = repo.refs();
    let before = refs.get(name).ok_or((422, "Reference does not exist".to_owned()))?;
    let sha = text(body, "sha")?;
    let (before, after) = (oid(before)?, oid(&sha)?);
    let forward = before == after || repo.git().graph_descendant_of(after, before).unwrap_or(false);
    if !forward && body["force"] != json!(true) {
        return Err((422, "Update is not a fast forward".to_owned()));
    }
    set_ref(repo, name, after);
    Ok((200, answers::reference(name, &sha)))
}

pub(super) fn create_commit(repo: &mut Repo, body: &Value) -> Reply {
    let git = repo.git();
    let missing = |what: &str| (422, format!("{what} does not exist"));
    let tree = git.find_tree(oid(&text(body, "tree")?)?).map_err(|_| missing("Tree"))?;
    let mut parents = Vec::new();
    for parent in body["parents"].as_array().cloned().unwrap_or_default() {
        let id = oid(parent.as_str().unwrap_or_default())?;
        parents.push(git.find_commit(id).map_err(|_| missing("Parent"))?);
    }
    let clock = repo.clock;
    let who = |field: &str| -> Result<Signature<'static>, (u16, String)> {
        let by = &body[field];
        let at: Timestamp = by["date"].as_str().and_then(|date| date.parse().ok()).unwrap_or(clock);
        let (name, email) = (text(by, "name")?, text(by, "email")?);
        Signature::new(&name, &email, &Time::new(at.as_second(), 0)).map_err(|e| (422, e.to_string()))
    };
    let parents: Vec<_> = parents.iter().collect();
    let (author, committer) = (who("author")?, who("committer")?);
    let id = git
        .commit(None, &author, &committer, &text(body, "message")?, &tree, &parents)
        .map_err(|e| (422, e.to_string()))?;
    Ok((201, answers::git_commit(&git.find_commit(id).unwrap())))
}

pub(super) fn tree(repo: &Repo, id: &str, recursive: bool) -> Reply {
    let git = repo.git();
    let tree = git.find_tree(oid(id)?).map_err(|_| not_found())?;
    let mut entries = Vec::new();
    tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
        let is_tree = entry.kind() == Some(ObjectType::Tree);
        entries.push(json!({
            "path": format!("{folder}{}", entry.name().unwrap()), "mode": format!("{:06o}", entry.filemode()),
            "type": if is_tree { "tree" } else { "blob" }, "sha": entry.id().to_string(),
            "url": "https://api.github.com/x",
        }));
        if is_tree && !recursive {
            git2::TreeWalkResult::Skip
        } else {
            git2::TreeWalkResult::Ok
        }
    })
    .unwrap();
    let truncated = match repo.truncates {
        Truncates::Nothing => false,
        Truncates::Recursive => recursive,
        Truncates::Everything => true,
    };
    if truncated {
        entries.pop();
    }
    Ok((200, answers::tree(id, entries, truncated)))
}

pub(super) fn create_tree(repo: &mut Repo, body: &Value) -> Reply {
    let git = repo.git();
    let mut at = match body["base_tree"].as_str() {
        Some(id) => Some(git.find_tree(oid(id)?).map_err(|_| not_found())?.id()),
        None => None,
    };
    for entry in body["tree"].as_array().cloned().unwrap_or_default() {
        let path = text(&entry, "path")?;
        let blob = match (entry["content"].as_str(), &entry["sha"]) {
            (Some(content), Value::Null) => Some(git.blob(content.as_bytes()).unwrap()),
            (None, Value::String(sha)) => Some(oid(sha)?),
            (None, Value::Null) => None,
            _ => return Err((422, "Must supply either tree.sha or tree.content".to_owned())),
        };
        let base = at.map(|id| git.find_tree(id).unwrap());
        // GitHub refuses to remove what is not there, too.
        let made = with_path(&git, base.as_ref(), &path, blob);
        at = Some(made.map_err(|_| (422, "GitRPC::BadObjectState".to_owned()))?);
    }
    let id = at.ok_or((422, "Invalid tree info".to_owned()))?.to_string();
    let Ok((_, answer)) = tree(repo, &id, false) else {
        return Err(not_found());
    };
    Ok((201, answer))
}

pub(super) fn compare(repo: &Repo, range: &str, request: &Request) -> Reply {
    let git = repo.git();
    let (base, head) = range.split_once("...").ok_or_else(not_found)?;
    let (base, head) = (oid(base)?, oid(head)?);
    for id in [base, head] {
        git.find_commit(id).map_err(|_| not_found())?;
    }
    let merge_base = git.merge_base(base, head).map_err(|_| not_found())?;
    let (ahead, behind) = git.graph_ahead_behind(head, base).unwrap();
    let status = match (ahead, behind) {
        (0, 0) => "identical",
        (_, 0) => "ahead",
        (0, _) => "behind",
        _ => "diverged",
    };
    let commits = between(&git, base, head);
    let asked = |name: &str, or: usize| request.query.get(name).and_then(|t| t.parse().ok()).unwrap_or(or);
    let (size, at) = (asked("per_page", 250), asked("page", 1));
    let shown: Vec<Value> = commits.iter().skip((at - 1) * size).take(size).cloned().collect();
    let listed = |id: Oid| answers::listed_commit(&git.find_commit(id).unwrap());
    let fields = json!({
        "status": status, "ahead_by": ahead, "behind_by": behind, "total_commits": commits.len(), "commits": shown,
        "base_commit": listed(base), "merge_base_commit": listed(merge_base), "files": [],
    });
    Ok((200, answers::comparison(fields)))
}

pub(super) fn between(git: &git2::Repository, base: Oid, head: Oid) -> Vec<Value> {
    let mut walk = git.revwalk().unwrap();
    walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::REVERSE).unwrap();
    walk.push(head).unwrap();
    walk.hide(base).unwrap();
    walk.map(|id| answers::listed_commit(&git.find_commit(id.unwrap()).unwrap()))
        .collect()
}
