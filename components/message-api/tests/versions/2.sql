-- What version 2 of the file's format added. Old files are made from these in tests.
ALTER TABLE conversations ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;
