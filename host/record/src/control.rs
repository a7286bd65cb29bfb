//! A tenant's control plane: keys, plans and their timelines. One more wallet to the store, with a history of its own.

mod timeline;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError};
use crate::ids::{CallId, Hash, PlanName, RevisionHash, TenantId};
use crate::plan::Description;
use crate::time::{CalendarSpan, Timestamp};

pub use timeline::{Activation, OpenHolds, PlanState, TimelineChange};

/// What a control plane is asked to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlCommand {
    /// Let a new API key in.
    CreateKey {
        /// Its name, for people and for revoking it.
        id: CallId,
        /// Hash of the secret. The secret itself is shown once and never kept.
        secret: Hash,
        /// What it may do.
        role: Role,
    },
    /// Let an API key in no longer.
    RevokeKey {
        /// Its name.
        id: CallId,
    },
    /// Make an admitted component known. Its bytes are kept beside the journal, by their hash.
    AddComponent {
        /// For which plan.
        plan: PlanName,
        /// Hash of its bytes.
        component: Hash,
        /// How many there are.
        bytes: u64,
        /// What it says of itself.
        description: Box<Description>,
    },
    /// Put a revision on a plan's timeline. Read only: [`ControlCommand::ChangeTimeline`] is written since.
    Activate {
        /// Which plan.
        plan: PlanName,
        /// Which code with which parameters. The parameters' text is kept beside the journal, by its hash.
        revision: RevisionHash,
        /// From which event time on; none: now.
        effective: Option<Timestamp>,
        /// Which revision settles holds that were quoted before.
        open_holds: OpenHolds,
    },
    /// Put the revision that was in force before the present one back in force, from now on. Read only, as
    /// [`ControlCommand::Activate`].
    Rollback {
        /// Which plan.
        plan: PlanName,
    },
    /// Make the tenant, and let its first key in, an admin's. Always the first record of a control plane.
    CreateTenant {
        /// What kind of tenant it is, for good.
        tenant: NewTenant,
        /// Name of the first key.
        key: CallId,
        /// Hash of the first key's secret.
        secret: Hash,
    },
    /// Move a sandbox's time on.
    AdvanceClock {
        /// The caller's key, under which a retry is told what came of it.
        id: Option<CallId>,
        /// How far.
        step: ClockStep,
    },
    /// Everything that fell due up to the instant to which a record moved the clock is handled.
    FinishAdvance {
        /// The key of the advance.
        id: Option<CallId>,
        /// Which record moved the clock.
        sequence: u64,
        /// How many items of wallets' agendas were handled.
        handled: u64,
    },
    /// Keep events from before the late window, to be posted as a whole. They are kept beside the journal, by their hash.
    MakeBackfill {
        /// Made by the caller.
        id: CallId,
        /// Hash of the events.
        events: Hash,
        /// How many there are.
        count: u64,
        /// Of how many customers.
        customers: u64,
        /// Why, for the people who read it.
        reason: Option<String>,
    },
    /// A backfill goes on to its next stage.
    MoveBackfill {
        /// Which.
        id: CallId,
        /// Where it stands from now on.
        to: BackfillStage,
        /// What came of its events, where that is known now.
        tally: Option<BackfillTally>,
    },
    /// Note that the runtime took a revision out of service: it broke too often, or leaked from one trigger to another.
    Quarantine {
        /// On which plan's timeline.
        plan: PlanName,
        /// Which.
        revision: RevisionHash,
        /// Why, for people.
        reason: String,
    },
    /// Change a plan's timeline.
    ChangeTimeline {
        /// Which plan's.
        plan: PlanName,
        /// How.
        change: TimelineChange,
        /// The caller's key, under which it is carried out once, however often and however late it is asked for again. Its scope
        /// is the plan, and the kind of change.
        id: Option<CallId>,
    },
}

impl ControlCommand {
    /// The plan whose timeline is to change, and how; in each of the forms in which that was written.
    pub fn timeline(&self) -> Option<(&PlanName, TimelineChange)> {
        match self {
            ControlCommand::ChangeTimeline { plan, change, .. } => Some((plan, *change)),
            ControlCommand::Activate {
                plan,
                revision,
                effective,
                open_holds,
            } => {
                let change = TimelineChange::Activate {
                    revision: *revision,
                    effective: *effective,
                    open_holds: *open_holds,
                };
                Some((plan, change))
            }
            ControlCommand::Rollback { plan } => Some((plan, TimelineChange::Rollback { from: None })),
            _ => None,
        }
    }

    /// Under what it is found again.
    pub fn identity(&self) -> Option<ControlIdentity> {
        match self {
            ControlCommand::AdvanceClock { id, .. } => id.clone().map(ControlIdentity::Advance),
            ControlCommand::FinishAdvance { id, .. } => id.clone().map(ControlIdentity::Advanced),
            ControlCommand::ChangeTimeline { plan, change, id } => {
                let (plan, id) = (plan.clone(), id.clone()?);
                Some(match change {
                    TimelineChange::Activate { .. } => ControlIdentity::Activate(plan, id),
                    TimelineChange::Rollback { .. } => ControlIdentity::Rollback(plan, id),
                })
            }
            _ => None,
        }
    }
}

/// Where a backfill stands. It only moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackfillStage {
    /// Its events are kept, and nothing is posted.
    Draft,
    /// They are being posted; a restart goes on with it.
    Committing,
    /// They are posted.
    Committed,
    /// They are being taken back; a restart goes on with it.
    Reverting,
    /// They are taken back.
    Reverted,
}

impl BackfillStage {
    /// As programs see it.
    pub fn as_str(self) -> &'static str {
        match self {
            BackfillStage::Draft => "draft",
            BackfillStage::Committing => "committing",
            BackfillStage::Committed => "committed",
            BackfillStage::Reverting => "reverting",
            BackfillStage::Reverted => "reverted",
        }
    }
}

/// What came of the events of a backfill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillTally {
    /// Priced and charged.
    pub charged: u64,
    /// Kept until they have a price.
    pub unpriced: u64,
    /// Left out: the customer's history has an event of that id.
    pub known: u64,
    /// Left out: refused, each for a reason of its own.
    pub refused: u64,
    /// Taken back by the revert.
    pub reverted: u64,
}

/// Events from before the late window, posted as a whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackfillState {
    /// Hash of its events.
    pub events: Hash,
    /// How many there are.
    pub count: u64,
    /// Of how many customers.
    pub customers: u64,
    /// Why, for the people who read it.
    pub reason: Option<String>,
    /// Where it stands.
    pub stage: BackfillStage,
    /// When it was made.
    pub created: Timestamp,
    /// When it came to where it stands.
    pub moved: Timestamp,
    /// What came of its events.
    pub tally: BackfillTally,
}

/// What a tenant is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum NewTenant {
    /// Its time is the machine's.
    Live,
    /// Its time stands still between advances.
    Sandbox {
        /// Where its time begins; none: at the machine's.
        clock: Option<Timestamp>,
    },
}

/// How far a sandbox's time is to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClockStep {
    /// By so much.
    By(CalendarSpan),
    /// To this instant.
    To(Timestamp),
}

/// What a key may do. Each role may do what its line says, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything, tenants included.
    Operator,
    /// Everything within its tenant.
    Admin,
    /// Customers, grants, subscriptions, and reading.
    Billing,
    /// Sending events.
    Ingest,
    /// Authorize, settle, extend and release, and sending events.
    Authorize,
    /// Reading.
    Read,
}

/// What came of a control command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlEffect {
    /// A key was let in.
    KeyPut(CallId, KeyState),
    /// A component became known.
    ComponentPut(Hash, Box<ComponentState>),
    /// A timeline changed.
    PlanPut(PlanName, PlanState),
    /// The tenant was made, or its time moved.
    TenantPut(TenantState),
    /// A revision of a plan prices nothing any more where another one can.
    QuarantinePut(PlanName, RevisionHash, QuarantineState),
    /// A backfill was made, or moved on.
    BackfillPut(CallId, Box<BackfillState>),
    /// Nothing: this was in force on a plan's timeline already. Said to whoever asks again under the same key.
    InForce(PlanName, Activation),
}

/// A revision that was taken out of service, for good: the code will not become another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantineState {
    /// When.
    pub since: Timestamp,
    /// Why, for people.
    pub reason: String,
}

/// What a tenant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantState {
    /// When it was made, by its own clock.
    pub created: Timestamp,
    /// Which clock it has.
    pub kind: TenantKind,
}

/// Which clock a tenant has. Said once, when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TenantKind {
    /// The machine's.
    Live,
    /// One that stands still until it is advanced.
    Sandbox {
        /// Where it stands.
        now: Timestamp,
    },
}

/// An API key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyState {
    /// Hash of its secret.
    pub secret: Hash,
    /// What it may do.
    pub role: Role,
    /// When it was made.
    pub created: Timestamp,
    /// When it was revoked; none: it is good.
    pub revoked: Option<Timestamp>,
}

/// A component that was admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentState {
    /// What it says of itself.
    pub description: Description,
    /// How many bytes it has.
    pub bytes: u64,
    /// When it was added.
    pub added: Timestamp,
}

/// A tenant's control plane: the fold of its records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlState {
    /// How many records it has, and the newest one's hash.
    pub header: ControlHeader,
    /// API keys.
    pub keys: BTreeMap<CallId, KeyState>,
    /// Components by hash.
    pub components: BTreeMap<Hash, ComponentState>,
    /// Plans by name.
    pub plans: BTreeMap<PlanName, PlanState>,
    /// What was said when the tenant was made; none for one that was never made as such (`default`), which is live.
    pub tenant: Option<TenantState>,
    /// Revisions of plans that were taken out of service.
    pub quarantines: BTreeMap<(PlanName, RevisionHash), QuarantineState>,
    /// Backfills by name.
    pub backfills: BTreeMap<CallId, BackfillState>,
}

/// Where a control plane's history stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlHeader {
    /// How many records.
    pub sequence: u64,
    /// Hash of the newest.
    pub chain: Hash,
    /// When it was made.
    pub at: Timestamp,
}

/// One change of a control plane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlRecord {
    /// Whose.
    pub tenant: TenantId,
    /// 1 for the first.
    pub sequence: u64,
    /// Hash of the record before.
    pub previous: Hash,
    /// The store's time.
    pub at: Timestamp,
    /// What was asked.
    pub command: ControlCommand,
    /// What changed.
    pub effects: Vec<ControlEffect>,
}

const HEADER: u8 = 0x01;
const KEY: u8 = 0x02;
const PLAN: u8 = 0x03;
const COMPONENT: u8 = 0x04;
const QUARANTINE: u8 = 0x06;
const TENANT: u8 = 0x05;
const BACKFILL: u8 = 0x07;

/// Under what a control plane's record is found again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ControlIdentity {
    /// The clock was moved under this key.
    Advance(CallId),
    /// What fell due by that is handled.
    Advanced(CallId),
    /// A revision of a plan was activated under this key.
    Activate(PlanName, CallId),
    /// A plan was rolled back under this key.
    Rollback(PlanName, CallId),
}

impl ControlIdentity {
    /// Hash under which a store finds the record. Its lowest bit is 0: it is kept for good (see
    /// [`crate::record::identity_hash`]), so that nothing is done a second time however late it is asked for again.
    pub fn hash(&self, tenant: &TenantId) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&codec::naming(&("control", tenant, self)));
        let mut hash = [0; 16];
        hasher.finalize_xof().fill(&mut hash);
        hash[15] &= !1;
        hash
    }
}

impl ControlRecord {
    /// Under what it is found again.
    pub fn identity(&self) -> Option<ControlIdentity> {
        self.command.identity()
    }
}

impl ControlState {
    /// Where a sandbox's clock stands; none for a live tenant, whose time is the machine's.
    pub fn sandbox_clock(&self) -> Option<Timestamp> {
        match self.tenant?.kind {
            TenantKind::Live => None,
            TenantKind::Sandbox { now } => Some(now),
        }
    }

    /// A control plane from its parts.
    pub fn from_parts<'a>(
        parts: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<ControlState, CodecError> {
        let mut state = ControlState::default();
        for (key, value) in parts {
            let (&kind, name) = key.split_first().ok_or(CodecError::Empty)?;
            let text = || std::str::from_utf8(name).map_err(|e| CodecError::Malformed(e.to_string()));
            let malformed = |e: &dyn std::fmt::Display| CodecError::Malformed(e.to_string());
            match kind {
                HEADER => state.header = codec::decode(value)?,
                KEY => {
                    let id = CallId::new(text()?).map_err(|e| malformed(&e))?;
                    state.keys.insert(id, codec::decode(value)?);
                }
                PLAN => {
                    let name = PlanName::new(text()?).map_err(|e| malformed(&e))?;
                    state.plans.insert(name, codec::decode(value)?);
                }
                COMPONENT => {
                    let hash = name
                        .try_into()
                        .map_err(|_| CodecError::Malformed("hash".into()))?;
                    state.components.insert(Hash(hash), codec::decode(value)?);
                }
                QUARANTINE => {
                    let (plan, revision) = quarantined(name)
                        .ok_or_else(|| CodecError::Malformed("the key of a quarantine".into()))?;
                    state.quarantines.insert((plan, revision), codec::decode(value)?);
                }
                TENANT => state.tenant = Some(codec::decode(value)?),
                BACKFILL => {
                    let id = CallId::new(text()?).map_err(|e| malformed(&e))?;
                    state.backfills.insert(id, codec::decode(value)?);
                }
                _ => return Err(CodecError::Malformed(format!("control part {kind:#04x}"))),
            }
        }
        Ok(state)
    }

    /// Carries a record out and gives the parts that it changes. `bytes` are the record as kept.
    pub fn fold(&mut self, record: &ControlRecord, bytes: &[u8]) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let mut parts = Vec::new();
        for effect in &record.effects {
            match effect {
                ControlEffect::KeyPut(id, key) => {
                    parts.push((part(KEY, id.as_str().as_bytes()), Some(codec::encode(key))));
                    self.keys.insert(id.clone(), key.clone());
                }
                ControlEffect::ComponentPut(hash, component) => {
                    parts.push((part(COMPONENT, &hash.0), Some(codec::encode(&**component))));
                    self.components.insert(*hash, (**component).clone());
                }
                ControlEffect::PlanPut(name, plan) => {
                    parts.push((part(PLAN, name.as_str().as_bytes()), Some(codec::encode(plan))));
                    self.plans.insert(name.clone(), plan.clone());
                }
                ControlEffect::TenantPut(tenant) => {
                    parts.push((vec![TENANT], Some(codec::encode(tenant))));
                    self.tenant = Some(*tenant);
                }
                ControlEffect::BackfillPut(id, backfill) => {
                    parts.push((
                        part(BACKFILL, id.as_str().as_bytes()),
                        Some(codec::encode(&**backfill)),
                    ));
                    self.backfills.insert(id.clone(), (**backfill).clone());
                }
                ControlEffect::QuarantinePut(plan, revision, quarantine) => {
                    let mut name = revision.component.0.to_vec();
                    name.extend_from_slice(&revision.parameters.0);
                    name.extend_from_slice(plan.as_str().as_bytes());
                    parts.push((part(QUARANTINE, &name), Some(codec::encode(quarantine))));
                    self.quarantines
                        .insert((plan.clone(), *revision), quarantine.clone());
                }
                ControlEffect::InForce(..) => {}
            }
        }
        self.header = ControlHeader {
            sequence: record.sequence,
            chain: Hash::of(bytes),
            at: record.at,
        };
        parts.push((vec![HEADER], Some(codec::encode(&self.header))));
        parts
    }
}

/// The plan and the revision that a quarantine's key names: two hashes, then the plan.
fn quarantined(name: &[u8]) -> Option<(PlanName, RevisionHash)> {
    let (component, rest) = name.split_first_chunk::<32>()?;
    let (parameters, plan) = rest.split_first_chunk::<32>()?;
    let revision = RevisionHash {
        component: Hash(*component),
        parameters: Hash(*parameters),
    };
    Some((PlanName::new(std::str::from_utf8(plan).ok()?).ok()?, revision))
}

fn part(kind: u8, name: &[u8]) -> Vec<u8> {
    let mut key = vec![kind];
    key.extend_from_slice(name);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_control_plane_are_kept_for_good() {
        let tenant = TenantId::new("t").unwrap();
        for index in 0..64 {
            let id = CallId::new(&format!("advance-{index}")).unwrap();
            let plan: PlanName = "tokens".parse().unwrap();
            for identity in [
                ControlIdentity::Advance(id.clone()),
                ControlIdentity::Advanced(id.clone()),
                ControlIdentity::Activate(plan.clone(), id.clone()),
                ControlIdentity::Rollback(plan, id),
            ] {
                assert_eq!(identity.hash(&tenant)[15] & 1, 0, "{identity:?}");
            }
        }
    }

    /// No journal of the fixtures has one, because the runtime makes it: kinds are numbers in the order of their declaration.
    #[test]
    fn a_quarantine_of_an_older_release_is_read() {
        let plan: PlanName = "tokens".parse().unwrap();
        let revision = RevisionHash {
            component: Hash::of(b"component"),
            parameters: Hash::of(b"{}"),
        };
        // As format 3 wrote it.
        let asked = (10_u32, &plan, revision, "it trapped");
        let asked = postcard::to_extend(&asked, vec![3]).unwrap();
        let command = ControlCommand::Quarantine {
            plan: plan.clone(),
            revision,
            reason: "it trapped".into(),
        };
        assert_eq!(codec::decode::<ControlCommand>(&asked).unwrap(), command);
        let since = Timestamp::from_micros(7);
        let put = (4_u32, &plan, revision, since, "it trapped");
        let effect = postcard::to_extend(&put, vec![3]).unwrap();
        let state = QuarantineState {
            since,
            reason: "it trapped".into(),
        };
        assert_eq!(
            codec::decode::<ControlEffect>(&effect).unwrap(),
            ControlEffect::QuarantinePut(plan, revision, state)
        );
    }
}
