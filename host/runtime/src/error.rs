//! Why there is no runtime.

use std::path::PathBuf;

/// What keeps a [`crate::Runtime`] from starting. All of it is about the machine and its configuration.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The engine does not start.
    #[error(
        "the WebAssembly engine does not start: {reason}; it reserves some 300 GiB of address space (not memory) for \
         its pool, so look at `ulimit -v` and at the container's limits, or lower instances_max"
    )]
    Engine {
        /// What the engine says.
        reason: String,
    },
    /// The directory for compiled plans cannot be used.
    #[error("the cache of compiled plans in {} cannot be used: {reason}", dir.display())]
    Cache {
        /// Where.
        dir: PathBuf,
        /// What went wrong.
        reason: String,
    },
}
