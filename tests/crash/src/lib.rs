//! What must hold whatever ends the process: checks of a data folder that no server holds, and of what a server does to
//! its files.

pub mod frame;
mod load;
mod mounted;
mod trace;
mod verify;

pub use load::{Log, Request, load, recheck, recheck_all};
pub use mounted::Mounted;
pub use trace::{Call, Trace};
pub use verify::verify;
