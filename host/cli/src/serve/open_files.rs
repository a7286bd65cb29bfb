//! How many files the server may have open at once.
//!
//! Each plan that is loaded has one (what its memory begins with), each connection one, and the journal a few. The limit
//! that a process is started with is often 1,024, for the sake of programs that use `select`; what it may raise that to by
//! itself is far more. This program does not use it, so it takes all that it may have.

use std::io;

/// Raises this process's limit to what it may be. It stays as it was where that fails, which is logged: a server with few
/// plans and few connections runs all the same.
pub fn raise() {
    match try_raise() {
        Ok(limit) => tracing::debug!(limit, "files that may be open at once"),
        Err(error) => tracing::warn!(
            %error,
            "the limit of open files stays as it is; many plans or connections may meet it (`ulimit -n`)"
        ),
    }
}

fn try_raise() -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid `rlimit` for the length of the call, which only writes it.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: `limit` is a valid `rlimit` for the length of the call, which only reads it.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}
