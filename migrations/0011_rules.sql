-- What rules of the configuration came to, and tickets that were merged.

ALTER TABLE tickets
    ADD COLUMN tags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN priority text,
    ADD COLUMN merged_into uuid;
-- Not validated, so that no table is read while others wait for it: there is nothing to check in rows of before.
ALTER TABLE tickets
    ADD CONSTRAINT tickets_priority_check CHECK (priority IN ('low', 'normal', 'high', 'urgent')) NOT VALID;
COMMENT ON COLUMN tickets.tags IS 'What rules of the configuration tagged it with, in the order of the alphabet.';
COMMENT ON COLUMN tickets.priority IS 'low, normal, high or urgent, as the last rule said; null if none did.';
COMMENT ON COLUMN tickets.merged_into IS 'The ticket that it was merged into, to which its mail now belongs, and what comes later too; never one that was merged itself. Null if it was not.';
COMMENT ON COLUMN tickets.message_count IS 'The sequence of its newest message: how many it has had, those among them that were split off. 0 once it was merged.';

ALTER TABLE messages ADD COLUMN rules text[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN messages.rules IS 'The names of the rules of the configuration that held for it when it was stored, or released, in their order.';
COMMENT ON COLUMN messages.sequence IS 'Its place in the ticket, from 1; null if it is in none. Of messages that were split off, the places stay empty.';
COMMENT ON TABLE messages IS 'Mail as read, one row a message whatever happens. Never updated by intake; by reparse, releasing, merging and splitting.';

COMMENT ON COLUMN deliveries.event_type IS 'ticket.created, ticket.message.received, ticket.merged, ticket.split, message.bounced, message.suspended, mailbox.unhealthy or mailbox.recovered.';
COMMENT ON COLUMN deliveries.sequence IS 'Place of the message in the ticket when the event was stored; of ticket.merged and ticket.split, of the newest. Null if it is about a mailbox, or about a message in no ticket.';
