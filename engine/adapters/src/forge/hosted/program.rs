//! The `git` program, run with nothing of the machine's settings, for a bounded time, and with the token in its environment alone.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;

use crate::forge::ForgeError;
use crate::loopback::is_loopback_url;
use crate::secret::Secret;

/// Ends a transfer that moves fewer than a thousand bytes a second for so long.
const STALL_SECONDS: &str = "60";
/// Longest time for one fetch or push: the first fetch brings the whole history of the base branch.
const TRANSFER: Duration = Duration::from_secs(1800);
/// Pause between two looks at whether the program has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// Longest part of what the program says that is kept.
const WORDS_BYTES_MAX: usize = 64 << 10;
/// The last words of a program that has ended are there at once; what it left running may hold their pipe open for ever.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// What of this process's environment the program gets: how to reach the network and whom to trust, nothing that makes it
/// talk (`GIT_TRACE…`) or changes what it does.
const PASSED_ON: [&str; 19] = [
    "PATH",
    "HOME",
    "TMPDIR",
    "TEMP",
    "SystemRoot",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_EXEC_PATH",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "no_proxy",
    "NO_PROXY",
    "USERPROFILE",
];

/// What the program said, and at which try.
pub(super) struct Said {
    pub(super) done: bool,
    pub(super) tried: u32,
    /// In its words, without anything secret.
    pub(super) words: String,
    /// The same without addresses and names of branches: in them anything may stand, and a repository called
    /// `redirect-rules` is no redirection.
    signs: String,
}

impl Said {
    pub(super) fn new(done: bool, tried: u32, words: &str, url: &str) -> Self {
        let host = url.split_once("://").map_or(url, |(_, rest)| rest);
        let host = host.split(['/', ':']).next().unwrap_or_default();
        let plain = |word: &&str| !word.contains('/') && (host.is_empty() || !word.contains(host));
        let list: Vec<&str> = words.split_whitespace().collect();
        Self {
            done,
            tried,
            signs: list.iter().copied().filter(plain).collect::<Vec<_>>().join(" "),
            words: list.join(" "),
        }
    }

    /// Whether one of these signs is among its words.
    pub(super) fn has(&self, signs: &[&str]) -> bool {
        signs.iter().any(|sign| self.signs.contains(sign))
    }
}

/// Runs the program on the repository in `folder`, to speak with `url`.
pub(super) fn git(
    folder: &Path,
    url: &str,
    token: &Secret,
    arguments: &[&str],
    tried: u32,
) -> Result<Said, ForgeError> {
    let authorization = authorization(token);
    let (done, words) = run(command(folder, url, &authorization, arguments), TRANSFER)?;
    let encoded = authorization.rsplit(' ').next().unwrap_or_default();
    let words = token.redact(&words.replace(encoded, "[secret]"));
    Ok(Said::new(done, tried, &words, url))
}

fn command(folder: &Path, url: &str, authorization: &str, arguments: &[&str]) -> Command {
    let mut settings = vec![
        ("http.extraHeader", authorization),
        ("http.followRedirects", "false"),
        ("credential.helper", ""),
        ("core.hooksPath", "/dev/null"),
        ("gc.auto", "0"),
    ];
    if is_loopback_url(url) {
        // It may be spoken to without TLS, and then a proxy would read the token.
        settings.push(("http.proxy", ""));
    }
    let mut command = Command::new("git");
    command.arg("--git-dir").arg(folder).args(arguments).env_clear();
    command.envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(|n| PASSED_ON.contains(&n))));
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_HTTP_LOW_SPEED_LIMIT", "1000")
        .env("GIT_HTTP_LOW_SPEED_TIME", STALL_SECONDS)
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_COUNT", settings.len().to_string());
    for (at, (name, value)) in settings.iter().enumerate() {
        command
            .env(format!("GIT_CONFIG_KEY_{at}"), name)
            .env(format!("GIT_CONFIG_VALUE_{at}"), value);
    }
    command
}

/// The header that carries a token; both forges take any name beside it.
fn authorization(token: &Secret) -> String {
    let pair = format!("x-access-token:{}", token.expose());
    let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
    format!("Authorization: Basic {encoded}")
}

/// Runs a program to its end, for at most so long: whether it succeeded, and what it said of errors.
fn run(mut command: Command, limit: Duration) -> Result<(bool, String), ForgeError> {
    let absent = |e: std::io::Error| {
        ForgeError::terminal(
            format!("git cannot be run: {e}"),
            "install git: this forge is written by pushing",
        )
    };
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    // Git leaves the transfer to programs of its own; in a group of their own all of them can be ended together.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().map_err(absent)?;
    let (words, ended) = listen(&mut child);
    let looks = limit.as_millis() / LOOK_AGAIN.as_millis().max(1);
    let mut status = None;
    for _ in 0..looks {
        status = child.try_wait().map_err(absent)?;
        if status.is_some() {
            break;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    if status.is_none() {
        end(&mut child);
    }
    let _ = ended.recv_timeout(LAST_WORDS);
    let words = words.lock().unwrap_or_else(PoisonError::into_inner);
    let words = String::from_utf8_lossy(&words);
    Ok(match status {
        Some(status) => (status.success(), words.into_owned()),
        None => (false, format!("no end within {} s: {words}", limit.as_secs())),
    })
}

/// Collects what a program says of errors; the receiver hears when it is all there.
fn listen(child: &mut Child) -> (Arc<Mutex<Vec<u8>>>, Receiver<()>) {
    let words = Arc::new(Mutex::new(Vec::new()));
    let (ending, ended) = channel();
    if let Some(mut errors) = child.stderr.take() {
        let kept = Arc::clone(&words);
        std::thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(count @ 1..) = errors.read(&mut some) {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                let room = WORDS_BYTES_MAX.saturating_sub(kept.len());
                kept.extend(some.iter().take(count.min(room)));
            }
            let _ = ending.send(());
        });
    }
    (words, ended)
}

/// Ends a program and what it started.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_says_why_is_told_from_names_that_look_like_it() {
        let url = "http://redirect.example.org/acme/declined-rules.git";
        let lost = "fatal: unable to access 'http://redirect.example.org/acme/declined-rules.git/': Could not resolve host: \
                    redirect.example.org";
        let said = Said::new(false, 1, lost, url);
        assert!(!said.has(&["redirect", "declined"]), "{}", said.signs);
        assert!(said.words.contains("acme/declined-rules.git"));
        let refused = "remote: error: hook declined to update refs/heads/patchwave/r/test";
        assert!(Said::new(false, 1, refused, url).has(&["declined"]));
        let behind = "! [rejected] 1a2b -> patchwave/declined-2027/test (stale info)";
        let said = Said::new(false, 1, behind, url);
        assert!(said.has(&["rejected"]) && !said.has(&["declined"]));
    }

    #[test]
    fn on_the_loopback_no_proxy_hears_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        proxy.set_nonblocking(true).unwrap();
        let address = format!("http://{}", proxy.local_addr().unwrap());
        for (url, heard) in [
            ("http://127.0.0.1:1/x.git", false),
            ("http://forge.invalid/x.git", true),
        ] {
            let mut asked = command(folder.path(), url, "Authorization: Basic planted", &["ls-remote", url]);
            asked
                .env("http_proxy", &address)
                .env_remove("no_proxy")
                .env_remove("NO_PROXY");
            let (listener, answered) = (proxy.try_clone().unwrap(), Arc::new(Mutex::new(false)));
            let hear = Arc::clone(&answered);
            let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
            let stopped = Arc::clone(&stop);
            let answering = std::thread::spawn(move || {
                while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                    // What connects is cut off at once.
                    *hear.lock().unwrap() |= listener.accept().is_ok();
                    std::thread::sleep(LOOK_AGAIN);
                }
            });
            let (done, _) = run(asked, Duration::from_secs(60)).unwrap();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            answering.join().unwrap();
            assert!(!done);
            assert_eq!(*answered.lock().unwrap(), heard, "{url}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_a_program_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let from = pipe.clone();
        let hearing = std::thread::spawn(move || std::fs::read_to_string(from).unwrap());
        // What it started holds the pipe of the words open, and says something if it is let live.
        let script = format!(
            "echo one >&2; (exec 3>'{}'; sleep 20; echo late >&3) & wait",
            pipe.display()
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let (done, words) = run(command, Duration::from_secs(1)).unwrap();
        assert!(
            !done && words.contains("no end within") && words.contains("one"),
            "{words}"
        );
        assert_eq!(hearing.join().unwrap(), "");
    }

    #[cfg(unix)]
    #[test]
    fn what_a_program_left_running_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let late = folder.path().join("late");
        let script = format!("echo two >&2; (sleep 20; touch '{}') & exit 0", late.display());
        let mut command = Command::new("sh");
        command.args(["-c", &script]);
        let (done, words) = run(command, Duration::from_secs(60)).unwrap();
        assert!(done && words == "two\n" && !late.exists(), "{words}");
    }
}
