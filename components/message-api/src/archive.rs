//! Backups: everything in a store as lines of JSON, in the same format for every store.
//!
//! * [`record`]: the content of a line. * [`checksum`]: writes, counts and hashes lines.
//! * [`export`](mod@export): writes a store as such lines. * [`read`]: reads them back and detects any change.
//!
//! A backup is taken without stopping writers. Each conversation's log in it is from a single moment, and conversations have no order among
//! each other.

mod checksum;
mod export;
mod read;
mod record;

pub(crate) use checksum::{LogHash, hexadecimal};
pub use export::{ExportError, export};
pub use read::{Archive, ArchiveError, verify};
pub use record::Record;
