//! Large price lists that are looked into, not unpacked.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::rc::Rc;

use serde::de::{DeserializeOwned, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::span;

/// Values by name, for prepared parameters with many entries, of which an event needs one or two.
///
/// Prepared parameters are decoded anew in every batch, so a plain map of 60 models would cost more than pricing the
/// event. A table stays as it is encoded: decoding it copies one block, looking a name up is a binary search in that
/// block, and only values that are asked for are decoded, once.
///
/// Layout, little-endian `u32` each: number of names, number of values, where each name ends, which value it means,
/// where each value ends; then the names, in order, and the values.
pub struct Table<V> {
    block: Vec<u8>,
    /// What was asked for before, under the name that was asked for: a batch is full of the same few.
    decoded: RefCell<Vec<(Box<str>, Rc<V>)>>,
    values: PhantomData<V>,
}

/// A name that two entries claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameTaken {
    /// The name.
    pub name: String,
}

/// Collects the entries of a [`Table`].
#[derive(Debug)]
pub struct TableBuilder<'n, V> {
    names: BTreeMap<&'n str, u32>,
    /// The values, encoded one behind the other, and where each ends.
    encoded: Vec<u8>,
    value_ends: Vec<usize>,
    /// Whether a value could not be encoded.
    failed: bool,
    values: PhantomData<V>,
}

impl<V> Default for TableBuilder<'_, V> {
    fn default() -> Self {
        let names = BTreeMap::new();
        TableBuilder {
            names,
            encoded: Vec::new(),
            value_ends: Vec::new(),
            failed: false,
            values: PhantomData,
        }
    }
}

impl<'n, V: Serialize> TableBuilder<'n, V> {
    /// A value and all names by which it can be found. Names that are taken are left out and told.
    pub fn insert(&mut self, names: impl IntoIterator<Item = &'n str>, value: &V) -> Vec<NameTaken> {
        let index = span::index(self.value_ends.len());
        match postcard::to_extend(value, std::mem::take(&mut self.encoded)) {
            Ok(encoded) => self.encoded = encoded,
            Err(_) => self.failed = true,
        }
        self.value_ends.push(self.encoded.len());
        let mut taken = Vec::new();
        for name in names {
            match self.names.contains_key(name) {
                true => taken.push(NameTaken {
                    name: name.to_string(),
                }),
                false => drop(self.names.insert(name, index)),
            }
        }
        taken
    }

    /// The table. None when a value cannot be encoded (a sequence of unknown length, say) or the block reaches 4 GiB.
    pub fn build(self) -> Option<Table<V>> {
        let TableBuilder {
            names,
            encoded,
            value_ends,
            failed,
            ..
        } = self;
        if failed {
            return None;
        }
        let mut text = String::new();
        let mut name_ends = Vec::with_capacity(names.len());
        for name in names.keys() {
            text.push_str(name);
            name_ends.push(text.len());
        }
        let header = 4 * (2 + 2 * name_ends.len() + value_ends.len());
        let mut block = Vec::with_capacity(header + text.len() + encoded.len());
        let mut put = |number: usize| -> Option<()> {
            block.extend_from_slice(&u32::try_from(number).ok()?.to_le_bytes());
            Some(())
        };
        put(name_ends.len())?;
        put(value_ends.len())?;
        name_ends.iter().try_for_each(|end| put(*end))?;
        names.values().try_for_each(|value| put(*value as usize))?;
        value_ends.iter().try_for_each(|end| put(*end))?;
        block.extend_from_slice(text.as_bytes());
        block.extend_from_slice(&encoded);
        Some(Table::from_block(block))
    }
}

impl<V> Table<V> {
    /// Collects entries.
    pub fn builder<'n>() -> TableBuilder<'n, V> {
        TableBuilder::default()
    }

    fn from_block(block: Vec<u8>) -> Table<V> {
        Table {
            block,
            decoded: RefCell::new(Vec::new()),
            values: PhantomData,
        }
    }

    /// The number at `index` of the header. A block that is cut short reads as zeros and so finds nothing.
    fn number(&self, index: usize) -> usize {
        let bytes = self
            .block
            .get(index * 4..index * 4 + 4)
            .and_then(|bytes| bytes.first_chunk());
        bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize)
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.number(0)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes between the end before `index` and its own, in a list of ends that begins at `ends` of the header.
    fn slice(&self, ends: usize, index: usize, origin: usize) -> &[u8] {
        let start = if index == 0 {
            0
        } else {
            self.number(ends + index - 1)
        };
        self.block
            .get(origin + start..origin + self.number(ends + index))
            .unwrap_or_default()
    }

    /// Which value a name means.
    fn find(&self, name: &str) -> Option<usize> {
        let names = self.len();
        let origin = (2 + 2 * names + self.number(1)) * 4;
        let (mut low, mut high) = (0, names);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.slice(2, middle, origin).cmp(name.as_bytes()) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(self.number(2 + names + middle)),
            }
        }
        None
    }
}

impl<V: DeserializeOwned> Table<V> {
    /// The value with that name.
    pub fn get(&self, name: &str) -> Option<Rc<V>> {
        if let Some((_, value)) = self.decoded.borrow().iter().find(|(known, _)| **known == *name) {
            return Some(Rc::clone(value));
        }
        let index = self.find(name)?;
        let names = self.len();
        let text = if names == 0 { 0 } else { self.number(1 + names) };
        let origin = (2 + 2 * names + self.number(1)) * 4 + text;
        let value = Rc::new(postcard::from_bytes(self.slice(2 + 2 * names, index, origin)).ok()?);
        self.decoded
            .borrow_mut()
            .push((Box::from(name), Rc::clone(&value)));
        Some(value)
    }
}

impl<V> fmt::Debug for Table<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Table({} names, {} bytes)", self.len(), self.block.len())
    }
}

impl<V> Serialize for Table<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.block)
    }
}

impl<'de, V> Deserialize<'de> for Table<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Table<V>, D::Error> {
        struct Block;
        impl Visitor<'_> for Block {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the block of a table")
            }
            fn visit_bytes<E: serde::de::Error>(self, block: &[u8]) -> Result<Vec<u8>, E> {
                Ok(block.to_vec())
            }
        }
        deserializer.deserialize_bytes(Block).map(Table::from_block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_by_every_name_after_a_round_trip() {
        let mut builder = Table::<(String, u32)>::builder();
        assert_eq!(builder.insert(["b", "bee", "beta"], &("b".to_string(), 2)), []);
        assert_eq!(
            builder.insert(["a", "bee"], &("a".to_string(), 1)),
            [NameTaken {
                name: "bee".to_string()
            }]
        );
        let bytes = postcard::to_allocvec(&builder.build().unwrap()).unwrap();
        let table: Table<(String, u32)> = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(table.len(), 4);
        for (name, number) in [
            ("a", Some(1)),
            ("b", Some(2)),
            ("bee", Some(2)),
            ("beta", Some(2)),
            ("", None),
            ("be", None),
            ("c", None),
        ] {
            assert_eq!(table.get(name).map(|value| value.1), number, "{name}");
            assert_eq!(table.get(name).map(|value| value.1), number, "{name}, again");
        }
    }

    #[test]
    fn an_empty_or_broken_table_finds_nothing() {
        assert!(Table::<u32>::builder().build().unwrap().get("a").is_none());
        assert!(Table::<u32>::from_block(vec![1, 0, 0, 0, 1]).get("a").is_none());
        assert!(Table::<u32>::from_block(vec![255; 40]).get("a").is_none());
    }
}
