//! Texts that only people read, and how they are kept short.

use serde::{Deserialize, Deserializer, Serialize};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::limits::LABEL_BYTES_MAX;

/// A name or a label: 1 to 256 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Label(pub String);

impl<'de> Deserialize<'de> for Label {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Label, D::Error> {
        let text = String::deserialize(deserializer)?;
        let problem = match text.len() {
            0 => "must not be empty; leave the field away".to_string(),
            length if length > LABEL_BYTES_MAX => {
                format!("has {length} bytes; LABEL_BYTES_MAX is {LABEL_BYTES_MAX}")
            }
            _ if text.chars().any(char::is_control) => "holds a control character".to_string(),
            _ => return Ok(Label(text)),
        };
        Err(serde::de::Error::custom(format!("the text {problem}")))
    }
}

impl PartialSchema for Label {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(LABEL_BYTES_MAX))
            .into()
    }
}

impl ToSchema for Label {}
