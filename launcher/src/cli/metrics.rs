//! `launcher metrics`: the launcher's metrics in the Prometheus format.

use kit::{Exit, Failure};

use super::ask::measured;
use super::options::Where;
use super::output;
use crate::metrics::exposition;
use crate::supervisor::load::Meter;

pub(super) fn metrics(place: &Where) -> Result<Exit, Failure> {
    output::line(exposition(&measured(place, &mut Meter::default())?).trim_end());
    Ok(Exit::Fine)
}
