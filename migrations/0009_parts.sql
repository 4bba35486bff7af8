-- What the parts of a mail really are, and what is packed into them.

ALTER TABLE attachments
    ADD COLUMN detected_type text,
    ADD COLUMN referenced_by_html boolean,
    ADD COLUMN from_tnef boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN attachments.part IS 'Index of the part: of the MIME parts, and behind all of them of what was packed into one, as in winmail.dat or by uuencode.';
COMMENT ON COLUMN attachments.filename IS 'Name, made safe for file systems and unlike the others of the message; null if the mail gives none and the type suggests none.';
COMMENT ON COLUMN attachments.detected_type IS 'type/subtype by the content, where that is another than content_type claims; null where it is not, or nothing is known.';
COMMENT ON COLUMN attachments.inline IS 'Shown inside the HTML of the message, which refers to it.';
COMMENT ON COLUMN attachments.referenced_by_html IS 'Whether the HTML of the mail refers to it, by Content-ID or Content-Location; null if it was recorded before that was looked at.';
COMMENT ON COLUMN attachments.from_tnef IS 'Whether it was in a winmail.dat.';

ALTER TABLE messages
    ADD COLUMN calendar jsonb,
    ADD COLUMN protection text;
-- Without a look at the rows that are there: in all of them it is null.
ALTER TABLE messages ADD CONSTRAINT messages_protection
    CHECK (protection IN ('pgp_signed', 'smime_signed', 'pgp_encrypted', 'smime_encrypted')) NOT VALID;
COMMENT ON COLUMN messages.calendar IS 'The meeting, task or entry that the mail is about, as in its event; null if none.';
COMMENT ON COLUMN messages.protection IS 'Signed or encrypted, and by what, as the structure of the mail says: no signature is verified. Null if neither, or if it was recorded before that was looked at.';
