-- The change stream: images of changed rows on their way to Redis. Reasons: docs/decisions/0007-change-stream.md.

-- One row per changed row, written by the triggers below in the transaction of the change.
CREATE TABLE row_changes (
  -- Given while the changed row is locked, so the changes of one row have rising numbers in the order of their commits.
  seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
  table_name  text COLLATE "C" NOT NULL,
  op          "char" NOT NULL CHECK (op IN ('c', 'u', 'd')),
  row_id      text NOT NULL,
  -- JSON as text: it is passed on as it is, and numbers of any size stay exact.
  before      text,
  after       text,
  lsn         pg_lsn NOT NULL DEFAULT pg_current_wal_insert_lsn(),
  recorded_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX row_changes_xid ON row_changes (xid);

-- The order in which committed row changes are published: dense, and in the order in which they became visible.
CREATE TABLE row_change_positions (
  position    bigint PRIMARY KEY,
  seq         bigint NOT NULL,
  table_name  text COLLATE "C" NOT NULL,
  recorded_at timestamptz NOT NULL
);

-- What has its position: rows of transactions visible in `taken`. Append-only, the newest row counts.
CREATE TABLE row_change_passes (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  position bigint NOT NULL,
  taken    pg_snapshot NOT NULL
);
INSERT INTO row_change_passes (position, taken) VALUES (0, '1:1:');

-- How far the stream has come. Append-only, the newest row counts; it goes back when Redis has lost what it had.
CREATE TABLE row_change_cursors (
  id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  position bigint NOT NULL
);
INSERT INTO row_change_cursors (position) VALUES (0);

-- The cluster and database whose transaction ids stand in row_changes; null until the first pass.
CREATE TABLE row_change_home (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  identity  text
);
INSERT INTO row_change_home DEFAULT VALUES;

-- Two tables have no `id`: theirs is made of their key, joined by a colon, and their images get it as a member. By name, because reading the
-- key columns from the trigger's arguments costs half as much again as all the rest.
CREATE FUNCTION record_row_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  -- Null where there is no such row.
  row_before text := row_to_json(OLD);
  row_after  text := row_to_json(NEW);
  row_id     text;
BEGIN
  IF TG_TABLE_NAME = 'stock_levels' THEN
    row_id := coalesce(NEW.product_id, OLD.product_id) || ':' || coalesce(NEW.variant, OLD.variant);
  ELSIF TG_TABLE_NAME = 'product_tags' THEN
    row_id := coalesce(NEW.product_id, OLD.product_id) || ':' || coalesce(NEW.tag_id, OLD.tag_id);
  ELSE
    row_id := coalesce(NEW.id, OLD.id);
  END IF;
  IF TG_TABLE_NAME IN ('stock_levels', 'product_tags') THEN
    row_before := '{"id":' || to_json(row_id) || ',' || substr(row_before, 2);
    row_after := '{"id":' || to_json(row_id) || ',' || substr(row_after, 2);
  END IF;
  INSERT INTO row_changes (table_name, op, row_id, before, after)
  VALUES (TG_TABLE_NAME, CASE TG_OP WHEN 'INSERT' THEN 'c' WHEN 'UPDATE' THEN 'u' ELSE 'd' END, row_id, row_before, row_after);
  RETURN NULL;
END $$;

-- Row by row, so that every statement counts, bulk ones as well. Connections of a process without Redis do not set souk.change_stream: then
-- the condition is all that a row costs. No table with a hash, a token or a payment reference may stand here: rows are published whole.
DO $$
DECLARE
  traced text;
BEGIN
  FOREACH traced IN ARRAY ARRAY['products', 'stock_levels', 'tags', 'product_tags', 'orders', 'order_lines', 'bags', 'bag_items', 'follows'] LOOP
    EXECUTE format($trigger$
      CREATE TRIGGER row_change_insert AFTER INSERT ON %1$I FOR EACH ROW
        WHEN (current_setting('souk.change_stream', true) = 'on') EXECUTE FUNCTION record_row_change();
      CREATE TRIGGER row_change_update AFTER UPDATE ON %1$I FOR EACH ROW
        WHEN (current_setting('souk.change_stream', true) = 'on' AND OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION record_row_change();
      CREATE TRIGGER row_change_delete AFTER DELETE ON %1$I FOR EACH ROW
        WHEN (current_setting('souk.change_stream', true) = 'on') EXECUTE FUNCTION record_row_change();
    $trigger$, traced);
  END LOOP;
END $$;

-- Gives the committed row changes that have none their positions, and returns the last one. Any process may call it, as one statement
-- outside a transaction.
--
-- Why no row is skipped or placed twice. A row is new if its transaction is not visible in `taken`; MVCC adds that it is committed now. A
-- transaction is not visible in a snapshot if its id is in the list of those running then or at least xmax, so two arms find exactly the new
-- rows, whenever their transactions commit, without looking at old ones. `taken` becomes the snapshot of the very statement that read the
-- rows, under a lock that makes passes follow each other, each seeing what the one before wrote.
-- Why changes of a row keep their order. The second of two changes is recorded after its transaction got the lock that the first one held
-- until commit: whoever sees the second sees the first, whose seq is lower.
-- Plans must not depend on whether the tables were empty when they were made, hence the settings.
CREATE FUNCTION place_row_changes(OUT head bigint, OUT placed bigint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
  last row_change_passes;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' OR pg_current_xact_id_if_assigned() IS NOT NULL THEN
    RAISE EXCEPTION 'place_row_changes must be a READ COMMITTED transaction of its own';
  END IF;
  -- A statement of its own: the snapshots of the following ones are taken after the lock.
  PERFORM pg_advisory_xact_lock(7236514006);
  IF (SELECT identity IS DISTINCT FROM row_changes_identity() FROM row_change_home) THEN
    PERFORM adopt_row_changes();
  END IF;

  SELECT * INTO STRICT last FROM row_change_passes ORDER BY id DESC LIMIT 1;
  WITH now AS MATERIALIZED (
    SELECT pg_current_snapshot() AS snapshot
  ), finished AS MATERIALIZED (
    SELECT running.xid FROM now, pg_snapshot_xip(last.taken) AS running (xid) WHERE pg_visible_in_snapshot(running.xid, now.snapshot)
  ), fresh AS MATERIALIZED (
    SELECT seq, table_name, recorded_at FROM row_changes WHERE xid >= pg_snapshot_xmax(last.taken)
    UNION ALL
    -- By the index for each of the few; OFFSET keeps the planner from looking through the table the other way round.
    SELECT late.* FROM finished CROSS JOIN LATERAL (
      SELECT seq, table_name, recorded_at FROM row_changes WHERE row_changes.xid = finished.xid OFFSET 0) late
  ), written AS (
    INSERT INTO row_change_positions (position, seq, table_name, recorded_at)
    SELECT last.position + row_number() OVER (ORDER BY seq), seq, table_name, recorded_at FROM fresh
  ), pass AS MATERIALIZED (
    SELECT snapshot, (SELECT count(*) FROM fresh) AS size FROM now
  ), remembered AS (
    INSERT INTO row_change_passes (position, taken)
    SELECT last.position + size, snapshot FROM pass
    -- An empty pass leaves no trace, unless rows of open or aborted transactions would be looked at again and again.
    WHERE size > 0 OR pg_snapshot_xmax(snapshot)::text::bigint > pg_snapshot_xmax(last.taken)::text::bigint + 1000
  )
  SELECT last.position + size, size INTO head, placed FROM pass;
END $$;

-- Row changes after a position in order: at most max_rows, and no more after the one that fills max_bytes.
CREATE FUNCTION read_row_changes(after_position bigint, max_rows integer, max_bytes bigint)
RETURNS TABLE ("position" bigint, table_name text, op "char", row_id text, before text, after text, xid bigint, lsn bigint, recorded_ms bigint)
LANGUAGE plpgsql STABLE ROWS 500
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
BEGIN
  RETURN QUERY
  WITH page AS MATERIALIZED (
    SELECT p.position, p.seq FROM row_change_positions p WHERE p.position > after_position ORDER BY p.position LIMIT max_rows
  ), sized AS (
    SELECT page.position, r.*,
           sum(coalesce(octet_length(r.before), 0) + coalesce(octet_length(r.after), 0))
             OVER (ORDER BY page.position ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
    FROM page CROSS JOIN LATERAL (SELECT * FROM row_changes WHERE row_changes.seq = page.seq OFFSET 0) r
  )
  SELECT s.position, s.table_name, s.op, s.row_id, s.before, s.after, s.xid::text::bigint, (s.lsn - '0/0')::bigint,
         (extract(epoch FROM s.recorded_at) * 1000)::bigint
  FROM sized s WHERE coalesce(s.bytes_before, 0) < max_bytes ORDER BY s.position;
END $$;

-- Where the transaction ids of row_changes mean something. A logical restore changes the cluster, the database or the table.
CREATE FUNCTION row_changes_identity() RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT concat_ws('/', system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database()), 'row_changes'::regclass::oid)
  FROM pg_control_system()
$$;

-- Called under the lock of place_row_changes when row_changes finds itself elsewhere than before: rows without a position get one, and all
-- get an id that is old in any cluster. Nobody is writing rows meanwhile, so those of later transactions are new to the snapshot kept here.
-- Writers queue behind the lock, hence the limit; the next pass tries again.
CREATE FUNCTION adopt_row_changes() RETURNS void LANGUAGE plpgsql SET lock_timeout = '2s' AS $$
BEGIN
  LOCK TABLE row_changes IN ACCESS EXCLUSIVE MODE;
  IF (SELECT identity IS NOT NULL FROM row_change_home) THEN
    UPDATE row_changes SET xid = '1';
    WITH last AS (
      SELECT position FROM row_change_passes ORDER BY id DESC LIMIT 1
    ), left_over AS (
      SELECT seq, table_name, recorded_at FROM row_changes r
      WHERE NOT EXISTS (SELECT FROM row_change_positions p WHERE p.seq = r.seq)
    ), written AS (
      INSERT INTO row_change_positions (position, seq, table_name, recorded_at)
      SELECT last.position + row_number() OVER (ORDER BY seq), seq, table_name, recorded_at FROM left_over, last
    )
    INSERT INTO row_change_passes (position, taken)
    SELECT last.position + (SELECT count(*) FROM left_over), pg_current_snapshot() FROM last;
  END IF;
  UPDATE row_change_home SET identity = row_changes_identity();
END $$;
