//! GitHub's double as a program of its own, for runs that are no Rust: people act on it by lines of JSON on its input, and each
//! is answered by a line. The first line it says is where it listens and its token; it ends with its input.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::panic,
    reason = "it stands in for a server in tests: what goes wrong ends it"
)]
#![expect(clippy::print_stdout, reason = "it is a program that answers on its standard output")]

use std::collections::BTreeMap;
use std::io::BufRead as _;

use serde_json::{Value, json};

#[expect(dead_code, reason = "the tests of the forges use the rest of it")]
#[path = "../tests/forge/double/mod.rs"]
mod double;

use double::{Double, Handle, TOKEN};

/// Serves `acme/patching`. Each line of input is an object: `do` says what, `at` sets the clock first.
fn main() {
    let double = Double::start(0, true);
    let files = BTreeMap::from([("README.md".to_owned(), b"patching\n".to_vec())]);
    let handle = double.repository("acme/patching", &files, jiff::Timestamp::UNIX_EPOCH);
    println!("{}", json!({"url": double.url(), "token": TOKEN}));
    for line in std::io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line.unwrap()).unwrap();
        println!("{}", acted(&handle, &asked));
    }
}

fn acted(handle: &Handle, asked: &Value) -> Value {
    let mut repo = handle.lock();
    if let Some(at) = asked["at"].as_str() {
        repo.clock = at.parse().unwrap();
    }
    let by = asked["by"].as_str().unwrap_or("anna");
    let number = asked["number"].as_u64().unwrap_or_default();
    match asked["do"].as_str().unwrap_or_default() {
        "approve" => {
            repo.review(number, by, "APPROVED");
            json!({})
        }
        "merge" => match repo.merge(number, by, &format!("Merge pull request #{number}\n")) {
            Ok(commit) => json!({"commit": commit}),
            Err(paths) => json!({"conflicts": paths}),
        },
        "show" => {
            let issues: Vec<Value> = repo
                .issues
                .values()
                .map(|issue| {
                    let pull = issue.pull.as_ref();
                    let comments: Vec<&String> = issue.comments.iter().map(|comment| &comment.body).collect();
                    json!({
                        "number": issue.number, "title": issue.title, "body": issue.body, "open": issue.open,
                        "labels": issue.labels, "comments": comments, "branch": pull.map(|p| &p.branch),
                        "merged": pull.is_some_and(|p| p.merged.is_some()),
                    })
                })
                .collect();
            let writes = repo.writes().len();
            json!({"issues": issues, "refs": repo.refs(), "statuses": repo.statuses, "writes": writes})
        }
        _ => json!({}),
    }
}
