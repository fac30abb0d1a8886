-- The change log: what is recorded (outbox), what has its place (changes), who has read how far (subscribers).
-- Reasons: docs/decisions/0002-one-change-log.md.

CREATE SEQUENCE outbox_seq AS bigint CACHE 1;

-- Append-only, one row per recorded change, written in the transaction of the change. A slot is emptied whole by TRUNCATE once all of its
-- rows have their place; writers are in another slot by then, so neither they nor the parent are ever locked.
CREATE TABLE outbox (
  -- The transaction gets its id before the row gets its number: sequence_changes relies on that order, and CASE guarantees it.
  seq          bigint NOT NULL DEFAULT CASE WHEN pg_current_xact_id() IS NOT NULL THEN nextval('outbox_seq') END,
  xid          xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id           uuid NOT NULL,
  topic        text NOT NULL,
  subject_type text NOT NULL,
  subject_id   text NOT NULL,
  key          text NOT NULL,
  actor        uuid,
  audience     text[] NOT NULL,
  data         jsonb NOT NULL,
  recorded_at  timestamptz NOT NULL DEFAULT clock_timestamp()
) PARTITION BY LIST (((seq >> 14) & 3));

CREATE TABLE outbox_0 PARTITION OF outbox FOR VALUES IN (0);
CREATE TABLE outbox_1 PARTITION OF outbox FOR VALUES IN (1);
CREATE TABLE outbox_2 PARTITION OF outbox FOR VALUES IN (2);
CREATE TABLE outbox_3 PARTITION OF outbox FOR VALUES IN (3);

CREATE INDEX outbox_seq_idx ON outbox (seq);
CREATE INDEX outbox_xid_seq_idx ON outbox (xid, seq);

-- The log itself. Positions are dense and commit in order, so that a reader of position > cursor cannot skip one.
CREATE TABLE changes (
  position     bigint NOT NULL,
  id           uuid NOT NULL,
  topic        text NOT NULL,
  is_public    boolean NOT NULL,
  subject_type text NOT NULL,
  subject_id   text NOT NULL,
  key          text NOT NULL,
  actor        uuid,
  audience     text[] NOT NULL,
  data         jsonb NOT NULL,
  recorded_at  timestamptz NOT NULL,
  PRIMARY KEY (position)
) PARTITION BY RANGE (position);

CREATE INDEX changes_topic_idx ON changes (topic, is_public, position);

-- One row per private audience key of a change, so that a reader with few changes among millions finds them. 'public' is a column instead.
CREATE TABLE change_audiences (
  audience_key text NOT NULL,
  position     bigint NOT NULL,
  topic        text NOT NULL
) PARTITION BY RANGE (position);

CREATE INDEX change_audiences_key_idx ON change_audiences (audience_key, position);

-- The partitions of both tables; their bounds are the same.
CREATE TABLE change_partitions (
  first_position bigint PRIMARY KEY,
  end_position   bigint NOT NULL
);

-- Every topic ever sequenced; readers expand their patterns with it.
CREATE TABLE change_topics (name text PRIMARY KEY);

-- One row. Not touched by sequencing: a row updated hundreds of times a second decays while any old transaction is open.
CREATE TABLE change_log (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  epoch     text NOT NULL,
  -- Where the epoch belongs to, see change_log_identity and change_log_instance; elsewhere means a restore. Null until the first pass.
  identity  text,
  instance  text,
  oldest    bigint NOT NULL
);
INSERT INTO change_log (epoch, oldest) VALUES ('', 1);

-- What has been taken, one row per pass; the newest row counts. Append-only for the same reason.
CREATE TABLE change_batches (
  id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  -- The head: the last position given so far.
  position  bigint NOT NULL,
  -- Rows of transactions visible in this snapshot have their place.
  taken     pg_snapshot NOT NULL,
  -- Transactions with an id above taken_xid got it after taken_seq was the last number, so their rows have higher ones.
  taken_seq bigint NOT NULL,
  taken_xid xid8 NOT NULL,
  -- No row visible in `taken` or `target` has a number above this.
  upper_seq bigint NOT NULL,
  -- Set while passes are cut off by their limit: of the rows visible in `target` and not in `taken`, those up to target_seq have their place.
  -- When none is left, `target`, target_floor and target_xid become `taken`, taken_seq and taken_xid.
  target       pg_snapshot,
  target_seq   bigint,
  target_floor bigint,
  target_xid   xid8
);
INSERT INTO change_batches (position, taken, taken_seq, taken_xid, upper_seq) VALUES (0, '1:1:', 0, '1', 0);

CREATE TABLE subscribers (
  name           text PRIMARY KEY,
  registered_at  timestamptz NOT NULL DEFAULT now(),
  -- When a process last had it in its code; one not seen for days no longer holds back retention.
  seen_at        timestamptz NOT NULL DEFAULT now(),
  -- Cursor at which a process last took over, and how many did so in a row without progress.
  claim_position bigint NOT NULL DEFAULT -1,
  claims         integer NOT NULL DEFAULT 0,
  -- The change being tried alone after suspected crashes: still set at the next claim means that it killed the process.
  trial_position bigint
);

-- Cursors, append-only; the newest row of a subscriber counts.
CREATE TABLE subscriber_progress (
  subscriber text NOT NULL,
  position   bigint NOT NULL,
  PRIMARY KEY (subscriber, position)
);

-- Changes a subscriber could not handle, and later ones of their keys, in full: retention of the log does not touch them.
CREATE TABLE parked_changes (
  subscriber text NOT NULL,
  position   bigint NOT NULL,
  key        text NOT NULL,
  change     jsonb NOT NULL,
  -- 0: waits behind an earlier change of its key.
  attempts   integer NOT NULL,
  error      text,
  parked_at  timestamptz NOT NULL DEFAULT now(),
  -- When the key is tried again; null: not before somebody replays it.
  retry_at   timestamptz,
  PRIMARY KEY (subscriber, position)
);
CREATE INDEX parked_changes_key_idx ON parked_changes (subscriber, key, position);
CREATE INDEX parked_changes_retry_idx ON parked_changes (subscriber, retry_at) WHERE retry_at IS NOT NULL;

-- By the name of the current WAL file: the control file still shows the old timeline for a while after a promotion.
CREATE FUNCTION change_log_timeline() RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)
$$;

-- Where this log physically lives. A logical restore changes the cluster, the database or the table.
CREATE FUNCTION change_log_identity() RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT concat_ws('/', system_identifier, (SELECT oid FROM pg_database WHERE datname = current_database()), 'change_log'::regclass::oid)
  FROM pg_control_system()
$$;

-- Which physical copy of the cluster this is. A restore to a point in time or a failover changes the timeline; a folder that was copied back
-- is known by souk.instance, which who starts the server may set to anything that differs between copies.
CREATE FUNCTION change_log_instance() RETURNS text LANGUAGE sql VOLATILE AS $$
  SELECT concat_ws('/', change_log_timeline(), nullif(current_setting('souk.instance', true), ''))
$$;

-- The last number given out; 0 when none was.
CREATE FUNCTION outbox_last_seq() RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM outbox_seq
$$;

-- Makes partitions until `needed` has one. ATTACH takes a lock that neither readers nor writers of the parent wait for.
CREATE FUNCTION extend_changes(needed bigint, partition_bytes bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  newest change_partitions;
  first_position bigint := 1;
  row_bytes bigint := 1000;
  span bigint;
  table_name text;
BEGIN
  LOOP
    SELECT * INTO newest FROM change_partitions p ORDER BY p.first_position DESC LIMIT 1;
    EXIT WHEN newest.end_position > needed;
    IF newest.end_position IS NOT NULL THEN
      first_position := newest.end_position;
      row_bytes := greatest(200, change_partition_bytes(newest.first_position) / (newest.end_position - newest.first_position));
    END IF;
    span := least(1000000, greatest(2000, partition_bytes / row_bytes));
    FOREACH table_name IN ARRAY ARRAY['changes', 'change_audiences'] LOOP
      EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING INDEXES)', table_name || '_' || first_position, table_name);
      EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)',
                     table_name, table_name || '_' || first_position, first_position, first_position + span);
    END LOOP;
    INSERT INTO change_partitions VALUES (first_position, first_position + span);
  END LOOP;
END $$;

-- What a partition occupies on disk, indexes included.
CREATE FUNCTION change_partition_bytes(first_position bigint) RETURNS bigint LANGUAGE sql VOLATILE AS $$
  SELECT coalesce(pg_total_relation_size(to_regclass('changes_' || first_position)), 0)
       + coalesce(pg_total_relation_size(to_regclass('change_audiences_' || first_position)), 0)
$$;

-- Gives committed rows of the outbox their positions: one pass of at most batch_limit rows. Any process may call it, any number at once,
-- as one statement outside a transaction: a client that stops or dies cannot hold the lock.
--
-- Why no row is skipped or taken twice. A row is new if its transaction is not visible in `taken`, and MVCC adds that it is committed now.
-- Three arms find exactly those without looking at old ones: transactions listed as running; those between xmax (the last one completed
-- then, plus one: higher ones may have been running, too) and taken_xid; and later ones, whose rows have numbers above taken_seq. `taken`
-- becomes the snapshot of the very statement that read the rows, under a lock that makes passes follow each other, each seeing what the one
-- before wrote. A cut pass keeps its snapshot as `target`: the set of new rows visible in it is fixed, and the passes after walk through it
-- by seq until it is empty.
-- Why changes of a key keep their order. The second of two changes is recorded after its transaction got the row lock the first one held
-- until commit: whoever sees the second sees the first, whose seq is lower.
-- Plans must not depend on whether the tables were empty when they were made, hence the settings.
CREATE FUNCTION sequence_changes(batch_limit integer, partition_bytes bigint, OUT head bigint, OUT taken integer, OUT more boolean)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
DECLARE
  last change_batches;
  seq_before bigint;
  after_seq bigint;
BEGIN
  IF current_setting('transaction_isolation') <> 'read committed' OR pg_current_xact_id_if_assigned() IS NOT NULL THEN
    RAISE EXCEPTION 'sequence_changes must be a READ COMMITTED transaction of its own';
  END IF;
  -- A statement of its own: the snapshots of the following ones are taken after the lock.
  PERFORM pg_advisory_xact_lock(7236514003);

  IF (SELECT identity IS DISTINCT FROM change_log_identity() OR instance IS DISTINCT FROM change_log_instance() FROM change_log) THEN
    PERFORM renew_change_epoch();
    SELECT position, 0, true INTO head, taken, more FROM change_batches ORDER BY id DESC LIMIT 1;
    RETURN;
  END IF;

  SELECT * INTO STRICT last FROM change_batches ORDER BY id DESC LIMIT 1;
  -- Before the id of this transaction is made, which the statement below does by writing.
  seq_before := outbox_last_seq();
  after_seq := coalesce(last.target_seq, 0);
  PERFORM extend_changes(last.position + batch_limit, partition_bytes);

  WITH goal AS MATERIALIZED (
    SELECT coalesce(last.target, pg_current_snapshot()) AS snapshot
  ), finished AS MATERIALIZED (
    SELECT x.xid FROM goal, pg_snapshot_xip(last.taken) AS x (xid) WHERE pg_visible_in_snapshot(x.xid, goal.snapshot)
  ), between_times AS MATERIALIZED (
    -- By itself, so that the index on xid is the only one of use.
    SELECT * FROM outbox
    WHERE outbox.xid >= pg_snapshot_xmax(last.taken) AND outbox.xid <= last.taken_xid
      AND pg_visible_in_snapshot(outbox.xid, (SELECT snapshot FROM goal))
  ), picked AS MATERIALIZED (
    SELECT * FROM (
      (SELECT o.* FROM finished CROSS JOIN LATERAL (
         SELECT * FROM outbox WHERE outbox.xid = finished.xid AND outbox.seq > after_seq ORDER BY outbox.seq LIMIT batch_limit + 1) o)
      UNION ALL
      (SELECT * FROM between_times WHERE between_times.seq > after_seq ORDER BY between_times.seq LIMIT batch_limit + 1)
      UNION ALL
      (SELECT * FROM outbox
       WHERE outbox.seq > greatest(after_seq, last.taken_seq)
         AND outbox.xid > last.taken_xid AND outbox.xid >= pg_snapshot_xmax(last.taken)
         AND pg_visible_in_snapshot(outbox.xid, (SELECT snapshot FROM goal))
       ORDER BY outbox.seq LIMIT batch_limit + 1)
    ) candidates ORDER BY seq LIMIT batch_limit + 1
  ), placed AS MATERIALIZED (
    SELECT last.position + row_number() OVER (ORDER BY seq) AS position, picked.* FROM picked ORDER BY seq LIMIT batch_limit
  ), written AS (
    INSERT INTO changes (position, id, topic, is_public, subject_type, subject_id, key, actor, audience, data, recorded_at)
    SELECT position, id, topic, 'public' = ANY (audience), subject_type, subject_id, key, actor, audience, data, recorded_at FROM placed
  ), addressed AS (
    INSERT INTO change_audiences (audience_key, position, topic)
    SELECT audience_key, position, topic FROM placed CROSS JOIN LATERAL unnest(audience) AS audience_key WHERE audience_key <> 'public'
  ), named AS (
    INSERT INTO change_topics (name) SELECT topic FROM placed EXCEPT SELECT name FROM change_topics
  ), pass AS MATERIALIZED (
    SELECT goal.snapshot, found.rows > batch_limit AS is_cut, given.size, given.last_seq
    FROM goal, (SELECT count(*) AS rows FROM picked) found, (SELECT count(*)::integer AS size, max(seq) AS last_seq FROM placed) given
  ), remembered AS (
    INSERT INTO change_batches (position, taken, taken_seq, taken_xid, upper_seq, target, target_seq, target_floor, target_xid)
    SELECT last.position + size,
           CASE WHEN is_cut THEN last.taken ELSE snapshot END,
           CASE WHEN is_cut THEN last.taken_seq ELSE coalesce(last.target_floor, seq_before) END,
           CASE WHEN is_cut THEN last.taken_xid ELSE coalesce(last.target_xid, pg_current_xact_id()) END,
           CASE WHEN last.target IS NULL THEN outbox_last_seq() ELSE last.upper_seq END,
           CASE WHEN is_cut THEN snapshot END,
           CASE WHEN is_cut THEN last_seq END,
           CASE WHEN is_cut THEN coalesce(last.target_floor, seq_before) END,
           CASE WHEN is_cut THEN coalesce(last.target_xid, pg_current_xact_id()) END
    FROM pass
    -- An empty pass leaves no trace, unless numbers of open or aborted transactions would be looked at again and again.
    WHERE size > 0 OR last.target IS NOT NULL OR seq_before > last.taken_seq + 10000
  )
  -- What was committed after `target` is still to come when its last row has been taken.
  SELECT last.position + size, size, is_cut OR last.target IS NOT NULL INTO head, taken, more FROM pass;

  IF taken > 0 THEN
    PERFORM pg_notify('souk_changes', head::text);
  END IF;
END $$;

-- Changes after a position in order, for one of the audience keys (null: all), of the topics named or beginning with a prefix (both null: all).
-- Every arm is an index scan that stops at max_rows, so the cost follows from keys, topics and max_rows, never from the length of the log.
CREATE FUNCTION read_changes(after_position bigint, up_to bigint, keys text[], topics text[], prefixes text[], max_rows integer)
RETURNS SETOF changes LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET plan_cache_mode = force_generic_plan SET jit = off
AS $$
BEGIN
  IF keys IS NULL AND topics IS NULL THEN
    RETURN QUERY SELECT * FROM changes c WHERE c.position > after_position AND c.position <= up_to ORDER BY c.position LIMIT max_rows;
    RETURN;
  END IF;
  RETURN QUERY
  WITH wanted AS MATERIALIZED (
    SELECT t.name FROM change_topics t WHERE topics IS NULL OR t.name = ANY (topics) OR t.name ^@ ANY (prefixes)
  ), found AS MATERIALIZED (
    (SELECT hit.position
     FROM wanted CROSS JOIN (VALUES (true), (false)) AS side (is_public) CROSS JOIN LATERAL (
       SELECT c.position FROM changes c
       WHERE c.topic = wanted.name AND c.is_public = side.is_public AND c.position > after_position AND c.position <= up_to
       ORDER BY c.position LIMIT max_rows) hit
     -- Of what is not public only those without keys, who hear everything, read by topic.
     WHERE keys IS NULL OR (side.is_public AND 'public' = ANY (keys)))
    UNION
    (SELECT hit.position
     FROM unnest(keys) AS reader (audience_key) CROSS JOIN LATERAL (
       SELECT a.position FROM change_audiences a
       WHERE a.audience_key = reader.audience_key AND a.position > after_position AND a.position <= up_to
         AND (topics IS NULL OR a.topic IN (SELECT name FROM wanted))
       ORDER BY a.position LIMIT max_rows) hit)
    ORDER BY 1 LIMIT max_rows
  )
  SELECT c.* FROM changes c WHERE c.position = ANY (ARRAY(SELECT found.position FROM found)) ORDER BY c.position;
END $$;

-- Called under the lock of sequence_changes when the log finds itself elsewhere than before.
CREATE FUNCTION renew_change_epoch() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT identity <> change_log_identity() FROM change_log) THEN
    PERFORM adopt_outbox();
  END IF;
  UPDATE change_log SET identity = change_log_identity(), instance = change_log_instance(),
    epoch = substr(replace(gen_random_uuid()::text, '-', ''), 1, 10) || '-' || ltrim(change_log_timeline(), '0');
END $$;

-- After a logical restore. The transaction ids of the rows mean nothing here, so rows that have their place are removed and the rest becomes
-- new; rows written since the restore are those above upper_seq, because sequences are restored to at least what they were.
CREATE FUNCTION adopt_outbox() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  last change_batches;
BEGIN
  LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE;
  SELECT * INTO STRICT last FROM change_batches ORDER BY id DESC LIMIT 1;
  DELETE FROM outbox
  WHERE seq <= last.upper_seq
    AND (pg_visible_in_snapshot(xid, last.taken)
         OR (last.target IS NOT NULL AND pg_visible_in_snapshot(xid, last.target) AND seq <= last.target_seq));
  UPDATE outbox SET xid = pg_current_xact_id();
  INSERT INTO change_batches (position, taken, taken_seq, taken_xid, upper_seq) VALUES (last.position, '1:1:', 0, '1', 0);
END $$;

-- Empties the slots of the outbox whose rows all have their place, and returns how many. The slots of the current and the previous block of
-- numbers are left, so that a backup that has its snapshot but not yet its locks misses nothing. Never waits for whoever uses a slot.
CREATE FUNCTION trim_outbox() RETURNS integer LANGUAGE plpgsql SET lock_timeout = '1s' AS $$
DECLARE
  last change_batches;
  block bigint;
  has_rows boolean;
  trimmed integer := 0;
BEGIN
  BEGIN
    PERFORM pg_advisory_xact_lock(7236514003);
  EXCEPTION WHEN lock_not_available THEN
    RETURN 0;
  END;
  SELECT * INTO STRICT last FROM change_batches ORDER BY id DESC LIMIT 1;
  IF last.target IS NOT NULL OR (SELECT identity IS DISTINCT FROM change_log_identity() FROM change_log) THEN RETURN 0; END IF;
  block := outbox_last_seq() >> 14;
  FOR slot IN 0..3 LOOP
    CONTINUE WHEN slot IN (block & 3, (block - 1) & 3);
    EXECUTE format('SELECT EXISTS (SELECT FROM %I)', 'outbox_' || slot) INTO has_rows;
    CONTINUE WHEN NOT has_rows;
    BEGIN
      EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE NOWAIT', 'outbox_' || slot);
    EXCEPTION WHEN lock_not_available THEN
      CONTINUE;
    END;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE NOT pg_visible_in_snapshot(xid, $1))', 'outbox_' || slot) INTO has_rows USING last.taken;
    CONTINUE WHEN has_rows;
    EXECUTE format('TRUNCATE %I', 'outbox_' || slot);
    trimmed := trimmed + 1;
  END LOOP;
  RETURN trimmed;
END $$;
