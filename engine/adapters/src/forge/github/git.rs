//! Git over the Git data API: the operations the rules of every forge are written in.
//!
//! Objects are written first and a reference last, so a crash leaves at most objects nobody points to.

use std::collections::BTreeMap;

use http::Method;
use jiff::Timestamp;
use serde_json::json;

use super::objects::blob_id;
use super::{GithubForge, wire};
use crate::forge::ForgeError;
use crate::forge::hosted::Own;
use crate::forge::hosted::wire::{ListedCommit, Object, Signature};
use crate::forge::plumbing::{Author, CommitInfo, Edit, Entry, LEDGER, MAIN, MergedTree, Plumbing};
use crate::forge::rest::address::encoded;
use crate::forge::rest::api::{PAGES_MAX, Repeat};
use crate::forge::rest::kept::Trust;

/// So much text goes inline into one request for a tree; more is split over several.
const TREE_BYTES_MAX: usize = 4 << 20;

/// The mutation that moves a reference only if it still is where it is expected; the REST call has no such condition.
///
/// <https://docs.github.com/en/graphql/reference/mutations#updaterefs>
const MOVE_REF: &str = "mutation($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }";

/// One entry of a tree to be written: its path, and its content or none if it is to go.
type Leaf<'a> = (String, Option<&'a [u8]>);

impl GithubForge {
    /// The name on the forge of a reference of the rules.
    fn named(&self, reference: &str) -> String {
        if reference == MAIN {
            format!("refs/heads/{}", self.hub.base)
        } else {
            reference.to_owned()
        }
    }

    /// A reference as one part of a path.
    fn short(&self, reference: &str) -> String {
        let named = self.named(reference);
        encoded(named.strip_prefix("refs/").unwrap_or(&named))
    }

    /// What a read of a reference means: right after this process moved it, a replica may still show where it was.
    fn settle(own: &Own, reference: &str, found: Option<String>) -> Option<String> {
        match own.refs.get(reference) {
            Some((before, after)) if *before == found => Some(after.clone()),
            _ => found,
        }
    }

    /// Every engine branch and where it points: `refs/heads/patchwave/…`.
    pub(super) fn engine_refs(&self) -> Result<BTreeMap<String, String>, ForgeError> {
        let path = self.hub.api.repo("git/matching-refs/heads%2Fpatchwave%2F");
        let listed: Vec<wire::Reference> = self.hub.api.need_pages(&path, Trust::Asked)?;
        let mut found: BTreeMap<String, String> = listed.into_iter().map(|r| (r.name, r.object.sha)).collect();
        let own = self.hub.own();
        for (reference, (before, after)) in &own.refs {
            if found.get(reference) == before.as_ref() {
                found.insert(reference.clone(), after.clone());
            }
        }
        Ok(found)
    }

    /// What `head` has more than `base`; none if they have no commit in common.
    fn comparison(&self, base: &str, head: &str, page: usize) -> Result<Option<wire::Comparison>, ForgeError> {
        let path = self
            .hub
            .api
            .repo(&format!("compare/{base}...{head}?per_page=100&page={page}"));
        self.hub.api.get(&path, Trust::Forever)
    }

    pub(super) fn commit(&self, id: &str) -> Result<wire::Commit, ForgeError> {
        self.hub
            .api
            .need(&self.hub.api.repo(&format!("git/commits/{id}")), Trust::Forever)
    }

    fn listing(&self, tree: &str, recursive: bool) -> Result<wire::Tree, ForgeError> {
        let query = if recursive { "?recursive=1" } else { "" };
        let path = self.hub.api.repo(&format!("git/trees/{tree}{query}"));
        let found: wire::Tree = self.hub.api.need(&path, Trust::Forever)?;
        if found.truncated && !recursive {
            // What is not listed would be taken for gone, and removed.
            return Err(ForgeError::terminal(
                format!("{path} breaks off: the folder holds more files than GitHub lists"),
                "put the project into a folder of its own, or push instead (`spec.forge.push`)",
            ));
        }
        Ok(found)
    }

    /// The files of a tree, each path behind `prefix`. A tree too large for one answer is read folder by folder.
    fn files_of(&self, tree: &str, prefix: &str, found: &mut BTreeMap<String, String>) -> Result<(), ForgeError> {
        let whole = self.listing(tree, true)?;
        if !whole.truncated {
            let files = whole.tree.into_iter().filter(|entry| entry.kind != "tree");
            found.extend(files.map(|entry| (format!("{prefix}{}", entry.path), entry.sha)));
            return Ok(());
        }
        for entry in self.listing(tree, false)?.tree {
            let path = format!("{prefix}{}", entry.path);
            if entry.kind == "tree" {
                self.files_of(&entry.sha, &format!("{path}/"), found)?;
            } else {
                found.insert(path, entry.sha);
            }
        }
        Ok(())
    }

    fn tree_entry(&self, leaf: &Leaf<'_>) -> Result<serde_json::Value, ForgeError> {
        let (path, bytes) = leaf;
        let entry = |what: serde_json::Value| {
            let mut entry = json!({"path": path, "mode": "100644", "type": "blob"});
            if let (Some(entry), serde_json::Value::Object(what)) = (entry.as_object_mut(), what) {
                entry.extend(what);
            }
            entry
        };
        let Some(bytes) = bytes else {
            return Ok(entry(json!({"sha": null})));
        };
        let id = self.objects.remember(bytes)?;
        if let Ok(text) = std::str::from_utf8(bytes) {
            return Ok(entry(json!({"content": text})));
        }
        // Only text can go inline.
        let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes);
        let body = json!({"content": encoded, "encoding": "base64"});
        let made: Object = self
            .hub
            .api
            .put(Method::POST, &self.hub.api.repo("git/blobs"), body, Repeat::Safe)?;
        // Git names a content by its digest.
        if made.sha != id {
            return Err(ForgeError::retryable(
                format!(
                    "the forge stored {path} as {}, which is not the one that was sent, {id}",
                    made.sha
                ),
                "what is between here and the forge may change what is sent; run the command again",
            ));
        }
        Ok(entry(json!({"sha": made.sha})))
    }

    /// Writes a tree: `base` (or nothing) with these entries, in as many requests as their size asks for.
    fn post_trees(&self, base: Option<&str>, leaves: &[Leaf<'_>]) -> Result<String, ForgeError> {
        let mut at = base.map(str::to_owned);
        let mut rest = leaves;
        loop {
            let mut size = 0;
            let fitting = rest.iter().take_while(|(path, bytes)| {
                size += bytes.map_or(0, <[u8]>::len) + path.len();
                size <= TREE_BYTES_MAX
            });
            let count = fitting.count().max(1).min(rest.len());
            let (now, later) = rest.split_at_checked(count).unwrap_or((rest, &[]));
            let entries: Vec<serde_json::Value> =
                now.iter().map(|leaf| self.tree_entry(leaf)).collect::<Result<_, _>>()?;
            let mut body = json!({"tree": entries});
            if let (Some(base), Some(body)) = (&at, body.as_object_mut()) {
                body.insert("base_tree".to_owned(), json!(base));
            }
            let made: Object = self
                .hub
                .api
                .put(Method::POST, &self.hub.api.repo("git/trees"), body, Repeat::Safe)?;
            if later.is_empty() {
                return Ok(made.sha);
            }
            at = Some(made.sha);
            rest = later;
        }
    }

    /// Moves an existing branch, forward or not, only if it still is at `expected`.
    fn move_branch(&self, reference: &str, expected: &str, new: &str) -> Result<bool, ForgeError> {
        let id = self.repository_id()?;
        let update = json!({"name": reference, "beforeOid": expected, "afterOid": new, "force": true});
        let input = json!({"input": {"repositoryId": id, "refUpdates": [update]}});
        match self.hub.api.graphql::<serde_json::Value>(MOVE_REF, input, true)? {
            Ok(_) => Ok(true),
            // A server older than the mutation: the moment between looking and moving cannot be closed there.
            Err(why) if why.contains("updateRefs") && why.contains("exist") => {
                let path = self.hub.api.repo(&format!("git/refs/{}", self.short(reference)));
                if self.read_ref(reference)?.as_deref() != Some(expected) {
                    return Ok(false);
                }
                let body = json!({"sha": new, "force": true});
                let _: wire::Reference = self.hub.api.put(Method::PATCH, &path, body, Repeat::Safe)?;
                Ok(true)
            }
            Err(why) => {
                // The condition failed, or the forge forbids the move: the reference itself tells which.
                match self.read_ref(reference)? {
                    Some(found) if found == expected => Err(ForgeError::terminal(
                        format!("{reference} was not moved by {}: {why}", self.hub.api.repository()),
                        "a rule of the repository may forbid it: let the engine's account update branches below patchwave/",
                    )),
                    Some(found) => Ok(found == new),
                    None => Ok(false),
                }
            }
        }
    }

    fn repository_id(&self) -> Result<String, ForgeError> {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Named {
            node_id: String,
        }
        let named: Named = self.hub.api.need(&self.hub.api.repo(""), Trust::Asked)?;
        Ok(named.node_id)
    }

    /// Where a reference is, asked anew.
    fn read_ref(&self, reference: &str) -> Result<Option<String>, ForgeError> {
        let path = self.hub.api.repo(&format!("git/ref/{}", self.short(reference)));
        let found: Option<wire::Reference> = self.hub.api.get(&path, Trust::Asked)?;
        Ok(found.map(|found| found.object.sha))
    }
}

impl Plumbing for GithubForge {
    fn target(&self, reference: &str) -> Result<Option<String>, ForgeError> {
        let found = self.read_ref(reference)?;
        let found = Self::settle(&self.hub.own(), &self.named(reference), found);
        if found.is_none() && reference == MAIN {
            return Err(self.hub.no_base());
        }
        Ok(found)
    }

    fn set_target(&self, reference: &str, expected: Option<&str>, new: &str) -> Result<bool, ForgeError> {
        let at = self.target(reference)?;
        if at.as_deref() != expected {
            return Ok(false);
        }
        if expected == Some(new) {
            return Ok(true);
        }
        let named = self.named(reference);
        let moved = match expected {
            None => {
                let body = json!({"ref": named, "sha": new});
                let (request, answer) =
                    self.hub
                        .api
                        .write(Method::POST, &self.hub.api.repo("git/refs"), body, Repeat::Safe)?;
                // 422 "Reference already exists": somebody else, or this very request sent twice.
                match answer.status {
                    201 => true,
                    422 => match self.read_ref(reference)? {
                        Some(found) => found == new,
                        None => return Err(self.hub.api.fault(&request, &answer)),
                    },
                    _ => return Err(self.hub.api.fault(&request, &answer)),
                }
            }
            // The new commit's parent is `expected`, so that "no force" is the compare-and-swap.
            Some(_) if reference == LEDGER => {
                let path = self.hub.api.repo(&format!("git/refs/{}", self.short(reference)));
                let body = json!({"sha": new, "force": false});
                let (request, answer) = self.hub.api.write(Method::PATCH, &path, body, Repeat::Safe)?;
                match answer.status {
                    200 => true,
                    409 | 422 => match self.read_ref(reference)? {
                        Some(found) if found == new => true,
                        Some(found) if Some(found.as_str()) == expected => {
                            return Err(self.hub.api.fault(&request, &answer));
                        }
                        _ => false,
                    },
                    _ => return Err(self.hub.api.fault(&request, &answer)),
                }
            }
            Some(expected) => self.move_branch(&named, expected, new)?,
        };
        if moved {
            let before = expected.map(str::to_owned);
            self.hub.own().refs.insert(named, (before, new.to_owned()));
        }
        Ok(moved)
    }

    fn commit_info(&self, commit: &str) -> Result<CommitInfo, ForgeError> {
        let found = self.commit(commit)?;
        Ok(info(
            found.sha,
            found.parents,
            found.author,
            found.committer,
            found.message,
        ))
    }

    fn is_ancestor(&self, ancestor: &str, of: &str) -> Result<bool, ForgeError> {
        if ancestor == of {
            return Ok(true);
        }
        let comparison = self.comparison(ancestor, of, 1)?;
        Ok(comparison.is_some_and(|c| c.status == "ahead" || c.status == "identical"))
    }

    fn commits_between(&self, base: &str, head: &str) -> Result<Vec<CommitInfo>, ForgeError> {
        if base == head {
            return Ok(Vec::new());
        }
        let incomplete = |what: &str| {
            ForgeError::retryable(
                format!(
                    "{} does not show the commits of {head}: {what}",
                    self.hub.api.repository()
                ),
                "a replica may be late: run the command again in a minute",
            )
        };
        let mut found = Vec::new();
        for page in 1..=PAGES_MAX {
            let Some(comparison) = self.comparison(base, head, page)? else {
                // Nothing in common with the base branch: then all of its history is the branch's own.
                let path = self.hub.api.repo(&format!("commits?sha={head}&per_page=100"));
                let all: Option<Vec<ListedCommit>> = self.hub.api.pages(&path, Trust::Forever)?;
                // "No commits" would be nobody's, and a branch of nobody is overwritten.
                let all = all.ok_or_else(|| incomplete("both ways to list them were answered 404"))?;
                return Ok(all.into_iter().map(CommitInfo::from).collect());
            };
            let empty = comparison.commits.is_empty();
            let total = comparison.total_commits;
            found.extend(comparison.commits.into_iter().map(CommitInfo::from));
            if found.len() >= total {
                return Ok(found);
            }
            if empty {
                return Err(incomplete(&format!("it counts {total} and lists {}", found.len())));
            }
        }
        Err(incomplete(&format!("they go on after {PAGES_MAX} pages")))
    }

    fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>, ForgeError> {
        Ok(self.comparison(one, other, 1)?.map(|c| c.merge_base_commit.sha))
    }

    fn tree_of(&self, commit: &str) -> Result<String, ForgeError> {
        Ok(self.commit(commit)?.tree.sha)
    }

    fn entries(&self, tree: &str, under: &str) -> Result<BTreeMap<String, String>, ForgeError> {
        let mut found = BTreeMap::new();
        let mut at = tree.to_owned();
        let mut prefix = String::new();
        // Down to the folder first, so that a large repository around it costs nothing.
        for part in under.split('/').filter(|part| !part.is_empty()) {
            let entries = self.listing(&at, false)?.tree;
            let Some(entry) = entries.into_iter().find(|entry| entry.path == part) else {
                return Ok(found);
            };
            if entry.kind != "tree" {
                if format!("{prefix}{part}") == under {
                    found.insert(under.to_owned(), entry.sha);
                }
                return Ok(found);
            }
            prefix = format!("{prefix}{part}/");
            at = entry.sha;
        }
        self.files_of(&at, &prefix, &mut found)?;
        Ok(found)
    }

    fn blob(&self, id: &str) -> Result<Vec<u8>, ForgeError> {
        self.objects.read(&self.hub.api, id)
    }

    fn hash_blob(&self, bytes: &[u8]) -> Result<String, ForgeError> {
        blob_id(bytes)
    }

    fn write_tree(&self, base: Option<&str>, edit: &Edit<'_>) -> Result<String, ForgeError> {
        let mut puts = BTreeMap::new();
        let mut replaced = Vec::new();
        flatten(edit, "", &mut puts, &mut replaced);
        let mut gone = Vec::new();
        if let Some(base) = base {
            for folder in &replaced {
                gone.extend(self.entries(base, folder)?.into_keys());
            }
        }
        gone.retain(|path| !puts.contains_key(path));
        gone.sort();
        gone.dedup();
        // What goes first may be a file where a folder is to stand.
        let removals: Vec<Leaf<'_>> = gone.into_iter().map(|path| (path, None)).collect();
        let additions: Vec<Leaf<'_>> = puts.into_iter().map(|(path, bytes)| (path, Some(bytes))).collect();
        let base = match removals.as_slice() {
            [] => base.map(str::to_owned),
            removals if additions.is_empty() => return self.post_trees(base, removals),
            removals => Some(self.post_trees(base, removals)?),
        };
        match (additions.as_slice(), base) {
            ([], Some(base)) => Ok(base),
            (additions, base) => self.post_trees(base.as_deref(), additions),
        }
    }

    fn write_commit(
        &self,
        tree: &str,
        parents: &[&str],
        by: &Author,
        message: &str,
        now: Timestamp,
    ) -> Result<String, ForgeError> {
        // Whole seconds, as Git keeps them.
        let date = jiff::fmt::strtime::format("%Y-%m-%dT%H:%M:%SZ", now)
            .map_err(|e| ForgeError::terminal(format!("{now} is no time for a commit: {e}"), "give another --now"))?;
        let who = json!({"name": by.name, "email": by.email, "date": date});
        let body = json!({"message": message, "tree": tree, "parents": parents, "author": who, "committer": who});
        let made: Object = self
            .hub
            .api
            .put(Method::POST, &self.hub.api.repo("git/commits"), body, Repeat::Safe)?;
        Ok(made.sha)
    }

    fn merge_trees(
        &self,
        _base: Option<&str>,
        _ours: &str,
        _theirs: &str,
        _keep_ours_under: Option<&str>,
    ) -> Result<MergedTree, ForgeError> {
        Err(ForgeError::terminal(
            "trees are merged by GitHub itself",
            "this is a fault of patchwave: please report it",
        ))
    }
}

fn info(id: String, parents: Vec<Object>, author: Signature, committer: Signature, message: String) -> CommitInfo {
    let who = |signature: &Signature| Author {
        name: signature.name.clone(),
        email: signature.email.clone(),
    };
    CommitInfo {
        id,
        parents: parents.into_iter().map(|parent| parent.sha).collect(),
        author: who(&author),
        committer: who(&committer),
        at: committer.date,
        unattributed: false,
        message,
    }
}

/// An edit as paths: what is put, and which folders are replaced.
fn flatten<'a>(edit: &Edit<'a>, folder: &str, puts: &mut BTreeMap<String, &'a [u8]>, replaced: &mut Vec<String>) {
    if edit.replace {
        replaced.push(folder.to_owned());
    }
    for (name, entry) in &edit.entries {
        let path = if folder.is_empty() {
            (*name).to_owned()
        } else {
            format!("{folder}/{name}")
        };
        match entry {
            Entry::File(bytes) => {
                puts.insert(path, bytes);
            }
            Entry::Folder(below) => flatten(below, &path, puts, replaced),
        }
    }
}
