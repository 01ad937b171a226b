#!/usr/bin/env python3
"""What a stored message costs in SQLite's write-ahead log: a model of the table `events` alone.

Each commit has one message in each of some conversations, chosen at random. Printed for page sizes and sets of indexes: frames and bytes of
the log for each message, and processor time. Nothing is synced, for that is not what is counted.

    bench/wal_frames.py
"""

import os
import random
import sqlite3
import tempfile
import time

CONVERSATIONS = 200
GROUP = 56
MESSAGES = 40_000
BEFORE = 80_000
COLUMNS = """pos INTEGER PRIMARY KEY, conversation INT NOT NULL, seq INT NOT NULL, ordinal INT NOT NULL, sent INT NOT NULL,
    sender INT NOT NULL, kind INT NOT NULL, id BLOB NOT NULL, at INT NOT NULL, timestamp INT, client_id TEXT NOT NULL,
    body TEXT NOT NULL, metadata TEXT, sender_name TEXT, target INT, thread INT"""
LOG = "CREATE UNIQUE INDEX log ON events(conversation, seq)"
SENT = "CREATE UNIQUE INDEX sent ON events(client_id, sender)"


class Store:
    def __init__(self, path, page, indexes):
        self.db = sqlite3.connect(path, isolation_level=None)
        for pragma in (f"page_size={page}", "journal_mode=wal", "synchronous=off", "wal_autocheckpoint=0", "cache_size=-8192"):
            self.db.execute(f"PRAGMA {pragma}")
        self.db.execute(f"CREATE TABLE events({COLUMNS}) STRICT")
        for index in indexes:
            self.db.execute(index)
        self.pos, self.seq = 0, [0] * CONVERSATIONS

    def store(self, messages, group):
        end = self.pos + messages
        while self.pos < end:
            self.db.execute("BEGIN IMMEDIATE")
            for conversation in random.sample(range(CONVERSATIONS), group):
                self.pos += 1
                self.seq[conversation] += 1
                seq, client_id = self.seq[conversation], f"{self.pos:032x}"
                row = (self.pos, conversation, seq, seq, seq, conversation, 1, os.urandom(16), self.pos, None, client_id, "x" * 64)
                self.db.execute("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?,NULL,NULL,NULL,NULL)", row)
            self.db.execute("COMMIT")


def measure(name, page, indexes, group=GROUP):
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "model.db")
        store = Store(path, page, indexes)
        store.store(BEFORE, group)
        store.db.execute("PRAGMA wal_checkpoint(truncate)")
        begun, before = time.process_time(), store.pos
        store.store(MESSAGES, group)
        used, stored = time.process_time() - begun, store.pos - before
        size = os.path.getsize(path + "-wal")
        frames = (size - 32) / (page + 24)
        store.db.close()
        print(f"{name:32} {frames / stored:6.2f} frames {size / stored:7.0f} bytes {used / stored * 1e6:6.1f} us", flush=True)


for page in (512, 1024, 2048, 4096):
    measure(f"{page} bytes a page", page, [LOG, SENT])
measure("1024, without sent", 1024, [LOG])
measure("1024, without log", 1024, [SENT])
measure("1024, without both", 1024, [])
measure("1024, 199 messages a commit", 1024, [LOG, SENT], group=199)
