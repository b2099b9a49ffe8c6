//! The chain that is shown: the repository of a user, the engine, the forge's main at a controller, Ansible, and back.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Error, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::hosts::{Family, Host, Kind};
use super::{Places, done};

/// How long the server of packages may take: it is a file server of Python and answers at once, or it has died.
const SERVER_WAIT: Duration = Duration::from_secs(30);

/// What a command said.
pub struct Said {
    /// Its exit code; -1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    fn json(&self) -> io::Result<Value> {
        serde_json::from_str(&self.out).map_err(|e| Error::other(format!("{e}:\n{}\n{}", self.out, self.err)))
    }
}

/// A member of an object; null where there is none.
pub fn member<'v>(value: &'v Value, key: &str) -> &'v Value {
    value.get(key).unwrap_or(&Value::Null)
}

/// The lab while it plays.
pub struct Lab<'a> {
    places: &'a Places,
    /// Its hosts by name.
    pub hosts: BTreeMap<&'static str, Host>,
    mirror: Child,
}

impl Drop for Lab<'_> {
    fn drop(&mut self) {
        // The namespaces end it in any case; a zombie until then would be odd to look at.
        let _ = self.mirror.kill().and_then(|()| self.mirror.wait());
    }
}

impl<'a> Lab<'a> {
    /// Makes and starts the hosts, and what they and the controller need.
    pub fn new(places: &'a Places, kinds: &[Kind]) -> io::Result<Self> {
        let run = &places.run;
        let mut key = Command::new("ssh-keygen");
        done(
            key.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(run.join("id")),
            "ssh-keygen",
        )?;
        fs::write(run.join("hosts.txt"), "127.0.0.1 localhost\n")?;
        let mut mirror = Command::new("python3");
        mirror.args(["-m", "http.server", "--bind", "10.83.0.1", "8000", "--directory"]);
        let log = fs::File::create(run.join("mirror.log"))?;
        let mirror = mirror
            .arg(places.kept.join("packages"))
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut lab = Self {
            places,
            hosts: BTreeMap::new(),
            mirror,
        };
        for (number, kind) in kinds.iter().enumerate() {
            let mut host = Host::new(places, *kind, number + 1)?;
            host.start(places)?;
            lab.hosts.insert(kind.name, host);
        }
        let mut bind = Command::new("mount");
        done(
            bind.arg("--bind").arg(run.join("hosts.txt")).arg("/etc/hosts"),
            "mount --bind",
        )?;
        for host in lab.hosts.values() {
            host.wait_until_up()?;
        }
        let deadline = Instant::now() + SERVER_WAIT;
        while TcpStream::connect("10.83.0.1:8000").is_err() {
            if Instant::now() > deadline {
                return Err(io::Error::other(
                    "the server of packages does not answer at 10.83.0.1:8000",
                ));
            }
            sleep(Duration::from_millis(50));
        }
        lab.site()?;
        Ok(lab)
    }

    /// What this site adds to the rendered inventory: users and keys.
    fn site(&self) -> io::Result<()> {
        let run = self.places.run.display();
        let options =
            format!("-o UserKnownHostsFile={run}/known_hosts -o StrictHostKeyChecking=yes -o ConnectTimeout=10");
        let vars = format!(
            "ansible_user: deploy\n    ansible_ssh_private_key_file: {run}/id\n    ansible_ssh_common_args: {options}"
        );
        fs::write(self.places.run.join("site.yml"), format!("all:\n  vars:\n    {vars}\n"))?;
        // Before anything is rendered, the hosts are those the site knows.
        let hosts: Vec<String> = self
            .hosts
            .values()
            .map(|h| format!("    {}: {{ansible_host: {}}}\n", h.kind.name, h.fqdn()))
            .collect();
        fs::write(
            self.places.run.join("first.yml"),
            format!("all:\n  hosts:\n{}", hosts.concat()),
        )?;
        fs::create_dir_all(self.places.run.join("home"))?;
        let identity = "[user]\n  name = otto\n  email = otto@example.invalid\n[init]\n  defaultBranch = main\n";
        fs::write(self.places.run.join("home/.gitconfig"), identity)
    }

    /// A host.
    pub fn host(&mut self, name: &str) -> io::Result<&mut Host> {
        self.hosts
            .get_mut(name)
            .ok_or_else(|| Error::other(format!("no host {name}")))
    }

    /// Starts a host that was ended, and waits for it.
    pub fn start(&mut self, name: &str) -> io::Result<()> {
        let places = self.places;
        let host = self.host(name)?;
        host.start(places)?;
        host.wait_until_up()
    }

    /// The repository of the user.
    pub fn repository(&self) -> PathBuf {
        self.places.run.join("repository")
    }

    /// The clone of the forge that the controller runs from.
    pub fn controller(&self) -> PathBuf {
        self.places.run.join("controller")
    }

    /// Where observe.yml writes and the Source reads.
    pub fn observations(&self) -> PathBuf {
        self.repository().join("fleets/observed")
    }

    /// Runs a program with the lab's environment; everything it says is kept in a log.
    pub fn say(&self, folder: &Path, program: &str, words: &[&str], more: &[(&str, &str)]) -> io::Result<Said> {
        let path = std::env::var("PATH").unwrap_or_default();
        let run = &self.places.run;
        let output = Command::new(program)
            .args(words)
            .current_dir(folder)
            .env_clear()
            .env(
                "PATH",
                format!("{}:{path}", self.places.kept.join("venv/bin").display()),
            )
            .env("HOME", run.join("home"))
            .env("LC_ALL", "C.UTF-8")
            .env("ANSIBLE_HOME", run.join("home/ansible"))
            .env("ANSIBLE_NOCOLOR", "1")
            .env("ANSIBLE_PIPELINING", "1")
            .env("ANSIBLE_LOCALHOST_WARNING", "false")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = Said {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        };
        let mut log = OpenOptions::new()
            .append(true)
            .create(true)
            .open(run.join("said.log"))?;
        writeln!(
            log,
            "$ {program} {} -> {}\n{}{}",
            words.join(" "),
            said.code,
            said.out,
            said.err
        )?;
        Ok(said)
    }

    /// The same, which must go well.
    pub fn must(&self, folder: &Path, program: &str, words: &[&str]) -> io::Result<String> {
        let said = self.say(folder, program, words, &[])?;
        if said.code == 0 {
            return Ok(said.out);
        }
        let (code, out, err) = (said.code, said.out, said.err);
        Err(Error::other(format!(
            "{program} {} ended with {code}:\n{out}\n{err}",
            words.join(" ")
        )))
    }

    /// The words that call the engine on the repository.
    pub fn engine(&self) -> String {
        let binary = self.places.home.join("target/debug/patchwave");
        format!(
            "{} --color never -q -C {}",
            binary.display(),
            self.repository().display()
        )
    }

    /// The engine, on the repository.
    pub fn patchwave(&self, words: &[&str], more: &[(&str, &str)]) -> io::Result<Said> {
        let engine = self.engine();
        let mut all: Vec<&str> = engine.split(' ').collect();
        all.extend(words);
        let (program, words) = all.split_first().ok_or_else(|| Error::other("no engine"))?;
        self.say(&self.repository(), program, words, more)
    }

    /// One run of the loop: what it did, as its report.
    pub fn reconcile(&self) -> io::Result<Value> {
        let said = self.patchwave(&["reconcile", "--once", "--format", "json"], &[])?;
        if said.code != 0 {
            return Err(Error::other(format!(
                "reconcile ended with {}:\n{}\n{}",
                said.code, said.out, said.err
            )));
        }
        said.json()
    }

    /// What the forge has: the newest open pull request whose branch ends in these words.
    pub fn pull_request(&self, wave: &str) -> io::Result<Option<Value>> {
        let all = self.patchwave(&["forge", "list", "--format", "json"], &[])?.json()?;
        let fits = |pull: &&Value| {
            let branch = member(pull, "branch")
                .as_str()
                .unwrap_or_default()
                .rsplit('/')
                .next()
                .unwrap_or_default();
            branch == wave || branch.starts_with(&format!("{wave}."))
        };
        Ok(all.as_array().and_then(|all| all.iter().rev().find(fits)).cloned())
    }

    /// A person agrees.
    pub fn merge(&self, pull: &Value) -> io::Result<()> {
        let number = member(pull, "number").to_string();
        let said = self.patchwave(&["forge", "merge", &number], &[])?;
        if said.code == 0 {
            Ok(())
        } else {
            Err(Error::other(said.err))
        }
    }

    /// Brings the controller to a branch of the forge.
    pub fn check_out(&self, branch: &str) -> io::Result<()> {
        let (forge, clone) = (self.repository().join(".patchwave/forge.git"), self.controller());
        if !clone.is_dir() {
            let (forge, clone) = (forge.display().to_string(), clone.display().to_string());
            self.must(&self.places.run, "git", &["clone", "-q", &forge, &clone])?;
        }
        self.must(&clone, "git", &["fetch", "-q", "origin"])?;
        self.must(&clone, "git", &["reset", "-q", "--hard", &format!("origin/{branch}")])?;
        Ok(())
    }

    /// Runs a playbook in the folder of a wave, with the inventory that was rendered and what the site adds.
    pub fn ansible(&self, wave: &Path, playbook: &str, extra: &Value) -> io::Result<Said> {
        let (site, extra) = (
            self.places.run.join("site.yml").display().to_string(),
            extra.to_string(),
        );
        let words = ["-i", "ansible/inventory.yml", "-i", &site, "-e", &extra, playbook];
        self.say(wave, "ansible-playbook", &words, &[])
    }

    /// The first look at the hosts, before there is any rollout: the same playbook, and the hosts the site knows.
    pub fn observe_first(&self) -> io::Result<Said> {
        let folder = self.places.home.join("templates/ansible");
        let run = self.places.run.display();
        let extra = serde_json::json!({"patchwave_observations_dir": self.observations()}).to_string();
        let (first, site) = (format!("{run}/first.yml"), format!("{run}/site.yml"));
        self.say(
            &folder,
            "ansible-playbook",
            &["-i", &first, "-i", &site, "-e", &extra, "observe.yml"],
            &[],
        )
    }

    /// The executor, as it is shipped: whatever is released runs, results are recorded, the hosts are observed.
    pub fn execute(&self) -> io::Result<Said> {
        self.check_out("main")?;
        let script = self.places.home.join("scripts/execute.py").display().to_string();
        let (repository, engine) = (
            self.repository().display().to_string(),
            self.places.home.join("target/debug/patchwave"),
        );
        let (rollouts, observations) = (self.controller().join("rollouts"), self.observations());
        let words = [
            &script,
            "--root",
            &repository,
            "--patchwave",
            &engine.display().to_string(),
            "--rollouts",
            &rollouts.display().to_string(),
            "--results",
            &self.places.run.join("results").display().to_string(),
            "--observations",
            &observations.display().to_string(),
            "--inventory",
            &self.places.run.join("site.yml").display().to_string(),
        ];
        self.say(&self.controller(), "python3", &words, &[])
    }

    /// The results of a batch, by asset: `FOLDER` is that of the executor or one of a playbook run by hand.
    pub fn results(&self, folder: &Path) -> io::Result<BTreeMap<String, Value>> {
        let mut found = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|e| e == "json") {
                let result: Value = serde_json::from_str(&fs::read_to_string(&path)?).map_err(Error::other)?;
                found.insert(member(&result, "asset").as_str().unwrap_or_default().to_owned(), result);
            }
        }
        Ok(found)
    }

    /// Runs a command on a host over ssh; its standard output.
    pub fn on(&self, name: &str, command: &str) -> io::Result<String> {
        let host = self
            .hosts
            .get(name)
            .ok_or_else(|| Error::other(format!("no host {name}")))?;
        let run = self.places.run.display();
        let (key, known, to) = (
            format!("{run}/id"),
            format!("UserKnownHostsFile={run}/known_hosts"),
            format!("deploy@{}", host.fqdn()),
        );
        let words = ["-n", "-o", "ConnectTimeout=10", "-o", &known, "-i", &key, &to, command];
        Ok(self.say(&self.places.run, "ssh", &words, &[])?.out.trim().to_owned())
    }

    /// The version of a package and its state, as the database of the host itself has them.
    pub fn version(&self, name: &str, package: &str) -> io::Result<String> {
        let family = self.hosts.get(name).map(|h| h.kind.family);
        let command = match family {
            Some(Family::Apt) => format!("dpkg-query -W -f '${{Version}} ${{db:Status-Status}}' {package}"),
            _ => format!("rpm -q --qf '%{{VERSION}}-%{{RELEASE}} installed' {package}"),
        };
        self.on(name, &command)
    }
}
