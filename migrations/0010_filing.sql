-- How a mail found its ticket, who is in a ticket, which mail is in none, and how much mail is too much.

-- Until now the domain was taken as it was written, and Exchange writes it in upper case.
INSERT INTO thread_keys (mailbox_id, key, ticket_id)
SELECT mailbox_id, sha256(convert_to(head || lower(domain COLLATE "C"), 'UTF8')), ticket_id
FROM (SELECT id, mailbox_id, ticket_id, substring(message_id FROM '^(.*@)') AS head,
             substring(message_id FROM '([^@]*)$') AS domain
      FROM messages) AS m
WHERE head IS NOT NULL AND domain <> lower(domain COLLATE "C")
ORDER BY id
ON CONFLICT DO NOTHING;

CREATE TABLE participants (
    ticket_id uuid NOT NULL,
    -- Indexed as it stands: intake takes none of more than 320 bytes.
    address   text NOT NULL,
    role      text NOT NULL CHECK (role IN ('writer', 'recipient')),
    PRIMARY KEY (ticket_id, address)
);
COMMENT ON TABLE participants IS 'Who is in a ticket. A mail that is found by its ids joins only with one of them.';
COMMENT ON COLUMN participants.ticket_id IS 'The ticket.';
COMMENT ON COLUMN participants.address IS 'An address in lower case, without a detail (local+detail@domain). Not one of the mailbox''s own.';
COMMENT ON COLUMN participants.role IS 'writer: mail of theirs is in it. recipient: mail in it went to them too.';

-- Of the tickets that are there. What takes long comes first, so that nobody waits for it: what follows locks tables.
INSERT INTO participants (ticket_id, address, role)
SELECT ticket_id, plain, CASE WHEN bool_or(is_writer) THEN 'writer' ELSE 'recipient' END
FROM (SELECT ticket_id, is_writer,
             lower(regexp_replace(btrim(address), '^([^+]+)\+.*@([^@]*)$', '\1@\2') COLLATE "C") AS plain
      FROM (SELECT ticket_id, from_address AS address, true AS is_writer FROM messages
            UNION ALL
            SELECT ticket_id, other ->> 'address', true FROM messages, jsonb_array_elements(reply_to) AS other
            UNION ALL
            SELECT ticket_id, other ->> 'address', false
            FROM messages, jsonb_array_elements(recipients_to || recipients_cc) AS other) AS named
      WHERE octet_length(address) <= 320) AS people
WHERE plain LIKE '_%@_%'
GROUP BY ticket_id, plain;

CREATE TABLE unfiled (
    message_id  uuid PRIMARY KEY,
    mailbox_id  integer NOT NULL,
    uidvalidity bigint,
    uid         bigint,
    state       text NOT NULL CHECK (state IN ('suspended', 'archived', 'released')),
    reason      text,
    stored_at   timestamptz NOT NULL DEFAULT now(),
    released_at timestamptz,
    CHECK ((state = 'released') = (released_at IS NOT NULL))
);
CREATE INDEX unfiled_suspended ON unfiled (mailbox_id, message_id) WHERE state = 'suspended';
COMMENT ON TABLE unfiled IS 'Messages that were stored in no ticket.';
COMMENT ON COLUMN unfiled.message_id IS 'The message.';
COMMENT ON COLUMN unfiled.mailbox_id IS 'The mailbox it came to.';
COMMENT ON COLUMN unfiled.uidvalidity IS 'UIDVALIDITY of the folder in which it was found; null if it came out of a file.';
COMMENT ON COLUMN unfiled.uid IS 'UID in it; null if it came out of a file.';
COMMENT ON COLUMN unfiled.state IS 'suspended: a person is to look. archived: it stays in no ticket. released: a person had it filed; it is in a ticket now.';
COMMENT ON COLUMN unfiled.reason IS 'Why it was suspended: verdict, forged, rule, sender_rate, ticket_rate, repeated; null if it was archived.';
COMMENT ON COLUMN unfiled.stored_at IS 'When it was stored.';
COMMENT ON COLUMN unfiled.released_at IS 'When it was released.';

-- What a rate is judged by. After a crash of PostgreSQL these begin anew: a few mails more pass then, and in return the
-- two writes for each mail cost next to nothing.
CREATE UNLOGGED TABLE sender_rates (
    mailbox_id integer NOT NULL,
    sender     bigint NOT NULL,
    full_at    timestamptz NOT NULL,
    newest_at  timestamptz NOT NULL,
    shut_until timestamptz,
    PRIMARY KEY (mailbox_id, sender)
);
COMMENT ON TABLE sender_rates IS 'How much each sender may still send: a bucket of tokens that fills within an hour. Forgotten when it tells nothing any more.';
COMMENT ON COLUMN sender_rates.mailbox_id IS 'The mailbox.';
COMMENT ON COLUMN sender_rates.sender IS 'First 8 bytes of the SHA-256 of the sender.';
COMMENT ON COLUMN sender_rates.full_at IS 'When the bucket is full again. Times here are those at which mail reached the mailbox.';
COMMENT ON COLUMN sender_rates.newest_at IS 'When the newest mail came that it has judged.';
COMMENT ON COLUMN sender_rates.shut_until IS 'Until when the sender is shut out; null or past if not.';

CREATE UNLOGGED TABLE mail_repeats (
    mailbox_id integer NOT NULL,
    content    bigint NOT NULL,
    came_at    timestamptz[] NOT NULL,
    PRIMARY KEY (mailbox_id, content)
);
COMMENT ON TABLE mail_repeats IS 'When mails with the same content came. Forgotten when it tells nothing any more.';
COMMENT ON COLUMN mail_repeats.mailbox_id IS 'The mailbox.';
COMMENT ON COLUMN mail_repeats.content IS 'First 8 bytes of the SHA-256 of subject, text and attachments.';
COMMENT ON COLUMN mail_repeats.came_at IS 'When the newest of them reached the mailbox, oldest first.';

ALTER TABLE tickets ADD COLUMN closed_at timestamptz;
COMMENT ON COLUMN tickets.closed_at IS 'When it was closed; null while it is open. Of a ticket closed by hand without it, the time of its newest message counts.';

ALTER TABLE messages
    ALTER COLUMN ticket_id DROP NOT NULL,
    ALTER COLUMN sequence DROP NOT NULL,
    ADD COLUMN filing_confidence real,
    ADD COLUMN filing_action text,
    ADD COLUMN filing_considered jsonb,
    ADD COLUMN related_ticket_id uuid;
-- Not validated, here and below: it would read all that is there, which was written without a way to break it.
ALTER TABLE messages
    ADD CONSTRAINT messages_in_ticket CHECK ((ticket_id IS NULL) = (sequence IS NULL)) NOT VALID,
    ADD CONSTRAINT messages_filing_action
        CHECK (filing_action IN ('ticket', 'append_only', 'suspend', 'archive')) NOT VALID;
COMMENT ON COLUMN messages.ticket_id IS 'The ticket it belongs to; null if it is suspended or archived, see unfiled.';
COMMENT ON COLUMN messages.sequence IS 'Its place in the ticket, from 1; null if it is in none.';
COMMENT ON COLUMN messages.filing_rule IS 'Which rule chose the ticket: reply_token, in_reply_to, references, alias, parent, body_token, subject_token, report, tracker. opened: none did, and it opened one. none: none did, and it is in no ticket.';
COMMENT ON COLUMN messages.filing_evidence IS 'What the rule matched: a Message-ID, a token, a number.';
COMMENT ON COLUMN messages.filing_confidence IS 'How sure the rule is, from 0 to 1; null if none matched, or if it was stored before this column.';
COMMENT ON COLUMN messages.filing_action IS 'What was to be done with mail of its verdict when it was stored; null if that was before this column.';
COMMENT ON COLUMN messages.filing_considered IS 'Tickets that it might have joined, as [{rule, evidence, ticket_id, confidence, objection}]; null if there was none.';
COMMENT ON COLUMN messages.related_ticket_id IS 'A ticket that it has to do with and is not in: it looks like a part of it, or would join it if released.';

ALTER TABLE thread_keys ADD COLUMN kind text NOT NULL DEFAULT 'own';
ALTER TABLE thread_keys
    ADD CONSTRAINT thread_keys_kind CHECK (kind IN ('own', 'seen', 'tracker')) NOT VALID;
COMMENT ON TABLE thread_keys IS 'Finds the ticket of an id: replies name it in In-Reply-To and References.';
COMMENT ON COLUMN thread_keys.key IS 'SHA-256 of the Message-ID, its domain in lower case; or of a tracker''s name and number.';
COMMENT ON COLUMN thread_keys.ticket_id IS 'The ticket of the first message that bore it, or else of the first that named it.';
COMMENT ON COLUMN thread_keys.kind IS 'own: a message of the ticket bears the id. seen: one names it. tracker: it is another system''s ticket number.';

ALTER TABLE deliveries ADD COLUMN message_id uuid;
-- Not validated, as above.
ALTER TABLE deliveries ADD CONSTRAINT deliveries_are_about_something
    CHECK (num_nonnulls(ticket_id, mailbox_id, message_id) > 0) NOT VALID;
COMMENT ON COLUMN deliveries.event_type IS 'ticket.created, ticket.message.received, message.bounced, message.suspended, mailbox.unhealthy or mailbox.recovered.';
COMMENT ON COLUMN deliveries.ticket_id IS 'The ticket it is about; null if it is about a mailbox, or about a message in no ticket, which waits for no other.';
COMMENT ON COLUMN deliveries.sequence IS 'Place of the message in the ticket; null if it is in none, or is about a mailbox.';
COMMENT ON COLUMN deliveries.message_id IS 'The message it is about; null if it was stored before this column.';

CREATE OR REPLACE VIEW dashboard.mail_age AS
SELECT m.name AS mailbox,
       coalesce(l.unprocessed, 0) AS unprocessed,
       l.oldest AS oldest_unprocessed_at,
       extract(epoch FROM now() - l.oldest)::double precision AS oldest_unprocessed_age_seconds,
       coalesce(l.held, 0) AS held,
       coalesce(l.unsettled, 0) AS unsettled,
       m.last_poll_at,
       extract(epoch FROM now() - m.last_poll_at)::double precision AS poll_age_seconds,
       m.last_error,
       m.last_error_at,
       m.unhealthy_since,
       m.backoff_until,
       t.signed_in_at,
       t.renewed_at AS token_renewed_at,
       coalesce(u.suspended, 0) AS suspended
FROM mailboxes m
LEFT JOIN oauth_tokens t ON t.mailbox_id = m.id
LEFT JOIN (SELECT mailbox_id, uidvalidity,
                  count(*) FILTER (WHERE message_id IS NULL) AS unprocessed,
                  min(coalesce(internal_date, seen_at)) FILTER (WHERE message_id IS NULL) AS oldest,
                  count(*) FILTER (WHERE state = 'held') AS held,
                  count(*) FILTER (WHERE state IN ('recorded', 'duplicate')) AS unsettled
           -- These states word for word, or the index ledger_open is not used.
           FROM ledger WHERE state IN ('seen', 'recorded', 'duplicate', 'held') GROUP BY mailbox_id, uidvalidity) l
       -- Entries under another UIDVALIDITY mean messages that are not there.
       ON l.mailbox_id = m.id AND l.uidvalidity = m.uidvalidity
LEFT JOIN (SELECT mailbox_id, count(*) AS suspended
           FROM unfiled WHERE state = 'suspended' GROUP BY mailbox_id) u ON u.mailbox_id = m.id;
COMMENT ON VIEW dashboard.mail_age IS 'One row a mailbox: does mail flow? Unprocessed are messages that were listed in the mailbox and are not stored yet, the held ones among them.';
COMMENT ON COLUMN dashboard.mail_age.unprocessed IS 'Messages listed that are not stored yet.';
COMMENT ON COLUMN dashboard.mail_age.suspended IS 'Messages stored in no ticket until a person has looked: postroom suspended list.';

CREATE VIEW dashboard.suspended AS
SELECT u.message_id AS id,
       b.name AS mailbox,
       u.reason,
       m.verdict,
       m.received_at,
       m.from_name,
       m.from_address,
       m.subject,
       t.number AS related_ticket,
       u.stored_at
FROM unfiled u
JOIN mailboxes b ON b.id = u.mailbox_id
JOIN messages m ON m.id = u.message_id
LEFT JOIN tickets t ON t.id = m.related_ticket_id
WHERE u.state = 'suspended';
COMMENT ON VIEW dashboard.suspended IS 'One row a message that is stored in no ticket until a person has looked.';
COMMENT ON COLUMN dashboard.suspended.id IS 'Its id: postroom suspended release ID.';
COMMENT ON COLUMN dashboard.suspended.mailbox IS 'Name of the mailbox it came to.';
COMMENT ON COLUMN dashboard.suspended.reason IS 'Why: verdict, forged, rule, sender_rate, ticket_rate, repeated.';
COMMENT ON COLUMN dashboard.suspended.verdict IS 'Who seems to have written it.';
COMMENT ON COLUMN dashboard.suspended.received_at IS 'When it reached the mailbox.';
COMMENT ON COLUMN dashboard.suspended.from_name IS 'Display name of its author; may be empty.';
COMMENT ON COLUMN dashboard.suspended.from_address IS 'Address of its author; may be empty.';
COMMENT ON COLUMN dashboard.suspended.subject IS 'Its subject; may be empty.';
COMMENT ON COLUMN dashboard.suspended.related_ticket IS 'Number of the ticket that it would join, or has to do with; null if none.';
COMMENT ON COLUMN dashboard.suspended.stored_at IS 'When it was stored.';
