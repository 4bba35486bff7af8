-- What mail is, where it came from, and which ticket it belongs to.
--
-- Text from outside is `text` and is indexed only through a hash: a sender can make a header longer than an
-- index entry may be. The store removes NUL before anything gets here.
--
-- Rows that only intake writes, in one transaction with what they refer to, have no foreign key: checking them
-- took a third of the database's time when a backlog of small mails was emptied. Whoever deletes a message
-- deletes what belongs to it too.

CREATE TABLE mailboxes (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL UNIQUE,
    host         text NOT NULL,
    account      text NOT NULL,
    folder       text NOT NULL,
    uidvalidity  bigint,
    watermark    bigint NOT NULL DEFAULT 0,
    lease_holder text,
    lease_until  timestamptz,
    lease_epoch  bigint NOT NULL DEFAULT 0,
    last_poll_at timestamptz,
    last_error   text,
    last_error_at timestamptz
);
COMMENT ON TABLE mailboxes IS 'The mailboxes that are emptied, one row for each [[mailbox]] ever configured.';
COMMENT ON COLUMN mailboxes.id IS 'Internal key.';
COMMENT ON COLUMN mailboxes.name IS 'The name given in the configuration; deduplication and threading stay within it.';
COMMENT ON COLUMN mailboxes.host IS 'IMAP server. With account and folder it says which UIDs the ledger means.';
COMMENT ON COLUMN mailboxes.account IS 'User name on that server.';
COMMENT ON COLUMN mailboxes.folder IS 'Folder that is emptied.';
COMMENT ON COLUMN mailboxes.uidvalidity IS 'UIDVALIDITY of the folder when last selected; null before the first time.';
COMMENT ON COLUMN mailboxes.watermark IS 'Every UID up to this one is in the ledger or did not exist.';
COMMENT ON COLUMN mailboxes.lease_holder IS 'The worker that empties this mailbox now.';
COMMENT ON COLUMN mailboxes.lease_until IS 'When its lease ends unless renewed.';
COMMENT ON COLUMN mailboxes.lease_epoch IS 'Grows with each change of holder; a writer with an older epoch is refused.';
COMMENT ON COLUMN mailboxes.last_poll_at IS 'End of the last poll that completed.';
COMMENT ON COLUMN mailboxes.last_error IS 'Why the last poll failed; null after a completed one. Holds nothing private.';
COMMENT ON COLUMN mailboxes.last_error_at IS 'When it failed.';

CREATE TABLE ledger (
    mailbox_id    integer NOT NULL,
    uidvalidity   bigint NOT NULL,
    uid           bigint NOT NULL,
    state         text NOT NULL CHECK (state IN ('seen', 'recorded', 'duplicate', 'held', 'settled', 'gone')),
    size          bigint NOT NULL,
    internal_date timestamptz,
    attempts      integer NOT NULL DEFAULT 0,
    reason        text,
    retry_at      timestamptz,
    message_id    uuid,
    seen_at       timestamptz NOT NULL DEFAULT now(),
    recorded_at   timestamptz,
    settled_at    timestamptz,
    PRIMARY KEY (mailbox_id, uidvalidity, uid)
);
-- What is still to do. A message leaves this index when it is done, so it stays small.
CREATE INDEX ledger_open ON ledger (mailbox_id, uidvalidity, uid) WHERE state IN ('seen', 'recorded', 'duplicate', 'held');
COMMENT ON TABLE ledger IS 'Every message ever listed in a mailbox, and how far it has come. Only UIDs named here are moved or expunged.';
COMMENT ON COLUMN ledger.mailbox_id IS 'The mailbox.';
COMMENT ON COLUMN ledger.uidvalidity IS 'UIDVALIDITY under which the UID holds.';
COMMENT ON COLUMN ledger.uid IS 'UID of the message.';
COMMENT ON COLUMN ledger.state IS 'seen: listed. recorded: stored, still in the mailbox. duplicate: a copy of a stored message, still in the mailbox. held: kept in the mailbox on doubt, see reason. settled: dealt with in the mailbox. gone: disappeared before it could be stored.';
COMMENT ON COLUMN ledger.size IS 'RFC822.SIZE in bytes; an estimate on Exchange.';
COMMENT ON COLUMN ledger.internal_date IS 'When the server received it.';
COMMENT ON COLUMN ledger.attempts IS 'How often fetching it failed, alone or with others, or the mailbox did not settle it.';
COMMENT ON COLUMN ledger.reason IS 'Why it is held, gone, or not settled yet.';
COMMENT ON COLUMN ledger.retry_at IS 'Not before this time is a held message fetched, or a refused settling tried, again; null if never, or at once.';
COMMENT ON COLUMN ledger.message_id IS 'The message it became, or is a copy of.';
COMMENT ON COLUMN ledger.seen_at IS 'When it was first listed.';
COMMENT ON COLUMN ledger.recorded_at IS 'When it was stored.';
COMMENT ON COLUMN ledger.settled_at IS 'When it was dealt with in the mailbox.';

CREATE TABLE tickets (
    id                uuid PRIMARY KEY,
    number            bigint NOT NULL UNIQUE,
    mailbox_id        integer NOT NULL,
    subject           text NOT NULL,
    requester_name    text NOT NULL,
    requester_address text NOT NULL,
    status            text NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'closed')),
    message_count     integer NOT NULL,
    first_message_at  timestamptz NOT NULL,
    last_message_at   timestamptz NOT NULL,
    created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE SEQUENCE ticket_numbers OWNED BY tickets.number;
CREATE INDEX tickets_recent ON tickets (last_message_at);
ALTER TABLE tickets ALTER COLUMN subject SET COMPRESSION lz4;
COMMENT ON TABLE tickets IS 'One conversation with a person who asked for help.';
COMMENT ON COLUMN tickets.id IS 'UUIDv7, as sent to helpdesks.';
COMMENT ON COLUMN tickets.number IS 'Number for people; grows, may skip.';
COMMENT ON COLUMN tickets.mailbox_id IS 'The mailbox its mail came to.';
COMMENT ON COLUMN tickets.subject IS 'Subject of its first message.';
COMMENT ON COLUMN tickets.requester_name IS 'Display name of the first message''s author; may be empty.';
COMMENT ON COLUMN tickets.requester_address IS 'Address of the first message''s author; may be empty.';
COMMENT ON COLUMN tickets.status IS 'open or closed.';
COMMENT ON COLUMN tickets.message_count IS 'How many messages it has; the sequence of its newest.';
COMMENT ON COLUMN tickets.first_message_at IS 'When its first message reached the mailbox.';
COMMENT ON COLUMN tickets.last_message_at IS 'When its newest message reached the mailbox.';
COMMENT ON COLUMN tickets.created_at IS 'When it was stored.';

CREATE TABLE messages (
    id              uuid PRIMARY KEY,
    mailbox_id      integer NOT NULL,
    ticket_id       uuid NOT NULL REFERENCES tickets,
    sequence        integer NOT NULL,
    fingerprint     bytea NOT NULL,
    message_id      text,
    in_reply_to     text[] NOT NULL,
    reference_ids   text[] NOT NULL,
    from_name       text NOT NULL,
    from_address    text NOT NULL,
    sender          jsonb,
    reply_to        jsonb NOT NULL,
    recipients_to   jsonb NOT NULL,
    recipients_cc   jsonb NOT NULL,
    subject         text NOT NULL,
    date            timestamptz,
    received_at     timestamptz NOT NULL,
    text            text NOT NULL,
    html            text,
    headers         jsonb NOT NULL,
    filing_rule     text NOT NULL,
    filing_evidence text,
    size            bigint NOT NULL,
    defects         text[] NOT NULL,
    recorded_at     timestamptz NOT NULL DEFAULT now(),
    UNIQUE (mailbox_id, fingerprint),
    UNIQUE (ticket_id, sequence)
);
-- pglz, the default, costs four times the time of lz4 on mail.
ALTER TABLE messages
    ALTER COLUMN text SET COMPRESSION lz4,
    ALTER COLUMN html SET COMPRESSION lz4,
    ALTER COLUMN headers SET COMPRESSION lz4,
    ALTER COLUMN subject SET COMPRESSION lz4;
COMMENT ON TABLE messages IS 'Mail as read, one row a message whatever happens. Never updated by intake.';
COMMENT ON COLUMN messages.id IS 'UUIDv7, as sent to helpdesks.';
COMMENT ON COLUMN messages.mailbox_id IS 'The mailbox it came to.';
COMMENT ON COLUMN messages.ticket_id IS 'The ticket it belongs to.';
COMMENT ON COLUMN messages.sequence IS 'Its place in the ticket, from 1.';
COMMENT ON COLUMN messages.fingerprint IS 'SHA-256 over Message-ID, Date, From, Subject, decoded text and attachments: tells a second copy.';
COMMENT ON COLUMN messages.message_id IS 'Message-ID without angle brackets. Not unique: senders repeat it.';
COMMENT ON COLUMN messages.in_reply_to IS 'Ids of In-Reply-To.';
COMMENT ON COLUMN messages.reference_ids IS 'Ids of References, oldest first.';
COMMENT ON COLUMN messages.from_name IS 'Display name of the author; may be empty.';
COMMENT ON COLUMN messages.from_address IS 'Address of the author; may be empty.';
COMMENT ON COLUMN messages.sender IS 'Sender header as {name, address}, where it is present.';
COMMENT ON COLUMN messages.reply_to IS 'Reply-To as [{name, address}].';
COMMENT ON COLUMN messages.recipients_to IS 'To as [{name, address}].';
COMMENT ON COLUMN messages.recipients_cc IS 'Cc as [{name, address}].';
COMMENT ON COLUMN messages.subject IS 'Decoded subject; may be empty.';
COMMENT ON COLUMN messages.date IS 'Date header: the sender''s claim.';
COMMENT ON COLUMN messages.received_at IS 'When the server received it (INTERNALDATE).';
COMMENT ON COLUMN messages.text IS 'The whole text, from the text parts or made from HTML.';
COMMENT ON COLUMN messages.html IS 'Sanitised HTML; null if the mail has none or it could not be made safe.';
COMMENT ON COLUMN messages.headers IS 'All header fields in order as [[name, value]].';
COMMENT ON COLUMN messages.filing_rule IS 'Which rule chose the ticket: opened, in_reply_to, references.';
COMMENT ON COLUMN messages.filing_evidence IS 'The Message-ID that the rule matched.';
COMMENT ON COLUMN messages.size IS 'Bytes of the source; of the header alone if only that was taken.';
COMMENT ON COLUMN messages.defects IS 'What was wrong with it, by name.';
COMMENT ON COLUMN messages.recorded_at IS 'When it was stored.';

CREATE TABLE sources (
    message_id uuid PRIMARY KEY,
    extent     text NOT NULL CHECK (extent IN ('whole', 'header')),
    size       bigint NOT NULL,
    bytes      bytea NOT NULL
);
-- Compressed by us with zstd, which keeps a third less than lz4 would; PostgreSQL must not try again.
ALTER TABLE sources ALTER COLUMN bytes SET STORAGE EXTERNAL;
COMMENT ON TABLE sources IS 'The RFC 5322 bytes of each message, once. Attachments are decoded from here on demand.';
COMMENT ON COLUMN sources.message_id IS 'The message.';
COMMENT ON COLUMN sources.extent IS 'whole, or header if the rest was larger than is taken.';
COMMENT ON COLUMN sources.size IS 'Bytes before compression.';
COMMENT ON COLUMN sources.bytes IS 'The bytes as the server sent them, zstd-compressed.';

CREATE TABLE attachments (
    message_id   uuid NOT NULL,
    part         integer NOT NULL,
    filename     text,
    content_type text NOT NULL,
    size         bigint NOT NULL,
    sha256       bytea NOT NULL,
    content_id   text,
    inline       boolean NOT NULL,
    PRIMARY KEY (message_id, part)
);
COMMENT ON TABLE attachments IS 'What is known of each attachment; its bytes are in the source.';
COMMENT ON COLUMN attachments.message_id IS 'The message.';
COMMENT ON COLUMN attachments.part IS 'Index of the MIME part.';
COMMENT ON COLUMN attachments.filename IS 'Name, made safe for file systems; null if the mail gives none.';
COMMENT ON COLUMN attachments.content_type IS 'type/subtype, lower case, as the mail claims.';
COMMENT ON COLUMN attachments.size IS 'Decoded bytes.';
COMMENT ON COLUMN attachments.sha256 IS 'SHA-256 of the decoded bytes.';
COMMENT ON COLUMN attachments.content_id IS 'Content-ID without angle brackets.';
COMMENT ON COLUMN attachments.inline IS 'Shown inside the body.';

CREATE TABLE thread_keys (
    mailbox_id integer NOT NULL,
    key        bytea NOT NULL,
    ticket_id  uuid NOT NULL,
    PRIMARY KEY (mailbox_id, key)
);
COMMENT ON TABLE thread_keys IS 'Finds the ticket of a Message-ID: replies name it in In-Reply-To and References.';
COMMENT ON COLUMN thread_keys.mailbox_id IS 'The mailbox within which the id counts.';
COMMENT ON COLUMN thread_keys.key IS 'SHA-256 of the Message-ID.';
COMMENT ON COLUMN thread_keys.ticket_id IS 'The ticket of the first message that bore it.';
