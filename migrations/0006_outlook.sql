-- Signing in by token, resting when the server asks for it, and telling helpdesks how a mailbox is.

CREATE TABLE oauth_tokens (
    mailbox_id   integer PRIMARY KEY REFERENCES mailboxes,
    sealed       bytea NOT NULL,
    generation   bigint NOT NULL,
    signed_in_at timestamptz NOT NULL,
    renewed_at   timestamptz NOT NULL,
    expires_at   timestamptz NOT NULL
);
COMMENT ON TABLE oauth_tokens IS 'The tokens of mailboxes that a person has signed in to. Whoever renews one locks its row, so that there is one request at a time.';
COMMENT ON COLUMN oauth_tokens.mailbox_id IS 'The mailbox.';
COMMENT ON COLUMN oauth_tokens.sealed IS 'Refresh token and access token, encrypted with the key of [secrets].';
COMMENT ON COLUMN oauth_tokens.generation IS 'Grows with each renewal and each sign-in.';
COMMENT ON COLUMN oauth_tokens.signed_in_at IS 'When a person last signed in.';
COMMENT ON COLUMN oauth_tokens.renewed_at IS 'When the tokens were last replaced. Microsoft''s refresh tokens end 90 days after that.';
COMMENT ON COLUMN oauth_tokens.expires_at IS 'When the access token ends.';

ALTER TABLE mailboxes
    ADD COLUMN backoff_until timestamptz,
    ADD COLUMN paused_until timestamptz,
    ADD COLUMN failing_since timestamptz,
    ADD COLUMN unhealthy_since timestamptz;
COMMENT ON COLUMN mailboxes.backoff_until IS 'The server asked to be left alone until then, and is. Null or past if it is not.';
COMMENT ON COLUMN mailboxes.paused_until IS 'A person has to act, so nobody tries before this; a sign-in or the start of a worker ends it. Null or past if it is not so.';
COMMENT ON COLUMN mailboxes.failing_since IS 'When the first poll failed after the last completed one; null after that.';
COMMENT ON COLUMN mailboxes.unhealthy_since IS 'When mailbox.unhealthy was told, and mailbox.recovered was not yet; null while it is healthy.';

-- Events about a mailbox belong to no ticket. (No release has had this table yet, so it is never large here.)
ALTER TABLE deliveries
    ALTER COLUMN ticket_id DROP NOT NULL,
    ALTER COLUMN sequence DROP NOT NULL,
    ADD COLUMN mailbox_id integer REFERENCES mailboxes ON DELETE CASCADE,
    ADD CHECK (ticket_id IS NULL OR mailbox_id IS NULL),
    ADD CHECK ((ticket_id IS NULL) = (sequence IS NULL));
CREATE INDEX deliveries_of_mailbox ON deliveries (webhook, mailbox_id, id) WHERE status = 'pending' AND ticket_id IS NULL;
COMMENT ON COLUMN deliveries.event_type IS 'ticket.created, ticket.message.received, mailbox.unhealthy or mailbox.recovered.';
COMMENT ON COLUMN deliveries.ticket_id IS 'The ticket it is about; of one ticket only the oldest pending delivery is tried. Null if it is about a mailbox.';
COMMENT ON COLUMN deliveries.sequence IS 'Place of the message in the ticket; null if it is about a mailbox.';
COMMENT ON COLUMN deliveries.mailbox_id IS 'The mailbox it is about, and then of that mailbox only the oldest is tried; null if it is about a ticket.';

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
       t.renewed_at AS token_renewed_at
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
       ON l.mailbox_id = m.id AND l.uidvalidity = m.uidvalidity;
COMMENT ON COLUMN dashboard.mail_age.unhealthy_since IS 'Since when it counts as unhealthy: somebody has to act, or it has failed for long. Null if it is healthy.';
COMMENT ON COLUMN dashboard.mail_age.backoff_until IS 'The server asked to be left alone until then. Null or past if it is not.';
COMMENT ON COLUMN dashboard.mail_age.signed_in_at IS 'When a person last signed in to it (OAuth 2.0 by device code); null if it is logged in to otherwise.';
COMMENT ON COLUMN dashboard.mail_age.token_renewed_at IS 'When its tokens were last renewed; null likewise. Long ago means that it is not polled.';
