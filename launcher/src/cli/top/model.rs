//! What is on the screen, and what keys do to it. Pure.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::link::News;
use super::order::Order;
use crate::supervisor::Snapshot;
use crate::supervisor::control::Request;

/// Columns that the log moves at once; a time stamp has not many more.
const SHIFT: u16 = 17;
/// Nobody reads a line further than this.
const MAX_SHIFT: u16 = 4000;

/// A notice is shown for so many looks at the state, some seconds.
const NOTICE_LOOKS: usize = 8;

/// What is on the screen.
#[derive(Debug)]
pub(super) struct Model {
    /// Whether there is colour.
    pub(super) coloured: bool,
    /// The last state that was heard of.
    pub(super) snapshot: Option<Snapshot>,
    /// Why that is not the present one, where it is not.
    pub(super) problem: Option<String>,
    /// The component that keys concern and whose log is shown.
    pub(super) selected: Option<String>,
    /// The end of its log.
    pub(super) log: Vec<String>,
    /// How many lines above the end of the log the screen ends; 0 follows it.
    pub(super) scroll: usize,
    /// How many columns of the log are left of the screen.
    pub(super) shift: u16,
    /// How many lines of log there is room for; set when it is drawn.
    pub(super) log_rows: usize,
    /// What is asked before it is done.
    pub(super) question: Option<Request>,
    /// How many messages a second are stored, where that is known.
    pub(super) rate: Option<f64>,
    /// In which order the components are.
    pub(super) order: Order,
    /// Whether all keys are explained.
    pub(super) help: bool,
    /// What was refused, or is under way.
    pub(super) notice: Option<String>,
    /// How often the state was looked at since.
    looks: usize,
}

/// What a key wants done outside.
#[derive(Debug, PartialEq)]
pub(super) enum Wish {
    /// Nothing.
    Nothing,
    /// The end.
    Leave,
    /// This component's log.
    Look(String),
    /// Something of the launcher.
    Ask(Request),
}

impl Model {
    /// Nothing is known yet.
    pub(super) fn new(coloured: bool) -> Self {
        Self {
            coloured,
            snapshot: None,
            problem: None,
            selected: None,
            log: Vec::new(),
            scroll: 0,
            shift: 0,
            log_rows: 0,
            question: None,
            rate: None,
            order: Order::Start,
            help: false,
            notice: None,
            looks: 0,
        }
    }

    /// Takes in news.
    pub(super) fn hear(&mut self, news: News) {
        match news {
            News::Look(look) => match *look {
                Ok(mut snapshot) => {
                    self.order.sort(&mut snapshot.components);
                    self.looks += 1;
                    if self.looks > NOTICE_LOOKS {
                        self.notice = None;
                    }
                    self.snapshot = Some(snapshot);
                    self.problem = None;
                }
                Err(problem) => self.problem = Some(problem),
            },
            News::Log { component, lines } => {
                if self.selected.as_ref() == Some(&component) {
                    self.hear_log(lines);
                }
            }
            News::Rate(rate) => self.rate = rate,
            News::Refused(reason) => self.notify(Some(reason)),
        }
    }

    fn notify(&mut self, notice: Option<String>) {
        (self.notice, self.looks) = (notice, 0);
    }

    /// Whoever reads what was earlier goes on seeing the same lines while new ones come, as long as those are there.
    fn hear_log(&mut self, lines: Vec<String>) {
        if self.scroll > 0
            && let Some(last) = self.log.last()
            && let Some(place) = lines.iter().rposition(|line| line == last)
        {
            self.scroll += lines.len() - 1 - place;
        }
        self.log = lines;
        self.scroll = self.scroll.min(self.max_scroll());
    }

    fn max_scroll(&self) -> usize {
        self.log.len().saturating_sub(self.log_rows)
    }

    /// What a key does.
    pub(super) fn press(&mut self, key: KeyEvent) -> Wish {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return if key.code == KeyCode::Char('c') { Wish::Leave } else { Wish::Nothing };
        }
        if let Some(request) = self.question.take() {
            return if key.code == KeyCode::Char('y') { self.ask(request) } else { Wish::Nothing };
        }
        if std::mem::take(&mut self.help) {
            return Wish::Nothing;
        }
        self.notice = None;
        let page = self.log_rows.saturating_sub(1).max(1);
        match key.code {
            KeyCode::Char('q') | KeyCode::Esc => return Wish::Leave,
            KeyCode::Up | KeyCode::Char('k') => return self.select(-1),
            KeyCode::Down | KeyCode::Char('j') => return self.select(1),
            KeyCode::PageUp => self.scroll = (self.scroll + page).min(self.max_scroll()),
            KeyCode::PageDown => self.scroll = self.scroll.saturating_sub(page),
            KeyCode::Home => self.scroll = self.max_scroll(),
            KeyCode::End => self.scroll = 0,
            KeyCode::Left => self.shift = self.shift.saturating_sub(SHIFT),
            KeyCode::Right => self.shift = self.shift.saturating_add(SHIFT).min(MAX_SHIFT),
            KeyCode::Char('r') => return self.want(|component| Request::Restart { component }),
            KeyCode::Char('s') => return self.want(|component| Request::Start { component }),
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('o') => self.sort(),
            // Nobody should stop a server by a slip of the finger.
            KeyCode::Char('x') => {
                self.question = self.selected.clone().map(|component| Request::Stop { component });
            }
            _ => {}
        }
        Wish::Nothing
    }

    /// The next order. The one in which they start comes with the next look.
    fn sort(&mut self) {
        self.order = self.order.next();
        if let Some(snapshot) = &mut self.snapshot {
            self.order.sort(&mut snapshot.components);
        }
        self.notify(Some(format!("sorted by {}", self.order.word())));
    }

    fn want(&mut self, request: impl Fn(String) -> Request) -> Wish {
        match self.selected.clone() {
            Some(component) => self.ask(request(component)),
            None => Wish::Nothing,
        }
    }

    fn ask(&mut self, request: Request) -> Wish {
        self.notify(words(&request));
        Wish::Ask(request)
    }

    /// The place of the selected component; the first where it is not there any more.
    pub(super) fn place(&self) -> Option<usize> {
        let components = &self.snapshot.as_ref()?.components;
        let selected =
            components.iter().position(|component| self.selected.as_ref() == Some(&component.name));
        selected.or((!components.is_empty()).then_some(0))
    }

    /// Selects the component so many places further on; with 0 the first, if none is.
    pub(super) fn select(&mut self, by: isize) -> Wish {
        let Some((place, snapshot)) = self.place().zip(self.snapshot.as_ref()) else { return Wish::Nothing };
        let place = place.saturating_add_signed(by).min(snapshot.components.len() - 1);
        let name = snapshot.components[place].name.clone();
        if self.selected.as_ref() == Some(&name) {
            return Wish::Nothing;
        }
        (self.log, self.scroll, self.shift) = (Vec::new(), 0, 0);
        self.selected = Some(name.clone());
        Wish::Look(name)
    }
}

/// What is done, in words.
fn words(request: &Request) -> Option<String> {
    match request {
        Request::Restart { component } => Some(format!("restarting {component}")),
        Request::Stop { component } => Some(format!("stopping {component}")),
        Request::Start { component } => Some(format!("starting {component}")),
        Request::Status | Request::Down | Request::Reload { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::sample;

    fn model() -> Model {
        let mut model = Model::new(false);
        model.hear(News::Look(Box::new(Ok(sample::snapshot()))));
        assert_eq!(model.select(0), Wish::Look("message-api".to_owned()));
        model
    }

    fn press(model: &mut Model, code: KeyCode) -> Wish {
        model.press(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn log(from: usize, to: usize) -> News {
        let lines = (from..to).map(|number| format!("line {number}")).collect();
        News::Log { component: "message-api".to_owned(), lines }
    }

    #[test]
    fn keys_move_through_the_components_and_stop_at_the_ends() {
        let mut model = model();
        assert_eq!(press(&mut model, KeyCode::Up), Wish::Nothing);
        assert_eq!(press(&mut model, KeyCode::Char('j')), Wish::Look("chat-server".to_owned()));
        press(&mut model, KeyCode::Down);
        press(&mut model, KeyCode::Down);
        assert_eq!(press(&mut model, KeyCode::Down), Wish::Nothing);
        assert_eq!(model.place(), Some(3));
        model.hear(News::Look(Box::new(Err("nobody answers".to_owned()))));
        assert_eq!((model.place(), model.problem.as_deref()), (Some(3), Some("nobody answers")));
    }

    #[test]
    fn a_stop_is_asked_about_and_a_restart_is_not() {
        let mut model = model();
        let component = "message-api".to_owned();
        assert_eq!(
            press(&mut model, KeyCode::Char('r')),
            Wish::Ask(Request::Restart { component: component.clone() })
        );
        assert_eq!(press(&mut model, KeyCode::Char('x')), Wish::Nothing);
        assert_eq!(press(&mut model, KeyCode::Char('q')), Wish::Nothing, "any other key says no");
        assert_eq!(press(&mut model, KeyCode::Char('y')), Wish::Nothing);
        press(&mut model, KeyCode::Char('x'));
        assert_eq!(press(&mut model, KeyCode::Char('y')), Wish::Ask(Request::Stop { component }));
        assert_eq!(model.notice.as_deref(), Some("stopping message-api"));
        model.hear(News::Refused("no".to_owned()));
        assert_eq!(model.notice.as_deref(), Some("no"));
        (0..=NOTICE_LOOKS).for_each(|_| model.hear(News::Look(Box::new(Ok(sample::snapshot())))));
        assert_eq!(model.notice, None);
    }

    #[test]
    fn who_reads_what_was_earlier_goes_on_seeing_it() {
        let mut model = model();
        model.log_rows = 10;
        model.hear(log(0, 100));
        press(&mut model, KeyCode::PageUp);
        assert_eq!(model.scroll, 9);
        model.hear(log(5, 105));
        assert_eq!(model.scroll, 14);
        press(&mut model, KeyCode::Home);
        assert_eq!(model.scroll, 90);
        press(&mut model, KeyCode::End);
        model.hear(log(6, 106));
        assert_eq!(model.scroll, 0);
    }

    #[test]
    fn a_key_sorts_and_the_selected_one_stays_selected() {
        let mut model = model();
        press(&mut model, KeyCode::Char('o'));
        let first = |model: &Model| model.snapshot.as_ref().unwrap().components[0].name.clone();
        assert_eq!(first(&model), "a-very-long-name-of-a-service");
        assert_eq!(model.notice.as_deref(), Some("sorted by name"));
        assert_eq!(model.selected.as_deref(), Some("message-api"));
        assert_ne!(model.place(), Some(0));
        model.hear(News::Look(Box::new(Ok(sample::snapshot()))));
        assert_eq!(first(&model), "a-very-long-name-of-a-service", "news are sorted, too");
    }

    #[test]
    fn the_help_ends_with_any_key_which_does_nothing_else() {
        let mut model = model();
        press(&mut model, KeyCode::Char('?'));
        assert!(model.help);
        assert_eq!(press(&mut model, KeyCode::Char('q')), Wish::Nothing);
        assert!(!model.help);
        assert_eq!(press(&mut model, KeyCode::Char('q')), Wish::Leave);
    }

    #[test]
    fn ctrl_c_ends_it_even_while_something_is_asked() {
        let mut model = model();
        press(&mut model, KeyCode::Char('x'));
        assert_eq!(model.press(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Wish::Leave);
    }
}
