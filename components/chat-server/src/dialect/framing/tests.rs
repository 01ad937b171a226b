use super::*;
use proptest::prelude::*;

fn said(text: &str) -> Message {
    Message::Text(text.to_owned())
}

fn lines(framer: &mut Framer) -> Vec<Message> {
    std::iter::from_fn(|| framer.next_line()).collect()
}

fn framer() -> Framer {
    Framer::new(Duration::from_millis(100), |byte| byte == b'{')
}

fn after_the_name() -> Framer {
    let mut framer = framer();
    framer.push(b"alice\n", |_| {});
    assert_eq!(framer.next_line(), Some(said("alice")));
    framer.identified(|_| true);
    framer
}

#[test]
fn newlines_end_messages_and_the_end_ends_the_rest() {
    let mut framer = framer();
    framer.push(b"a: 1\r\nb: 2\nc: 3", |_| {});
    assert_eq!(lines(&mut framer), [said("a: 1"), said("b: 2")]);
    assert_eq!(framer.finish(), Some(said("c: 3")));
    assert_eq!(framer.finish(), None);
    assert!(!framer.has_partial());
}

/// A framer for a client on another machine, whose unfinished lines get the longest pause.
fn away() -> Framer {
    let mut framer = framer();
    framer.set_distance(Distance::Remote(Duration::ZERO));
    framer
}

fn push_after_a_pause(framer: &mut Framer, bytes: &[u8]) -> Vec<Message> {
    framer.silent_for(Duration::from_secs(1));
    framer.push(bytes, |_| {});
    lines(framer)
}

#[test]
fn a_pause_ends_what_cannot_go_on() {
    let mut framer = away();
    framer.push(b"alice", |_| {});
    assert_eq!(push_after_a_pause(&mut framer, b"bob: one"), [said("alice")]);
    framer.identified(|bytes| bytes.starts_with(b"bob:"));
    assert!(framer.idle_timeout() > Some(Duration::from_secs(1)));
    assert_eq!(push_after_a_pause(&mut framer, b"bob: two"), [said("bob: one")]);
    assert_eq!(framer.idle_timeout(), Some(Duration::from_millis(100)), "silence ends its messages");
    assert_eq!(framer.finish(), Some(said("bob: two")));
}

#[test]
fn a_pause_within_a_line_ends_nothing() {
    let mut framer = away();
    framer.push(b"al", |_| {});
    assert_eq!(push_after_a_pause(&mut framer, b"ice\r\nbob"), [said("alice")]);
    framer.identified(|bytes| bytes.starts_with(b"bob:"));
    assert_eq!(push_after_a_pause(&mut framer, b": one "), []);
    assert_eq!(push_after_a_pause(&mut framer, b"of "), []);
    assert_eq!(push_after_a_pause(&mut framer, b"bob: two\n"), [said("bob: one of bob: two")]);
    assert_eq!(framer.idle_timeout(), None);
    framer.push(b"bob: three", |_| {});
    assert_eq!(push_after_a_pause(&mut framer, b"bob: four"), [], "it ends its lines");
    assert_eq!(push_after_a_pause(&mut framer, b"\n"), [said("bob: threebob: four")]);
}

#[test]
fn a_cut_character_is_waited_for() {
    let mut framer = after_the_name();
    let bytes = "bob: 😀".as_bytes();
    framer.push(&bytes[..bytes.len() - 1], |_| {});
    let cut = framer.idle_timeout();
    framer.push(&bytes[bytes.len() - 1..], |_| {});
    assert!(cut > framer.idle_timeout());
    assert_eq!(framer.finish(), Some(said("bob: 😀")));
}

#[test]
fn what_is_no_text_is_replaced() {
    let mut framer = framer();
    framer.push(b"bob: \xfe\xfd", |_| {});
    assert_eq!(framer.finish(), Some(said("bob: \u{fffd}\u{fffd}")));
    framer.push(b"bob: \xf0\x9f", |_| {});
    assert_eq!(framer.finish(), Some(said("bob: \u{fffd}")));
}

#[test]
fn a_newline_that_comes_after_silence_ended_its_message_is_no_message() {
    let mut framer = after_the_name();
    framer.push(b"bob: hi", |_| {});
    assert!(framer.idle_timeout().is_some());
    assert_eq!(framer.finish(), Some(said("bob: hi")));
    framer.push(b"\r\nbob: ho\n\nbob: h", |_| {});
    assert_eq!(lines(&mut framer), [said("bob: ho"), said("")]);
    assert_eq!(framer.idle_timeout(), None, "it ends lines after all");
}

#[test]
fn a_message_that_is_too_long_costs_no_memory_and_the_next_one_is_read() {
    let mut framer = framer();
    for _ in 0..1000 {
        framer.push(&[b'x'; 10_000], |_| {});
        assert_eq!(framer.next_line(), None);
        assert!(framer.buffer.capacity() < 256 * 1024);
    }
    framer.push(b"\nbob: hi\n", |_| {});
    assert_eq!(lines(&mut framer), [Message::TooLong, said("bob: hi")]);
    framer.push(&[b'x'; LINE_BYTES + 1], |_| {});
    assert_eq!(framer.next_line(), None);
    assert_eq!(framer.finish(), Some(Message::TooLong));
    framer.push(&[b'x'; LINE_BYTES], |_| {});
    framer.push(b"\n", |_| {});
    assert!(matches!(framer.next_line(), Some(Message::Text(text)) if text.len() == LINE_BYTES));
}

#[test]
fn what_is_deleted_is_gone_within_its_line() {
    let mut framer = framer();
    framer.push("alice\nbobé\x7f: ho\x08i\r".as_bytes(), |_| {});
    assert_eq!(lines(&mut framer), [said("alice"), said("bob: hi")]);
    framer.push(b"\n\x7f\x7fbo", |_| {});
    framer.push(b"\xff\xf8!check\r\0", |_| {});
    assert_eq!(lines(&mut framer), [said("!check")]);
}

#[test]
fn a_mark_before_any_line_is_no_text() {
    let mut framer = framer();
    // As `cat a.txt b.txt` sends them.
    framer.push(
        "\u{feff}alice\n\u{feff}bob: one\r\n\u{feff}\u{feff}bob: \u{feff}two\n\u{feff}\n".as_bytes(),
        |_| {},
    );
    assert_eq!(
        lines(&mut framer),
        [said("alice"), said("bob: one"), said("bob: \u{feff}two"), said("")],
        "within a line it stays"
    );
    framer.push("\u{feff}bob: three".as_bytes(), |_| {});
    assert_eq!(framer.finish(), Some(said("bob: three")), "whatever ends the line");
    let mut native = Framer::new(Duration::from_millis(100), |byte| byte == b'{');
    native.push("{}\n\u{feff}{}\n".as_bytes(), |_| {});
    assert_eq!(lines(&mut native), [said("{}"), said("\u{feff}{}")], "native frames are left as they are");
}

#[test]
fn a_telnet_client_ends_its_lines() {
    let (mut framer, mut answers) = (framer(), Vec::new());
    framer.push(b"\xff\xfd\x03al", |answer| answers.extend(answer));
    assert_eq!((framer.idle_timeout(), &answers[..]), (None, &b"\xff\xfc\x03"[..]));
}

#[test]
fn an_empty_framer_keeps_nothing() {
    let mut framer = framer();
    framer.push(&[b'\n'; 60_000], |_| {});
    assert_eq!(lines(&mut framer).len(), 60_000);
    assert_eq!(framer.buffer.capacity(), 0);
}

proptest! {
    #[test]
    fn however_bytes_are_cut_the_messages_are_the_same(
        messages in prop::collection::vec("[^\n\r\x08\x7f\u{feff}]{0,20}", 0..8),
        cuts in prop::collection::vec(1usize..9, 1..64),
    ) {
        let stream: String = messages.iter().map(|message| format!("{message}\n")).collect();
        let mut framer = framer();
        let mut got = Vec::new();
        let (mut rest, mut cuts) = (stream.as_bytes(), cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
            framer.push(piece, |_| {});
            got.extend(lines(&mut framer));
            rest = behind;
        }
        let expected: Vec<Message> = messages.iter().map(|message| said(message)).collect();
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn a_cut_within_any_text_is_told_exactly(text in "\\PC{1,8}", cut in 1usize..32) {
        let cut = cut.min(text.len());
        prop_assert_eq!(ends_within_character(&text.as_bytes()[..cut]), !text.is_char_boundary(cut));
    }
}
