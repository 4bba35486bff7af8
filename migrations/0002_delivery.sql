-- The outbox: what helpdesks are still to hear, and what became of it.

CREATE TABLE webhooks (
    name            text PRIMARY KEY,
    failures        integer NOT NULL DEFAULT 0,
    paused_until    timestamptz,
    switched_off_at timestamptz,
    last_error      text
);
COMMENT ON TABLE webhooks IS 'State of each webhook that workers share, one row for each [[webhook]] ever configured.';
COMMENT ON COLUMN webhooks.name IS 'The name given in the configuration.';
COMMENT ON COLUMN webhooks.failures IS 'Attempts that failed in a row, over all deliveries; 0 after a success.';
COMMENT ON COLUMN webhooks.paused_until IS 'No attempt before this time: the webhook is down or asked for a pause. Then one probe at a time.';
COMMENT ON COLUMN webhooks.switched_off_at IS 'When it answered 410 Gone; nothing is sent until an operator switches it on.';
COMMENT ON COLUMN webhooks.last_error IS 'Why the last attempt failed.';

CREATE TABLE deliveries (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id        text NOT NULL,
    webhook         text NOT NULL REFERENCES webhooks,
    event_type      text NOT NULL,
    ticket_id       uuid NOT NULL REFERENCES tickets ON DELETE CASCADE,
    sequence        integer NOT NULL,
    body            text NOT NULL,
    status          text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'delivered', 'dead')),
    attempt         integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT now(),
    lease_until     timestamptz,
    last_status     integer,
    last_error      text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    UNIQUE (webhook, event_id),
    CHECK ((status = 'pending') = (finished_at IS NULL))
-- Claims walk over the traces of what is done until a vacuum removes them: early, however large the table grows.
) WITH (autovacuum_vacuum_scale_factor = 0.01);
ALTER TABLE deliveries ALTER COLUMN body SET COMPRESSION lz4;
-- What a claim walks along, and what it looks up for each row it meets there. Both hold what is pending, but say
-- so differently: a claim names the one it means by the same words. Left to choose, PostgreSQL takes the first
-- for both while it has no statistics, and then every look-up reads the whole backlog.
CREATE INDEX deliveries_due ON deliveries (webhook, next_attempt_at, id) WHERE finished_at IS NULL;
CREATE INDEX deliveries_of_ticket ON deliveries (webhook, ticket_id, id) WHERE status = 'pending';
CREATE INDEX deliveries_dead ON deliveries (webhook, id) WHERE status = 'dead';
COMMENT ON TABLE deliveries IS 'One row for each event and webhook. Written in the commit that stores the message.';
COMMENT ON COLUMN deliveries.id IS 'Grows; deliveries of one ticket go out in this order.';
COMMENT ON COLUMN deliveries.event_id IS 'webhook-id of the request, the same in every attempt.';
COMMENT ON COLUMN deliveries.webhook IS 'The webhook it goes to.';
COMMENT ON COLUMN deliveries.event_type IS 'ticket.created or ticket.message.received.';
COMMENT ON COLUMN deliveries.ticket_id IS 'The ticket it is about.';
COMMENT ON COLUMN deliveries.sequence IS 'Place of the message in the ticket.';
COMMENT ON COLUMN deliveries.body IS 'The request body, frozen when stored.';
COMMENT ON COLUMN deliveries.status IS 'pending, delivered (2xx), or dead (given up; see last_status and last_error).';
COMMENT ON COLUMN deliveries.attempt IS 'How often it was claimed. Fences off a late writer.';
COMMENT ON COLUMN deliveries.next_attempt_at IS 'Not tried before this time.';
COMMENT ON COLUMN deliveries.lease_until IS 'While in the future, a worker is trying it.';
COMMENT ON COLUMN deliveries.last_status IS 'HTTP status of the last attempt; null if there was no answer.';
COMMENT ON COLUMN deliveries.last_error IS 'Why the last attempt failed.';
COMMENT ON COLUMN deliveries.created_at IS 'When the event was stored.';
COMMENT ON COLUMN deliveries.finished_at IS 'When it was delivered or given up.';
