-- What dashboards read. The tables in `public` may change with any release; these views only ever gain columns,
-- at their end. `deploy/postgres/grants.sql` makes a role that can read them and nothing else.
--
-- Ages are in seconds, as PostgreSQL's clock has it when the view is read. Views answer from the small partial
-- indexes of what is still open, or from the BRIN indexes below when the hour is bounded: no view scans a large
-- table for a look at the present.

-- An hour of UTC, as an immutable expression that can be indexed; date_trunc depends on the session's time zone.
CREATE INDEX messages_received_hour ON messages
    USING brin (date_bin('1 hour', received_at, '2000-01-01 00:00:00+00')) WITH (autosummarize = on);
-- Bounds the reading of the last day. BRIN, because every delivery would pay for a B-tree.
CREATE INDEX deliveries_finished ON deliveries USING brin (finished_at) WITH (autosummarize = on);

CREATE SCHEMA dashboard;
COMMENT ON SCHEMA dashboard IS 'Views for dashboards and the metrics endpoint. Stable: columns are only added, at the end.';

CREATE VIEW dashboard.tickets AS
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
       t.id
FROM tickets t
JOIN mailboxes m ON m.id = t.mailbox_id;
COMMENT ON VIEW dashboard.tickets IS 'One row a ticket. Bound last_message_at for a fast answer.';
COMMENT ON COLUMN dashboard.tickets.number IS 'Number for people; grows, may skip.';
COMMENT ON COLUMN dashboard.tickets.mailbox IS 'Name of the mailbox its mail came to.';
COMMENT ON COLUMN dashboard.tickets.subject IS 'Subject of its first message; may be empty.';
COMMENT ON COLUMN dashboard.tickets.requester_name IS 'Display name of the first message''s author; may be empty.';
COMMENT ON COLUMN dashboard.tickets.requester_address IS 'Address of the first message''s author; may be empty.';
COMMENT ON COLUMN dashboard.tickets.status IS 'open or closed.';
COMMENT ON COLUMN dashboard.tickets.message_count IS 'How many messages it has.';
COMMENT ON COLUMN dashboard.tickets.first_message_at IS 'When its first message reached the mailbox.';
COMMENT ON COLUMN dashboard.tickets.last_message_at IS 'When its newest message reached the mailbox.';
COMMENT ON COLUMN dashboard.tickets.created_at IS 'When it was stored.';
COMMENT ON COLUMN dashboard.tickets.id IS 'Its id in the events that helpdesks get.';

CREATE VIEW dashboard.volume_per_hour AS
SELECT m.name AS mailbox,
       v.hour,
       v.messages,
       v.tickets_opened
FROM (SELECT mailbox_id,
             date_bin('1 hour', received_at, '2000-01-01 00:00:00+00') AS hour,
             count(*) AS messages,
             count(*) FILTER (WHERE sequence = 1) AS tickets_opened
      FROM messages
      GROUP BY 1, 2) v
JOIN mailboxes m ON m.id = v.mailbox_id;
COMMENT ON VIEW dashboard.volume_per_hour IS 'Mail that came in, by the hour in which the server received it. Hours without mail have no row. Bound the hour for a fast answer.';
COMMENT ON COLUMN dashboard.volume_per_hour.mailbox IS 'Name of the mailbox.';
COMMENT ON COLUMN dashboard.volume_per_hour.hour IS 'Start of the hour; hours are those of UTC.';
COMMENT ON COLUMN dashboard.volume_per_hour.messages IS 'Messages received in it and stored, copies not counted.';
COMMENT ON COLUMN dashboard.volume_per_hour.tickets_opened IS 'How many of them opened a ticket.';

CREATE VIEW dashboard.delivery_health AS
SELECT w.name AS webhook,
       w.switched_off_at IS NOT NULL AS switched_off,
       coalesce(p.deliveries, 0) AS pending,
       oldest.created_at AS oldest_pending_at,
       extract(epoch FROM now() - oldest.created_at)::double precision AS oldest_pending_age_seconds,
       coalesce(d.deliveries, 0) AS dead,
       coalesce(f.delivered, 0) AS delivered_24h,
       coalesce(f.dead, 0) AS dead_24h,
       f.attempts::double precision AS attempts_per_delivery_24h,
       f.seconds[1] AS p50_seconds_24h,
       f.seconds[2] AS p95_seconds_24h,
       w.failures AS failures_in_a_row,
       w.paused_until,
       w.switched_off_at,
       w.last_error
FROM webhooks w
-- The oldest is the one with the lowest id, which the index holds; its time is then one look-up.
LEFT JOIN (SELECT webhook, count(*) AS deliveries, min(id) AS oldest_id
           FROM deliveries WHERE status = 'pending' GROUP BY webhook) p ON p.webhook = w.name
LEFT JOIN deliveries oldest ON oldest.id = p.oldest_id
LEFT JOIN (SELECT webhook, count(*) AS deliveries
           FROM deliveries WHERE status = 'dead' GROUP BY webhook) d ON d.webhook = w.name
-- Grouped by the joined column, so that the planner leaves this out when none of its columns is asked for.
LEFT JOIN (SELECT webhook,
                  count(*) FILTER (WHERE status = 'delivered') AS delivered,
                  count(*) FILTER (WHERE status = 'dead') AS dead,
                  avg(attempt) FILTER (WHERE status = 'delivered') AS attempts,
                  percentile_cont(ARRAY[0.5, 0.95])
                      WITHIN GROUP (ORDER BY extract(epoch FROM finished_at - created_at)::double precision)
                      FILTER (WHERE status = 'delivered') AS seconds
           FROM deliveries WHERE finished_at > now() - interval '24 hours' GROUP BY webhook) f ON f.webhook = w.name;
COMMENT ON VIEW dashboard.delivery_health IS 'One row a webhook: what waits, what died, how fast it goes. "24h" is the 24 hours before the reading.';
COMMENT ON COLUMN dashboard.delivery_health.webhook IS 'Name of the webhook.';
COMMENT ON COLUMN dashboard.delivery_health.switched_off IS 'Whether it answered 410 Gone; nothing is sent until an operator switches it on.';
COMMENT ON COLUMN dashboard.delivery_health.pending IS 'Deliveries still to be made.';
COMMENT ON COLUMN dashboard.delivery_health.oldest_pending_at IS 'When the oldest of them was stored; null if none.';
COMMENT ON COLUMN dashboard.delivery_health.oldest_pending_age_seconds IS 'How long ago that was; null if none.';
COMMENT ON COLUMN dashboard.delivery_health.dead IS 'Deliveries given up and not retried since.';
COMMENT ON COLUMN dashboard.delivery_health.delivered_24h IS 'Delivered in the last 24 hours.';
COMMENT ON COLUMN dashboard.delivery_health.dead_24h IS 'Given up in the last 24 hours.';
COMMENT ON COLUMN dashboard.delivery_health.attempts_per_delivery_24h IS 'Attempts that a delivery made in the last 24 hours took, on average; 1 is best. Null if none was made.';
COMMENT ON COLUMN dashboard.delivery_health.p50_seconds_24h IS 'Half of the deliveries made in the last 24 hours took at most this long, from storing the message to the webhook''s 2xx.';
COMMENT ON COLUMN dashboard.delivery_health.p95_seconds_24h IS 'The same for 95 of 100.';
COMMENT ON COLUMN dashboard.delivery_health.failures_in_a_row IS 'Attempts that failed since the last success.';
COMMENT ON COLUMN dashboard.delivery_health.paused_until IS 'No attempt is made before this time; null or past if it is not paused.';
COMMENT ON COLUMN dashboard.delivery_health.switched_off_at IS 'When it was switched off.';
COMMENT ON COLUMN dashboard.delivery_health.last_error IS 'Why the last attempt failed.';

CREATE VIEW dashboard.mail_age AS
SELECT m.name AS mailbox,
       coalesce(l.unprocessed, 0) AS unprocessed,
       l.oldest AS oldest_unprocessed_at,
       extract(epoch FROM now() - l.oldest)::double precision AS oldest_unprocessed_age_seconds,
       coalesce(l.held, 0) AS held,
       coalesce(l.unsettled, 0) AS unsettled,
       m.last_poll_at,
       extract(epoch FROM now() - m.last_poll_at)::double precision AS poll_age_seconds,
       m.last_error,
       m.last_error_at
FROM mailboxes m
LEFT JOIN (SELECT mailbox_id, uidvalidity,
                  count(*) FILTER (WHERE message_id IS NULL) AS unprocessed,
                  min(coalesce(internal_date, seen_at)) FILTER (WHERE message_id IS NULL) AS oldest,
                  count(*) FILTER (WHERE state = 'held') AS held,
                  count(*) FILTER (WHERE state IN ('recorded', 'duplicate')) AS unsettled
           -- These states word for word, or the index ledger_open is not used.
           FROM ledger WHERE state IN ('seen', 'recorded', 'duplicate', 'held') GROUP BY mailbox_id, uidvalidity) l
       -- Entries under another UIDVALIDITY mean messages that are not there.
       ON l.mailbox_id = m.id AND l.uidvalidity = m.uidvalidity;
COMMENT ON VIEW dashboard.mail_age IS 'One row a mailbox: does mail flow? Unprocessed are messages that were listed in the mailbox and are in no ticket yet, the held ones among them.';
COMMENT ON COLUMN dashboard.mail_age.mailbox IS 'Name of the mailbox.';
COMMENT ON COLUMN dashboard.mail_age.unprocessed IS 'Messages listed that are in no ticket yet.';
COMMENT ON COLUMN dashboard.mail_age.oldest_unprocessed_at IS 'When the server received the oldest of them; null if none.';
COMMENT ON COLUMN dashboard.mail_age.oldest_unprocessed_age_seconds IS 'How long ago that was; null if none.';
COMMENT ON COLUMN dashboard.mail_age.held IS 'Messages kept in the mailbox on doubt. One that was too large is in a ticket by its header and still held.';
COMMENT ON COLUMN dashboard.mail_age.unsettled IS 'Messages stored, or copies of stored ones, that are still to be moved or expunged.';
COMMENT ON COLUMN dashboard.mail_age.last_poll_at IS 'End of the last poll that completed; null before the first.';
COMMENT ON COLUMN dashboard.mail_age.poll_age_seconds IS 'How long ago that was; null before the first.';
COMMENT ON COLUMN dashboard.mail_age.last_error IS 'Why the last poll failed; null after a completed one.';
COMMENT ON COLUMN dashboard.mail_age.last_error_at IS 'When it failed.';
