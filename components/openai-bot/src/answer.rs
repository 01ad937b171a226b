//! Assembles an answer from its pieces.

use crate::completion::{Finish, Words};
use crate::thoughts::Thoughts;

/// The model's answer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) text: String,
    /// Why it is incomplete, if so.
    pub(crate) broke_off: Option<BrokeOff>,
    /// Its cost in tokens, if the endpoint reports it.
    pub(crate) tokens: Option<u64>,
}

/// Why an answer is incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BrokeOff {
    /// The connection failed.
    Connection,
    /// The endpoint reported an error, with its text if any.
    Endpoint(String),
    /// The idle timeout expired.
    Silence,
    /// The total timeout expired.
    Time,
    /// The answer reached our or the model's length limit.
    Length,
    /// The endpoint filtered the rest.
    Filtered,
}

/// Collects pieces into one answer.
///
/// If there are several answers, the one with the lowest index is used; pieces of others are dropped.
///
/// Bound: `most` bytes. Overflow rule: the rest is dropped, and the answer is marked as incomplete.
#[derive(Debug)]
pub(crate) struct Collector {
    most: usize,
    answer: Answer,
    thoughts: Thoughts,
    index: Option<u64>,
    /// The endpoint marked the answer as finished.
    pub(crate) finished: bool,
    /// It did so and then sent more: some endpoints do so with each piece.
    resumed: bool,
    /// The model wants to use a tool.
    pub(crate) tools: bool,
}

impl Collector {
    /// Collects an answer of at most this many bytes.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            answer: Answer::default(),
            thoughts: Thoughts::default(),
            index: None,
            finished: false,
            resumed: false,
            tools: false,
        }
    }

    /// Whether there is no visible text yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.answer.text.trim().is_empty()
    }

    /// Whether the endpoint's end mark is reliable.
    pub(crate) fn is_complete(&self) -> bool {
        self.finished && !self.resumed
    }

    /// Why no more pieces are accepted.
    pub(crate) fn broke_off(&self) -> Option<&BrokeOff> {
        self.answer.broke_off.as_ref()
    }

    /// Ends the answer as incomplete.
    pub(crate) fn break_off(&mut self, why: BrokeOff) {
        self.answer.broke_off.get_or_insert(why);
    }

    /// Records the cost. Endpoints report it at the end, or a growing number with each piece.
    pub(crate) fn costs(&mut self, tokens: u64) {
        self.answer.tokens = self.answer.tokens.max(Some(tokens));
    }

    /// Adds a piece. Returns whether it shows that the model is working.
    pub(crate) fn take(&mut self, words: Words) -> bool {
        let Words { index, text, whole, thinking, tools, finish } = words;
        match self.index {
            Some(current) if index > current => return false,
            Some(current) if index == current => {}
            // A lower index without text does not replace the existing text.
            Some(_) if text.is_empty() => return thinking,
            Some(_) => self.start_over(),
            None => {}
        }
        self.index = Some(index);
        if whole && !text.is_empty() {
            self.start_over();
        }
        self.tools |= tools;
        self.resumed |= self.finished && !text.is_empty();
        let at_work = thinking || !text.is_empty();
        self.thoughts.take(&text, &mut self.answer.text);
        self.cut();
        match finish {
            Some(Finish::Length) => self.break_off(BrokeOff::Length),
            Some(Finish::Filtered) => self.break_off(BrokeOff::Filtered),
            Some(Finish::Failed) => self.break_off(BrokeOff::Endpoint(String::new())),
            Some(Finish::Whole) => self.finished = true,
            None => {}
        }
        at_work
    }

    /// The answer at the end of input.
    pub(crate) fn finish(mut self) -> Answer {
        self.thoughts.finish(&mut self.answer.text);
        self.cut();
        self.answer
    }

    fn start_over(&mut self) {
        self.thoughts = Thoughts::default();
        self.answer.text.clear();
        self.finished = false;
    }

    fn cut(&mut self) {
        let text = &mut self.answer.text;
        if text.len() > self.most {
            let end = (0..=self.most).rev().find(|at| text.is_char_boundary(*at)).expect("0 is a boundary");
            text.truncate(end);
            self.break_off(BrokeOff::Length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(index: u64, text: &str) -> Words {
        Words { index, text: text.to_owned(), ..Words::default() }
    }

    #[test]
    fn the_first_of_several_answers_is_used() {
        let mut collector = Collector::new(100);
        for (index, text) in [(1, "o"), (1, "ther"), (0, ""), (0, "fi"), (1, "x"), (0, "rst")] {
            collector.take(words(index, text));
        }
        assert_eq!(collector.finish().text, "first");
        let mut collector = Collector::new(100);
        collector.take(words(1, "only"));
        collector.take(words(0, ""));
        assert_eq!(collector.finish().text, "only");
    }

    #[test]
    fn an_answer_is_cut_between_two_characters() {
        let mut collector = Collector::new(4);
        collector.take(words(0, "abc"));
        collector.take(words(0, "ä"));
        let answer = collector.finish();
        assert_eq!((answer.text.as_str(), answer.broke_off), ("abc", Some(BrokeOff::Length)));
    }

    #[test]
    fn a_whole_answer_replaces_its_pieces() {
        let mut collector = Collector::new(100);
        collector.take(words(0, "Hel"));
        collector.take(Words { whole: true, ..words(0, "Hello") });
        assert_eq!(collector.finish().text, "Hello");
    }
}
