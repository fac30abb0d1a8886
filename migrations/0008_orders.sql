-- Orders and their lines are never removed; lines are written once, with the order, and keep what the product was called and cost then.
CREATE TABLE orders (
  id uuid PRIMARY KEY,
  customer_id uuid NOT NULL REFERENCES users (id),
  state text COLLATE "C" NOT NULL
    CHECK (state IN ('PENDING_CONFIRMATION', 'CONFIRMED', 'ACCEPTED', 'SHIPPED', 'NOT_CONFIRMED', 'CANCELLED')),
  -- Minor units; what JSON numbers hold exactly.
  total bigint NOT NULL CHECK (total BETWEEN 0 AND 9007199254740991),
  confirm_before timestamptz NOT NULL,
  created timestamptz NOT NULL,
  updated timestamptz NOT NULL,
  deleted timestamptz
);
CREATE INDEX orders_customer ON orders (customer_id, created) WHERE deleted IS NULL;
-- What the sweep reads, and an order short of units: pending orders only, so it stays as small as one window.
CREATE INDEX orders_due ON orders (confirm_before) WHERE state = 'PENDING_CONFIRMATION';

CREATE TABLE order_lines (
  id uuid PRIMARY KEY,
  order_id uuid NOT NULL REFERENCES orders (id),
  product_id uuid NOT NULL REFERENCES products (id),
  variant text COLLATE "C" NOT NULL,
  quantity integer NOT NULL CHECK (quantity > 0),
  -- Per unit, when the order was placed.
  unit_price bigint NOT NULL CHECK (unit_price >= 0),
  seller_id uuid NOT NULL REFERENCES users (id),
  title text NOT NULL,
  -- From 1, in the order given by the customer.
  place integer NOT NULL,
  CONSTRAINT order_lines_key UNIQUE (order_id, product_id, variant)
);

-- One row per seller of an order, so that a seller's list is one range of one index.
CREATE TABLE sales (
  order_id uuid NOT NULL REFERENCES orders (id),
  seller_id uuid NOT NULL REFERENCES users (id),
  -- That of the order.
  created timestamptz NOT NULL,
  subtotal bigint NOT NULL CHECK (subtotal BETWEEN 0 AND 9007199254740991),
  PRIMARY KEY (order_id, seller_id)
);
CREATE INDEX sales_seller ON sales (seller_id, created);

-- One payment per confirmed order: a table of due things. It is written with the confirmation, and every attempt is written here before it
-- is made. Its id is the idempotency key at the provider.
CREATE TABLE payments (
  id uuid PRIMARY KEY,
  order_id uuid NOT NULL CONSTRAINT payments_order_key UNIQUE REFERENCES orders (id),
  method text COLLATE "C" NOT NULL CHECK (method IN ('card', 'bank_transfer', 'cash_on_delivery')),
  -- Never a card number; goes to the provider and nowhere else.
  reference text,
  amount bigint NOT NULL CHECK (amount BETWEEN 0 AND 9007199254740991),
  -- `pending` and `refunding` wait for an attempt; `held` waits for cancel or accept; the others are final. `cancelled`: never attempted.
  status text COLLATE "C" NOT NULL DEFAULT 'pending'
    CHECK (status IN ('pending', 'held', 'accepted', 'declined', 'cancelled', 'refunding', 'refunded')),
  -- Until then nobody attempts it: it is not time yet, or somebody has it in hand.
  due_at timestamptz NOT NULL,
  -- Of whoever has it in hand; the result of another is refused.
  claim uuid,
  attempts integer NOT NULL DEFAULT 0,
  last_error text,
  created timestamptz NOT NULL DEFAULT now(),
  updated timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX payments_due ON payments (due_at) WHERE status IN ('pending', 'refunding');
