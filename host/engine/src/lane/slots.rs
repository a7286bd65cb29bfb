//! The slots of a lane, by number: a wallet is looked for by its name once, when something comes for it, and not again in each
//! step of a round.

use farebox_record::ids::{CustomerId, TenantId};
use farebox_store::{FastMap, WalletKey};

use crate::lane::slot::Slot;

/// Which slot of a lane; good for as long as the slot is not let go of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SlotId(usize);

/// Whose slot it is.
#[derive(Clone)]
pub(super) struct Owner {
    pub key: WalletKey,
    /// None for a control plane, which no lane has.
    pub names: Option<(TenantId, CustomerId)>,
}

impl Owner {
    fn of(key: &WalletKey) -> Owner {
        let names = TenantId::new(key.tenant())
            .ok()
            .zip(CustomerId::new(key.wallet()).ok());
        let key = key.clone();
        Owner { key, names }
    }
}

struct Kept {
    owner: Owner,
    /// None while the wallet takes its turn. Each leaves and comes back in every round of its wallet, and is large.
    slot: Option<Box<Slot>>,
}

/// Slots in the order in which they came, each once.
#[derive(Default)]
struct Once {
    ids: Vec<SlotId>,
    /// By number: whether it is among them.
    has: Vec<bool>,
}

impl Once {
    fn has(&self, id: SlotId) -> bool {
        self.has.get(id.0).is_some_and(|has| *has)
    }

    fn push(&mut self, id: SlotId) {
        if self.has(id) {
            return;
        }
        if self.has.len() <= id.0 {
            self.has.resize(id.0 + 1, false);
        }
        self.has[id.0] = true;
        self.ids.push(id);
    }

    fn remove(&mut self, id: SlotId) {
        if self.has(id) {
            self.has[id.0] = false;
            self.ids.retain(|other| *other != id);
        }
    }

    fn take(&mut self) -> Vec<SlotId> {
        let ids = std::mem::take(&mut self.ids);
        for id in &ids {
            self.has[id.0] = false;
        }
        ids
    }
}

/// See the module.
#[derive(Default)]
pub(super) struct Slots {
    ids: FastMap<WalletKey, SlotId>,
    kept: Vec<Option<Kept>>,
    free: Vec<SlotId>,
    /// Wallets with commands that may go on.
    runnable: Once,
    /// Those that had a turn since something was shipped last.
    flying: Once,
}

impl Slots {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn id(&self, key: &WalletKey) -> Option<SlotId> {
        self.ids.get(key).copied()
    }

    /// Takes a slot in, in the place of the one that the wallet may have.
    pub fn insert(&mut self, key: &WalletKey, slot: Box<Slot>) -> SlotId {
        if let Some(id) = self.id(key) {
            self.put_back(id, slot);
            return id;
        }
        let kept = Some(Kept {
            owner: Owner::of(key),
            slot: Some(slot),
        });
        let id = match self.free.pop() {
            Some(id) => {
                self.kept[id.0] = kept;
                id
            }
            None => {
                self.kept.push(kept);
                SlotId(self.kept.len() - 1)
            }
        };
        self.ids.insert(key.clone(), id);
        id
    }

    pub fn get(&self, id: SlotId) -> Option<&Slot> {
        self.kept.get(id.0)?.as_ref()?.slot.as_deref()
    }

    pub fn get_mut(&mut self, id: SlotId) -> Option<&mut Slot> {
        self.kept.get_mut(id.0)?.as_mut()?.slot.as_deref_mut()
    }

    pub fn owner(&self, id: SlotId) -> Option<&Owner> {
        Some(&self.kept.get(id.0)?.as_ref()?.owner)
    }

    /// Takes a slot out for a turn.
    pub fn take(&mut self, id: SlotId) -> Option<Box<Slot>> {
        self.kept.get_mut(id.0)?.as_mut()?.slot.take()
    }

    /// Puts it back behind its turn.
    pub fn put_back(&mut self, id: SlotId, slot: Box<Slot>) {
        if let Some(Some(kept)) = self.kept.get_mut(id.0) {
            kept.slot = Some(slot);
        }
    }

    /// Lets the wallet leave the lane.
    pub fn remove(&mut self, id: SlotId) -> Option<Box<Slot>> {
        let Kept { owner, slot, .. } = self.kept.get_mut(id.0)?.take()?;
        self.ids.remove(&owner.key);
        // What still names it finds nothing; whoever comes next must not be found there.
        self.runnable.remove(id);
        self.flying.remove(id);
        self.free.push(id);
        slot
    }

    /// Lets go of all that are not wanted, and neither may go on nor have something to ship.
    pub fn retain(&mut self, mut wanted: impl FnMut(&Slot) -> bool) {
        for (index, place) in self.kept.iter_mut().enumerate() {
            let Some(kept) = place else { continue };
            let id = SlotId(index);
            let rests = !self.runnable.has(id) && !self.flying.has(id);
            if rests && kept.slot.as_deref().is_some_and(|slot| !wanted(slot)) {
                self.ids.remove(&kept.owner.key);
                *place = None;
                self.free.push(id);
            }
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Slot> {
        self.kept.iter().flatten().filter_map(|kept| kept.slot.as_deref())
    }

    /// Something came for it: it may go on.
    pub fn wake(&mut self, id: SlotId) {
        self.runnable.push(id);
    }

    /// Those that may go on. They are to be woken again where they still can behind their turn.
    pub fn take_runnable(&mut self) -> Vec<SlotId> {
        self.runnable.take()
    }

    /// It may have something to ship.
    pub fn flies(&mut self, id: SlotId) {
        self.flying.push(id);
    }

    /// Those that may have something to ship.
    pub fn take_flying(&mut self) -> Vec<SlotId> {
        self.flying.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> WalletKey {
        WalletKey::new("default", name)
    }

    #[test]
    fn a_wallet_is_runnable_and_flies_once_in_the_order_in_which_it_was_woken() {
        let mut slots = Slots::default();
        let [ben, ada] = ["ben", "ada"].map(|name| slots.insert(&key(name), Box::default()));
        for id in [ben, ada, ben] {
            slots.wake(id);
            slots.flies(id);
        }
        assert_eq!(slots.take_runnable(), [ben, ada]);
        assert_eq!(slots.take_flying(), [ben, ada]);
        assert_eq!((slots.take_runnable(), slots.take_flying()), (vec![], vec![]));
        slots.wake(ben);
        assert_eq!(slots.take_runnable(), [ben], "woken again behind its turn");
    }

    #[test]
    fn a_number_that_is_used_again_is_not_woken_by_what_came_for_whoever_had_it() {
        let mut slots = Slots::default();
        let ada = slots.insert(&key("ada"), Box::default());
        slots.wake(ada);
        slots.flies(ada);
        assert!(slots.remove(ada).is_some());
        assert!(slots.get(ada).is_none() && slots.id(&key("ada")).is_none());
        let ben = slots.insert(&key("ben"), Box::default());
        assert_eq!(ben, ada, "the number is free again");
        assert_eq!((slots.take_runnable(), slots.take_flying()), (vec![], vec![]));
        assert_eq!(slots.owner(ben).map(|owner| owner.key.clone()), Some(key("ben")));
    }

    #[test]
    fn those_that_may_go_on_are_not_let_go_of() {
        let mut slots = Slots::default();
        let [ada, ben] = ["ada", "ben"].map(|name| slots.insert(&key(name), Box::default()));
        slots.wake(ada);
        slots.retain(|_| false);
        assert!(slots.get(ada).is_some() && slots.get(ben).is_none());
        assert_eq!((slots.len(), slots.iter().count()), (1, 1));
    }
}
