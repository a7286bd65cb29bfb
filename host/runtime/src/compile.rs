//! Turning a component into machine code, with bounds.
//!
//! A compiler fed with hostile input is the largest consumer of time and memory that a plan has. What bounds it:
//!
//! | | in a child process | on a thread |
//! |---|---|---|
//! | size of the component, number and size of its functions | checked before | checked before |
//! | compilations at once | one | one |
//! | cores | one | one |
//! | wall-clock time | the child is killed | the caller is answered, the thread goes on to its end |
//! | processor time and address space | limits of the operating system | **not bounded** |
//!
//! So a server compiles in a child process; tests and tools that compile what they built themselves use a thread.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::Engine;

use crate::engine::compiling_engine;
use crate::limits::Limits;
use crate::refused::Refused;
use crate::tier::{Bench, Tier};

/// Where compilation happens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Compiler {
    /// On a thread of this process, stopped by nothing once it runs.
    #[default]
    Thread,
    /// In a child process that is killed when it takes too long and has limits on time and memory. The program calls
    /// [`compile_in_child`] for the tier that its last argument names, and does nothing else; usually it is this very
    /// program with a hidden argument.
    Child {
        /// What to run.
        program: PathBuf,
        /// With which arguments.
        arguments: Vec<OsString>,
    },
}

/// The compiler and the right to use it, which only one holds at a time.
pub(crate) struct Compiling {
    compiler: Compiler,
    taken: Arc<AtomicBool>,
}

/// The right to compile, until it is dropped.
pub(crate) struct Turn(Arc<AtomicBool>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

impl Compiling {
    pub(crate) fn new(compiler: Compiler) -> Compiling {
        Compiling {
            compiler,
            taken: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Waits for as long as a well-behaved compilation may take. Polls: compilations are rare.
    pub(crate) fn turn(&self, limits: &Limits) -> Result<Arc<Turn>, Refused> {
        let deadline = Instant::now() + Duration::from_secs(u64::from(limits.compile_seconds_max));
        while self.taken.swap(true, Ordering::Acquire) {
            if Instant::now() >= deadline {
                return Err(Refused::CompilerBusy);
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Arc::new(Turn(self.taken.clone())))
    }

    /// Machine code of `component`, for whoever has the turn.
    pub(crate) fn compile(
        &self,
        turn: &Arc<Turn>,
        bench: &Bench,
        tier: Tier,
        component: &[u8],
    ) -> Result<Vec<u8>, Refused> {
        let Bench { engine, limits, .. } = bench;
        match &self.compiler {
            Compiler::Thread => on_a_thread(engine, component, limits, Arc::clone(turn)),
            Compiler::Child { program, arguments } => {
                let mut command = Command::new(program);
                command.args(arguments).arg(tier.as_str());
                in_a_child(command, component, limits)
            }
        }
    }
}

fn on_a_thread(
    engine: &Engine,
    component: &[u8],
    limits: &Limits,
    turn: Arc<Turn>,
) -> Result<Vec<u8>, Refused> {
    let (answer, answers) = mpsc::sync_channel(1);
    let (engine, component) = (engine.clone(), component.to_vec());
    let compiling = move || {
        let _ = answer.send(
            engine
                .precompile_component(&component)
                .map_err(|e| format!("{e:#}")),
        );
        // Only now may the next one compile, however long this one was waited for.
        drop(turn);
    };
    let spawned = thread::Builder::new()
        .name("farebox-compile".into())
        .stack_size(8 << 20)
        .spawn(compiling);
    if let Err(error) = spawned {
        return Err(Refused::Compile {
            reason: format!("no thread for the compiler: {error}"),
        });
    }
    match answers.recv_timeout(Duration::from_secs(u64::from(limits.compile_seconds_max))) {
        Ok(Ok(code)) => Ok(code),
        Ok(Err(reason)) => Err(Refused::Compile { reason }),
        Err(mpsc::RecvTimeoutError::Timeout) => Err(too_slow(limits)),
        Err(mpsc::RecvTimeoutError::Disconnected) => Err(Refused::Compile {
            reason: "the compiler panicked".into(),
        }),
    }
}

fn in_a_child(mut command: Command, component: &[u8], limits: &Limits) -> Result<Vec<u8>, Refused> {
    let failed = |error: io::Error| Refused::Compile {
        reason: format!("the compiling process: {error}"),
    };
    let mut child = command
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let (Some(mut stdin), Some(mut stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(Refused::Compile {
            reason: "the compiling process has no pipes".into(),
        });
    };
    let component = component.to_vec();
    // A child that dies early breaks the pipe, which its exit status then explains better.
    let writer = thread::spawn(move || drop(stdin.write_all(&component)));
    let talk = thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.take(4_096).read_to_string(&mut text);
        text
    });
    let reader = thread::spawn(move || {
        let mut code = Vec::new();
        stdout.read_to_end(&mut code).map(|_| code)
    });
    let ended = wait(
        &mut child,
        Duration::from_secs(u64::from(limits.compile_seconds_max)),
    )
    .map_err(failed)?;
    let _ = writer.join();
    let talk = talk.join().unwrap_or_default();
    let code = reader
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("its output was not read")))
        .map_err(failed)?;
    match ended {
        None => Err(too_slow(limits)),
        Some(status) if status.success() => Ok(code),
        Some(status) if status.code() == Some(i32::from(REFUSED)) => Err(Refused::Compile {
            reason: talk.trim().to_string(),
        }),
        // Out of memory aborts, and the processor-time limit kills: both end by a signal.
        Some(status) => Err(Refused::CompileLimit {
            reason: format!("the compiling process ended with {status}"),
            limit: "compile_memory_bytes_max",
            max: limits.compile_memory_bytes_max,
        }),
    }
}

/// Waits for the child's end, or kills it when it takes too long.
fn wait(child: &mut Child, patience: Duration) -> io::Result<Option<std::process::ExitStatus>> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn too_slow(limits: &Limits) -> Refused {
    Refused::CompileLimit {
        reason: "it took too long".into(),
        limit: "compile_seconds_max",
        max: u64::from(limits.compile_seconds_max),
    }
}

/// The exit status of a child whose compiler refused the component and said why on standard error.
const REFUSED: u8 = 3;

/// The whole program of a compiling child: reads a component from standard input, writes machine code to standard
/// output. Sets its own limits on memory and time first.
///
/// The component was inspected by the parent. What comes back is trusted like this program itself, because it is.
pub fn compile_in_child(tier: Tier, limits: &Limits) -> ExitCode {
    match compile_from_stdin(tier, limits) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            let _ = writeln!(io::stderr(), "{reason}");
            ExitCode::from(REFUSED)
        }
    }
}

fn compile_from_stdin(tier: Tier, limits: &Limits) -> Result<(), String> {
    set_limit(libc::RLIMIT_AS, limits.compile_memory_bytes_max).map_err(|e| e.to_string())?;
    set_limit(libc::RLIMIT_CPU, u64::from(limits.compile_seconds_max)).map_err(|e| e.to_string())?;
    let mut component = Vec::new();
    let allowed = limits.component_bytes_max as u64;
    io::stdin()
        .lock()
        .take(allowed)
        .read_to_end(&mut component)
        .map_err(|e| e.to_string())?;
    let engine = compiling_engine(tier, limits).map_err(|e| e.to_string())?;
    let code = engine
        .precompile_component(&component)
        .map_err(|e| format!("{e:#}"))?;
    io::stdout().lock().write_all(&code).map_err(|e| e.to_string())
}

/// Limits this process, for good.
fn set_limit(resource: libc::__rlimit_resource_t, max: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: max,
        rlim_max: max,
    };
    // SAFETY: `limit` is a valid `rlimit` for the length of the call, which only reads it.
    match unsafe { libc::setrlimit(resource, &raw const limit) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
