//! A backup: everything that a store holds, as lines of JSON, the same from whichever store.
//!
//! * [`record`]: what stands in a line. * [`seal`]: how lines are written, counted and summed up.
//! * [`export`](mod@export): all of a store as such lines. * [`read`]: reads them back, and notices whatever is not as it was written.
//!
//! A backup is taken while people write. Each conversation's log is in it as it was at one moment, and no two conversations have an
//! order between them, so it needs no standstill.

mod export;
mod read;
mod record;
mod seal;

pub use export::{ExportError, export};
pub use read::{Archive, ArchiveError, verify};
pub use record::Record;
pub(crate) use seal::LogHash;
