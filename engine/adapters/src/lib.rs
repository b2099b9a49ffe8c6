//! patchwave-adapters
