//! Counts a pipe's lines after `exit`, which are not sent but reported.

use std::time::Duration;

use tokio::time::Instant;

use crate::typed::Typed;

/// How long an open pipe is read after `exit`; lines written together with it arrive sooner.
const LOOK: Duration = Duration::from_millis(500);

/// The lines after `exit`.
#[derive(Debug)]
pub(super) struct Remainder {
    until: Instant,
    ended: bool,
    lines: usize,
}

impl Remainder {
    pub(super) fn new(now: Instant) -> Self {
        Self { until: now + LOOK, ended: false, lines: 0 }
    }

    /// Counts input.
    pub(super) fn typed(&mut self, typed: &Typed) {
        match typed {
            Typed::Line(line) => self.lines += usize::from(!line.trim().is_empty()),
            Typed::TooLong => self.lines += 1,
            Typed::End | Typed::Failed(_) => self.ended = true,
            Typed::Acts(_) | Typed::Interrupt => {}
        }
    }

    /// Until when more lines may arrive; `None` once the count is final.
    pub(super) fn deadline(&self, now: Instant) -> Option<Instant> {
        (!self.ended && now < self.until).then_some(self.until)
    }

    /// The report about lines that were not sent.
    pub(super) fn complaint(&self) -> Option<String> {
        match self.lines {
            0 => None,
            1 => Some("a line after 'exit' was not sent".to_owned()),
            lines => Some(format!("{lines} lines after 'exit' were not sent")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_behind_exit_are_counted_until_the_pipe_ends_or_falls_silent() {
        let now = Instant::now();
        let mut remainder = Remainder::new(now);
        assert_eq!((remainder.deadline(now), remainder.deadline(now + LOOK)), (Some(now + LOOK), None));
        remainder.typed(&Typed::Line("\r\n".to_owned()));
        assert_eq!(remainder.complaint(), None);
        remainder.typed(&Typed::Line("bob: hi".to_owned()));
        assert_eq!(remainder.complaint().unwrap(), "a line after 'exit' was not sent");
        remainder.typed(&Typed::TooLong);
        remainder.typed(&Typed::End);
        assert_eq!(remainder.complaint().unwrap(), "2 lines after 'exit' were not sent");
        assert_eq!(remainder.deadline(now), None);
    }
}
