//! Removes what clients add to typed text: telnet commands (RFC 854), carriage returns, byte order marks, erase keys. The output is lines
//! and characters.
//!
//! Works byte by byte and keeps its state between reads, so that the boundaries of reads make no difference. A dialect for programs, which
//! the first byte selects, passes unchanged. Telnet options are not supported: all are refused, so that a telnet client sends complete
//! lines.

/// A telnet command follows.
const IAC: u8 = 255;
const DONT: u8 = 254;
const DO: u8 = 253;
const WONT: u8 = 252;
const WILL: u8 = 251;
/// Start of a subnegotiation.
const SB: u8 = 250;
/// End of a subnegotiation.
const SE: u8 = 240;
const ERASE_CHARACTER: u8 = 247;
const ERASE_LINE: u8 = 248;
const BACKSPACE: u8 = 8;
const DELETE: u8 = 127;
/// The byte order marks of UTF-8 and of UTF-16 in both byte orders. The framer removes marks before later lines.
pub(crate) const BOM: [u8; 3] = [0xef, 0xbb, 0xbf];
const UTF16_LE: [u8; 2] = [0xff, 0xfe];
const UTF16_BE: [u8; 2] = [0xfe, 0xff];
/// Longer than any real subnegotiation; after it the bytes are text again.
const MOST_NEGOTIATION: usize = 512;

/// A piece of decoded input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text with newlines as line ends. Not necessarily UTF-8.
    Text(&'a [u8]),
    /// Erase the last character of the line.
    EraseCharacter,
    /// Erase the line.
    EraseLine,
    /// Answer to a telnet client that requests an option.
    Refuse([u8; 3]),
    /// A telnet command that needs no answer.
    Telnet,
}

/// Whether a connection with this first byte is not decoded.
pub(crate) type BeginsRaw = fn(u8) -> bool;

/// The decoder of one connection.
#[derive(Debug)]
pub(crate) struct Decoder {
    begins_raw: BeginsRaw,
    state: State,
    /// A carriage return ended a line; a following line feed or NUL belongs to it.
    after_cr: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The kind of client is not known yet; this many bytes of a byte order mark have arrived.
    Start {
        head: [u8; 3],
        count: usize,
    },
    Text,
    Command,
    /// An option's code follows.
    Option(u8),
    /// Within a subnegotiation, of which this many bytes were skipped.
    Negotiation(usize),
    CommandInNegotiation(usize),
    /// A dialect for programs: all bytes pass unchanged.
    Raw,
}

impl Decoder {
    /// A decoder before the first byte.
    pub(crate) fn new(begins_raw: BeginsRaw) -> Self {
        Self { begins_raw, state: State::Start { head: [0; 3], count: 0 }, after_cr: false }
    }

    /// Whether all bytes pass unchanged.
    pub(crate) fn is_raw(&self) -> bool {
        self.state == State::Raw
    }

    /// Decodes bytes.
    pub(crate) fn decode(&mut self, mut bytes: &[u8], emit: &mut impl FnMut(Piece<'_>)) {
        while let Some(first) = bytes.first() {
            let taken = match self.state {
                State::Raw => {
                    emit(Piece::Text(bytes));
                    bytes.len()
                }
                State::Text if !self.after_cr => self.run_of_text(bytes, emit),
                State::Start { .. } => {
                    self.start(*first, emit);
                    1
                }
                State::Text
                | State::Command
                | State::Option(_)
                | State::Negotiation(_)
                | State::CommandInNegotiation(_) => {
                    self.byte(*first, emit);
                    1
                }
            };
            bytes = &bytes[taken..];
        }
    }

    /// Passes text up to the next special byte, and returns its length.
    fn run_of_text(&mut self, bytes: &[u8], emit: &mut impl FnMut(Piece<'_>)) -> usize {
        let special = bytes.iter().position(|byte| matches!(*byte, BACKSPACE | b'\r' | DELETE | IAC));
        let length = special.unwrap_or(bytes.len());
        if length > 0 {
            emit(Piece::Text(&bytes[..length]));
            return length;
        }
        self.byte(bytes[0], emit);
        1
    }

    fn start(&mut self, byte: u8, emit: &mut impl FnMut(Piece<'_>)) {
        let State::Start { mut head, count } = self.state else { return };
        let stay = |head, count| State::Start { head, count };
        match (&head[..count], byte) {
            ([], byte) if (self.begins_raw)(byte) => {
                self.state = State::Raw;
                return emit(Piece::Text(&[byte]));
            }
            // Empty lines do not identify the client yet.
            ([], b'\n') => {
                if !std::mem::take(&mut self.after_cr) {
                    emit(Piece::Text(b"\n"));
                }
                return;
            }
            ([], b'\r') => {
                self.after_cr = true;
                return emit(Piece::Text(b"\n"));
            }
            ([], 0) if self.after_cr => {
                self.after_cr = false;
                return;
            }
            ([0xef, 0xbb], 0xbf) => {
                self.state = stay([0; 3], 0);
                return;
            }
            ([0xfe], 0xff) => return self.utf16(emit),
            // After its byte order mark, a UTF-16 character of ASCII ends with NUL; a telnet option is never followed by NUL.
            ([0xff, 0xfe, 1..=255], 0) => return self.utf16(emit),
            ([], 0xef | 0xfe | 0xff) | ([0xef], 0xbb) | ([0xff], 0xfe) | ([0xff, 0xfe], _) => {
                head[count] = byte;
                self.state = stay(head, count + 1);
                return;
            }
            _ => {}
        }
        debug_assert!(
            BOM.starts_with(&head[..count]) || UTF16_BE.starts_with(&head[..count]) || head[0] == UTF16_LE[0]
        );
        self.state = State::Text;
        head[..count].iter().chain([&byte]).for_each(|byte| self.byte(*byte, emit));
    }

    /// Emits a line that nobody can have typed: its NUL tells the dialect that the input is UTF-16.
    fn utf16(&mut self, emit: &mut impl FnMut(Piece<'_>)) {
        self.state = State::Text;
        emit(Piece::Text(b"\0\n"));
    }

    fn byte(&mut self, byte: u8, emit: &mut impl FnMut(Piece<'_>)) {
        self.state = match self.state {
            State::Text => return self.text(byte, emit),
            State::Command => match byte {
                DONT | DO | WONT | WILL => State::Option(byte),
                SB => State::Negotiation(0),
                _ => {
                    self.command(byte, emit);
                    State::Text
                }
            },
            State::Option(command) => {
                emit(match command {
                    WILL => Piece::Refuse([IAC, DONT, byte]),
                    DO => Piece::Refuse([IAC, WONT, byte]),
                    _ => Piece::Telnet,
                });
                State::Text
            }
            State::Negotiation(_) if byte == IAC => State::CommandInNegotiation(0),
            State::Negotiation(MOST_NEGOTIATION..) => State::Text,
            State::Negotiation(count) => State::Negotiation(count + 1),
            State::CommandInNegotiation(_) if byte == SE => {
                emit(Piece::Telnet);
                State::Text
            }
            State::CommandInNegotiation(count) => State::Negotiation(count + 1),
            state @ (State::Start { .. } | State::Raw) => state,
        };
    }

    fn command(&mut self, byte: u8, emit: &mut impl FnMut(Piece<'_>)) {
        match byte {
            // A doubled IAC is the byte itself.
            IAC => emit(Piece::Text(&[IAC])),
            ERASE_CHARACTER => emit(Piece::EraseCharacter),
            ERASE_LINE => emit(Piece::EraseLine),
            // Not a telnet command: this is text in another encoding.
            0..SE => {
                emit(Piece::Text(&[IAC]));
                self.state = State::Text;
                self.text(byte, emit);
            }
            SE.. => emit(Piece::Telnet),
        }
    }

    fn text(&mut self, byte: u8, emit: &mut impl FnMut(Piece<'_>)) {
        if byte == IAC {
            // A telnet command may be inside a line end.
            self.state = State::Command;
            return;
        }
        let after_cr = std::mem::take(&mut self.after_cr);
        match byte {
            b'\n' | 0 if after_cr => {}
            b'\r' => {
                self.after_cr = true;
                emit(Piece::Text(b"\n"));
            }
            BACKSPACE | DELETE => emit(Piece::EraseCharacter),
            _ => emit(Piece::Text(&[byte])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The decoded text and the answers for these reads.
    fn decode<'a>(reads: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Vec<u8>) {
        let mut decoder = Decoder::new(|byte| byte == b'{');
        let (mut text, mut answers) = (Vec::new(), Vec::new());
        for read in reads {
            decoder.decode(read, &mut |piece| match piece {
                Piece::Text(bytes) => text.extend_from_slice(bytes),
                Piece::EraseCharacter => text.push(b'<'),
                Piece::EraseLine => text.extend_from_slice(b"<<"),
                Piece::Refuse(answer) => answers.extend(answer),
                Piece::Telnet => {}
            });
        }
        (text, answers)
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(&decode([bytes]).0).into_owned()
    }

    #[test]
    fn every_line_end_is_one() {
        assert_eq!(text(b"a\r\nb\nc\rd\r\0e\r\r\nf"), "a\nb\nc\nd\ne\n\nf");
        assert_eq!(text(b"\r\n\nalice\n"), "\n\nalice\n");
    }

    #[test]
    fn telnet_is_refused_and_never_text() {
        // PuTTY's first bytes: it offers its window size, speed and terminal type, and requests "suppress go ahead".
        let (text, answers) = decode([&b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfd\x03alice\r\n"[..]]);
        assert_eq!(text, b"alice\n");
        assert_eq!(answers, b"\xff\xfe\x1f\xff\xfe\x20\xff\xfe\x18\xff\xfc\x03");
        let (text, answers) =
            decode([&b"bo\xff\xfa\x1f\0\x50\xff\xff\0\xff\xf0b\xff\xf4\xff\xfd\x06: hi\r\xff\xf1\n"[..]]);
        assert_eq!((&text[..], &answers[..]), (&b"bob: hi\n"[..], &b"\xff\xfc\x06"[..]));
        assert_eq!(
            decode([&b"\xff\xfc\x01\xff\xfe\x01x"[..]]),
            (b"x".to_vec(), Vec::new()),
            "nothing is asked"
        );
    }

    #[test]
    fn keys_that_delete_are_told() {
        assert_eq!(text(b"bobb\x08: hi\x7f\xff\xf7\xff\xf8"), "bobb<: hi<<<<");
    }

    #[test]
    fn marks_of_an_encoding_are_no_text() {
        assert_eq!(text(b"\xef\xbb\xbfalice\n"), "alice\n");
        assert_eq!(
            text(b"\xef\xbb\xbf{\"type\":\"hello\"}\r\n"),
            "{\"type\":\"hello\"}\r\n",
            "native is left as it is"
        );
        assert_eq!(text(b"\xff\xfea\0l\0\n\0"), "\0\n\0l\0\n\0".replacen("\0l", "l", 1));
        assert!(text(b"\xfe\xff\0a\0\n").starts_with("\0\n"));
        assert_eq!(
            decode([&b"\xff\xff\xffa"[..]]).0,
            b"\xff\xffa",
            "what is no telnet stays for whoever replaces it"
        );
        assert_eq!(decode([&b"\xef\xbbx"[..]]).0, b"\xef\xbbx");
    }

    #[test]
    fn a_negotiation_without_an_end_does_not_swallow_everything() {
        let mut bytes = b"\xff\xfa".to_vec();
        bytes.resize(2000, b'x');
        assert!(decode([&bytes[..]]).0.len() > 1000);
    }

    /// Random bytes in which special bytes are frequent.
    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            3 => prop::sample::select(vec![255, 254, 253, 252, 251, 250, 240, 247, 0, 8, 10, 13, 127, 0xef, 0xbb, 0xbf]),
            2 => any::<u8>(),
        ];
        prop::collection::vec(byte, 0..64)
    }

    proptest! {
        #[test]
        fn it_makes_no_difference_where_bytes_are_cut(bytes in hostile(), cuts in prop::collection::vec(1usize..5, 1..32)) {
            let (mut reads, mut rest, mut cuts) = (Vec::new(), &bytes[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (read, behind) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                reads.push(read);
                rest = behind;
            }
            prop_assert_eq!(decode(reads), decode([&bytes[..]]));
        }

        #[test]
        fn what_a_person_types_stays_as_it_is(text in "[^\\n\\r\\x08\\x7f\u{feff}{\\x00-\\x07][^\\r\\x08\\x7f]{0,40}") {
            prop_assert_eq!(decode([text.as_bytes()]).0, text.as_bytes());
        }
    }
}
