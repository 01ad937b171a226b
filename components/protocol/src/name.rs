//! User names: which are valid, and which are equal.
//!
//! A name is shown as its owner wrote it (normalised to NFKC) and compared by its *key*: lower case and NFKC until nothing changes, the
//! essence of the `UsernameCaseMapped` profile of RFC 8265. There are three levels, from the widest:
//!
//! * [`UserName::stored`], and JSON: every name that any version accepted, so that stored names stay readable.
//! * [`UserName::parse`]: valid recipients. Not only dots, nothing invisible, marks only on letters and digits, and few of them.
//! * [`NewName`]: valid for new users. One script, or Latin with Chinese, Japanese or Korean.
//!
//! Two names that only look the same have the same [`UserName::skeleton`]; see [`Reserved`].

mod lookalike;
mod new_name;
mod rules;
mod user_name;

pub use lookalike::{is_of_one_writing, skeleton_of};
pub use new_name::{NewName, Reserved};
pub use rules::NameError;
pub(crate) use user_name::checked;
pub use user_name::{PROBE, UserName};

#[cfg(test)]
mod tests;
