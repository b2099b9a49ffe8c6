//! Digests over canonical JSON, so that equal content has one name whoever computes it.

use std::sync::Arc;

use crate::canonical;
use crate::history::Target;

/// SHA-256 (lower-case hex) of the sorted targets as canonical JSON: neither asset nor advisory nor time is in it.
pub fn patchset_digest(targets: &[Target]) -> Arc<str> {
    let mut sorted: Vec<&Target> = targets.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    // Targets are texts only, which always have a canonical form; should that ever change, an empty digest matches
    // nothing.
    canonical::digest(&sorted).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Scheme;

    fn target(name: &str) -> Target {
        Target {
            scheme: Scheme::Rpm,
            os_id: "almalinux".into(),
            os_major: "9".into(),
            arch: "x86_64".into(),
            name: name.into(),
            module: None,
            version: "1:3.0.7-27.el9".into(),
        }
    }

    #[test]
    fn order_and_repetition_do_not_count() {
        let (a, b) = (target("openssl"), target("openssl-libs"));
        assert_eq!(
            patchset_digest(&[a.clone(), b.clone()]),
            patchset_digest(&[b, a.clone(), a])
        );
    }
}
