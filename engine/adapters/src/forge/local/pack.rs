//! Writing many objects as one pack: whole or not at all, and one file to bring to the disk instead of hundreds.

use std::io::Write as _;

use git2::{ObjectType, Odb, Oid, PackBuilder, Repository};

use super::store::{Store, git_error};
use crate::forge::ForgeError;

/// From so many files on they are written as one pack. Each file of its own costs one or two waits for the disk (some
/// milliseconds); a pack costs a constant few, but every pack there is makes every later look-up slower.
pub(super) const FILES_PER_PACK_MIN: usize = 24;

/// Writes these files as one pack, but for those the store has already.
pub(super) fn write_files(store: &Store, files: &[&[u8]]) -> Result<(), ForgeError> {
    let fault = |e: git2::Error| git_error(&e, "write files");
    let odb = store.repo().odb().map_err(fault)?;
    let memory = Odb::new().map_err(fault)?;
    memory.add_new_mempack_backend(1).map_err(fault)?;
    let mut new: Vec<Oid> = Vec::new();
    for bytes in files {
        let id = Oid::hash_object(ObjectType::Blob, bytes).map_err(fault)?;
        if !odb.exists(id) {
            new.push(memory.write(ObjectType::Blob, bytes).map_err(fault)?);
        }
    }
    if new.len() < FILES_PER_PACK_MIN {
        return Ok(());
    }
    let repo = Repository::from_odb(memory).map_err(fault)?;
    let mut builder = repo.packbuilder().map_err(fault)?;
    for id in new {
        builder.insert_object(id, None).map_err(fault)?;
    }
    write(store, &mut builder)
}

/// Writes what was put into the builder to the store.
pub(super) fn write(store: &Store, builder: &mut PackBuilder<'_>) -> Result<(), ForgeError> {
    let fault = |e: git2::Error| git_error(&e, "write a pack");
    // One thread: the bytes must not depend on how many there are.
    builder.set_threads(1);
    store.before("pack")?;
    let odb = store.repo().odb().map_err(fault)?;
    let mut pack = odb.packwriter().map_err(fault)?;
    let mut failed = None;
    let packed = builder.foreach(|chunk| match pack.write_all(chunk) {
        Ok(()) => true,
        Err(e) => {
            failed = Some(e);
            false
        }
    });
    if let Some(e) = failed {
        return Err(ForgeError::terminal(
            format!("a pack could not be written to the local forge: {e}"),
            "check that there is room on the disk",
        ));
    }
    packed.map_err(fault)?;
    pack.commit().map_err(fault)?;
    Ok(())
}
