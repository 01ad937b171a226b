//! `launcher metrics`: the launcher's numbers, as Prometheus reads them.

use kit::{Exit, Failure};

use super::ask::measured;
use super::options::Where;
use super::output;
use crate::metrics::exposition;
use crate::supervisor::load::Meter;

/// Prints them.
pub(super) fn metrics(place: &Where) -> Result<Exit, Failure> {
    output::line(exposition(&measured(place, &mut Meter::default())?).trim_end());
    Ok(Exit::Fine)
}
