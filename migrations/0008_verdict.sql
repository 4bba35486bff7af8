-- Who wrote a mail, the report that it is, and what a trusted server found of its sender.
--
-- All of it is NULL in what a release before this one stored; `postroom tickets show` then says nothing of it. The
-- checks are NOT VALID, so that no table is read while others wait for it: rows of before have nothing to be checked.

ALTER TABLE messages
    ADD COLUMN verdict                text,
    ADD COLUMN signals                text[],
    ADD COLUMN suppress_auto_response boolean,
    ADD COLUMN report                 jsonb,
    ADD COLUMN authentication         jsonb;
ALTER TABLE messages ALTER COLUMN report SET COMPRESSION lz4;
ALTER TABLE messages ADD CONSTRAINT messages_verdict_check CHECK (verdict IN (
    'human', 'auto_reply', 'auto_generated', 'bulk_list', 'bounce_failed', 'bounce_delayed', 'receipt', 'calendar',
    'complaint', 'own_loop')) NOT VALID;
COMMENT ON COLUMN messages.verdict IS 'Who wrote it. human: a person, as far as anything tells. auto_reply: a program that answers for a person. auto_generated: a program of its own accord. bulk_list: a mailing list or a sender of bulk mail. bounce_failed, bounce_delayed: a mail server that gave a mail up, or still tries. receipt: a mail arrived, or was opened or deleted. calendar: an invitation, an answer to one, a cancellation. complaint: a provider that passes one on. own_loop: the mailbox itself, or a system behind Postroom. Null: stored before there were verdicts.';
COMMENT ON COLUMN messages.signals IS 'What the verdict follows from, by name. Null: stored before there were verdicts.';
COMMENT ON COLUMN messages.suppress_auto_response IS 'Whether nothing may answer it automatically. Null: stored before there were verdicts.';
COMMENT ON COLUMN messages.report IS 'The report that it is, of kind delivery (RFC 3464, or in words), receipt (RFC 8098) or feedback (RFC 5965): about which recipients of which mail. Null if it is none.';
COMMENT ON COLUMN messages.authentication IS 'What a trusted server found by SPF, DKIM, DMARC and, on Exchange Online, by its own judgement; aligned: whether that was about the author''s own domain. Null if no trusted server says anything.';

ALTER TABLE tickets ADD COLUMN verdict text;
ALTER TABLE tickets ADD CONSTRAINT tickets_verdict_check CHECK (verdict IN (
    'human', 'auto_reply', 'auto_generated', 'bulk_list', 'bounce_failed', 'bounce_delayed', 'receipt', 'calendar',
    'complaint', 'own_loop')) NOT VALID;
COMMENT ON COLUMN tickets.verdict IS 'Who wrote its first message, as in messages. Null: stored before there were verdicts.';

CREATE OR REPLACE VIEW dashboard.tickets AS
SELECT t.number,
       m.name AS mailbox,
       t.subject,
       t.requester_name,
       t.requester_address,
       t.status,
       t.message_count,
       t.first_message_at,
       t.last_message_at,
       t.created_at,
       t.id,
       t.verdict
FROM tickets t
JOIN mailboxes m ON m.id = t.mailbox_id;
COMMENT ON COLUMN dashboard.tickets.verdict IS 'Who wrote its first message: human, auto_reply, auto_generated, bulk_list, bounce_failed, bounce_delayed, receipt, calendar, complaint, own_loop; null if it was stored before there were verdicts.';
