//! Serialises paths: as text, or as bytes if a path is not UTF-8, so that nothing is lost.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Deserializer, Serializer, de};

pub(super) fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some(text) => serializer.serialize_str(text),
        None => serializer.collect_seq(path.as_os_str().as_bytes()),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    struct TextOrBytes;
    impl<'de> de::Visitor<'de> for TextOrBytes {
        type Value = PathBuf;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a path")
        }

        fn visit_str<E>(self, text: &str) -> Result<PathBuf, E> {
            Ok(text.into())
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, seq: A) -> Result<PathBuf, A::Error> {
            let bytes = Vec::<u8>::deserialize(de::value::SeqAccessDeserializer::new(seq))?;
            Ok(OsString::from_vec(bytes).into())
        }
    }
    deserializer.deserialize_any(TextOrBytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, Deserialize)]
    struct Holder(#[serde(with = "super")] PathBuf);

    #[test]
    fn every_path_comes_back() {
        for bytes in [&b"/data"[..], b"/da\xffta", "/d\u{e4}ta".as_bytes()] {
            let path = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            let json = serde_json::to_string(&Holder(path.clone())).unwrap();
            assert_eq!(serde_json::from_str::<Holder>(&json).unwrap().0, path, "{json}");
        }
        assert_eq!(serde_json::to_string(&Holder("/data".into())).unwrap(), "\"/data\"");
    }
}
