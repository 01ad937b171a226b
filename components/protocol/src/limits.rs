//! Size limits, in one place, so that readers and writers agree.

/// Longest user name, in characters.
pub const NAME_CHARS: usize = 32;
/// Longest message body, in bytes of UTF-8, after control characters were removed.
pub const BODY_BYTES: usize = 16 * 1024;
/// Longest line or frame a client may send, in bytes, without the line end.
pub const LINE_BYTES: usize = 64 * 1024;
/// Longest metadata object, in bytes of JSON.
pub const METADATA_BYTES: usize = 8 * 1024;
/// Deepest nesting of metadata; bounds every recursion over it.
pub const METADATA_DEPTH: usize = 16;
/// Longest client-made id of a message, in bytes.
pub const CLIENT_ID_BYTES: usize = 64;
/// Longest name of a device, in bytes.
pub const DEVICE_BYTES: usize = 64;
/// Longest frame a server sends to a client, in bytes. A page of history is cut to stay below it.
pub const SERVER_FRAME_BYTES: usize = 1024 * 1024;
/// Most events in one page of history or of unread messages.
pub const PAGE_EVENTS: usize = 200;
/// Most names in one query for registered names; a line of the book dialect cannot address more.
pub const KNOWN_NAMES: usize = 4 * NAME_CHARS + 1;
/// Most drafts in one append request: under load, the cost of a commit depends on the number of conversations in it, so large batches are
/// cheap.
pub const BATCH_DRAFTS: usize = 2048;
/// Largest request body of the message API, in bytes: more than a thousand of the largest drafts.
pub const BATCH_BYTES: usize = 32 * 1024 * 1024;
/// Most users in one response of the message API.
pub const PAGE_USERS: usize = 5000;
