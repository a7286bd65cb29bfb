//! What is inside brackets. Each level adds its place to an error that passes through it.

use std::borrow::Cow;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::{Error, Reader, Segment};

/// The items of a list.
pub(super) struct Items<'r, 'de> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) index: usize,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if self.reader.peek() == Some(b']') && self.index == 0 {
            return Ok(None);
        }
        if self.index > 0 && !self.reader.take(b',') {
            return Ok(None);
        }
        let index = self.index;
        self.index += 1;
        let value = seed.deserialize(&mut *self.reader);
        value
            .map(Some)
            .map_err(|error| error.within(Segment::Index(index), self.reader.at))
    }
}

/// The entries of an object.
pub(super) struct Fields<'r, 'de> {
    pub(super) reader: &'r mut Reader<'de>,
    pub(super) key: Option<Cow<'de, str>>,
    pub(super) first: bool,
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if self.reader.peek() == Some(b'}') && self.first {
            return Ok(None);
        }
        if !self.first && !self.reader.take(b',') {
            return Ok(None);
        }
        self.first = false;
        self.reader.expect(b'"', "a name in quotes")?;
        let key = self.reader.string()?;
        let name = seed.deserialize(key.as_ref().into_deserializer());
        let name =
            name.map_err(|error: Error| error.within(Segment::Key(key.to_string()), self.reader.at))?;
        self.key = Some(key);
        Ok(Some(name))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let key = self.key.take().unwrap_or_default();
        let value = self
            .reader
            .expect(b':', "`:`")
            .and_then(|()| seed.deserialize(&mut *self.reader));
        value.map_err(|error| error.within(Segment::Key(key.into_owned()), self.reader.at))
    }
}

/// The one entry of an object that is a variant.
pub(super) struct Variant<'r, 'de> {
    pub(super) reader: &'r mut Reader<'de>,
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Error> {
        self.reader.expect(b'"', "a name in quotes")?;
        let name = self.reader.string()?;
        let variant = seed.deserialize(name.as_ref().into_deserializer());
        let variant =
            variant.map_err(|error: Error| error.within(Segment::Key(name.to_string()), self.reader.at))?;
        self.reader.expect(b':', "`:`")?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        serde::Deserialize::deserialize(self.reader)
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Error> {
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.reader.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.reader.deserialize_any(visitor)
    }
}
