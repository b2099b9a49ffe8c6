//! Which forge a project has, and opening it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use patchwave_adapters::forge::local::project_prefix;
use patchwave_adapters::forge::{Appended, Applied, ClonedForge, Forge, ForgeError, Layout, LocalForge, TakenIn};
use patchwave_core::load::Catalog;
use patchwave_core::load::wire::ForgeType;
use patchwave_core::propose::{ForgeOp, ForgeView};

use crate::RunError;
use crate::repository::Repository;

/// Where GitHub's token is looked for when `tokenFrom` does not say.
pub const DEFAULT_TOKEN_VARIABLE: &str = "PATCHWAVE_GITHUB_TOKEN";
/// Where Gitea's is.
pub const DEFAULT_GITEA_TOKEN_VARIABLE: &str = "PATCHWAVE_GITEA_TOKEN";

/// The forge of a project.
pub enum ProjectForge {
    /// A bare repository beside the work tree.
    Local(LocalForge),
    /// GitHub or GitHub Enterprise Server.
    #[cfg(feature = "github")]
    Github(Box<patchwave_adapters::forge::GithubForge>),
    /// Gitea or Forgejo.
    #[cfg(feature = "github")]
    Gitea(Box<patchwave_adapters::forge::GiteaForge>),
    /// What a clone knows of a forge that cannot be asked: reading only.
    Cloned(ClonedForge),
}

/// What opening a forge has to say.
pub type Opened = (ProjectForge, Option<String>);

impl ProjectForge {
    const fn inner(&self) -> &dyn Forge {
        match self {
            Self::Local(forge) => forge,
            #[cfg(feature = "github")]
            Self::Github(forge) => &**forge,
            #[cfg(feature = "github")]
            Self::Gitea(forge) => &**forge,
            Self::Cloned(forge) => forge,
        }
    }
}

impl Forge for ProjectForge {
    fn take_in(&self, now: Timestamp) -> Result<TakenIn, ForgeError> {
        self.inner().take_in(now)
    }
    fn view(&self) -> Result<ForgeView, ForgeError> {
        self.inner().view()
    }
    fn apply(&self, op: &ForgeOp, now: Timestamp) -> Result<Applied, ForgeError> {
        self.inner().apply(op, now)
    }
    fn append_ledger(
        &self,
        expected_head: Option<&str>,
        files: &BTreeMap<String, Vec<u8>>,
        message: &str,
        now: Timestamp,
    ) -> Result<Appended, ForgeError> {
        self.inner().append_ledger(expected_head, files, message, now)
    }
    fn fence(&self) -> Result<Option<u64>, ForgeError> {
        self.inner().fence()
    }
    fn writes(&self) -> u64 {
        self.inner().writes()
    }
}

/// The forge for a command that only looks: none if there is none yet. A forge over a network that cannot be asked (no
/// token, or no network wanted) is read from the references the clone holds, and that is said.
///
/// # Errors
/// [`RunError`] if it is there and cannot be read.
pub fn look_at_forge(repository: &Repository, offline: bool) -> Result<Option<Opened>, RunError> {
    let project = &repository.catalog.project;
    match project.forge.kind {
        ForgeType::Local => {
            let local = LocalForge::open(&repository.root, &project.paths.rollouts)?;
            Ok(local.map(|forge| (ProjectForge::Local(forge), None)))
        }
        ForgeType::Github | ForgeType::Gitea => {
            let why = match on_a_server(repository, offline)? {
                Ok(forge) => return Ok(Some((forge, None))),
                Err(why) => why,
            };
            let base = project.forge.base.as_deref().unwrap_or(DEFAULT_BASE);
            let cloned = ClonedForge::open(&repository.root, layout(repository)?, base)?;
            let said = match &cloned {
                Some(cloned) => format!(
                    "{why}: rollouts are read from {} of this clone, without approvals",
                    cloned.from()
                ),
                None => format!("{why}, and this folder is no clone with the branch {base}: rollouts are not known"),
            };
            let empty = || ClonedForge::empty();
            Ok(Some((ProjectForge::Cloned(cloned.unwrap_or_else(empty)), Some(said))))
        }
    }
}

/// The forge for a command that writes, made if it is the local one and is not there yet.
///
/// # Errors
/// [`RunError`] if it cannot be asked or made.
pub fn open_forge(repository: &Repository, offline: bool, now: Timestamp) -> Result<Opened, RunError> {
    let project = &repository.catalog.project;
    match project.forge.kind {
        ForgeType::Local => {
            let (forge, taken) = LocalForge::open_or_create(&repository.root, &project.paths.rollouts, now)?;
            let said = match taken {
                TakenIn::Nothing { reason } => Some(reason),
                _ => None,
            };
            Ok((ProjectForge::Local(forge), said))
        }
        ForgeType::Github | ForgeType::Gitea => match on_a_server(repository, offline)? {
            Ok(forge) => Ok((forge, None)),
            Err(why) => Err(RunError::new(
                format!("this command writes to the forge, and {why}"),
                "set the token, or run without --offline",
            )),
        },
    }
}

/// The branch of a project that names none.
const DEFAULT_BASE: &str = "main";

fn layout(repository: &Repository) -> Result<Layout, RunError> {
    Ok(Layout {
        prefix: project_prefix(&repository.root)?,
        rollouts: repository.catalog.project.paths.rollouts.trim_matches('/').to_owned(),
    })
}

/// Everybody and every team that decides whether an approval counts: `roles.approvers` and `roles.deployers`.
fn judged_roles(catalog: &Catalog) -> BTreeSet<String> {
    let roles = catalog.policies.values().map(|policy| &policy.spec.roles);
    roles
        .flat_map(|roles| roles.approvers.iter().chain(&roles.deployers).cloned())
        .collect()
}

/// The folder of the state store, if it is one.
pub(crate) fn state_folder(root: &Path, catalog: &Catalog) -> Option<PathBuf> {
    let state = &catalog.project.state;
    let path = state.path.as_deref().unwrap_or(DEFAULT_STATE);
    state.url.is_none().then(|| root.join(path))
}

/// Where the state lies that has no place of its own.
const DEFAULT_STATE: &str = ".patchwave/state";

/// The forge on a server, or why it cannot be asked.
#[cfg(feature = "github")]
fn on_a_server(repository: &Repository, offline: bool) -> Result<Result<ProjectForge, String>, RunError> {
    use patchwave_adapters::forge::github::{AppKey, Credential, DEFAULT_API_URL, Patience};
    use patchwave_adapters::forge::{GiteaForge, GiteaSettings, GithubForge, GithubSettings};
    use patchwave_adapters::secret::read_secret;
    use patchwave_adapters::state::StateStore;
    use patchwave_core::load::wire::SecretRef;

    if offline {
        return Ok(Err("the forge is not asked with --offline".to_owned()));
    }
    let catalog = &repository.catalog;
    let spec = &catalog.project.forge;
    let gitea = spec.kind == ForgeType::Gitea;
    let variable = if gitea {
        DEFAULT_GITEA_TOKEN_VARIABLE
    } else {
        DEFAULT_TOKEN_VARIABLE
    };
    let token = || SecretRef {
        env: Some(variable.to_owned()),
        file: None,
    };
    let reference = match &spec.app {
        Some(app) => app.private_key_from.clone(),
        None => spec.token_from.clone().unwrap_or_else(token),
    };
    let secret = match read_secret(&reference, &repository.root) {
        Ok(secret) => secret,
        Err(fault) if fault.absent => return Ok(Err(format!("{} ({})", fault.what, fault.help))),
        Err(fault) => return Err(RunError::new(fault.what, fault.help)),
    };
    let state = state_folder(&repository.root, catalog);
    let base = spec.base.clone().unwrap_or_else(|| DEFAULT_BASE.to_owned());
    let name = spec.repository.clone().unwrap_or_default();
    let folder = state.clone().unwrap_or_else(|| repository.root.join(DEFAULT_STATE));
    let copy = folder.join("forge/copy.git");
    if gitea {
        let forge = GiteaForge::new(GiteaSettings {
            api_url: spec.api_url.clone().unwrap_or_default(),
            repository: name,
            base,
            token: secret,
            layout: layout(repository)?,
            roles: judged_roles(catalog),
            clone_url: None,
            copy,
            state: state.map(|folder| StateStore::new(&folder)),
            patience: Patience::default(),
        })?;
        return Ok(Ok(ProjectForge::Gitea(Box::new(forge))));
    }
    let forge = GithubForge::new(GithubSettings {
        api_url: spec.api_url.clone().unwrap_or_else(|| DEFAULT_API_URL.to_owned()),
        repository: name,
        base,
        credential: match &spec.app {
            Some(app) => Credential::App(AppKey::new(app.id, secret)),
            None => Credential::Token(secret),
        },
        layout: layout(repository)?,
        roles: judged_roles(catalog),
        copy: spec.push.then_some(copy),
        clone: Some(repository.root.clone()),
        state: state.map(|folder| StateStore::new(&folder)),
        patience: Patience::default(),
    })?;
    Ok(Ok(ProjectForge::Github(Box::new(forge))))
}

#[cfg(not(feature = "github"))]
fn on_a_server(repository: &Repository, _offline: bool) -> Result<Result<ProjectForge, String>, RunError> {
    let _ = (
        judged_roles(&repository.catalog),
        state_folder(&repository.root, &repository.catalog),
    );
    Ok(Err("this build of patchwave knows no forge on a server".to_owned()))
}
