//! The target packs and hooks that come with the engine, embedded when it is compiled.

/// A file of `templates/` with its path.
macro_rules! builtin {
    ($path:literal) => {
        ($path, include_str!(concat!("../../../../templates/", $path)))
    };
}

/// Path relative to the templates folder → text, sorted. A test compares it with the folder.
pub const BUILTIN: &[(&str, &str)] = &[
    // One line a file; `templates/` at the root of the repository is the only copy.
    builtin!("ansible/batch.yml.hbs"),
    builtin!("ansible/inventory.yml.hbs"),
    builtin!("ansible/observe.yml"),
    builtin!("ansible/partials/assets.hbs"),
    builtin!("ansible/partials/play.hbs"),
    builtin!("ansible/rollback.yml.hbs"),
    builtin!("ansible/settings.yml"),
    builtin!("ansible/target.yaml"),
    builtin!("ansible/tasks/asset.yml"),
    builtin!("ansible/tasks/backup.yml"),
    builtin!("ansible/tasks/call.yml"),
    builtin!("ansible/tasks/check.yml"),
    builtin!("ansible/tasks/digest.yml"),
    builtin!("ansible/tasks/hooks.yml"),
    builtin!("ansible/tasks/pending.yml"),
    builtin!("ansible/tasks/permit.yml"),
    builtin!("ansible/tasks/preflight-apt.yml"),
    builtin!("ansible/tasks/preflight-dnf.yml"),
    builtin!("ansible/tasks/preflight.yml"),
    builtin!("ansible/tasks/protect.yml"),
    builtin!("ansible/tasks/reboot.yml"),
    builtin!("ansible/tasks/result.yml"),
    builtin!("ansible/tasks/role.yml"),
    builtin!("ansible/tasks/touch.yml"),
    builtin!("ansible/tasks/validate.yml"),
    builtin!("ansible/tasks/versions.yml"),
    builtin!("ansible/tasks/window.yml"),
    builtin!("documents/RUNBOOK.md.hbs"),
    builtin!("documents/change.md.hbs"),
    builtin!("documents/target.yaml"),
    builtin!("hooks/alertmanager-silence.yml"),
    builtin!("hooks/alertmanager-unsilence.yml"),
    builtin!("hooks/lb-drain.yml"),
    builtin!("hooks/lb-undrain.yml"),
    builtin!("hooks/service-start.yml"),
    builtin!("hooks/service-stop.yml"),
];
