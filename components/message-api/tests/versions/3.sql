-- What version 3 of the file's format added. Old files are made from these in tests.
ALTER TABLE members ADD COLUMN read_to INTEGER NOT NULL DEFAULT 0;
UPDATE members SET read_to = coalesce((SELECT seq FROM events
    WHERE recipient = members.user AND conversation = members.conversation AND pos > seen_pos ORDER BY pos LIMIT 1), 1) - 1
    WHERE unread = 1;
DROP INDEX inbox;
ALTER TABLE members DROP COLUMN seen_pos;
