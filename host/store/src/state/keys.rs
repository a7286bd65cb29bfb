//! Keys of the state's rows. Their order is the order that the contract promises.
//!
//! ```text
//! m                                   what the state is and how far it has come
//! h tenant wallet                     a wallet's head
//! p tenant wallet part-key row        a part, cut into rows
//! d tenant instant wallet             what falls due: tenants have clocks of their own
//! ```
//! Names and part keys may contain any byte: 0 is written as `0 1` and the end as `0 0`, which keeps their order and lets
//! no key be the beginning of another.

use crate::contract::WalletKey;

pub(crate) const META: &[u8] = b"m";
const HEAD: u8 = b'h';
const PART: u8 = b'p';
const DUE: u8 = b'd';
/// Rows of projections stand in a tree of their own, beside its own `m`.
const PROJECTION: u8 = b'r';

/// A wallet's head.
pub(crate) fn head(wallet: &WalletKey) -> Vec<u8> {
    let mut key = vec![HEAD];
    push_wallet(&mut key, wallet);
    key
}

/// The heads of a tenant from a name on (none: from the first).
pub(crate) fn heads_from(tenant: &str, wallet: Option<&str>) -> Vec<u8> {
    let mut key = vec![HEAD];
    push(&mut key, tenant.as_bytes());
    if let Some(wallet) = wallet {
        push(&mut key, wallet.as_bytes());
    }
    key
}

/// Where the heads of the tenants after this one begin (none: of the first tenant).
pub(crate) fn heads_after_tenant(tenant: Option<&str>) -> Vec<u8> {
    let mut key = vec![HEAD];
    if let Some(tenant) = tenant {
        push(&mut key, tenant.as_bytes());
        // Greater than all that follows the end mark: a name's first byte is at most 0xf4 in UTF-8.
        key.push(0xff);
    }
    key
}

/// Behind every head.
pub(crate) const HEADS_END: &[u8] = &[HEAD + 1];

/// The wallet whose head has this key.
pub(crate) fn wallet_of_head(key: &[u8]) -> Option<WalletKey> {
    wallet(key.strip_prefix(&[HEAD])?)
}

/// A row of a part.
pub(crate) fn part_row(wallet: &WalletKey, part: &[u8], row: u16) -> Vec<u8> {
    let mut key = part_rows(wallet, part);
    push_end(&mut key);
    key.extend_from_slice(&row.to_be_bytes());
    key
}

/// What the rows of all parts begin with whose key begins with `prefix`.
pub(crate) fn part_rows(wallet: &WalletKey, prefix: &[u8]) -> Vec<u8> {
    let mut key = vec![PART];
    push_wallet(&mut key, wallet);
    push_escaped(&mut key, prefix);
    key
}

/// Behind all rows of a part, before those of the next.
pub(crate) fn after_part(wallet: &WalletKey, part: &[u8]) -> Vec<u8> {
    let mut key = part_rows(wallet, part);
    push_end(&mut key);
    key.extend_from_slice(&[0xff; 3]);
    key
}

/// The part and the row that a key names; the key begins with [`part_rows`] of the wallet and no prefix.
pub(crate) fn part_of(key: &[u8], rows_of_wallet: &[u8]) -> Option<(Vec<u8>, u16)> {
    let (part, rest) = pull(key.strip_prefix(rows_of_wallet)?)?;
    Some((part, u16::from_be_bytes(rest.try_into().ok()?)))
}

/// What falls due for a wallet.
pub(crate) fn due(instant: i64, wallet: &WalletKey) -> Vec<u8> {
    let mut key = dues_of(wallet.tenant());
    key.extend_from_slice(&sortable(instant).to_be_bytes());
    push(&mut key, wallet.wallet().as_bytes());
    key
}

/// The front of every key of what falls due for a tenant.
pub(crate) fn dues_of(tenant: &str) -> Vec<u8> {
    let mut key = vec![DUE];
    push(&mut key, tenant.as_bytes());
    key
}

/// The instant and the wallet of a key made by [`due`].
pub(crate) fn due_of(key: &[u8]) -> Option<(i64, WalletKey)> {
    let (tenant, rest) = pull(key.strip_prefix(&[DUE])?)?;
    let (instant, rest) = rest.split_first_chunk::<8>()?;
    let (wallet, rest) = pull(rest)?;
    rest.is_empty().then_some(())?;
    Some((
        (u64::from_be_bytes(*instant) ^ (1 << 63)).cast_signed(),
        WalletKey::new(&String::from_utf8(tenant).ok()?, &String::from_utf8(wallet).ok()?),
    ))
}

/// A row of a projection, in the tree of its own.
pub(crate) fn projection_row(name: &[u8], row: u16) -> Vec<u8> {
    let mut key = projection_rows(name);
    push_end(&mut key);
    key.extend_from_slice(&row.to_be_bytes());
    key
}

/// What the rows of all projections begin with whose key begins with `prefix`.
pub(crate) fn projection_rows(prefix: &[u8]) -> Vec<u8> {
    let mut key = vec![PROJECTION];
    push_escaped(&mut key, prefix);
    key
}

/// Behind all rows of a projection, before those of the next.
pub(crate) fn after_projection(name: &[u8]) -> Vec<u8> {
    let mut key = projection_rows(name);
    push_end(&mut key);
    key.extend_from_slice(&[0xff; 3]);
    key
}

/// The projection and the row that a key names.
pub(crate) fn projection_of(key: &[u8]) -> Option<(Vec<u8>, u16)> {
    let (name, rest) = pull(key.strip_prefix(&[PROJECTION])?)?;
    Some((name, u16::from_be_bytes(rest.try_into().ok()?)))
}

/// Orders as the instants do, before the epoch too.
fn sortable(instant: i64) -> u64 {
    instant.cast_unsigned() ^ (1 << 63)
}

fn wallet(key: &[u8]) -> Option<WalletKey> {
    let (tenant, rest) = pull(key)?;
    let (wallet, rest) = pull(rest)?;
    rest.is_empty().then_some(())?;
    Some(WalletKey::new(
        &String::from_utf8(tenant).ok()?,
        &String::from_utf8(wallet).ok()?,
    ))
}

fn push_wallet(key: &mut Vec<u8>, wallet: &WalletKey) {
    push(key, wallet.tenant().as_bytes());
    push(key, wallet.wallet().as_bytes());
}

fn push(key: &mut Vec<u8>, name: &[u8]) {
    push_escaped(key, name);
    push_end(key);
}

fn push_escaped(key: &mut Vec<u8>, name: &[u8]) {
    for &byte in name {
        key.push(byte);
        if byte == 0 {
            key.push(1);
        }
    }
}

fn push_end(key: &mut Vec<u8>) {
    key.extend_from_slice(&[0, 0]);
}

/// Takes one escaped name off the front.
fn pull(key: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut name, mut at) = (Vec::new(), 0);
    loop {
        match (*key.get(at)?, key.get(at + 1)) {
            (0, Some(0)) => return Some((name, &key[at + 2..])),
            (0, Some(1)) => {
                name.push(0);
                at += 2;
            }
            (0, _) => return None,
            (byte, _) => {
                name.push(byte);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn order_of_keys_is_order_of_names(
            a in ("[\0-\u{3}a]{1,4}", "[\0-\u{3}a]{1,4}", prop::collection::vec(0_u8..3, 0..4)),
            b in ("[\0-\u{3}a]{1,4}", "[\0-\u{3}a]{1,4}", prop::collection::vec(0_u8..3, 0..4)),
            rows in (any::<u16>(), any::<u16>()),
            instants in (any::<i64>(), any::<i64>()),
        ) {
            let (first, second) = (WalletKey::new(&a.0, &a.1), WalletKey::new(&b.0, &b.1));
            prop_assert_eq!(first.cmp(&second), head(&first).cmp(&head(&second)));
            prop_assert_eq!(
                (&first, &a.2, rows.0).cmp(&(&second, &b.2, rows.1)),
                part_row(&first, &a.2, rows.0).cmp(&part_row(&second, &b.2, rows.1))
            );
            prop_assert_eq!(
                (&a.0, instants.0, &first).cmp(&(&b.0, instants.1, &second)),
                due(instants.0, &first).cmp(&due(instants.1, &second))
            );
            prop_assert_eq!(due_of(&due(instants.0, &first)), Some((instants.0, first.clone())));
            prop_assert_eq!(wallet_of_head(&head(&first)), Some(first.clone()));
            let all = part_rows(&first, &[]);
            prop_assert_eq!(
                (&a.2, rows.0).cmp(&(&b.2, rows.1)),
                projection_row(&a.2, rows.0).cmp(&projection_row(&b.2, rows.1))
            );
            prop_assert_eq!(projection_of(&projection_row(&a.2, rows.0)), Some((a.2.clone(), rows.0)));
            prop_assert!(after_projection(&a.2) > projection_row(&a.2, rows.0));
            prop_assert_eq!(part_of(&part_row(&first, &a.2, rows.0), &all), Some((a.2, rows.0)));
        }
    }
}
