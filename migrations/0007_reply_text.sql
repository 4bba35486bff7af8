-- The author's new words, beside the whole text. Messages stored before have none of it.

ALTER TABLE messages
    ADD COLUMN reply_text text COMPRESSION lz4,
    ADD COLUMN reply_method text,
    ADD COLUMN reply_confidence smallint;
COMMENT ON COLUMN messages.reply_text IS 'The author''s new words: the text without quotes and signature. Null if they are all of the text, or were not looked for.';
COMMENT ON COLUMN messages.reply_method IS 'How they were told from the rest; whole: nothing else was found, only_quote: nothing but quotes was. Null if they were not looked for: before this column, or where the text was not read.';
COMMENT ON COLUMN messages.reply_confidence IS 'How sure that is, from 0 to 100. Null if they were not looked for.';
