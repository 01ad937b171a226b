-- What version 5 of the file's format added. Old files are made from these in tests.
ALTER TABLE registrations ADD COLUMN skeleton TEXT;
CREATE INDEX lookalikes ON registrations(skeleton);
-- The program filled `skeleton` for those who were registered.
