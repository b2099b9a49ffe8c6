//! `docs/cli.md` is the help of every command, as the binary prints it. `PATCHWAVE_UPDATE=1` writes it anew.

use crate::support::{Sandbox, home, pw};

/// Every command with its subcommands, in the order of `patchwave --help`.
fn commands(sandbox: &Sandbox, path: &[&str]) -> Vec<Vec<String>> {
    let mut arguments = path.to_vec();
    arguments.push("--help");
    let help = pw(sandbox.path(), &arguments, "", &[]).exits(0).out;
    let mut found = vec![path.iter().map(|p| (*p).to_owned()).collect()];
    let list = help.split_once("Commands:\n").map(|(_, rest)| rest).unwrap_or_default();
    let lines = list.lines().take_while(|l| !l.is_empty());
    let names = lines
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next());
    for name in names.filter(|n| *n != "help") {
        let below: Vec<&str> = path.iter().copied().chain([name]).collect();
        found.extend(commands(sandbox, &below));
    }
    found
}

#[test]
fn the_help_of_every_command_is_the_page() {
    let sandbox = Sandbox::empty();
    let mut page = String::from(
        "# The command line\n\nThe help of every command, as `patchwave … --help` prints it. This page is written by a test of the binary\n\
         (`PATCHWAVE_UPDATE=1 cargo test -p patchwave --test e2e help`).\n",
    );
    let all = commands(&sandbox, &[]);
    assert!(all.len() > 25, "{all:?}");
    for path in all {
        let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
        let help = pw(sandbox.path(), &arguments, "", &[]).exits(0);
        assert!(help.err.is_empty(), "{path:?}: {}", help.err);
        let title = std::iter::once("patchwave")
            .chain(path.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join(" ");
        let text: Vec<&str> = help.out.lines().map(str::trim_end).collect();
        page.push_str(&format!("\n## {title}\n\n```\n{}\n```\n", text.join("\n").trim_end()));
    }
    let file = home().join("docs/cli.md");
    if std::env::var_os("PATCHWAVE_UPDATE").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, page).unwrap();
        return;
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "docs/cli.md is not what the binary says: run this test with PATCHWAVE_UPDATE=1"
    );
}
