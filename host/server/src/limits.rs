//! Every limit of the server, with its unit last. What exceeds one is refused by its name.

use std::time::Duration;

// ---- connections ---------------------------------------------------------------------------------------------
/// Connections that are open at once; further ones wait in the operating system's queue.
pub const CONNECTIONS_MAX: usize = 8_192;
/// Requests in work at once; further ones are answered 429 and nothing is done. One tenant may have as many as it leaves to
/// others.
pub const REQUESTS_IN_WORK_MAX: usize = 4_096;
/// Bytes of the bodies of requests in work, by what their heads announce; a body of unknown length counts as the largest one.
/// Further ones are answered 429 before they are read. One tenant may have as many as it leaves to others.
pub const BODY_BYTES_IN_WORK_MAX: usize = 256 << 20;
/// Calls at once that wait for a disk or a compiler; further ones wait for their turn, within the request's time.
pub const BLOCKING_CALLS_MAX: usize = 64;
/// Statements that are read at once; further ones wait for their turn, within the request's time.
pub const STATEMENTS_AT_ONCE_MAX: usize = 4;
/// Bytes of a request's head: request line and all headers.
pub const HEAD_BYTES_MAX: usize = 64 << 10;
/// Headers of a request.
pub const HEADERS_MAX: usize = 100;
/// Streams that one HTTP/2 connection has open at once.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 256;
/// Time for a request's head to arrive; also how long a connection may rest between two requests.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for a request's body to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(20);
/// Time for a request as a whole.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Time that requests in work get to finish when the server shuts down.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(35);
/// What a refused caller is told to wait.
pub const RETRY_AFTER_SECONDS: u32 = 1;

// ---- bodies --------------------------------------------------------------------------------------------------
/// Bytes of a request's body, where nothing else is said.
pub const BODY_BYTES_MAX: usize = 1 << 20;
/// Bytes of a body of `POST /v1/events`.
pub const EVENTS_BODY_BYTES_MAX: usize = 16 << 20;
/// Bytes of a component as it is received; the runtime has a limit of its own below this one.
pub const COMPONENT_BODY_BYTES_MAX: usize = 32 << 20;
/// Bytes of a body that is decoded where it is received; a larger one is decoded on a thread that may take its time.
pub const INLINE_DECODE_BYTES_MAX: usize = 64 << 10;
/// Events of one call.
pub const EVENTS_PER_CALL_MAX: usize = 10_000;

// ---- events --------------------------------------------------------------------------------------------------
/// Measures of one event.
pub const MEASURES_PER_EVENT_MAX: usize = 64;
/// Attributes of one event.
pub const ATTRIBUTES_PER_EVENT_MAX: usize = 64;
/// Bytes of the name of a measure or an attribute.
pub const FIELD_NAME_BYTES_MAX: usize = 64;
/// Bytes of an attribute's text.
pub const ATTRIBUTE_BYTES_MAX: usize = 1_024;
/// Bytes of a text that only people read: names and labels.
pub const LABEL_BYTES_MAX: usize = 256;
/// Codes and attributes that one grant may be limited to.
pub const GRANT_CONDITIONS_MAX: usize = 64;

// ---- pages ---------------------------------------------------------------------------------------------------
/// Items of a page whose caller does not say how many.
pub const PAGE_DEFAULT: usize = 50;
/// Items of a page.
pub const PAGE_MAX: usize = 200;
/// Records that are read for one page of entries, of which many have none, or for the corrections of one event.
pub const RECORDS_PER_PAGE_MAX: usize = 2_000;
/// Records that are read at once while the corrections of an event are looked for.
pub const RECORDS_PER_READ: usize = 200;

// ---- what follows the records --------------------------------------------------------------------------------
/// Time that a reader of changes, usage or books waits for what was durable when it asked; then it is told how far changes and
/// usage are, and gets no books.
pub const PROJECTION_WAIT_MAX: Duration = Duration::from_secs(2);
/// Time for what is overdue in all wallets to happen before books are read.
pub const OVERDUE_WAIT_MAX: Duration = Duration::from_secs(10);
/// Streams of changes that one tenant has open at once; further ones are answered 429.
pub const CHANGE_STREAMS_PER_TENANT_MAX: usize = 32;
/// Time after which a stream without changes sends a comment, and looks whether its key is still good.
pub const CHANGES_KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Least time between two reads of a stream, so that what happens at once is read at once.
pub const CHANGES_STREAM_INTERVAL: Duration = Duration::from_millis(20);
/// Attributes that usage is told apart by in one answer.
pub const USAGE_BY_MAX: usize = 4;

// ---- watching ------------------------------------------------------------------------------------------------
/// Time between two clean-ups of the metrics.
pub const METRICS_UPKEEP_INTERVAL: Duration = Duration::from_secs(5);
