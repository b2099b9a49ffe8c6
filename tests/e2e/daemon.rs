//! `reconcile --interval`: endpoints, signals, logs; and the lease between processes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::play::{patched, test_released};
use crate::support::Sandbox;

/// How long a test waits for something that must come, on a machine under any load.
const PATIENCE: Duration = Duration::from_secs(120);

/// The example of GitHub's documentation: secret, body, signature.
const SECRET: &str = "It's a Secret to Everybody";
const BODY: &str = "Hello, World!";
const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

struct Daemon {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Daemon {
    fn start(estate: &Sandbox, arguments: &[&str]) -> Self {
        Self::start_at(estate, "2026-11-20T12:00:00Z", "1h", arguments)
    }

    fn start_at(estate: &Sandbox, now: &str, interval: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_patchwave"))
            .args([
                "--now",
                now,
                "--log-format",
                "json",
                "reconcile",
                "--interval",
                interval,
            ])
            .args(["--format", "json", "--jitter-seed", "1"])
            .args(arguments)
            .current_dir(estate.path())
            .env_clear()
            .env("HOME", estate.path())
            .env("PATCHWAVE_WEBHOOK_SECRET", SECRET)
            .env("PATCHWAVE_GITHUB_TOKEN", "ghp_planted6e0d93b1f7c25a48")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let err = BufReader::new(child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in err.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for the next log line with this message.
    #[track_caller]
    fn says(&mut self, message: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let line = self
                .lines
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
                .unwrap_or_else(|_| panic!("it never said `{message}`:\n{}", self.seen.join("\n")));
            self.seen.push(line.clone());
            let value: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("no JSON ({e}): {line}"));
            if value["message"] == message {
                return value;
            }
        }
    }

    /// Where it listens.
    #[track_caller]
    fn listening(&mut self) -> String {
        self.says("listening")["address"].as_str().unwrap().to_owned()
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }

    /// Waits for the end, which must come soon: exit code, standard output, log.
    fn ends(mut self) -> (Option<i32>, String, Vec<String>) {
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < deadline, "it does not end: {:#?}", self.seen);
            std::thread::sleep(Duration::from_millis(20));
        }
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let code = self.child.wait().unwrap().code();
        self.seen.extend(self.lines.iter());
        (code, out, std::mem::take(&mut self.seen))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request: status line and body.
fn ask(address: &str, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nHost: here\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    request.push_str("\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    // A body that is too large is answered before it is sent.
    let _ = stream.write_all(body.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or_else(|| panic!("no answer: {answer}")), body.to_owned())
}

#[test]
fn a_daemon_runs_answers_and_stops() {
    let estate = Sandbox::estate();
    let mut daemon = Daemon::start(&estate, &["--listen", "127.0.0.1:0"]);
    let address = daemon.listening();
    let done = daemon.says("run done");
    assert!(done["writes"].as_u64().unwrap() > 0, "{done}");
    let actions: Vec<Value> = daemon
        .seen
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["message"] == "done")
        .collect();
    let proposed = actions.iter().find(|a| a["action"] == "put-branch").unwrap();
    assert_eq!(
        (&proposed["rollout"], &proposed["wave"], &proposed["actor"]),
        (&"linux-2026-11-20".into(), &"test".into(), &"patchwave".into()),
        "{proposed}"
    );
    assert_eq!(proposed["commit"].as_str().unwrap().len(), 40);
    let seen = actions.iter().find(|a| a["action"] == "record" && a["event"] == "seen");
    assert!(seen.is_some_and(|a| a.get("rollout").is_none()), "{actions:#?}");

    assert_eq!(ready(&address).as_deref(), Some("ok\n"));
    assert_eq!(ask(&address, "GET", "/healthz", &[], ""), (200, "ok\n".to_owned()));
    assert_eq!(ask(&address, "GET", "/", &[], "").0, 404);
    assert_eq!(ask(&address, "GET", "/webhook", &[], "").0, 405);
    let (status, metrics) = ask(&address, "GET", "/metrics", &[], "");
    assert_eq!(status, 200);
    assert!(metrics.contains("patchwave_runs_total 1\n"), "{metrics}");
    assert!(
        metrics.contains("patchwave_open_rollouts{state=\"proposed\"} 1\n"),
        "{metrics}"
    );
    for asset in ["t1", "p1", "openssl"] {
        assert!(!metrics.contains(&format!("\"{asset}")), "{asset} in {metrics}");
    }

    let signed = [("X-Hub-Signature-256", SIGNATURE), ("X-GitHub-Delivery", "1")];
    assert_eq!(ask(&address, "POST", "/webhook", &[], BODY), (401, String::new()));
    assert_eq!(
        ask(&address, "POST", "/webhook", &signed, "Hello, World?"),
        (401, String::new())
    );
    let large = "x".repeat(1024 * 1024 + 1);
    assert_eq!(ask(&address, "POST", "/webhook", &signed, &large).0, 413);
    assert_eq!(ask(&address, "POST", "/webhook", &signed, BODY).0, 202);
    assert_eq!(ask(&address, "POST", "/webhook", &signed, BODY).0, 200);
    let second = daemon.says("run done");
    assert_eq!((&second["run"], &second["writes"]), (&2.into(), &0.into()));

    daemon.signal("-TERM");
    let (code, out, log) = daemon.ends();
    assert_eq!(code, Some(0), "{log:#?}");
    assert!(log.last().unwrap().contains("stopped"), "{log:#?}");
    let said = out + &log.join("\n");
    for secret in [SECRET, "ghp_planted", SIGNATURE] {
        assert!(!said.contains(secret), "{secret} was shown:\n{said}");
    }
    // The lease is given back.
    estate.run(&["reconcile", "--once"]).exits(0);
}

#[test]
fn webhooks_that_never_send_their_body_leave_room_for_probes() {
    let estate = Sandbox::estate();
    let mut daemon = Daemon::start(&estate, &["--listen", "127.0.0.1:0"]);
    let address = daemon.listening();
    let head = "POST /webhook HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n\r\n";
    let mut silent: Vec<TcpStream> = (0..64)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.write_all(head.as_bytes()).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        })
        .collect();
    assert_eq!(ask(&address, "GET", "/healthz", &[], ""), (200, "ok\n".to_owned()));
    let mut answers = std::collections::BTreeMap::new();
    for stream in &mut silent {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        *answers
            .entry(answer.split(' ').nth(1).unwrap_or_default().to_owned())
            .or_insert(0) += 1;
    }
    assert_eq!(
        answers,
        [("408".to_owned(), 32), ("503".to_owned(), 32)].into(),
        "half of them are turned away at once, the others after a while"
    );
    daemon.signal("-TERM");
    assert_eq!(daemon.ends().0, Some(0));
}

#[test]
fn a_run_that_is_asked_to_stop_ends_after_its_effect_and_the_next_one_finishes_it() {
    let undisturbed = Sandbox::estate();
    undisturbed.run(&["reconcile", "--once"]).exits(0);
    let estate = Sandbox::estate();
    let mut daemon = Daemon::start(&estate, &[]);
    // The first effect of many.
    daemon.says("done");
    daemon.signal("-TERM");
    let (code, _, log) = daemon.ends();
    assert_eq!(code, Some(0), "{log:#?}");
    assert!(log.iter().any(|line| line.contains("asked to stop")), "{log:#?}");
    estate.run(&["reconcile", "--once"]).exits(0);
    estate.run(&["reconcile", "--once", "--detailed-exitcode"]).exits(0);
    let trees = |estate: &Sandbox| {
        let forge = estate.forge();
        let references = forge.references().unwrap().map(Result::unwrap);
        let trees = references.map(|r| (r.name().unwrap().to_owned(), r.peel_to_tree().unwrap().id()));
        trees.collect::<std::collections::BTreeMap<_, _>>()
    };
    assert_eq!(trees(&estate), trees(&undisturbed));
    estate.audited();
}

#[test]
fn a_run_that_fails_is_logged_and_is_not_ready() {
    let estate = Sandbox::estate();
    let policy = estate.path().join("policies/broken.yaml");
    std::fs::write(&policy, "kind: [").unwrap();
    let mut daemon = Daemon::start(&estate, &["--listen", "127.0.0.1:0"]);
    let address = daemon.listening();
    let failed = daemon.says("run failed");
    assert!(failed["why"].as_str().unwrap().contains("has 1 error"), "{failed}");
    std::thread::sleep(Duration::from_millis(300));
    let (status, why) = ask(&address, "GET", "/readyz", &[], "");
    assert!(status == 503 && why.contains("failed"), "{status} {why}");
    assert_eq!(ask(&address, "GET", "/healthz", &[], "").0, 200);
    // The repository is opened anew by each run.
    std::fs::remove_file(&policy).unwrap();
    let signed = [("X-Hub-Signature-256", SIGNATURE)];
    assert_eq!(ask(&address, "POST", "/webhook", &signed, BODY).0, 202);
    daemon.says("run done");
    daemon.signal("-INT");
    assert_eq!(daemon.ends().0, Some(0));
}

#[test]
fn without_a_secret_that_is_one_nothing_starts() {
    let estate = Sandbox::estate();
    std::fs::write(estate.path().join("secret"), "short\n").unwrap();
    let arguments = [
        "reconcile",
        "--interval",
        "1h",
        "--listen",
        "127.0.0.1:0",
        "--webhook-secret-file",
        "secret",
    ];
    let said = estate.run(&arguments).exits(1);
    assert!(said.err.contains("can be guessed"), "{}", said.err);
    estate.run(&["reconcile", "--interval", "0s"]).exits(64);
    estate.run(&["reconcile", "--interval", "1h", "--once"]).exits(64);
    estate
        .run(&["reconcile", "--once", "--listen", "127.0.0.1:0"])
        .exits(64);
}

#[test]
fn two_runs_never_act_at_once() {
    let estate = Sandbox::estate();
    let state = estate.path().join(".patchwave/state");
    std::fs::create_dir_all(&state).unwrap();
    let lock = std::fs::File::create(state.join("lease.lock")).unwrap();
    lock.lock().unwrap();
    for command in [&["reconcile", "--once"][..], &["propose"], &["verify"]] {
        let said = estate.run(command).exits(1);
        assert!(said.err.contains("another run is going on"), "{}", said.err);
    }
    estate.run(&["reconcile", "--dry-run"]).exits(0);
    assert!(!estate.path().join(".patchwave/forge.git").exists());
    drop(lock);
    estate.run(&["reconcile", "--once"]).exits(0);
    let fence = estate.forge();
    let head = fence.find_reference("refs/heads/patchwave/ledger").unwrap();
    let message = head.peel_to_commit().unwrap().message().unwrap().to_owned();
    assert!(message.ends_with("Patchwave-Fence: 1\n"), "{message}");
}

/// Asks until it is ready: the log says that a run is done before the board does.
fn ready(address: &str) -> Option<String> {
    (0..600).find_map(|_| match ask(address, "GET", "/readyz", &[], "") {
        (200, body) => Some(body),
        _ => {
            std::thread::sleep(Duration::from_millis(100));
            None
        }
    })
}

#[test]
fn of_two_daemons_one_works_and_the_other_takes_over_when_it_is_killed() {
    let estate = Sandbox::estate();
    let mut first = Daemon::start(&estate, &["--listen", "127.0.0.1:0"]);
    let at_first = first.listening();
    first.says("run done");
    assert_eq!(ready(&at_first).as_deref(), Some("ok\n"));
    let process = format!("/{}/", first.child.id());

    let mut second = Daemon::start(&estate, &["--listen", "127.0.0.1:0"]);
    let at_second = second.listening();
    let waiting = second.says("standing by");
    let why = waiting["why"].as_str().unwrap();
    assert!(
        why.contains(&process) && why.contains("holds the lease since 20"),
        "{why}"
    );
    let (status, why) = ask(&at_second, "GET", "/readyz", &[], "");
    assert!(status == 503 && !why.contains(&process), "{status} {why}");
    assert_eq!(ask(&at_second, "GET", "/healthz", &[], "").0, 200);
    let metrics = ask(&at_second, "GET", "/metrics", &[], "").1;
    assert!(metrics.contains("patchwave_active 0\n") && metrics.contains("patchwave_run_failures_total 0\n"));

    // One run by hand is refused as well, though no run is under way; looking is not.
    let once = estate.run(&["reconcile", "--once"]).exits(1);
    assert!(
        once.err.contains(&process) && once.err.contains("holds the lease since"),
        "{}",
        once.err
    );
    estate.run(&["status"]).exits(0);

    first.child.kill().unwrap();
    first.child.wait().unwrap();
    let signed = [("X-Hub-Signature-256", SIGNATURE)];
    assert_eq!(ask(&at_second, "POST", "/webhook", &signed, BODY).0, 202);
    second.says("run done");
    assert_eq!(ready(&at_second).as_deref(), Some("ok\n"));
    second.signal("-TERM");
    assert_eq!(second.ends().0, Some(0));
    estate.run(&["reconcile", "--once"]).exits(0);
    estate.audited();
}

/// The lock of the operating system keeps a paused holder's lease. Here somebody deletes the state store under it.
#[test]
fn a_holder_whose_lease_went_to_another_writes_nothing_more() {
    let mut estate = test_released();
    let mut old = Daemon::start_at(&estate, "2026-11-20T13:05:00Z", "1s", &[]);
    old.says("run done");
    old.signal("-STOP");
    std::fs::remove_dir_all(estate.path().join(".patchwave/state")).unwrap();
    patched(&estate, &["t1", "t2"], "2026-11-20T13:00:00Z");
    let mut new = Daemon::start_at(&estate, "2026-11-20T13:05:00Z", "1h", &[]);
    let done = new.says("run done");
    assert!(done["writes"].as_u64().unwrap() > 0, "{done}");
    let wrote = estate.refs();

    old.signal("-CONT");
    let lost = old.says("run failed");
    let why = lost["why"].as_str().unwrap();
    assert!(why.contains("another runner has taken the lease"), "{why}");
    let waiting = old.says("standing by");
    let holder = format!("/{}/", new.child.id());
    assert!(waiting["why"].as_str().unwrap().contains(&holder), "{waiting}");
    assert_eq!(estate.refs(), wrote);

    new.child.kill().unwrap();
    new.child.wait().unwrap();
    old.says("run done");
    old.signal("-TERM");
    assert_eq!(old.ends().0, Some(0));
    estate.at("2026-11-20T13:06:00Z").reconcile();
    estate.audited();
}

#[test]
fn resources_can_come_from_a_reference() {
    let estate = Sandbox::estate();
    std::fs::write(estate.path().join("policies/broken.yaml"), "kind: [").unwrap();
    estate.run(&["reconcile", "--once"]).exits(1);
    estate.run(&["reconcile", "--once", "--ref", "HEAD"]).exits(0);
    let said = estate.run(&["reconcile", "--once", "--ref", "nowhere"]).exits(1);
    assert!(said.err.contains("nowhere"), "{}", said.err);
}

#[test]
fn the_summary_of_a_ci_job_says_what_waits_for_whom() {
    let estate = Sandbox::estate();
    let said = estate
        .run(&["reconcile", "--once", "--format", "markdown", "--detailed-exitcode"])
        .exits(2);
    for part in [
        "### Done\n\n- seen for the first time",
        "### Waits\n\n- linux-2026-11-20: pull request \\#1 waits for ",
        " (its wave is due by 20",
        "waits for the merge of pull request 1",
        "### Next openings\n\n- 2026-11-20T12:00:00Z: linux-2026-11-20 wave test batch 01 in window any-time (2 assets)",
    ] {
        assert!(said.out.contains(part), "{part} is missing:\n{}", said.out);
    }
    let again = estate
        .run(&["reconcile", "--once", "--format", "markdown", "--detailed-exitcode"])
        .exits(0);
    assert!(again.out.contains("\nNothing to do.\n"), "{}", again.out);
    assert!(!again.out.contains("### Halted"), "{}", again.out);
    // What people write is text, whatever it looks like.
    let reason = "<img src=x> @everyone **[look](http://x)** `a` | b";
    estate
        .run(&["halt", "linux-2026-11-20", "--reason", reason, "--as", "kim"])
        .exits(0);
    let halted = estate.run(&["reconcile", "--once", "--format", "markdown"]).exits(0);
    let shown = "### Halted\n\n- linux-2026-11-20: halted by kim at 2026-11-20T12:00:00Z: &lt;img src=x&gt; &#64;everyone \\*\\*\\[look\\](http://x)\\*\\* \\`a\\` \\| b; patchwave resume linux-2026-11-20 asks to go on";
    assert!(halted.out.contains(shown), "{}", halted.out);
    assert!(!halted.out.contains("<img"), "{}", halted.out);
}
