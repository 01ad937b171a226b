//! When a component runs by the clock: five fields as in `crontab(5)`, in a time zone. Pure but for the zone's file.
//!
//! What happens when a zone's clocks are put forward or back, and when this machine's clock jumps, is as in Vixie cron: see [`search`] and
//! [`agenda`].

mod agenda;
mod fields;
mod search;
mod timetable;

pub(crate) use agenda::Agenda;
pub use timetable::{Schedule, ScheduleError};
