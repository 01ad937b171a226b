//! XMPP (RFC 6120) over plain TCP on loopback, limited to private messages: in-band registration (XEP-0077), SASL PLAIN, resource binding,
//! presence, and acknowledgements by stream management (XEP-0198).
//!
//! Stanzas are recognised by their first bytes and split at their end tags, which cannot occur in the texts here.

use std::io::Write;

use bytes::{Bytes, BytesMut};

use super::{Codec, Incoming, Step};
use crate::problem::Result;
use crate::stamp::Stamp;

/// The host that the server is configured for.
pub(super) const DOMAIN: &str = "localhost";
const MANAGEMENT: &str = "urn:xmpp:sm:3";
/// The begin and end of relevant stanzas.
const STANZAS: [(&[u8], &[u8]); 2] = [
    (b"<message", b"</message>"),
    // For others the opening tag is sufficient. An incomplete tag could still become a message, so both must be complete.
    (b"<", b">"),
];

/// A client.
#[derive(Default)]
pub(super) struct Xmpp {
    /// Messages acknowledged by the server.
    handled: u32,
    /// Stanzas received, for acknowledgement requests.
    received: u32,
}

impl Codec for Xmpp {
    fn login(&self, name: &str) -> Vec<Step> {
        let open = format!(
            "<?xml version='1.0'?><stream:stream to='{DOMAIN}' version='1.0' xmlns='jabber:client' \
             xmlns:stream='http://etherx.jabber.org/streams'>"
        );
        let register = format!(
            "<iq type='set' id='register'><query xmlns='jabber:iq:register'>\
             <username>{name}</username><password>{name}</password></query></iq>"
        );
        let secret = base64(format!("\0{name}\0{name}").as_bytes());
        let auth =
            format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>");
        let bind = "<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench</resource></bind></iq>";
        let manage = format!("<enable xmlns='{MANAGEMENT}'/>");
        vec![
            Step::new(open.clone(), b"</stream:features>"),
            // An existing user gets an error here, which is fine.
            Step::new(register, b"id='register'"),
            Step::new(auth, b"<success"),
            Step::new(open, b"</stream:features>"),
            Step::new(bind, b"</iq>"),
            Step::new(manage, b"<enabled"),
            Step::new("<presence/>", b""),
        ]
    }

    fn encode(&mut self, to: &str, body: &[u8], out: &mut Vec<u8>) {
        write!(out, "<message to='{to}@{DOMAIN}' type='chat'><body>").expect("memory takes everything");
        out.extend_from_slice(body);
        write!(out, "</body></message><r xmlns='{MANAGEMENT}'/>").expect("memory takes everything");
    }

    fn next(&mut self, input: &mut BytesMut, out: &mut Vec<u8>) -> Result<Option<Incoming>> {
        let Some(stanza) = take(input) else { return Ok(None) };
        if stanza.starts_with(b"<message") {
            self.received += 1;
            if memchr::memmem::find(&stanza, b"type='error'").is_some() {
                return Err(format!("ejabberd says: {}", String::from_utf8_lossy(&stanza)).into());
            }
            return Ok(Some(Stamp::find(&stanza).map_or(Incoming::Other, Incoming::Delivered)));
        }
        if stanza.starts_with(b"<presence") || stanza.starts_with(b"<iq") {
            self.received += 1;
        } else if stanza.starts_with(b"<r ") {
            write!(out, "<a xmlns='{MANAGEMENT}' h='{}'/>", self.received)?;
        } else if stanza.starts_with(b"<a ") {
            let total = handled(&stanza).ok_or("an <a/> without h")?.saturating_sub(PRESENCE);
            let fresh = total.saturating_sub(self.handled);
            self.handled = total;
            return Ok(Some(Incoming::Acknowledged(fresh)));
        } else if stanza.starts_with(b"</stream:stream") || stanza.starts_with(b"<stream:error") {
            return Err("ejabberd closed the stream".into());
        }
        Ok(Some(Incoming::Other))
    }
}

/// Our own presence counts as a handled stanza.
const PRESENCE: u32 = 1;

fn handled(stanza: &[u8]) -> Option<u32> {
    let at = memchr::memmem::find(stanza, b" h='")? + 4;
    let end = at + memchr::memchr(b'\'', &stanza[at..])?;
    std::str::from_utf8(&stanza[at..end]).ok()?.parse().ok()
}

fn take(input: &mut BytesMut) -> Option<Bytes> {
    let begin = memchr::memchr(b'<', input)?;
    let _text = input.split_to(begin);
    let (_, end) = STANZAS.iter().find(|(prefix, _)| input.starts_with(prefix))?;
    let at = memchr::memmem::find(input, end)? + end.len();
    Some(input.split_to(at).freeze())
}

/// RFC 4648, for the few bytes of a login.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let bits =
            (0..3).fold(0_u32, |bits, place| bits << 8 | u32::from(chunk.get(place).copied().unwrap_or(0)));
        let digit = move |place: usize| char::from(DIGITS[(bits >> (18 - 6 * place) & 63) as usize]);
        let used = chunk.len() + 1;
        (0..4).map(move |place| if place < used { digit(place) } else { '=' })
    };
    bytes.chunks(3).flat_map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases = [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")];
        cases.iter().for_each(|(bytes, text)| assert_eq!(base64(bytes.as_bytes()), *text));
    }

    #[test]
    fn stanzas_are_cut_at_their_ends() {
        let stamp = Stamp { sender: 1, number: 2, intended: Duration::ZERO };
        let mut bytes = b"<r xmlns='urn:xmpp:sm:3'/><message from='a'><body>".to_vec();
        bytes.extend_from_slice(&stamp.body());
        bytes.extend_from_slice(b"</body></message><a h='4' xmlns='x'/>");
        let (mut xmpp, mut out) = (Xmpp::default(), Vec::new());
        let mut got = Vec::new();
        let mut input = BytesMut::new();
        // One byte at a time is the worst case.
        for byte in bytes {
            input.extend_from_slice(&[byte]);
            while let Some(incoming) = xmpp.next(&mut input, &mut out).unwrap() {
                got.push(incoming);
            }
        }
        assert_eq!(got, [Incoming::Other, Incoming::Delivered(stamp), Incoming::Acknowledged(3)]);
        assert_eq!(out, b"<a xmlns='urn:xmpp:sm:3' h='0'/>");
    }
}
