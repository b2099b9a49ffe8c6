//! patchwave-formats
