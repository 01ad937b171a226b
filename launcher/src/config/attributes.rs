//! The types of a process's attributes: umask, user and group, and resource limits.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A file mode creation mask, written in octal digits: `"027"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Umask(pub u32);

/// A number of bytes, written with its unit: `"64MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub u64);

/// The resource limits of a component; a missing limit is not set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LimitsConfig {
    /// The maximum number of open files of each process.
    pub nofile: Option<u64>,
    /// The maximum memory.
    pub memory: Option<Size>,
    /// The maximum CPU time in processors: 0.5 is half of one.
    pub cpu: Option<f64>,
}

const UNITS: [(&str, u32); 4] = [("GiB", 30), ("MiB", 20), ("KiB", 10), ("B", 0)];

impl Size {
    fn parse(text: &str) -> Option<Self> {
        let (number, shift) =
            UNITS.iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, *shift)))?;
        let number: u64 = number.trim_end().parse().ok()?;
        number.checked_mul(1 << shift).map(Self)
    }
}

impl fmt::Display for Size {
    /// In the largest unit of which it is a multiple.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = UNITS.iter().find(|(_, shift)| self.0.trailing_zeros() >= *shift);
        let (unit, shift) = whole.filter(|_| self.0 > 0).copied().unwrap_or(("B", 0));
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "a size with its unit, such as \"512MiB\" or \"2GiB\"";
        let text = deserializer.deserialize_any(Text(EXPECTED))?;
        Self::parse(&text).ok_or_else(|| unfit(&text, EXPECTED))
    }
}

impl Serialize for Umask {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:03o}", self.0))
    }
}

impl<'de> Deserialize<'de> for Umask {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const EXPECTED: &str = "an umask in octal digits, such as \"027\"";
        let text = deserializer.deserialize_any(Text(EXPECTED))?;
        let is_octal = (1..=4).contains(&text.len()) && text.chars().all(|c| ('0'..='7').contains(&c));
        let mask = u32::from_str_radix(&text, 8).ok().filter(|mask| is_octal && *mask <= 0o777);
        mask.map(Self).ok_or_else(|| unfit(&text, EXPECTED))
    }
}

/// A user or a group, by name or id; an id may be written without quotation marks.
pub(super) fn name_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    struct NameOrNumber;
    impl de::Visitor<'_> for NameOrNumber {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a name or a number")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
            u64::try_from(number)
                .map(|number| Some(number.to_string()))
                .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
        }

        fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
            let is_name = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == ':');
            is_name
                .then(|| Some(name.to_owned()))
                .ok_or_else(|| E::invalid_value(de::Unexpected::Str(name), &self))
        }
    }
    deserializer.deserialize_any(NameOrNumber)
}

fn unfit<E: de::Error>(text: &str, expected: &'static str) -> E {
    E::invalid_value(de::Unexpected::Str(text), &expected)
}

/// A text, and the type it is parsed to.
struct Text(&'static str);

impl de::Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_and_come_back_as_they_were() {
        for (text, bytes) in
            [("512MiB", 512 << 20), ("2 GiB", 2 << 30), ("3KiB", 3072), ("1000B", 1000), ("0B", 0)]
        {
            let size = Size::parse(text).unwrap();
            assert_eq!(size.0, bytes, "{text}");
            assert_eq!(Size::parse(&size.to_string()), Some(size));
        }
        for bad in ["512", "512MB", "MiB", "-1MiB", "1.5GiB", "99999999999GiB", ""] {
            assert_eq!(Size::parse(bad), None, "{bad}");
        }
        assert_eq!(Size(1536 << 20).to_string(), "1536MiB");
    }

    #[test]
    fn an_umask_is_octal() {
        let read = |text: &str| serde_json::from_value::<Umask>(text.into()).map(|mask| mask.0);
        assert_eq!((read("022").unwrap(), read("7").unwrap(), read("0077").unwrap()), (0o22, 7, 0o77));
        for bad in ["", "8", "1000", "00022", "+22", "u=rwx"] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("expected an umask in octal digits"), "{bad}: {error}");
        }
        assert_eq!(serde_json::to_value(Umask(0o27)).unwrap(), "027");
    }
}
