-- What version 1 of the file's format added. Old files are made from these in tests.
CREATE TABLE users (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL
) STRICT;
CREATE TABLE registrations (
    ordinal INTEGER PRIMARY KEY,
    user INTEGER NOT NULL UNIQUE REFERENCES users(id),
    name TEXT NOT NULL,
    address TEXT,
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL
) STRICT;
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE events (
    pos INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations(id),
    seq INTEGER NOT NULL,
    sender INTEGER NOT NULL REFERENCES users(id),
    recipient INTEGER NOT NULL REFERENCES users(id),
    id BLOB NOT NULL,
    at INTEGER NOT NULL,
    timestamp INTEGER,
    kind INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    body TEXT NOT NULL,
    metadata TEXT,
    sender_name TEXT,
    recipient_name TEXT
) STRICT;
CREATE UNIQUE INDEX log ON events(conversation, seq);
CREATE UNIQUE INDEX sent ON events(client_id, sender);
CREATE INDEX inbox ON events(recipient, conversation);
CREATE TABLE members (
    user INTEGER NOT NULL REFERENCES users(id),
    conversation INTEGER NOT NULL REFERENCES conversations(id),
    seen INTEGER NOT NULL DEFAULT 0,
    seen_pos INTEGER NOT NULL DEFAULT 0,
    unread INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (user, conversation)
) STRICT, WITHOUT ROWID;
CREATE INDEX unread ON members(user, conversation) WHERE unread = 1;
CREATE TABLE devices (
    id INTEGER PRIMARY KEY,
    user INTEGER NOT NULL REFERENCES users(id),
    name TEXT NOT NULL,
    used INTEGER NOT NULL,
    UNIQUE (user, name)
) STRICT;
CREATE TABLE device_cursors (
    device INTEGER NOT NULL REFERENCES devices(id),
    conversation INTEGER NOT NULL REFERENCES conversations(id),
    seen INTEGER NOT NULL,
    PRIMARY KEY (device, conversation)
) STRICT, WITHOUT ROWID;
CREATE TABLE state (
    owner INTEGER NOT NULL REFERENCES users(id),
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (owner, key)
) STRICT, WITHOUT ROWID;
