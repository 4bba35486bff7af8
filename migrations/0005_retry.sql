-- Retrying what was given up. The number of an attempt fences off late writers, so it never starts anew; the
-- schedule counts from this column instead.

ALTER TABLE deliveries ADD COLUMN forgiven_attempts integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN deliveries.forgiven_attempts IS 'Attempts before an operator last had it retried. The schedule counts those that came after.';
