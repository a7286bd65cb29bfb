//! A simulator: engine, journal and store, on one thread, on a disk that tears, reorders, forgets and fails, under a clock
//! that jumps, and is set back over a restart. From one number everything else follows.
//!
//! ```text
//! cargo xtask sim                       a seed is drawn, and printed before anything else
//! cargo xtask sim --seed 7 --ops 20000  the same run, every time
//! cargo xtask sim --minutes 60          for so long
//! ```
//!
//! # What is real and what is not
//! The engine's lanes, committer, loaders, sweeper and projector, the plans (as components, in the product's own runtime), the
//! ledger, the journal and sled are the product's, to the line. Not real are the threads that call them ([`world`]: who goes
//! next is drawn, and nothing runs beside it), the disk of journal and blobs ([`disk`]), and the clock. What follows from the
//! journal (sled, runs of ids) lies in a folder; at a start it is as it was left, or older, or gone.
//!
//! # Who is there
//! Two live tenants and up to two sandboxes ([`house`]), one of which is made in the middle of everything. Sandboxes stand years
//! before, at or years after the machine's time, and are advanced ([`sandbox`]) by seconds, days and months, to the instant at
//! which something falls due and to just before it, also through a disk that fails meanwhile.
//!
//! # What reproduces
//! With the same sources and the same Rust, all of it: operations, the order of all work, faults by the count of disk
//! operations, what a power cut leaves of each sector, every answer and every record. A run says a hash of all answers and
//! histories and of the number of disk operations; `tests/short.rs` compares it over two runs. Not the same are the journal's
//! own random id (so the bytes of the frames differ, and nothing else does) and what sled writes to its files.
//!
//! # What is checked
//! [`log`]: an answer once given is given again exactly, whatever happened since (of usage: for as long as its id is kept);
//! another request under its id is a conflict. After every start all answers since the start before are asked for again, and
//! some older ones; at the end all.
//!
//! [`look`]: after every start, every 32 operations and at the end, once nothing moves any more:
//! - [`audit`], of every wallet: the rules of `farebox_ledger::verify`; the fold of its history is the wallet that is shown; the
//!   sequence is dense and the hash chain holds; each id is answered by one record, and that record says what was answered.
//! - [`books`], which know sums alone: what was put in and is owed is what is there, was earned, or expired; what is held is
//!   what open holds have pinned; callers were charged what they were told.
//! - [`agenda`]: what fell due was handled before anything else and in its order, never before its time, and nothing is overdue.
//! - [`spending`]: what each limit counts is what the records say; nothing that was allowed passed a limit, a denial names one
//!   that had no room, and each threshold was announced when it was reached, once.
//! - [`usage`]: minutes, hours and days, by any attributes, are the sums of the events as they stand; days sum to the ledger.
//! - [`feed`]: a reader of each change feed who goes on through all crashes was told everything that records are news of
//!   ([`news`]) once and in order; the feed says the same from its beginning, and from anywhere.
//! - [`statements`]: all of a wallet's life, cut at random instants: each statement leads from the sum of the entries before it
//!   to the sum behind it, in each account; one of a range that is over never changes.
//! - [`sandbox`]: each record is from where its tenant's clock stood; an advance moved it once, told how much it handled, and
//!   wrote to nobody else.
//! - [`machine`]: a live tenant's time is the machine's, also where its clock was set back over a restart; but never before the
//!   newest change of the tenant, and a wallet's never before its newest record.
//! - [`outcomes`]: each conversation, from its claim through its deadline to what comes back: what each event of it is charged,
//!   when, and nothing else.
//! - [`totals`]: where the price depends on what came before, what each event costs behind whatever was late, amended or voided.
//! - [`proof`]: every answer of a plan is given again when it is asked for from the records before it, and every fold of a term
//!   comes to the same.
//! - [`control`]: what was put in force is.
//! - [`backfills`]: a look at one leaves no trace and says what comes of it; each event is posted once, and none stands once all
//!   are taken back.
//!
//! All of these work from records and answers with arithmetic of their own, so that a mistake in the product and one here would
//! have to agree.

pub mod agenda;
pub mod audit;
pub mod backfills;
pub mod books;
pub mod calendar;
pub mod cli;
pub mod control;
pub mod disk;
pub mod episode;
pub mod feed;
pub mod history;
pub mod house;
pub mod log;
pub mod look;
pub mod machine;
pub mod news;
pub mod operations;
pub mod outcomes;
pub mod plans;
pub mod proof;
pub mod report;
pub mod rollup;
pub mod run;
pub mod sandbox;
pub mod spending;
pub mod statements;
pub mod totals;
pub mod usage;
pub mod window;
pub mod world;
