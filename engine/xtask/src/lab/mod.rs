//! A lab of real hosts: real package databases behind real ssh, patched by what the engine renders.
//!
//! `cargo run -p xtask -- lab` needs root. tests/lab/README.md says what stands where, what is real and what is not.
//!
//! The lab lives in namespaces of its own. Its first process dies with the process that asked for it, and the kernel ends
//! every process, mount and interface of the namespaces with that: on exit, on an error, on Ctrl-C and on `kill -9`.

mod chain;
mod failing;
mod hosts;
mod phases;
mod transcript;

use std::fs;
use std::io::{self, Error};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How to ask for it.
pub const USAGE: &str = "lab [--smallest] | lab --can";

/// Program → package of Debian that has it.
const PROGRAMS: &[(&str, &str)] = &[
    ("debootstrap", "debootstrap"),
    ("apt-ftparchive", "apt-utils"),
    ("rpmbuild", "rpm"),
    ("createrepo_c", "createrepo-c"),
    ("ssh", "openssh-client"),
    ("systemd-nspawn", "systemd-container"),
    ("ip", "iproute2"),
    ("git", "git"),
    ("python3", "python3-venv"),
];

/// What a lab has to know of places; all below `target/lab`.
struct Places {
    /// The repository of patchwave.
    home: PathBuf,
    /// Kept between runs: root file systems, packages, the venv.
    kept: PathBuf,
    /// Made anew for each run.
    run: PathBuf,
}

impl Places {
    fn of(home: &Path) -> io::Result<Self> {
        let home = home.canonicalize()?;
        let kept = home.join("target/lab");
        let run = kept.join("run");
        Ok(Self { home, kept, run })
    }
}

/// Runs the lab, or with `--can` says whether it could; true = all was as it must be.
pub fn lab(home: &Path, options: &[&str]) -> io::Result<bool> {
    let (inside, smallest) = match options {
        ["--can"] => return Ok(can()),
        [] => (false, false),
        ["--smallest"] => (false, true),
        ["--inside"] => (true, false),
        ["--inside", "--smallest"] => (true, true),
        _ => return Err(Error::other(format!("usage: {USAGE}"))),
    };
    let places = Places::of(home)?;
    if inside {
        return phases::play(&places, smallest);
    }
    if let Some(why) = hindrance()? {
        return Err(Error::other(format!("the lab cannot run here: {why}")));
    }
    fs::create_dir_all(&places.kept)?;
    let lock = fs::File::create(places.kept.join("lock"))?;
    lock.try_lock().map_err(|_| {
        Error::other(format!(
            "another lab plays in {}: wait for it, or end it",
            places.kept.display()
        ))
    })?;
    prepare(&places)?;
    let xtask = std::env::current_exe()?;
    let mut words = vec![places.home.join("tests/lab/inside.sh").into_os_string(), xtask.into()];
    words.extend(["lab", "--inside"].map(Into::into));
    words.extend(smallest.then(|| "--smallest".into()));
    Ok(jail(&["--net", "--uts", "--ipc"])
        .arg("bash")
        .args(words)
        .status()?
        .success())
}

/// Says whether the lab can run, and if not, why not.
fn can() -> bool {
    let why = hindrance().unwrap_or_else(|error| Some(error.to_string()));
    match &why {
        None => println!("the lab can run here"),
        Some(why) => println!("the lab cannot run here: {why}"),
    }
    why.is_none()
}

/// Why the lab cannot run here; it is tried, not guessed.
fn hindrance() -> io::Result<Option<String>> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(Some("it needs root".into()));
    }
    if !fs::exists("/etc/debian_version")? {
        return Ok(Some("its hosts are made by the apt of a Debian machine".into()));
    }
    let script = "mkdir /run/l /run/u /run/w /run/m && mount -t overlay overlay -o lowerdir=/run/l,upperdir=/run/u,workdir=/run/w /run/m \
        && ip link add v0 type veth peer name v1 && ip link add br0 type bridge && mknod /run/null c 1 3";
    let said = jail(&["--net", "--uts", "--ipc"])
        .args(["sh", "-c", &format!("mount -t tmpfs tmpfs /run && {script}")])
        .stdin(Stdio::null())
        .output()?;
    let why = String::from_utf8_lossy(&said.stderr);
    Ok((!said.status.success()).then(|| format!("its namespaces cannot be made: {}", why.trim())))
}

/// A command in mount and process namespaces of its own, with those that `more` asks for; it ends when we do.
fn jail(more: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args([
            "--pdeathsig",
            "KILL",
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .args(more)
        .arg("--");
    command
}

/// Builds what is kept between runs, as far as it is not there.
fn prepare(places: &Places) -> io::Result<()> {
    let missing: Vec<&str> = PROGRAMS
        .iter()
        .filter(|(program, _)| !there(program))
        .map(|(_, p)| *p)
        .collect();
    if !missing.is_empty() {
        println!("-- installing {}", missing.join(" "));
        done(Command::new("apt-get").args(["update", "-q"]), "apt-get update")?;
        let mut install = Command::new("apt-get");
        install
            .args(["install", "-yq", "--no-install-recommends"])
            .args(&missing);
        done(install.env("DEBIAN_FRONTEND", "noninteractive"), "apt-get install")?;
    }
    fs::create_dir_all(&places.kept)?;
    println!(
        "-- the root file systems, the packages and Ansible below {}",
        places.kept.display()
    );
    let scripts = places.home.join("tests/lab");
    let bases = places.kept.join("bases");
    done(
        jail(&[])
            .arg(scripts.join("bases.sh"))
            .arg(&bases)
            .args(["booted", "rpm"]),
        "bases.sh",
    )?;
    for (script, folder) in [("debs.sh", "packages/apt"), ("rpms.sh", "packages/rpm")] {
        done(Command::new(scripts.join(script)).arg(places.kept.join(folder)), script)?;
    }
    let venv = places.kept.join("venv");
    let pins = fs::read_to_string(places.home.join("tests/artifacts/requirements.txt"))?;
    let ansible = pins.lines().find(|line| line.starts_with("ansible-core=="));
    let ansible = ansible.ok_or_else(|| Error::other("tests/artifacts/requirements.txt names no ansible-core"))?;
    if fs::read_to_string(venv.join("made")).unwrap_or_default() != ansible {
        done(
            Command::new("python3").args(["-m", "venv"]).arg(&venv),
            "python3 -m venv",
        )?;
        let mut pip = Command::new(venv.join("bin/pip"));
        done(
            pip.args(["install", "--quiet", "--disable-pip-version-check", ansible]),
            "pip install",
        )?;
        fs::write(venv.join("made"), ansible)?;
    }
    // Of the lab before this one only files can be left: what it ran and mounted went with its namespaces.
    if fs::exists(&places.run)? {
        fs::remove_dir_all(&places.run)?;
    }
    fs::create_dir_all(&places.run)?;
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    done(
        build
            .args(["build", "--quiet", "--bin", "patchwave"])
            .current_dir(&places.home),
        "cargo build",
    )?;
    Ok(())
}

fn there(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}

/// Runs a command quietly; what it said is told where it fails.
fn done(command: &mut Command, what: &str) -> io::Result<()> {
    let said = command.stdin(Stdio::null()).output()?;
    if said.status.success() {
        return Ok(());
    }
    let (out, err) = (
        String::from_utf8_lossy(&said.stdout),
        String::from_utf8_lossy(&said.stderr),
    );
    let tail: Vec<&str> = out.lines().chain(err.lines()).rev().take(30).collect();
    let tail: Vec<&str> = tail.into_iter().rev().collect();
    Err(Error::other(format!(
        "{what} ended with {}:\n{}",
        said.status,
        tail.join("\n")
    )))
}
