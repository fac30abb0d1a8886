-- Background imports of product feeds: one row each, kept as the record of what an import did.
CREATE TABLE imports (
  id uuid PRIMARY KEY,
  owner_id uuid NOT NULL REFERENCES users (id),
  -- As they were when the import was requested; its mails say them.
  username text NOT NULL,
  email text,
  file_name text NOT NULL,
  mode text NOT NULL CHECK (mode IN ('create', 'update')),
  dry_run boolean NOT NULL,
  state text NOT NULL CHECK (state IN ('queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled')),
  -- Whether the stored file is gzip; sizes are those of the unpacked feed.
  is_compressed boolean NOT NULL,
  bytes_total bigint NOT NULL,
  -- The whole document is checked for well-formedness before the first item is stored.
  is_checked boolean NOT NULL DEFAULT false,
  bytes_checked bigint NOT NULL DEFAULT 0,
  -- The checkpoint: everything up to this item is committed, in the same transaction as these figures.
  items_read bigint NOT NULL DEFAULT 0,
  bytes_read bigint NOT NULL DEFAULT 0,
  created_count bigint NOT NULL DEFAULT 0,
  updated_count bigint NOT NULL DEFAULT 0,
  unchanged_count bigint NOT NULL DEFAULT 0,
  existing_count bigint NOT NULL DEFAULT 0,
  problematic_count bigint NOT NULL DEFAULT 0,
  problem_count bigint NOT NULL DEFAULT 0,
  -- The first ones, as many as a mail names.
  existing_ids text[] NOT NULL DEFAULT '{}',
  problematic_ids text[] NOT NULL DEFAULT '{}',
  error text,
  error_line bigint,
  error_column bigint,
  -- Who works on it: only the holder of the token may write, and only until the lease is taken over.
  lease_token uuid,
  lease_until timestamptz,
  -- Claims since the last checkpoint.
  attempts integer NOT NULL DEFAULT 0,
  progress_at timestamptz,
  requested_at timestamptz NOT NULL,
  started_at timestamptz,
  finished_at timestamptz,
  CONSTRAINT imports_finished_check CHECK ((state IN ('succeeded', 'failed', 'cancelled')) = (finished_at IS NOT NULL))
);
CREATE INDEX imports_unfinished ON imports (id) WHERE finished_at IS NULL;
CREATE INDEX imports_owner ON imports (owner_id, id);

-- Every rule that an item of an import broke, in file order; `ordinal` counts from 1 without gaps.
CREATE TABLE import_problems (
  import_id uuid NOT NULL REFERENCES imports (id),
  ordinal bigint NOT NULL,
  item bigint NOT NULL,
  line bigint NOT NULL,
  feed_id text,
  element text NOT NULL,
  rule text NOT NULL,
  value text,
  PRIMARY KEY (import_id, ordinal)
);

-- Ids that an import has met so far, where the catalogue itself cannot tell: in a dry run and in the update mode. Emptied after its end.
CREATE TABLE import_ids (
  import_id uuid NOT NULL REFERENCES imports (id),
  feed_id text COLLATE "C" NOT NULL,
  PRIMARY KEY (import_id, feed_id)
);
