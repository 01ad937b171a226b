//! Which values are secrets, and which of them are too short to be one.

/// What is wrong with a secret that is too short.
pub(super) const TOO_SHORT: &str =
    "has fewer than 4 characters, too few to mask it in logs; use a longer secret";

/// Whether a variable of this name holds a secret, as people name them.
pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD"].iter().any(|word| name.ends_with(word))
}
