//! What every handler works with: the engine, and how it is asked.

use std::sync::Arc;
use std::time::Instant;

use farebox_engine::projection::FeedCursor;
use farebox_engine::{Ask, Done, Engine, Reply, Request, Shares};
use farebox_ledger::Wallet;
use farebox_record::command::Command;
use farebox_record::ids::{CustomerId, TenantId};
use farebox_record::time::Timestamp;
use tokio::sync::Semaphore;

use crate::auth::Caller;
use crate::code::Code;
use crate::config::Config;
use crate::limits::{
    BLOCKING_CALLS_MAX, BODY_BYTES_IN_WORK_MAX, OVERDUE_WAIT_MAX, PROJECTION_WAIT_MAX, REQUESTS_IN_WORK_MAX,
    STATEMENTS_AT_ONCE_MAX,
};
use crate::problem::Problem;
use crate::refusal;
use crate::streams::Streams;
use crate::wire::time::Time;
use crate::wire::usage_page::AsOf;

/// An engine behind HTTP. Clones are handles of one server.
#[derive(Clone)]
pub struct Server {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    config: Config,
    in_work: Shares,
    bodies: Shares,
    blocking: Arc<Semaphore>,
    statements: Semaphore,
    streams: Streams,
}

impl Server {
    /// A server for this engine. Installs the process's metrics, unless something else did.
    pub fn new(engine: Engine, config: Config) -> Server {
        crate::watch::install();
        let inner = Inner {
            engine,
            config,
            in_work: Shares::new(REQUESTS_IN_WORK_MAX),
            bodies: Shares::new(BODY_BYTES_IN_WORK_MAX),
            blocking: Arc::new(Semaphore::new(BLOCKING_CALLS_MAX)),
            statements: Semaphore::new(STATEMENTS_AT_ONCE_MAX),
            streams: Streams::new(),
        };
        Server {
            inner: Arc::new(inner),
        }
    }

    /// The engine.
    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(crate) fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Room for requests in work.
    pub(crate) fn in_work(&self) -> &Shares {
        &self.inner.in_work
    }

    /// Room for the bytes of their bodies.
    pub(crate) fn bodies(&self) -> &Shares {
        &self.inner.bodies
    }

    /// Room for statements that are read.
    pub(crate) fn statements(&self) -> &Semaphore {
        &self.inner.statements
    }

    /// Open streams.
    pub(crate) fn streams(&self) -> &Streams {
        &self.inner.streams
    }

    /// Whether a caller's key is still good: for what goes on for longer than a request.
    pub(crate) fn is_good(&self, caller: &Caller) -> bool {
        let controls = self.engine().controls();
        let key = controls
            .tenant(&caller.tenant)
            .and_then(|state| state.keys.get(&caller.key));
        key.is_some_and(|key| key.revoked.is_none())
    }

    /// Waits, for a bounded time, until the change feed and the usage have followed everything that is durable now, and
    /// tells how far they are.
    pub(crate) async fn caught_up(&self, tenant: &TenantId) -> Result<AsOf, Problem> {
        Ok(self.followed(tenant).await?.0)
    }

    /// As [`Self::caught_up`], for what is wrong where it is not complete: everything that fell due before `to` happens first, as
    /// it does in a wallet that is read.
    pub(crate) async fn complete(&self, tenant: &TenantId, to: Timestamp) -> Result<AsOf, Problem> {
        let behind = |what| Err(Problem::new(Code::BooksBehind, what));
        let until = Timestamp::from_micros(to.as_micros().saturating_sub(1)).min(self.engine().now(tenant));
        let (name, deadline) = (tenant.clone(), Instant::now() + OVERDUE_WAIT_MAX);
        let overdue = move |engine: &Engine| engine.catch_up(&name, until, Some(deadline));
        if !self.blocking(overdue).await?.whole {
            return behind("more fell due than could happen meanwhile; it goes on");
        }
        match self.followed(tenant).await? {
            (as_of, true) => Ok(as_of),
            _ => behind("records are durable that are not in them yet"),
        }
    }

    /// How far the projections are, and whether that is everything which was durable before.
    async fn followed(&self, tenant: &TenantId) -> Result<(AsOf, bool), Problem> {
        let now = self.engine().now(tenant);
        let durable = self.engine().durable()?;
        let mut watch = self.engine().watch_projections();
        let reached = tokio::time::timeout(PROJECTION_WAIT_MAX, watch.until(durable)).await;
        let (time, position) = match reached {
            Ok(()) => (now, durable),
            Err(_) => watch.reached(),
        };
        let as_of = AsOf {
            time: Time(time),
            cursor: crate::cursor::feed(FeedCursor::behind(position)),
        };
        Ok((as_of, reached.is_ok()))
    }

    /// Has a command carried out, or gets what came of it before.
    pub(crate) async fn command(
        &self,
        caller: &Caller,
        customer: &CustomerId,
        command: Command,
    ) -> Result<Done, Problem> {
        match self
            .ask(&caller.tenant, customer, Ask::Command(Box::new(command)))
            .await?
        {
            Reply::Done(done) => Ok(done),
            other => Err(unexpected(other)),
        }
    }

    /// The customer's wallet, with everything overdue handled.
    pub(crate) async fn wallet(
        &self,
        caller: &Caller,
        customer: &CustomerId,
    ) -> Result<Arc<Wallet>, Problem> {
        match self.ask(&caller.tenant, customer, Ask::Read).await? {
            Reply::Wallet(wallet) if wallet.header().customer.is_some() => Ok(wallet),
            Reply::Wallet(_) => Err(unknown_customer(customer)),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn ask(
        &self,
        tenant: &TenantId,
        customer: &CustomerId,
        ask: Ask,
    ) -> Result<Reply, Problem> {
        let request = Request {
            customer: customer.clone(),
            ask,
        };
        Ok(self.engine().call_one(tenant, request).await?)
    }

    /// Runs what waits for a disk or a compiler where nobody else waits for it.
    pub(crate) async fn blocking<T, E>(
        &self,
        run: impl FnOnce(&Engine) -> Result<T, E> + Send + 'static,
    ) -> Result<T, Problem>
    where
        T: Send + 'static,
        E: Into<Problem> + Send + 'static,
    {
        let permit = Arc::clone(&self.inner.blocking).acquire_owned().await;
        let engine = self.engine().clone();
        let ran = tokio::task::spawn_blocking(move || {
            let _permit = permit; // held until it ran, also when nobody waits for it any more
            run(&engine)
        });
        match ran.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) if !self.engine().is_running() => Err(refusal::stopped()),
            Ok(Err(error)) => Err(error.into()),
            Err(_) => Err(refusal::internal("a blocking call panicked")),
        }
    }
}

/// A reply that is no success.
pub(crate) fn unexpected(reply: Reply) -> Problem {
    match reply {
        Reply::Conflict { field } => {
            let detail = format!("another request was made under this id: `{field}` differs");
            Problem::new(Code::Conflict, detail).with("field", field)
        }
        Reply::Refused(refusal) => refusal::refused(&refusal),
        Reply::Archived => refusal::archived(),
        Reply::Stopped => refusal::stopped(),
        Reply::Done(_) | Reply::Wallet(_) | Reply::Hold(..) | Reply::CaughtUp(_) => {
            refusal::internal("the engine answered another question than it was asked")
        }
    }
}

pub(crate) fn unknown_customer(customer: &CustomerId) -> Problem {
    Problem::new(Code::UnknownCustomer, format!("there is no customer {customer}"))
}
