//! The key that the first start makes, since nobody could make one without it.

use std::time::{SystemTime, UNIX_EPOCH};

use farebox_engine::{DEFAULT_TENANT, Engine};
use farebox_record::control::{KeyState, Role};
use farebox_record::ids::{CallId, TenantId};
use farebox_server::Secret;

use crate::failure::{Exit, Failure};

/// What the first key is called.
const NAME: &str = "first-operator";

/// A key that was just made. Shown once; only its hash is kept.
pub struct FirstKey {
    /// Whose.
    pub tenant: TenantId,
    /// The key itself.
    pub key: String,
}

/// Makes an operator's key where the tenant never had a key: whoever has the data folder runs the installation. Blocks
/// until it is durable.
pub fn of_first_start(engine: &Engine) -> Result<Option<FirstKey>, Failure> {
    let tenant = tenant()?;
    let had_one = engine
        .controls()
        .tenant(&tenant)
        .is_some_and(|control| !control.keys.is_empty());
    if had_one {
        Ok(None)
    } else {
        make(engine, tenant, NAME).map(Some)
    }
}

/// Makes an operator's key beside those that there are, for whoever lost theirs. Blocks until it is durable.
pub fn recovered(engine: &Engine) -> Result<FirstKey, Failure> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_micros());
    make(engine, tenant()?, &format!("recovered-operator-{now}"))
}

/// Whether nobody can administer the tenant any more.
pub fn is_locked_out(engine: &Engine) -> Result<bool, Failure> {
    let good = |key: &KeyState| key.revoked.is_none() && matches!(key.role, Role::Admin | Role::Operator);
    Ok(!engine
        .controls()
        .tenant(&tenant()?)
        .is_some_and(|control| control.keys.values().any(good)))
}

fn make(engine: &Engine, tenant: TenantId, name: &str) -> Result<FirstKey, Failure> {
    let internal = |error: &dyn std::fmt::Display| Failure::new(Exit::Internal, "key", error.to_string());
    let secret = Secret::random().map_err(|error| internal(&error))?;
    let name = CallId::new(name).map_err(|error| internal(&error))?;
    engine.create_key(&tenant, name, secret.hash(), Role::Operator)?;
    Ok(FirstKey {
        tenant,
        key: secret.reveal().to_string(),
    })
}

fn tenant() -> Result<TenantId, Failure> {
    TenantId::new(DEFAULT_TENANT).map_err(|error| Failure::new(Exit::Internal, "tenant", error.to_string()))
}
