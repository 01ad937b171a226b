//! The sort order of the components. Pure.

use std::cmp::Ordering;

use crate::supervisor::status::{ComponentStatus, State};

/// The sort order; a key selects the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Order {
    /// As they are started.
    #[default]
    Start,
    /// By name.
    Name,
    /// Those with problems first.
    State,
    /// The busiest first.
    Cpu,
    /// The largest first.
    Memory,
    /// Those with the most restarts first.
    Restarts,
}

impl Order {
    pub(super) fn next(self) -> Self {
        match self {
            Self::Start => Self::Name,
            Self::Name => Self::State,
            Self::State => Self::Cpu,
            Self::Cpu => Self::Memory,
            Self::Memory => Self::Restarts,
            Self::Restarts => Self::Start,
        }
    }

    /// A text that fits after "sorted by".
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Start => "start order",
            Self::Name => "name",
            Self::State => "state",
            Self::Cpu => "CPU",
            Self::Memory => "memory",
            Self::Restarts => "restarts",
        }
    }

    /// Sorts components given in start order; the sort is stable.
    pub(super) fn sort(self, components: &mut [ComponentStatus]) {
        match self {
            Self::Start => {}
            Self::Name => components.sort_by(|one, other| one.name.cmp(&other.name)),
            Self::State => {
                components.sort_by_key(|component| (component.is_fine(), urgency(component.state)))
            }
            Self::Cpu => components.sort_by(|one, other| {
                let share = |it: &ComponentStatus| it.load.map_or(-1.0, |load| load.cpu_percent);
                share(other).partial_cmp(&share(one)).unwrap_or(Ordering::Equal)
            }),
            Self::Memory => {
                let bytes = |it: &ComponentStatus| it.load.map_or(0, |load| load.memory_bytes);
                components.sort_by_key(|component| std::cmp::Reverse(bytes(component)));
            }
            Self::Restarts => components.sort_by_key(|component| std::cmp::Reverse(component.restarts)),
        }
    }
}

/// The smaller, the more serious.
fn urgency(state: State) -> u8 {
    match state {
        State::Failed => 0,
        State::Backoff => 1,
        State::Unready => 2,
        State::Stopping => 3,
        State::Waiting => 4,
        State::Starting => 5,
        State::Running => 6,
        State::Ready => 7,
        State::Scheduled => 8,
        State::Finished => 9,
        State::Stopped => 10,
        State::Skipped => 11,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    #[test]
    fn each_order_puts_something_else_first_and_all_come_round() {
        let sorted = |order: Order| {
            let mut components = sample::snapshot().components;
            order.sort(&mut components);
            components[0].name.clone()
        };
        assert_eq!(sorted(Order::Start), "message-api");
        assert_eq!(sorted(Order::Name), "a-very-long-name-of-a-service");
        assert_eq!(sorted(Order::State), "chat-server");
        assert_eq!(sorted(Order::Cpu), "message-api");
        let mut order = Order::Start;
        (0..6).for_each(|_| order = order.next());
        assert_eq!(order, Order::Start);
    }
}
