-- What outlives a worker that dies: which messages it had in hand, and what is set aside after that.

CREATE TABLE in_hand (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mailbox_id  integer NOT NULL,
    uidvalidity bigint NOT NULL,
    uids        bigint[] NOT NULL,
    holder      text NOT NULL,
    suspect     boolean NOT NULL,
    taken_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE in_hand IS 'Batches that are being fetched, read and recorded at this moment. A row whose worker no longer holds the mailbox says what it died over.';
COMMENT ON COLUMN in_hand.id IS 'Internal key.';
COMMENT ON COLUMN in_hand.mailbox_id IS 'The mailbox.';
COMMENT ON COLUMN in_hand.uidvalidity IS 'UIDVALIDITY under which the UIDs hold.';
COMMENT ON COLUMN in_hand.uids IS 'The messages.';
COMMENT ON COLUMN in_hand.holder IS 'The worker, as in mailboxes.lease_holder.';
COMMENT ON COLUMN in_hand.suspect IS 'Whether a worker died over these before. They are worked on by themselves then, so that the next death has one cause.';
COMMENT ON COLUMN in_hand.taken_at IS 'When it took them.';

CREATE TABLE set_aside (
    mailbox_id  integer NOT NULL,
    uidvalidity bigint NOT NULL,
    uid         bigint NOT NULL,
    size        bigint NOT NULL,
    bytes       bytea NOT NULL,
    stored_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (mailbox_id, uidvalidity, uid)
);
-- Compressed already.
ALTER TABLE set_aside ALTER COLUMN bytes SET STORAGE EXTERNAL;
COMMENT ON TABLE set_aside IS 'Sources of held messages that took the worker down when they were read; stored unread. Gone once the message is recorded.';
COMMENT ON COLUMN set_aside.mailbox_id IS 'The mailbox.';
COMMENT ON COLUMN set_aside.uidvalidity IS 'UIDVALIDITY under which the UID holds.';
COMMENT ON COLUMN set_aside.uid IS 'UID of the message.';
COMMENT ON COLUMN set_aside.size IS 'Bytes before compression.';
COMMENT ON COLUMN set_aside.bytes IS 'RFC 5322 bytes as the server gave them, zstd-compressed.';
COMMENT ON COLUMN set_aside.stored_at IS 'When it was stored.';

ALTER TABLE ledger
    ADD COLUMN crashes integer NOT NULL DEFAULT 0,
    ADD COLUMN crashes_alone integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN ledger.crashes IS 'How often a worker died while it had this message in hand, alone or with others.';
COMMENT ON COLUMN ledger.crashes_alone IS 'How often a worker died while it had this message, and nothing else, in hand.';
COMMENT ON COLUMN ledger.reason IS 'Why it is held, gone, or not settled yet; of a settled message, why it is still in the folder.';

ALTER TABLE ledger ADD COLUMN copied_at timestamptz;
COMMENT ON COLUMN ledger.copied_at IS 'When it was copied to its folder, where the server cannot move: what is left is to remove it. Null if it was not copied.';

ALTER TABLE messages ADD COLUMN degraded text;
COMMENT ON COLUMN messages.degraded IS 'Why parts of the mail are missing here although its source is whole: PostgreSQL refused them. Null for all but a few.';

ALTER TABLE mailboxes ADD COLUMN swept_at timestamptz;
COMMENT ON COLUMN mailboxes.swept_at IS 'When the folder was last listed from its beginning, and not from the watermark.';
