// What a client knows of a conversation, by the table of cases that the terminal is held to as well: `docs/client-model.md`.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { Conversation } from "../scripts/model/conversation.js";

const cases = JSON.parse(readFileSync(new URL("../../../../docs/client-model.json", import.meta.url)));
const event = (seq, own) => ({ seq, sender: own ? "alice" : "bob", body: `m${seq}`, client_id: `c${seq}`, timestamp: "2026-11-20T10:00:00Z" });
const isOwn = ({ sender }) => sender === "alice";

const acts = {
  summary: (conversation, { head, seen, unread }) => conversation.summary({ name: "bob", id: "dm:alice:bob", head, seen, unseen: unread }),
  event: (conversation, { seq, own }) => conversation.add(event(seq, own), own),
  show: (conversation, { seq }) => conversation.show(seq, isOwn),
  page: (conversation, { before, seqs, own, more }) => {
    conversation.loading = { before, limit: 200 };
    conversation.addPage(seqs.map((seq) => event(seq, own.includes(seq))), more, isOwn);
  },
};

for (const { name, steps, then } of cases) {
  test(name, () => {
    const conversation = new Conversation("bob");
    for (const step of steps) acts[step.do](conversation, step);
    const { seen, unseen, head, log } = conversation;
    assert.deepEqual({ shown: seen, unread: unseen, head, gaps: log.gaps() }, then);
  });
}
