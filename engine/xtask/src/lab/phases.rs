//! What the lab plays, phase by phase, and what must hold after each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Error};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::chain::{Lab, member};
use super::hosts::{ALL, Family, TWO};
use super::transcript::Transcript;
use super::{Places, failing};

/// The lab with its transcript and the rollout it plays.
pub struct Play<'a> {
    /// The hosts and the chain.
    pub lab: Lab<'a>,
    /// What was seen.
    pub seen: Transcript,
    /// The rollout.
    pub rollout: String,
    places: &'a Places,
    runs: u32,
}

/// Plays the lab; an error is the first thing that was not as it must be.
pub fn play(places: &Places, smallest: bool) -> io::Result<bool> {
    let mut seen = Transcript::new(&places.kept.join("transcript.txt"))?;
    let kinds = if smallest { TWO } else { ALL };
    seen.phase(0, &format!("{} hosts start, and are observed", kinds.len()))?;
    let lab = Lab::new(places, kinds)?;
    let mut play = Play {
        lab,
        seen,
        rollout: String::new(),
        places,
        runs: 0,
    };
    play.begin(smallest)?;
    play.no_permit()?;
    play.first_wave()?;
    play.second_run()?;
    play.next_wave_opens()?;
    if smallest {
        play.last_wave()?;
    } else {
        failing::play(&mut play)?;
    }
    play.quiet()?;
    play.seen.say("all as it must be")?;
    Ok(true)
}

/// The version of `lab-app` before and after, as the databases have it.
pub const fn app(family: Family) -> [&'static str; 2] {
    match family {
        Family::Apt => ["1.0.0-1 installed", "1.1.0-1 installed"],
        Family::Dnf => ["1.0.0-1.el9 installed", "1.1.0-1.el9 installed"],
    }
}

impl Play<'_> {
    /// The repository is written, the hosts are observed, and the engine proposes the first wave.
    fn begin(&mut self, smallest: bool) -> io::Result<()> {
        let repository = self.lab.repository();
        let estate = self.places.home.join("tests/lab/estate");
        let (from, to) = (estate.display().to_string(), repository.display().to_string());
        self.lab.must(&self.places.run, "cp", &["-r", &from, &to])?;
        let published = (Timestamp::now() - SignedDuration::from_hours(48)).to_string();
        for entry in fs::read_dir(repository.join("fleets/advisories"))? {
            let path = entry?.path();
            fs::write(&path, fs::read_to_string(&path)?.replace("@published@", &published))?;
        }
        if smallest {
            // The one host of dnf has nobody of its kind before it.
            let policy = repository.join("policies/linux.yaml");
            fs::write(
                &policy,
                fs::read_to_string(&policy)?.replace("untested: refuse", "untested: extra-approval"),
            )?;
        }
        fs::write(repository.join("fleets/lab.yaml"), self.fleet(smallest))?;
        fs::write(repository.join(".gitignore"), ".patchwave/\nfleets/observed/\n")?;
        fs::create_dir_all(self.lab.observations())?;
        for words in [&["init", "-q"][..], &["add", "-A"], &["commit", "-q", "-m", "The lab"]] {
            self.lab.must(&repository, "git", words)?;
        }
        let said = self.lab.observe_first()?;
        self.seen.holds("every host was observed", said.code == 0, &said.out)?;
        let run = self.lab.reconcile()?;
        let pull = self.lab.pull_request("test")?;
        let branch = pull
            .as_ref()
            .and_then(|p| member(p, "branch").as_str())
            .unwrap_or_default()
            .to_owned();
        self.seen
            .holds("the first wave is proposed", !branch.is_empty(), &run)?;
        self.rollout = branch.split('/').nth(1).unwrap_or_default().to_owned();
        self.seen.holds(
            "only the first wave is",
            self.lab.pull_request("critical")?.is_none(),
            &run,
        )
    }

    /// The fleet as YAML: each host with its environment, and the service that those of production form.
    fn fleet(&self, smallest: bool) -> String {
        let hosts = self.lab.hosts.values().map(|h| h.kind);
        let assets: Vec<String> = hosts
            .map(|h| format!("    - {{name: {}, labels: {{env: {}}}}}\n", h.name, h.environment))
            .collect();
        let service =
            "  services:\n    - {name: app, members: {matchLabels: {env: prod}}, owner: team-app, minAvailable: 4}\n";
        let head = "apiVersion: patchwave.dev/v1\nkind: Fleet\nmetadata:\n  name: lab\nspec:\n  labels: {managed: \"true\"}\n  sources: [facts]\n";
        format!(
            "{head}  assets:\n{}{}",
            assets.concat(),
            if smallest { "" } else { service }
        )
    }

    /// The versions of `lab-app` on every host that answers.
    pub fn versions(&self) -> io::Result<BTreeMap<&'static str, String>> {
        self.lab
            .hosts
            .keys()
            .map(|name| Ok((*name, self.lab.version(name, "lab-app")?)))
            .collect()
    }

    /// The folder of a wave at the controller.
    pub fn wave(&self, folder: &str) -> PathBuf {
        self.lab
            .controller()
            .join("rollouts")
            .join(&self.rollout)
            .join("waves")
            .join(folder)
    }

    /// Runs a playbook of a wave by hand; the results by asset, and what Ansible says it changed. A run that did not get to
    /// its end, or left a host it names without a result, would prove nothing and ends the lab.
    pub fn by_hand(
        &mut self,
        folder: &str,
        playbook: &str,
        permit: &[&str],
    ) -> io::Result<(BTreeMap<String, Value>, u32)> {
        self.runs += 1;
        let results = self.places.run.join(format!("by-hand/{}", self.runs));
        fs::create_dir_all(&results)?;
        let extra = json!({"patchwave_permit_command": permit, "patchwave_results_dir": results});
        let said = self.lab.ansible(&self.wave(folder), playbook, &extra)?;
        let recap = said.out.split("PLAY RECAP").nth(1).unwrap_or_default();
        let hosts = recap.lines().filter_map(|line| line.split_once(" : ok="));
        let played: BTreeSet<&str> = hosts.map(|(host, _)| host.trim()).collect();
        let changed = recap
            .split("changed=")
            .skip(1)
            .filter_map(|rest| rest.split(' ').next()?.parse::<u32>().ok())
            .sum();
        let results = self.lab.results(&results)?;
        let told: BTreeSet<&str> = results.keys().map(String::as_str).collect();
        let every = !played.is_empty() && played == told;
        self.seen
            .holds("every host that was played has a result", every, &(&said.out, &told))?;
        Ok((results, changed))
    }

    /// The permit as a batch asks for it, in words for Ansible.
    pub fn permit(&self) -> Vec<String> {
        self.lab
            .engine()
            .split(' ')
            .map(str::to_owned)
            .chain(["permit".to_owned()])
            .collect()
    }

    /// Runs a batch by hand that may not run: nothing of it does, and every result says so.
    pub fn nothing_happens(&mut self, when: &str, folder: &str, playbook: &str) -> io::Result<()> {
        let before = self.versions()?;
        let permit = self.permit();
        let permit: Vec<&str> = permit.iter().map(String::as_str).collect();
        let (results, changed) = self.by_hand(folder, playbook, &permit)?;
        self.seen
            .holds(&format!("{when}: there are results"), !results.is_empty(), &results)?;
        for (asset, result) in &results {
            let stopped = member(result, "status") == "not-attempted"
                && member(result, "stage") == "permit"
                && *member(result, "changed") == false;
            let reason = member(result, "reason").as_str().unwrap_or_default();
            self.seen
                .holds(&format!("{when}: {asset} is not attempted: {reason}"), stopped, result)?;
        }
        self.seen.equal(&format!("{when}: changed by Ansible"), &changed, &0)?;
        let after = self.versions()?;
        self.seen.equal(&format!("{when}: versions"), &after, &before)
    }

    /// The same for the way back of the batch that failed.
    pub fn nothing_happens_back(&mut self, when: &str) -> io::Result<()> {
        self.nothing_happens(when, "02-critical", "rollback/ansible/batch-02.yml")
    }

    fn no_permit(&mut self) -> io::Result<()> {
        self.seen.phase(1, "without a permit nothing happens")?;
        let branch = format!("patchwave/{}/test", self.rollout);
        self.lab.check_out(&branch)?;
        self.nothing_happens("proposed, not merged", "01-test", "ansible/batch-01.yml")?;
        let pull = self.lab.pull_request("test")?.unwrap_or_default();
        self.lab.merge(&pull)?;
        self.lab.check_out("main")?;
        self.nothing_happens("merged, not released", "01-test", "ansible/batch-01.yml")?;
        let said = self.lab.execute()?;
        let nothing = said.code == 0 && said.out.contains("0 of 0 released batches ran");
        self.seen.holds("the executor finds nothing to run", nothing, &said.out)
    }

    /// Releases, as the engine does at its next run; whatever it did is looked through for the words.
    pub fn until(&mut self, words: &str) -> io::Result<()> {
        let mut last = Value::Null;
        for _ in 0..30 {
            last = self.lab.reconcile()?;
            let done = member(&last, "done").as_array().cloned().unwrap_or_default();
            if done.iter().any(|line| line.as_str().is_some_and(|l| l.contains(words))) {
                return self.seen.say(&format!("the engine: {words}"));
            }
            sleep(Duration::from_secs(1));
        }
        self.seen.holds(&format!("the engine: {words}"), false, &last)
    }

    /// Runs the executor, which must run one batch well.
    pub fn batch_runs(&mut self) -> io::Result<()> {
        // Observations are as exact as a second: what is seen is seen after the release.
        sleep(Duration::from_millis(1500));
        let said = self.lab.execute()?;
        let well = said.code == 0 && said.out.contains("1 of 1 released batches ran");
        self.seen
            .holds("the executor ran one batch", well, &(said.out, said.err))
    }

    /// The results that the executor has of a batch.
    pub fn results(&self, wave: &str, batch: &str) -> io::Result<BTreeMap<String, Value>> {
        self.lab.results(
            &self
                .places
                .run
                .join("results")
                .join(format!("{}.{wave}.{batch}", self.rollout)),
        )
    }

    fn first_wave(&mut self) -> io::Result<()> {
        self.seen.phase(2, "the first wave is patched, and a host reboots")?;
        let boot = self.lab.on("t1", "cat /proc/sys/kernel/random/boot_id")?;
        self.until("released wave test batch 01")?;
        self.batch_runs()?;
        for (asset, result) in self.results("test", "01")? {
            self.seen.holds(
                &format!("{asset}: ok"),
                member(&result, "status") == "ok" && *member(&result, "changed") == true,
                &result,
            )?;
        }
        let tested: Vec<_> = self
            .lab
            .hosts
            .values()
            .map(|h| h.kind)
            .filter(|h| h.environment == "test")
            .collect();
        for host in tested {
            let version = self.lab.version(host.name, "lab-app")?;
            self.seen.equal(
                &format!("{}: lab-app", host.name),
                &version.as_str(),
                &app(host.family)[1],
            )?;
        }
        let kernel = self.lab.version("t1", "lab-kernel")?;
        self.seen
            .equal("t1: lab-kernel", &kernel.as_str(), &"6.1.101-1 installed")?;
        let after = self.lab.on("t1", "cat /proc/sys/kernel/random/boot_id")?;
        self.seen.holds(
            "t1 has another boot_id",
            !after.is_empty() && after != boot,
            &(boot, after),
        )?;
        let rebooted = self.results("test", "01")?.remove("t1").unwrap_or_default();
        self.seen.equal(
            "t1: rebooted, says its result",
            member(&rebooted, "rebooted"),
            &json!(true),
        )
    }

    fn second_run(&mut self) -> io::Result<()> {
        self.seen.phase(3, "a second run changes nothing")?;
        let before = self.versions()?;
        let said = self.lab.execute()?;
        self.seen.holds(
            "the executor runs nothing twice",
            said.code == 0 && said.out.contains("0 of 0"),
            &said.out,
        )?;
        // The engine gives no second permit, so one that is always given shows that the artifact itself is safe.
        let (results, changed) = self.by_hand("01-test", "ansible/batch-01.yml", &["true"])?;
        self.seen.equal("changed by Ansible", &changed, &0)?;
        for (asset, result) in &results {
            let same = member(result, "status") == "ok"
                && *member(result, "changed") == false
                && *member(result, "rebooted") == false;
            self.seen
                .holds(&format!("{asset}: ok, and nothing changed"), same, result)?;
        }
        let after = self.versions()?;
        self.seen.equal("versions", &after, &before)
    }

    fn next_wave_opens(&mut self) -> io::Result<()> {
        self.seen.phase(4, "fresh facts go back in, and the next wave opens")?;
        self.until("wave test promoted")?;
        let pull = self.lab.pull_request("critical")?;
        self.seen.holds("the next wave is proposed", pull.is_some(), &pull)
    }

    /// The smallest form ends with its second host patched.
    fn last_wave(&mut self) -> io::Result<()> {
        self.seen.phase(5, "the next wave is patched")?;
        let pull = self
            .lab
            .pull_request("critical")?
            .ok_or_else(|| Error::other("no pull request"))?;
        self.lab.merge(&pull)?;
        self.until("released wave critical batch 01")?;
        self.batch_runs()?;
        let version = self.lab.version("c1", "lab-app")?;
        self.seen
            .equal("c1: lab-app", &version.as_str(), &app(Family::Dnf)[1])?;
        self.until("wave critical promoted")
    }

    /// The chains hold, and there is nothing left to do.
    fn quiet(&mut self) -> io::Result<()> {
        let said = self.lab.patchwave(&["audit", "verify"], &[])?;
        self.seen
            .holds("the chains of the ledger hold", said.code == 0, &said.err)?;
        self.lab.reconcile()?;
        let run = self.lab.reconcile()?;
        self.seen
            .equal("writes of one more run", member(&run, "writes"), &json!(0))
    }
}
