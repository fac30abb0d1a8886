-- Tags, and the documents that lists and search are read from. Reasons: docs/decisions/0005-search.md.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- A text as trigrams are made of it: every byte beyond ASCII is spelt in ASCII. In a database whose character type is C, as ours is that comes
-- with Souk, pg_trgm would pass over all other letters; so it never sees one. A part of a text has a part of its key.
CREATE FUNCTION trigram_key(text text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
  RETURN translate(encode(convert_to(text, 'UTF8'), 'escape'), '\', 'x');

CREATE TABLE tags (
  id uuid PRIMARY KEY,
  name text COLLATE "C" NOT NULL,
  description text COLLATE "C" NOT NULL,
  -- The name in lower case: what must be unique.
  name_key text COLLATE "C" NOT NULL,
  -- The name without case and accents: what is searched.
  name_folded text COLLATE "C" NOT NULL,
  created timestamptz NOT NULL,
  updated timestamptz NOT NULL,
  deleted timestamptz
);
CREATE UNIQUE INDEX tags_name_key ON tags (name_key) WHERE deleted IS NULL;
CREATE INDEX tags_created ON tags (created) WHERE deleted IS NULL;
CREATE INDEX tags_name_prefix ON tags (name_folded) WHERE deleted IS NULL;
CREATE INDEX tags_name_trigrams ON tags USING gin (trigram_key(name_folded) gin_trgm_ops) WHERE deleted IS NULL;

-- In the order in which tags were attached. Links of deleted products and tags stay.
CREATE TABLE product_tags (
  product_id uuid NOT NULL REFERENCES products (id),
  tag_id uuid NOT NULL REFERENCES tags (id),
  place integer NOT NULL,
  PRIMARY KEY (product_id, tag_id)
);
CREATE INDEX product_tags_tag ON product_tags (tag_id, product_id);

-- Tags renamed or deleted whose name still stands in search documents of products after this one.
CREATE TABLE stale_tags (
  tag_id uuid PRIMARY KEY REFERENCES tags (id),
  after uuid NOT NULL
);

-- One row per product that is not deleted, written in the transaction that writes the product: what lists, search and facets need of it and
-- nothing else, so that a page is found in narrow rows. It has no foreign key: that would cost an import a look-up per product, and the
-- writers are few.
CREATE TABLE product_search (
  product_id uuid PRIMARY KEY,
  owner_id uuid NOT NULL,
  state text COLLATE "C" NOT NULL CHECK (state IN ('DRAFT', 'AVAILABLE')),
  updated timestamptz NOT NULL,
  price bigint NOT NULL,
  brand text COLLATE "C",
  condition text COLLATE "C",
  gender text COLLATE "C",
  -- Title and description without case and accents, U+FFFF between them.
  text text COLLATE "C" NOT NULL,
  -- The names of its tags likewise.
  tag_names text COLLATE "C" NOT NULL DEFAULT '',
  -- The distinct words of both and marks of what else is looked up; null until they are made, which for products of a feed happens in the
  -- background. May hold more than is true.
  words text[] COLLATE "C"
  -- Texts stay in the row and uncompressed as long as a page can hold them: a walk through documents reads every one.
) WITH (toast_tuple_target = 8160);
CREATE INDEX product_search_updated ON product_search (updated) WHERE state = 'AVAILABLE';
CREATE INDEX product_search_owner ON product_search (owner_id, updated);
-- A search reads the list of entries that wait to be sorted in from end to end, so it is kept short.
CREATE INDEX product_search_words ON product_search USING gin (words) WITH (gin_pending_list_limit = 256) WHERE words IS NOT NULL;
CREATE INDEX product_search_wordless ON product_search (updated) WHERE words IS NULL;

-- Every word of every document, to find those that contain a part or resemble one. Append-only; a word may stand here twice.
CREATE TABLE search_words (word text COLLATE "C" NOT NULL);
CREATE INDEX search_words_word ON search_words (word);
CREATE INDEX search_words_trigrams ON search_words USING gin (trigram_key(word) gin_trgm_ops) WITH (gin_pending_list_limit = 256);
