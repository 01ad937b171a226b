//! Serde for validated string types: they deserialise through their parser, so that no invalid value gets in.

use std::fmt::Display;

use serde::de::{Error, Visitor};

/// Deserialises a string through a parser without copying it first.
pub(crate) struct Parser<T, E>(pub(crate) fn(&str) -> Result<T, E>);

impl<T, E: Display> Visitor<'_> for Parser<T, E> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<F: Error>(self, text: &str) -> Result<T, F> {
        self.0(text).map_err(F::custom)
    }
}

/// Implements serde and JSON Schema for a type that has `as_str()` and a parser: `parse(&str) -> Result<Self, impl Display>`, or the one
/// named.
macro_rules! string_type {
    ($type:ty, $name:literal, $description:literal) => {
        $crate::validated::string_type!($type, $name, $description, <$type>::parse);
    };
    ($type:ty, $name:literal, $description:literal, $parser:expr) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::validated::Parser($parser))
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $description })
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

pub(crate) use string_type;
