-- One catalogue. An item of an uploaded feed is a product like any other; its feed fields stand in the same row, because the feed's list
-- filters by some of them while it sorts by title or price, and one index can only serve columns of one table.
-- Texts compare bytewise: the order of a page is the same on every server and equality is exact.
CREATE TABLE products (
  id uuid PRIMARY KEY,
  owner_id uuid NOT NULL REFERENCES users (id),
  title text COLLATE "C" NOT NULL,
  description text COLLATE "C" NOT NULL,
  -- Minor units; of a feed item the lowest of its final, sale and regular price.
  price bigint NOT NULL CHECK (price >= 0),
  state text COLLATE "C" NOT NULL CHECK (state IN ('DRAFT', 'AVAILABLE', 'DELETED')),
  created timestamptz NOT NULL,
  updated timestamptz NOT NULL,
  deleted timestamptz,
  -- From here on: the fields of a feed item, all null for a product that came another way.
  feed_id text COLLATE "C",
  product_type text COLLATE "C",
  link text COLLATE "C",
  image_link text COLLATE "C",
  regular_price bigint,
  availability text COLLATE "C",
  brand text COLLATE "C",
  gtin text COLLATE "C",
  item_group_id text COLLATE "C",
  condition text COLLATE "C",
  age_group text COLLATE "C",
  color text COLLATE "C",
  gender text COLLATE "C",
  sale_price bigint,
  old_price bigint,
  final_price bigint,
  adult boolean,
  additional_images_count integer,
  options_percentage numeric(5, 2),
  discount_percent text COLLATE "C",
  gender_orig_value text COLLATE "C",
  google_product_category text COLLATE "C",
  adwords_labels text COLLATE "C",
  custom_label_0 text COLLATE "C",
  custom_label_1 text COLLATE "C",
  custom_label_2 text COLLATE "C",
  custom_label_3 text COLLATE "C",
  custom_label_4 text COLLATE "C",
  ios_url text COLLATE "C",
  ios_app_store_id text COLLATE "C",
  ios_app_name text COLLATE "C",
  android_package text COLLATE "C",
  android_app_name text COLLATE "C",
  iphone_app_name text COLLATE "C",
  iphone_app_store_id text COLLATE "C",
  iphone_url text COLLATE "C",
  icon_media_url text COLLATE "C",
  all_sizes_skus text COLLATE "C",
  sizes_of_all_skus text COLLATE "C",
  product_season text COLLATE "C",
  product_class text COLLATE "C",
  CONSTRAINT products_deleted_check CHECK ((state = 'DELETED') = (deleted IS NOT NULL)),
  CONSTRAINT products_feed_check CHECK (
    feed_id IS NULL
    OR num_nulls(product_type, link, image_link, regular_price, availability, brand, gtin, item_group_id, condition,
                 age_group, color, gender, adult, additional_images_count) = 0
  )
);

-- A feed id belongs to one product until that is deleted; then it may be imported again.
CREATE UNIQUE INDEX products_feed_id_key ON products (feed_id) WHERE feed_id IS NOT NULL AND state <> 'DELETED';
-- The feed's list by title and by price reads these alone, filters included, and fetches rows only for the page it shows.
CREATE INDEX products_feed_title ON products (title, feed_id) INCLUDE (condition, gender, brand, owner_id)
  WHERE feed_id IS NOT NULL AND state = 'AVAILABLE';
CREATE INDEX products_feed_price ON products (regular_price, feed_id) INCLUDE (condition, gender, brand, owner_id)
  WHERE feed_id IS NOT NULL AND state = 'AVAILABLE';
-- A rare brand would otherwise be looked for through the whole list.
CREATE INDEX products_feed_brand ON products (brand, title, feed_id) WHERE feed_id IS NOT NULL AND state = 'AVAILABLE';
CREATE INDEX products_owner ON products (owner_id, updated) WHERE deleted IS NULL;

-- Free units per variant; a feed item has the one variant `default`. Rows of a deleted product are removed.
CREATE TABLE stock_levels (
  product_id uuid NOT NULL REFERENCES products (id),
  variant text COLLATE "C" NOT NULL CHECK (variant <> ''),
  quantity integer NOT NULL CONSTRAINT stock_levels_quantity_check CHECK (quantity >= 0),
  PRIMARY KEY (product_id, variant)
);

-- How many listed feed products have these facets: the sum of `change` over the rows of one key. Writers only append, so that concurrent
-- uploads never wait for each other here, and a sweep folds rows of one key together. The empty text stands for "any"; rows with a brand
-- name all three facets.
CREATE TABLE product_counts (
  brand text COLLATE "C" NOT NULL,
  condition text COLLATE "C" NOT NULL,
  gender text COLLATE "C" NOT NULL,
  change bigint NOT NULL
);
CREATE INDEX product_counts_key ON product_counts (brand, condition, gender) INCLUDE (change);

-- Deleted users: their products are hidden at once and deleted in batches, and nothing new is stored for them.
CREATE TABLE deleted_owners (
  owner_id uuid PRIMARY KEY REFERENCES users (id),
  deleted timestamptz NOT NULL,
  finished timestamptz
);
CREATE INDEX deleted_owners_unfinished ON deleted_owners (owner_id) WHERE finished IS NULL;

-- What the mails of an upload say beside the products. Written once, with the upload.
CREATE TABLE uploads (
  id uuid PRIMARY KEY,
  owner_id uuid NOT NULL REFERENCES users (id),
  username text NOT NULL,
  email text,
  file_name text NOT NULL,
  -- Null when the file was read to its end.
  failure text,
  created_count integer NOT NULL DEFAULT 0,
  existing_count integer NOT NULL DEFAULT 0,
  problematic_count integer NOT NULL DEFAULT 0,
  -- The first ones, as many as a mail names.
  existing_ids text[] NOT NULL DEFAULT '{}',
  problematic_ids text[] NOT NULL DEFAULT '{}',
  created timestamptz NOT NULL
);
