-- Answers kept for repeated requests with the same Idempotency-Key. Rows live for a day.
CREATE TABLE idempotency_keys (
  user_id uuid NOT NULL,
  key text NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
  -- SHA-256 of method, path, query and body.
  fingerprint bytea NOT NULL,
  -- Names the request that holds the key: a request that lost its lease can neither store nor release.
  claim uuid NOT NULL,
  lease_until timestamptz NOT NULL,
  expires_at timestamptz NOT NULL,
  -- The answer; null while the request runs.
  status smallint,
  headers jsonb,
  body bytea,
  PRIMARY KEY (user_id, key)
);

CREATE INDEX idempotency_keys_expires_at ON idempotency_keys (expires_at);
