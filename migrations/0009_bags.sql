-- Bags: what a user means to buy. Putting things in reserves nothing.
CREATE TABLE bags (
  id uuid PRIMARY KEY,
  owner_id uuid NOT NULL REFERENCES users (id),
  state text COLLATE "C" NOT NULL CHECK (state IN ('OPEN', 'CHECKED_OUT', 'DISCARDED')),
  -- The last bag of a deleted user: none is opened after it.
  is_last boolean NOT NULL DEFAULT false,
  created timestamptz NOT NULL,
  updated timestamptz NOT NULL,
  deleted timestamptz,
  CONSTRAINT bags_deleted_check CHECK ((state = 'DISCARDED') = (deleted IS NOT NULL)),
  CONSTRAINT bags_last_check CHECK (state = 'DISCARDED' OR NOT is_last)
);
-- One open bag per user, whoever opens it first; also what keeps one from being opened behind the deletion of its user.
CREATE UNIQUE INDEX bags_current_key ON bags (owner_id) WHERE state = 'OPEN' OR is_last;

-- No foreign key to the product: whether one can be put in is the catalogue's answer, asked in the same transaction.
CREATE TABLE bag_items (
  id uuid PRIMARY KEY,
  bag_id uuid NOT NULL REFERENCES bags (id),
  product_id uuid NOT NULL,
  variant text COLLATE "C" NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0),
  -- Ascending in the order in which lines were added.
  place integer NOT NULL,
  created timestamptz NOT NULL,
  CONSTRAINT bag_items_line_key UNIQUE (bag_id, product_id, variant)
);
