-- Format 1: the header, the entries, and the function that commits.
-- `{schema}` stands for the quoted name of the schema. Why the function is as
-- it is: docs/adr/0007-postgres.md.

-- One row: whose the schema is, who may use it, and which numbers of versions
-- were given out.
CREATE TABLE {schema}.store (
  id smallint PRIMARY KEY CHECK (id = 1),
  format integer NOT NULL,
  readable_from integer NOT NULL,
  writable_from integer NOT NULL,
  incarnation bigint NOT NULL,
  versions_below bigint NOT NULL
);

-- One row a key. Room is left on each page, so that a new value of a key can
-- stay beside the old one; whoever stores large values compresses them.
CREATE TABLE {schema}.entry (
  key bytea PRIMARY KEY,
  version bigint NOT NULL,
  key_crc bigint NOT NULL,
  value bytea NOT NULL
) WITH (fillfactor = 70);
ALTER TABLE {schema}.entry ALTER COLUMN value SET STORAGE EXTERNAL;

-- Commits a group of batches. Answers a row for each batch that was not
-- applied: the place of its first check that failed, or 0 if by now none does
-- and the batch is to be tried again.
--
-- Batches of one wave have no key in common that one of them writes; a later
-- wave sees what an earlier one wrote. Every list is in the order of keys.
--   p_checks, p_new, p_updates, p_deletes   how many of each a wave has
--   l_*   keys that are checked to exist: expect is a version, or -1 for any;
--         put says whether they are put. Where somebody else had a lock, also
--         the keys of n_* that are not checked, with NULL
--   n_*   keys that may be new: checked absent (place is not 0), put without
--         a check, or deleted without one (value is NULL)
--   u_*   keys that are checked to exist, and put
--   d_*   keys that are deleted
CREATE FUNCTION {schema}.commit(
  p_incarnation bigint, p_format integer, p_waves integer,
  p_checks integer[], p_new integer[], p_updates integer[], p_deletes integer[],
  l_wave integer[], l_batch integer[], l_place integer[],
  l_key bytea[], l_expect bigint[], l_put boolean[],
  n_wave integer[], n_batch integer[], n_place integer[],
  n_key bytea[], n_version bigint[], n_crc bigint[], n_value bytea[],
  u_wave integer[], u_batch integer[],
  u_key bytea[], u_version bigint[], u_crc bigint[], u_value bytea[],
  d_wave integer[], d_batch integer[], d_key bytea[]
) RETURNS TABLE (refused_batch integer, failed_place integer)
LANGUAGE plpgsql VOLATILE
-- Keys are found by the index, however small the table was when a plan was
-- made; and plans are made once a connection, and not compiled.
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_seqscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $commit$
DECLARE
  held bigint[];
  spots tid[];
  lost integer[];
  affected bigint;
BEGIN
  PERFORM 1 FROM {schema}.store s
    WHERE s.id = 1 AND s.incarnation = p_incarnation AND s.writable_from <= p_format
      -- A server that has lost which numbers were given out gives them again.
      AND s.versions_below > (
        SELECT coalesce(max(v), 0) FROM unnest(n_version || u_version) v);
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the store was replaced or upgraded' USING ERRCODE = 'WL001';
  END IF;
  IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
  -- The warning that no standby was waited for must reach the client.
  IF current_setting('client_min_messages') = 'error' THEN
    PERFORM set_config('client_min_messages', 'warning', true);
  END IF;
  IF p_waves > 1 THEN
    PERFORM 1 FROM unnest(l_key) l (key) JOIN {schema}.entry e ON e.key = l.key
      ORDER BY l.key FOR UPDATE OF e;
  END IF;

  FOR w IN 1..p_waves LOOP
    lost := '{}';

    -- Locks the rows, in the order of keys, so that no two groups wait for
    -- each other; and makes the checks on what is locked.
    held := '{}';
    IF cardinality(l_key) > 0 THEN
      SELECT coalesce(array_agg(t.ord), '{}'),
        array_agg(t.tid ORDER BY t.ord) FILTER (WHERE t.put)
      INTO held, spots FROM (
        SELECT l.ord, l.expect, l.put, e.version, e.ctid AS tid
        FROM unnest(l_wave, l_key, l_expect, l_put)
          WITH ORDINALITY l (wave, key, expect, put, ord)
        JOIN {schema}.entry e ON e.key = l.key
        WHERE l.wave = w ORDER BY l.key FOR UPDATE OF e
      ) t WHERE t.expect = -1 OR t.expect = t.version;
    END IF;
    IF cardinality(held) < p_checks[w] THEN
      SELECT array_agg(DISTINCT l.batch) INTO lost
      FROM unnest(l_wave, l_batch, l_expect) WITH ORDINALITY l (wave, batch, expect, ord)
      WHERE l.wave = w AND l.expect IS NOT NULL
        AND l.ord NOT IN (SELECT h FROM unnest(held) h);
    END IF;

    -- Takes the keys that are not there, in the order of keys: the unique
    -- index decides between groups. A key to be deleted is taken as well, so
    -- that nobody puts it before this group is done.
    IF p_new[w] > 0 THEN
      INSERT INTO {schema}.entry (key, version, key_crc, value)
      SELECT n.key, n.version, n.crc, coalesce(n.value, '')
      FROM unnest(n_wave, n_batch, n_key, n_version, n_crc, n_value)
        n (wave, batch, key, version, crc, value)
      WHERE n.wave = w AND n.batch <> ALL (lost)
      ORDER BY n.key ON CONFLICT (key) DO NOTHING;
      GET DIAGNOSTICS affected = ROW_COUNT;
      IF affected < p_new[w] THEN
        -- A row with the number of its batch is ours; no number is used twice.
        SELECT lost || coalesce(array_agg(DISTINCT n.batch), '{}') INTO lost
        FROM unnest(n_wave, n_batch, n_place, n_key, n_version)
          n (wave, batch, place, key, version)
        WHERE n.wave = w AND n.place > 0 AND n.batch <> ALL (lost)
          AND NOT EXISTS (SELECT FROM {schema}.entry e
            WHERE e.key = n.key AND e.version = n.version);
        IF cardinality(lost) > 0 THEN
          DELETE FROM {schema}.entry e
          USING unnest(n_wave, n_batch, n_key, n_version) n (wave, batch, key, version)
          WHERE n.wave = w AND n.batch = ANY (lost)
            AND e.key = n.key AND e.version = n.version;
        END IF;
        -- Rows that are written whatever they held. Nobody is waited for out of
        -- order: if one is locked, the group comes back with these keys in l_*.
        PERFORM 1 FROM unnest(n_wave, n_batch, n_place, n_key, n_version)
          n (wave, batch, place, key, version)
        JOIN {schema}.entry e ON e.key = n.key AND e.version <> n.version
        WHERE n.wave = w AND n.batch <> ALL (lost) AND n.place = 0
        ORDER BY n.key FOR UPDATE OF e NOWAIT;
        UPDATE {schema}.entry e SET version = n.version, key_crc = n.crc, value = n.value
        FROM unnest(n_wave, n_batch, n_place, n_key, n_version, n_crc, n_value)
          n (wave, batch, place, key, version, crc, value)
        WHERE n.wave = w AND n.batch <> ALL (lost) AND n.place = 0
          AND n.value IS NOT NULL AND e.key = n.key AND e.version <> n.version;
        -- Somebody may have removed such a key between two statements.
        PERFORM 1 FROM unnest(n_wave, n_batch, n_place, n_key, n_version, n_value)
          n (wave, batch, place, key, version, value)
        WHERE n.wave = w AND n.batch <> ALL (lost) AND n.place = 0
          AND n.value IS NOT NULL AND NOT EXISTS (SELECT FROM {schema}.entry e
            WHERE e.key = n.key AND e.version = n.version);
        IF FOUND THEN
          RAISE EXCEPTION 'a key came and went' USING ERRCODE = 'serialization_failure';
        END IF;
      END IF;
    END IF;

    -- Where nothing was refused, the rows that were found are those of u_*, in
    -- the same order, and need not be looked for again.
    IF p_updates[w] > 0 THEN
      IF p_waves = 1 AND cardinality(lost) = 0 THEN
        UPDATE {schema}.entry e SET version = u.version, key_crc = u.crc, value = u.value
        FROM unnest(spots, u_version, u_crc, u_value) u (tid, version, crc, value)
        WHERE e.ctid = u.tid;
      ELSE
        UPDATE {schema}.entry e SET version = u.version, key_crc = u.crc, value = u.value
        FROM unnest(u_wave, u_batch, u_key, u_version, u_crc, u_value)
          u (wave, batch, key, version, crc, value)
        WHERE u.wave = w AND u.batch <> ALL (lost) AND e.key = u.key;
      END IF;
      GET DIAGNOSTICS affected = ROW_COUNT;
      IF affected < p_updates[w] AND cardinality(lost) = 0 THEN
        RAISE EXCEPTION 'a row moved' USING ERRCODE = 'serialization_failure';
      END IF;
    END IF;

    IF p_deletes[w] > 0 THEN
      DELETE FROM {schema}.entry e
      USING unnest(d_wave, d_batch, d_key) d (wave, batch, key)
      WHERE d.wave = w AND d.batch <> ALL (lost) AND e.key = d.key;
      GET DIAGNOSTICS affected = ROW_COUNT;
      PERFORM 1 FROM unnest(d_wave, d_batch) d (wave, batch)
      WHERE d.wave = w AND d.batch <> ALL (lost) HAVING count(*) <> affected;
      IF FOUND THEN
        RAISE EXCEPTION 'a key came and went' USING ERRCODE = 'serialization_failure';
      END IF;
    END IF;

    -- What was refused is looked at again, all of it at one moment: rows that
    -- were not there could not be locked.
    IF cardinality(lost) > 0 THEN
      RETURN QUERY SELECT b.batch, coalesce(min(f.place), 0)
      FROM unnest(lost) b (batch) LEFT JOIN (
        SELECT l.batch, l.place
        FROM unnest(l_wave, l_batch, l_place, l_key, l_expect)
          l (wave, batch, place, key, expect)
        LEFT JOIN {schema}.entry e ON e.key = l.key
        WHERE l.wave = w AND l.expect IS NOT NULL
          AND (l.expect = -1 AND e.key IS NOT NULL OR l.expect = e.version) IS NOT TRUE
        UNION ALL
        SELECT n.batch, n.place
        FROM unnest(n_wave, n_batch, n_place, n_key) n (wave, batch, place, key)
        JOIN {schema}.entry e ON e.key = n.key
        WHERE n.wave = w AND n.place > 0
      ) f ON f.batch = b.batch
      GROUP BY b.batch;
    END IF;
  END LOOP;
END
$commit$;
