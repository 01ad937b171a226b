//! Recognises secrets, and those that are too short.

/// The mistake of a secret that is too short.
pub(super) const TOO_SHORT: &str =
    "has fewer than 4 characters, too few to mask it in logs; use a longer secret";

/// Whether a variable of this name holds a secret, by common naming.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD"].iter().any(|word| name.ends_with(word))
}
