//! patchwave-runner
