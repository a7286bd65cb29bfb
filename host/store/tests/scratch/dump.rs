//! Everything that a store shows, so that two stores can be compared.

use farebox_store::conformance::{Draft, id};
use farebox_store::{Commit, Image, MemoryStore, ON_DEMAND, Store, StoredRecord, WalletKey};
use rand::Rng;
use rand::rngs::SmallRng;

/// What there is to see of one wallet.
#[derive(Debug, PartialEq)]
pub struct WalletDump {
    wallet: WalletKey,
    image: Image,
    on_demand: Vec<(Vec<u8>, Vec<u8>)>,
    history: Vec<StoredRecord>,
}

/// What there is to see of a store.
#[derive(Debug, PartialEq)]
pub struct Dump {
    wallets: Vec<WalletDump>,
    due: Vec<(i64, WalletKey)>,
    found: Vec<Vec<StoredRecord>>,
}

/// Looks at everything; ids are asked for up to `ids`.
pub fn dump(store: &dyn Store, ids: u64) -> Dump {
    let (mut wallets, mut due) = (Vec::new(), Vec::new());
    for tenant in store.tenants(None, 1000).unwrap() {
        due.extend(store.due(&tenant, i64::MAX, 1000).unwrap());
        let mut keys = store.wallets(&tenant, None, 1000).unwrap();
        keys.push(WalletKey::control(&tenant));
        for wallet in keys {
            wallets.push(WalletDump {
                image: store.load(&wallet).unwrap(),
                on_demand: store.parts(&wallet, &[ON_DEMAND], None, 1000).unwrap(),
                history: store.history(&wallet, None, 1000).unwrap(),
                wallet,
            });
        }
    }
    let found = (0..ids).flat_map(|n| {
        let seen = store.may_have_seen(id(n));
        let found = wallets
            .iter()
            .map(|wallet| store.find(&wallet.wallet, id(n)).unwrap());
        let found: Vec<_> = found.filter(|records| !records.is_empty()).collect();
        assert!(
            seen || found.is_empty(),
            "an id that was found was said to be unknown"
        );
        found
    });
    Dump {
        found: found.collect(),
        due,
        wallets,
    }
}

/// Makes calls that a store which holds the same as `model` keeps wholly.
#[derive(Debug, Default)]
pub struct Workload {
    pub model: MemoryStore,
    pub ids: u64,
}

impl Workload {
    /// The next call, already in the model.
    pub fn call(&mut self, random: &mut SmallRng) -> Vec<Commit> {
        let commits = random.random_range(1..4);
        (0..commits).map(|_| self.commit(random)).collect()
    }

    fn commit(&mut self, random: &mut SmallRng) -> Commit {
        let tenant = ["acme", "zeta"][random.random_range(0..2)];
        let wallet = match random.random_range(0..12) {
            0 => WalletKey::control(tenant),
            n => WalletKey::new(tenant, &format!("w{}", n % 4)),
        };
        let mut draft = Draft::new(&wallet, self.model.load(&wallet).unwrap().version);
        for _ in 0..random.random_range(1..4) {
            let size = if random.random_range(0..10) == 0 {
                9000
            } else {
                random.random_range(0..300)
            };
            let byte: u8 = random.random();
            let filler: Vec<u8> = (0..size).map(|n: u16| byte ^ n.to_le_bytes()[0]).collect();
            draft = draft.record(&[id(self.ids)], &filler);
            self.ids += 1;
        }
        for _ in 0..random.random_range(0..4) {
            let key = [
                [0, ON_DEMAND][random.random_range(0..2)],
                random.random_range(0..6),
            ];
            draft = match random.random_range(0..4) {
                0 => draft.remove(&key),
                1 => draft.set(&key, &vec![random.random(); 4000]),
                _ => draft.set(&key, &[random.random()]),
            };
        }
        if random.random() {
            draft = draft.due(random.random_range(-100..100));
        }
        let commit = draft.commit();
        self.model.commit(vec![commit.clone()]).unwrap();
        commit
    }
}
