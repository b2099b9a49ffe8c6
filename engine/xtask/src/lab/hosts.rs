//! The hosts of the lab: a writable layer each over shared root file systems, with a network, processes and keys of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Error};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Places, done};

/// Which packages a host has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Family {
    /// dpkg and apt.
    Apt,
    /// rpm and dnf.
    Dnf,
}

/// What a host is.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// Its name; its fully qualified one ends in [`DOMAIN`].
    pub name: &'static str,
    /// Value of its label `env`.
    pub environment: &'static str,
    /// Its packages.
    pub family: Family,
    /// Whether systemd boots it, so that it can reboot, and `lab-kernel` is installed.
    pub booted: bool,
}

const fn kind(name: &'static str, environment: &'static str, family: Family, booted: bool) -> Kind {
    Kind {
        name,
        environment,
        family,
        booted,
    }
}

/// Ends the names; reserved for tests by RFC 6761.
pub const DOMAIN: &str = "lab.test";

/// The hosts of the whole lab: six of apt, three of dnf; one boots.
pub const ALL: &[Kind] = &[
    kind("t1", "test", Family::Apt, true),
    kind("t2", "test", Family::Dnf, false),
    kind("c1", "prod", Family::Apt, false),
    kind("c2", "prod", Family::Apt, false),
    kind("c3", "prod", Family::Apt, false),
    kind("c4", "prod", Family::Dnf, false),
    kind("c5", "prod", Family::Dnf, false),
    kind("c6", "prod", Family::Apt, false),
    kind("c7", "prod", Family::Apt, false),
];

/// The hosts of its smallest form.
pub const TWO: &[Kind] = &[
    kind("t1", "test", Family::Apt, true),
    kind("c1", "prod", Family::Dnf, false),
];

/// A host that was made.
pub struct Host {
    /// What it is.
    pub kind: Kind,
    /// Its address in the network of the lab.
    pub address: String,
    /// Its mounted root.
    root: PathBuf,
    log: PathBuf,
    process: Option<Child>,
}

impl Host {
    /// Mounts its root, gives it its keys, network and packages; `number` makes its address.
    pub fn new(places: &Places, kind: Kind, number: usize) -> io::Result<Self> {
        let folder = places.run.join("hosts").join(kind.name);
        let root = folder.join("root");
        for name in ["root", "upper", "work"] {
            fs::create_dir_all(folder.join(name))?;
        }
        let host = Self {
            kind,
            address: format!("10.83.0.{}", 10 + number),
            root,
            log: folder.join("log"),
            process: None,
        };
        host.mount(places)?;
        host.name_and_keys(places)?;
        host.network(number)?;
        host.packages(places)?;
        Ok(host)
    }

    /// Its fully qualified name.
    pub fn fqdn(&self) -> String {
        format!("{}.{DOMAIN}", self.kind.name)
    }

    fn mount(&self, places: &Places) -> io::Result<()> {
        let layers: &[&str] = match (self.kind.family, self.kind.booted) {
            (Family::Dnf, _) => &["rpm", "plain"],
            (Family::Apt, true) => &["booted", "plain"],
            (Family::Apt, false) => &["plain"],
        };
        let lower: Vec<String> = layers
            .iter()
            .map(|l| places.kept.join("bases").join(l).display().to_string())
            .collect();
        let folder = self.root.parent().unwrap_or(&self.root).display();
        let options = format!(
            "lowerdir={},upperdir={folder}/upper,workdir={folder}/work",
            lower.join(":")
        );
        let mut mount = Command::new("mount");
        done(
            mount.args(["-t", "overlay", "overlay", "-o", &options]).arg(&self.root),
            "mount",
        )
    }

    fn name_and_keys(&self, places: &Places) -> io::Result<()> {
        let root = &self.root;
        let names = format!(
            "127.0.0.1 localhost\n{} {} {}\n",
            self.address,
            self.fqdn(),
            self.kind.name
        );
        fs::write(root.join("etc/hosts"), names)?;
        fs::write(root.join("etc/hostname"), format!("{}\n", self.kind.name))?;
        let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?;
        fs::write(root.join("etc/machine-id"), id.replace('-', ""))?;
        fs::create_dir_all(root.join("etc/lab"))?;
        let ssh = root.join("home/deploy/.ssh");
        fs::create_dir_all(&ssh)?;
        fs::copy(places.run.join("id.pub"), ssh.join("authorized_keys"))?;
        let key = root.join("etc/ssh/ssh_host_ed25519_key");
        let mut generate = Command::new("ssh-keygen");
        done(
            generate.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key),
            "ssh-keygen",
        )?;
        let known = fs::read_to_string(key.with_extension("pub"))?;
        append(
            &places.run.join("known_hosts"),
            &format!("{},{} {known}", self.fqdn(), self.address),
        )?;
        append(
            &places.run.join("hosts.txt"),
            &format!("{} {} {}\n", self.address, self.fqdn(), self.kind.name),
        )
    }

    fn network(&self, number: usize) -> io::Result<()> {
        let (name, link) = (self.kind.name, format!("v{number}"));
        let address = format!("{}/24", self.address);
        for words in [
            vec!["netns", "add", name],
            vec![
                "link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", name,
            ],
            vec!["link", "set", &link, "master", "br0", "up"],
            vec!["-n", name, "link", "set", "lo", "up"],
            vec!["-n", name, "address", "add", &address, "dev", "eth0"],
            vec!["-n", name, "link", "set", "eth0", "up"],
        ] {
            done(Command::new("ip").args(&words), &format!("ip {}", words.join(" ")))?;
        }
        Ok(())
    }

    /// The versions it has before anything is patched, and where newer ones are fetched.
    fn packages(&self, places: &Places) -> io::Result<()> {
        let packages = places.kept.join("packages");
        let mut install;
        if self.kind.family == Family::Apt {
            let list = self.root.join("etc/apt/sources.list");
            fs::write(list, "deb [trusted=yes] http://10.83.0.1:8000/apt lab main\n")?;
            install = Command::new("dpkg");
            install
                .arg("--root")
                .arg(&self.root)
                .arg("--install")
                .arg(packages.join("apt/pool/lab-app_1.0.0-1_all.deb"));
            if self.kind.booted {
                install.arg(packages.join("apt/pool/lab-kernel_6.1.100-1_all.deb"));
            }
        } else {
            let list = "[lab]\nname=lab\nbaseurl=http://10.83.0.1:8000/rpm/\nenabled=1\ngpgcheck=0\n";
            fs::create_dir_all(self.root.join("etc/yum.repos.d"))?;
            fs::write(self.root.join("etc/yum.repos.d/lab.repo"), list)?;
            install = Command::new("rpm");
            install
                .arg("--root")
                .arg(&self.root)
                .args(["--dbpath", "/var/lib/rpm", "--install"]);
            for file in ["almalinux-release-9.9-1.el9", "lab-app-1.0.0-1.el9"] {
                install.arg(packages.join(format!("rpm/noarch/{file}.noarch.rpm")));
            }
        }
        done(&mut install, "installing the first versions")
    }

    /// Starts it; it answers a little later.
    pub fn start(&mut self, places: &Places) -> io::Result<()> {
        let log = OpenOptions::new().append(true).create(true).open(&self.log)?;
        let kind = if self.kind.booted { "booted" } else { "plain" };
        let mut command = Command::new(places.home.join("tests/lab/host.sh"));
        command
            .args([kind, self.kind.name])
            .arg(&self.root)
            .stdin(Stdio::null());
        self.process = Some(command.stdout(log.try_clone()?).stderr(log).spawn()?);
        Ok(())
    }

    /// Waits until its sshd answers.
    pub fn wait_until_up(&self) -> io::Result<()> {
        let (started, address) = (Instant::now(), format!("{}:22", self.address));
        while started.elapsed() < Duration::from_secs(60) {
            let address = address.parse().map_err(Error::other)?;
            if std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(100));
        }
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        Err(Error::other(format!("{} does not answer:\n{log}", self.kind.name)))
    }

    /// Ends it with everything that runs on it, as a power cut does. Only for those that are not booted.
    pub fn kill(&mut self) -> io::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            process.wait()?;
        }
        Ok(())
    }

    /// Makes a file below its `/etc/lab`, which tells a script of a package to fail.
    pub fn mark(&self, name: &str) -> io::Result<()> {
        File::create(self.root.join("etc/lab").join(name)).map(drop)
    }
}

fn append(path: &std::path::Path, text: &str) -> io::Result<()> {
    use std::io::Write;
    let mut file = OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(text.as_bytes())
}
