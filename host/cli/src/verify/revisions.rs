//! The revisions that records name, made ready again from what is kept beside the journal.

use std::collections::HashMap;
use std::sync::Arc;

use farebox_record::ids::{Hash, RevisionHash};
use farebox_runtime::{Plan, Revision, Runtime};
use farebox_store::{Store, StoreError};

/// Revisions by hash; one that cannot be had is remembered with the reason.
#[derive(Default)]
pub(super) struct Revisions {
    plans: HashMap<Hash, Result<Arc<Plan>, String>>,
    revisions: HashMap<RevisionHash, Result<Arc<Revision>, String>>,
}

impl Revisions {
    /// The revision with this hash.
    pub fn get(
        &mut self,
        hash: RevisionHash,
        store: &dyn Store,
        runtime: &Runtime,
    ) -> Result<&Result<Arc<Revision>, String>, StoreError> {
        if !self.revisions.contains_key(&hash) {
            let revision = self.prepare(hash, store, runtime)?;
            self.revisions.insert(hash, revision);
        }
        Ok(&self.revisions[&hash])
    }

    fn prepare(
        &mut self,
        hash: RevisionHash,
        store: &dyn Store,
        runtime: &Runtime,
    ) -> Result<Result<Arc<Revision>, String>, StoreError> {
        let plan = match self.plan(hash.component, store, runtime)? {
            Ok(plan) => plan,
            Err(why) => return Ok(Err(why)),
        };
        // The names are the engine's.
        let name = format!("parameters-{}", hash.parameters);
        let Some(bytes) = store.blob(&name)? else {
            return Ok(Err(format!("{name} is missing")));
        };
        if Hash::of(&bytes) != hash.parameters {
            return Ok(Err(format!("{name} is not what its hash says")));
        }
        let Ok(parameters) = String::from_utf8(bytes) else {
            return Ok(Err(format!("{name} is no text")));
        };
        Ok(runtime
            .prepare(&plan, &parameters)
            .map_err(|refused| refused.to_string()))
    }

    fn plan(
        &mut self,
        hash: Hash,
        store: &dyn Store,
        runtime: &Runtime,
    ) -> Result<Result<Arc<Plan>, String>, StoreError> {
        if let Some(plan) = self.plans.get(&hash) {
            return Ok(plan.clone());
        }
        let name = format!("component-{hash}");
        let plan = match store.blob(&name)? {
            None => Err(format!("{name} is missing")),
            Some(bytes) if Hash::of(&bytes) != hash => Err(format!("{name} is not what its hash says")),
            Some(bytes) => runtime.admit(&bytes).map_err(|refused| refused.to_string()),
        };
        self.plans.insert(hash, plan.clone());
        Ok(plan)
    }
}
