//! Values by name, as an event has them.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Index;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap as _, Serializer};
use smol_str::SmolStr;

/// The name of a field, or a text in it. A usual one (at most 23 bytes) is read and copied without the allocator: each event
/// has a dozen of them.
pub type Text = SmolStr;

/// A small map from names to values, in order of name; each name once.
///
/// An event is copied on its way through the host: the question to its plan, its record, its answer. So a clone shares the
/// values, and a change of one makes all of them anew. There are few of either.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fields<V>(Option<Arc<[(Text, V)]>>);

/// In order of name.
pub type Iter<'a, V> = std::iter::Map<std::slice::Iter<'a, (Text, V)>, fn(&(Text, V)) -> (&Text, &V)>;

/// Most fields for which room is made before they are read.
const FIELDS_EXPECTED_MAX: usize = 64;

impl<V> Fields<V> {
    /// Nothing.
    pub const EMPTY: Fields<V> = Fields(None);

    fn all(&self) -> &[(Text, V)] {
        self.0.as_deref().unwrap_or_default()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.all().binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&V> {
        let place = self.place(name).ok()?;
        self.all().get(place).map(|(_, value)| value)
    }

    /// Whether there is a value of this name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// Names and values, in order of name.
    pub fn iter(&self) -> Iter<'_, V> {
        self.all().iter().map(|(name, value)| (name, value))
    }

    /// The names, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Text> {
        self.all().iter().map(|(name, _)| name)
    }

    /// The values, in order of name.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.all().iter().map(|(_, value)| value)
    }

    /// In whatever order, and of a name that is there twice the last.
    fn of(mut all: Vec<(Text, V)>) -> Fields<V> {
        if all.is_empty() {
            return Fields::EMPTY;
        }
        if !all.is_sorted_by(|one, next| one.0 < next.0) {
            all.sort_by(|one, other| one.0.cmp(&other.0));
            // The earlier of two goes: sorting left them in their order.
            all.reverse();
            all.dedup_by(|one, before| one.0 == before.0);
            all.reverse();
        }
        Fields(Some(all.into()))
    }
}

impl<V: Clone> Fields<V> {
    /// Sets the value of a name; what it was before.
    pub fn insert(&mut self, name: Text, value: V) -> Option<V> {
        let before = self.get(&name).cloned();
        self.extend([(name, value)]);
        before
    }

    /// The value of a name, to be changed; it begins with nothing.
    pub fn value(&mut self, name: &str) -> &mut V
    where
        V: Default,
    {
        let place = match self.place(name) {
            Ok(place) => place,
            Err(place) => {
                let (before, behind) = self.all().split_at(place);
                let added = std::iter::once((Text::new(name), V::default()));
                let all = before.iter().cloned().chain(added).chain(behind.iter().cloned());
                self.0 = Some(all.collect());
                place
            }
        };
        &mut Arc::make_mut(self.0.get_or_insert_default())[place].1
    }

    /// The values, in order of name, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let all = self.0.as_mut().map(Arc::make_mut).unwrap_or_default();
        all.iter_mut().map(|(_, value)| value)
    }

    /// Takes all out.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// Takes a name out; what it was.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        let before = self.get(name).cloned();
        self.retain(|known, _| known != name);
        before
    }

    /// Leaves those that are wanted.
    pub fn retain(&mut self, is_wanted: impl Fn(&str, &V) -> bool) {
        if !self.iter().all(|(name, value)| is_wanted(name, value)) {
            let all = self.all().iter().filter(|(name, value)| is_wanted(name, value));
            *self = Fields::of(all.cloned().collect());
        }
    }
}

impl<V> Default for Fields<V> {
    fn default() -> Fields<V> {
        Fields::EMPTY
    }
}

impl<V: fmt::Debug> fmt::Debug for Fields<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<V: Clone> Extend<(Text, V)> for Fields<V> {
    fn extend<I: IntoIterator<Item = (Text, V)>>(&mut self, more: I) {
        let mut more = more.into_iter().peekable();
        if more.peek().is_some() {
            *self = Fields::of(self.all().iter().cloned().chain(more).collect());
        }
    }
}

impl<'a, V: Clone + 'a> Extend<(&'a Text, &'a V)> for Fields<V> {
    fn extend<I: IntoIterator<Item = (&'a Text, &'a V)>>(&mut self, more: I) {
        self.extend(
            more.into_iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }
}

impl<N: Into<Text>, W: Into<V>, V> FromIterator<(N, W)> for Fields<V> {
    fn from_iter<I: IntoIterator<Item = (N, W)>>(all: I) -> Fields<V> {
        let all = all.into_iter();
        Fields::of(all.map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl<N: Into<Text>, W: Into<V>, V, const K: usize> From<[(N, W); K]> for Fields<V> {
    fn from(all: [(N, W); K]) -> Fields<V> {
        all.into_iter().collect()
    }
}

impl<N: Into<Text>, W: Into<V>, V> From<BTreeMap<N, W>> for Fields<V> {
    fn from(all: BTreeMap<N, W>) -> Fields<V> {
        all.into_iter().collect()
    }
}

impl<V: Clone + Into<W>, W> From<&Fields<V>> for BTreeMap<String, W> {
    fn from(fields: &Fields<V>) -> BTreeMap<String, W> {
        let all = fields.iter();
        all.map(|(name, value)| (name.to_string(), value.clone().into()))
            .collect()
    }
}

impl<'a, V> IntoIterator for &'a Fields<V> {
    type Item = (&'a Text, &'a V);
    type IntoIter = Iter<'a, V>;

    fn into_iter(self) -> Iter<'a, V> {
        self.iter()
    }
}

impl<V> Index<&str> for Fields<V> {
    type Output = V;

    /// The value of a name.
    ///
    /// # Panics
    /// Where there is none: for names that were looked at before.
    #[expect(clippy::panic, reason = "what indexing means")]
    fn index(&self, name: &str) -> &V {
        match self.get(name) {
            Some(value) => value,
            None => panic!("no field {name:?}"),
        }
    }
}

impl<V: Serialize> Serialize for Fields<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Fields<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields<V>, D::Error> {
        deserializer.deserialize_map(Read(PhantomData))
    }
}

struct Read<V>(PhantomData<V>);

impl<'de, V: Deserialize<'de>> Visitor<'de> for Read<V> {
    type Value = Fields<V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("values by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<V>, A::Error> {
        let mut all = Vec::with_capacity(map.size_hint().unwrap_or(0).min(FIELDS_EXPECTED_MAX));
        while let Some(field) = map.next_entry()? {
            all.push(field);
        }
        Ok(Fields::of(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    fn fields(all: &[(&str, u32)]) -> Fields<u32> {
        all.iter().copied().collect()
    }

    fn shown(fields: &Fields<u32>) -> String {
        format!("{fields:?}")
    }

    #[test]
    fn each_name_is_there_once_in_order() {
        let mut all = fields(&[("b", 1), ("a", 2), ("b", 3), ("c", 4), ("a", 5)]);
        assert_eq!(shown(&all), r#"{"a": 5, "b": 3, "c": 4}"#);
        assert_eq!(all.insert("b".into(), 6), Some(3));
        assert_eq!(all.insert("ab".into(), 7), None);
        assert_eq!(shown(&all), r#"{"a": 5, "ab": 7, "b": 6, "c": 4}"#);
        assert_eq!((all.get("ab"), all.get("aa"), all.len()), (Some(&7), None, 4));
        assert_eq!((all.remove("a"), all.remove("x")), (Some(5), None));
        assert!(!all.contains_key("a") && all.contains_key("c"));
        assert_eq!(all.keys().map(Text::as_str).collect::<String>(), "abbc");
        *all.value("b") += 1;
        *all.value("aa") += 9;
        all.values_mut().for_each(|value| *value *= 10);
        assert_eq!(shown(&all), r#"{"aa": 90, "ab": 70, "b": 70, "c": 40}"#);
        assert_eq!((all.values().sum::<u32>(), all["ab"]), (270, 70));
        all.clear();
        assert!(all.is_empty());
    }

    #[test]
    fn a_clone_does_not_change_along() {
        let first = fields(&[("a", 1)]);
        let mut second = first.clone();
        second.extend([(Text::new("a"), 2), (Text::new("b"), 3)]);
        assert_eq!(shown(&first), r#"{"a": 1}"#);
        assert_eq!(shown(&second), r#"{"a": 2, "b": 3}"#);
        second.extend(&Fields::EMPTY);
        second.retain(|name, _| name == "c");
        assert_eq!((second.is_empty(), second), (true, Fields::EMPTY));
    }

    #[test]
    fn it_is_written_and_read_like_any_map() {
        for all in [&[][..], &[("b", 2), ("a", 300)]] {
            let map: BTreeMap<String, u32> =
                all.iter().map(|(name, value)| ((*name).into(), *value)).collect();
            let bytes = codec::encode(&map);
            assert_eq!(codec::encode(&fields(all)), bytes);
            assert_eq!(codec::decode::<Fields<u32>>(&bytes).unwrap(), fields(all));
            assert_eq!(BTreeMap::from(&fields(all)), map);
        }
        // As nobody writes it: two fields, the wrong way round.
        let turned = [codec::FORMAT, 2, 1, b'b', 1, 1, b'a', 2];
        assert_eq!(
            codec::decode::<Fields<u32>>(&turned).unwrap(),
            fields(&[("a", 2), ("b", 1)])
        );
    }
}
