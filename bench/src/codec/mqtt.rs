//! MQTT 3.1.1 (OASIS standard), limited to QoS 1 with persistent sessions. A user's topic is the user's name.

use bytes::{Buf, Bytes, BytesMut};

use super::{Codec, Incoming, Step};
use crate::problem::Result;
use crate::stamp::Stamp;

const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const PUBACK: u8 = 0x40;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;
const QOS_1: u8 = 0x02;

/// A client with a persistent session.
#[derive(Default)]
pub(super) struct Mqtt {
    /// Its session and its subscription already exist.
    returning: bool,
    packet: u16,
}

impl Mqtt {
    /// A client that has subscribed before.
    pub(super) fn returning() -> Self {
        Self { returning: true, packet: 0 }
    }

    /// Packet identifiers are from 1 to 65535, more than can be in flight.
    fn next_packet(&mut self) -> u16 {
        self.packet = self.packet.checked_add(1).unwrap_or(1);
        self.packet
    }
}

impl Codec for Mqtt {
    fn login(&self, name: &str) -> Vec<Step> {
        // Protocol level 4, no clean session, no keep-alive.
        let mut connect = b"\x00\x04MQTT\x04\x00\x00\x00".to_vec();
        string(name, &mut connect);
        let connect = packet(CONNECT, &connect);
        if self.returning {
            return vec![Step::new(connect, &[CONNACK, 2, 1, 0])];
        }
        let mut subscribe = vec![0, 1];
        string(name, &mut subscribe);
        subscribe.push(1);
        let subscribe = packet(SUBSCRIBE, &subscribe);
        vec![Step::new(connect, &[CONNACK, 2, 0, 0]), Step::new(subscribe, &[SUBACK, 3, 0, 1, 1])]
    }

    fn encode(&mut self, to: &str, body: &[u8], out: &mut Vec<u8>) {
        out.push(PUBLISH | QOS_1);
        length(2 + to.len() + 2 + body.len(), out);
        string(to, out);
        out.extend_from_slice(&self.next_packet().to_be_bytes());
        out.extend_from_slice(body);
    }

    fn next(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<Option<Incoming>> {
        let Some((kind, body)) = take(input) else { return Ok(None) };
        match kind & 0xf0 {
            PUBACK => Ok(Some(Incoming::Acknowledged(1))),
            PUBLISH => {
                let topic =
                    body.get(..2).map_or(0, |length| usize::from(length[0]) << 8 | usize::from(length[1]));
                let Some(id) = body.get(2 + topic..4 + topic) else { return Err("a short PUBLISH".into()) };
                out.extend_from_slice(&[PUBACK, 2, id[0], id[1]]);
                let stamp = Stamp::find(&body[4 + topic..]);
                Ok(Some(stamp.map_or(Incoming::Other, Incoming::Delivered)))
            }
            CONNACK | SUBACK => Ok(Some(Incoming::Other)),
            _ => Err(format!("an MQTT packet of kind {kind:#x}").into()),
        }
    }
}

fn string(text: &str, out: &mut Vec<u8>) {
    let length = u16::try_from(text.len()).expect("names are short");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

fn packet(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![kind];
    length(body.len(), &mut packet);
    packet.extend_from_slice(body);
    packet
}

/// "Remaining length", section 2.2.3: seven bits per byte, the lowest first.
fn length(mut length: usize, out: &mut Vec<u8>) {
    loop {
        let digit = u8::try_from(length % 128).expect("it is below 128");
        length /= 128;
        out.push(if length > 0 { digit | 0x80 } else { digit });
        if length == 0 {
            return;
        }
    }
}

/// The next complete packet: its first byte, and the content after the length.
fn take(input: &mut BytesMut) -> Option<(u8, Bytes)> {
    let digits = input.get(1..)?.iter().take(4).position(|digit| digit & 0x80 == 0)? + 1;
    let digit = |(place, digit): (usize, &u8)| usize::from(digit & 0x7f) << (7 * place);
    let length: usize = input[1..=digits].iter().enumerate().map(digit).sum();
    let head = 1 + digits;
    if input.len() < head + length {
        return None;
    }
    let kind = input[0];
    input.advance(head);
    Some((kind, input.split_to(length).freeze()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    #[test]
    fn packets_are_these_bytes() {
        let login = Mqtt::default().login("ab");
        assert_eq!(login[0].send, b"\x10\x0e\x00\x04MQTT\x04\x00\x00\x00\x00\x02ab");
        assert_eq!(login[1].send, b"\x82\x07\x00\x01\x00\x02ab\x01");
        let mut out = Vec::new();
        Mqtt::default().encode("ab", b"hi", &mut out);
        assert_eq!(out, b"\x32\x08\x00\x02ab\x00\x01hi");
    }

    #[test]
    fn a_message_is_acknowledged_under_its_own_number() {
        let stamp = Stamp { sender: 1, number: 2, intended: Duration::ZERO };
        let mut bytes = Vec::new();
        let mut sender = Mqtt { returning: false, packet: 0x1233 };
        sender.encode("bob", &stamp.body(), &mut bytes);
        let (mut input, mut out) = (BytesMut::from(&bytes[..]), Vec::new());
        assert_eq!(Mqtt::default().next(&mut input, &mut out).unwrap(), Some(Incoming::Delivered(stamp)));
        assert_eq!(out, b"\x40\x02\x12\x34");
        let mut input = BytesMut::from(&out[..]);
        assert_eq!(sender.next(&mut input, &mut Vec::new()).unwrap(), Some(Incoming::Acknowledged(1)));
    }

    #[test]
    fn packet_numbers_go_round_without_zero() {
        let mut mqtt = Mqtt { returning: false, packet: u16::MAX };
        assert_eq!(mqtt.next_packet(), 1);
    }

    proptest! {
        #[test]
        fn packets_are_taken_whole_however_they_arrive(length in 0_usize..20_000, cut in 0_usize..20_010) {
            let bytes = packet(PUBLISH, &vec![7; length]);
            let cut = cut.min(bytes.len() - 1);
            let mut input = BytesMut::from(&bytes[..cut]);
            prop_assert_eq!(take(&mut input), None);
            input.extend_from_slice(&bytes[cut..]);
            prop_assert_eq!(take(&mut input).map(|(_, body)| body.len()), Some(length));
        }
    }
}
