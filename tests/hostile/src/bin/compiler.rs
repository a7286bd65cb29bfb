//! What a server starts to compile a plan: a process that does nothing else. The first argument, if any, is the
//! address space that it may use, in MiB.

use std::process::ExitCode;

use farebox_runtime::{Limits, Tier, compile_in_child};

fn main() -> ExitCode {
    let mut limits = Limits::default();
    if let Some(mebibytes) = std::env::args().nth(1).and_then(|text| text.parse::<u64>().ok()) {
        limits.compile_memory_bytes_max = mebibytes << 20;
    }
    compile_in_child(Tier::Native, &limits)
}
