//! Load on one system: pairs of a sender and a recipient, and the outcome of their messages.

mod closed;
mod drain;
mod open;
mod outcome;
mod pair;

pub use self::closed::{Closed, Until, closed};
pub use self::drain::drain;
pub use self::open::{Open, open};
pub use self::outcome::{Clock, Outcome, TIMEOUT};
pub use self::pair::Pair;
