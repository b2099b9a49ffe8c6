//! Contents of files, which their id names: each is fetched once, and not at all if the user's clone has it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use git2::{ObjectType, Oid, Repository};

use super::wire;
use crate::forge::ForgeError;
use crate::forge::rest::api::Api;
use crate::forge::rest::fault;
use crate::forge::rest::kept::Trust;
use crate::state::StateStore;

/// Folder of the state store that holds contents.
const FOLDER: &str = "forge/objects";

/// Contents known so far, and where else they may be.
pub(super) struct Objects {
    /// Whether the state store got new contents, so that old ones may be in it.
    grown: AtomicBool,
    clone: Option<PathBuf>,
    state: Option<StateStore>,
    known: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Objects {
    pub(super) const fn new(clone: Option<PathBuf>, state: Option<StateStore>) -> Self {
        Self {
            grown: AtomicBool::new(false),
            clone,
            state,
            known: Mutex::new(BTreeMap::new()),
        }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The content `id` names.
    pub(super) fn read(&self, api: &Api, id: &str) -> Result<Vec<u8>, ForgeError> {
        if let Some(bytes) = self.known().get(id) {
            return Ok(bytes.clone());
        }
        let (bytes, fetched) = match self.in_clone(id).or_else(|| self.in_state(id)) {
            Some(bytes) => (bytes, false),
            None => (fetch(api, id)?, true),
        };
        if fetched {
            self.keep(id, &bytes);
        }
        self.known().insert(id.to_owned(), bytes.clone());
        Ok(bytes)
    }

    /// Remembers a content that is about to be written, so that it is not fetched back.
    pub(super) fn remember(&self, bytes: &[u8]) -> Result<String, ForgeError> {
        let id = blob_id(bytes)?;
        self.known().insert(id.clone(), bytes.to_vec());
        self.keep(&id, bytes);
        Ok(id)
    }

    fn in_clone(&self, id: &str) -> Option<Vec<u8>> {
        let repo = Repository::discover(self.clone.as_ref()?).ok()?;
        let blob = repo.find_blob(Oid::from_str(id).ok()?).ok()?;
        Some(blob.content().to_vec())
    }

    fn in_state(&self, id: &str) -> Option<Vec<u8>> {
        let bytes = self.state.as_ref()?.get(&format!("{FOLDER}/{id}")).ok()??;
        // What the store holds is believed only if it is what its name says.
        (blob_id(&bytes).ok()? == id).then_some(bytes)
    }

    /// A state store that cannot be written costs requests, never the run.
    fn keep(&self, id: &str, bytes: &[u8]) {
        let Some(state) = &self.state else { return };
        self.grown.store(true, Ordering::Relaxed);
        if let Err(why) = state.put(&format!("{FOLDER}/{id}"), bytes) {
            tracing::warn!("a file of the forge is not kept: {why}");
        }
    }
}

impl Objects {
    /// Removes from the state store what a look at everything had no use for, so that it does not grow for ever.
    pub(super) fn prune(&self) {
        let Some(state) = self
            .state
            .as_ref()
            .filter(|_| self.grown.swap(false, Ordering::Relaxed))
        else {
            return;
        };
        let known = self.known();
        let used = |key: &String| key.rsplit_once('/').is_some_and(|(_, id)| known.contains_key(id));
        for key in state.list(FOLDER).unwrap_or_default().iter().filter(|key| !used(key)) {
            if let Err(why) = state.remove(key) {
                tracing::warn!("a file of the forge stays in the state store: {why}");
            }
        }
    }
}

fn fetch(api: &Api, id: &str) -> Result<Vec<u8>, ForgeError> {
    let path = api.repo(&format!("git/blobs/{id}"));
    let blob: wire::Blob = api.need(&path, Trust::Asked)?;
    api.forget(&path);
    let text: String = blob.content.split_whitespace().collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text)
        .map_err(|e| fault::unreadable(&path, &e.to_string()))?;
    if blob_id(&bytes)? == id {
        Ok(bytes)
    } else {
        Err(fault::unreadable(&path, "the content is not the one its id names"))
    }
}

/// The id Git gives a file's content.
pub(super) fn blob_id(bytes: &[u8]) -> Result<String, ForgeError> {
    Oid::hash_object(ObjectType::Blob, bytes)
        .map(|id| id.to_string())
        .map_err(|e| {
            ForgeError::terminal(
                format!("a file cannot be hashed: {e}"),
                "report this as a fault of patchwave",
            )
        })
}
