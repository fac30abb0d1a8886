-- Users, the names they sign in with, their sign-ins and every credential that refers to one.

CREATE TABLE users (
  id uuid PRIMARY KEY,
  username text NOT NULL,
  email text,
  password_hash text NOT NULL,
  first_name text NOT NULL DEFAULT '',
  last_name text NOT NULL DEFAULT '',
  is_active boolean NOT NULL DEFAULT true,
  is_staff boolean NOT NULL DEFAULT false,
  is_superuser boolean NOT NULL DEFAULT false,
  date_joined timestamptz NOT NULL DEFAULT now(),
  updated timestamptz NOT NULL DEFAULT now(),
  last_login timestamptz,
  deleted timestamptz
) WITH (fillfactor = 85); -- room for last_login, which changes with every sign-in, on the same page

CREATE INDEX users_superusers_idx ON users (id) WHERE is_superuser;

-- User names and e-mails of live users in one table, so that one primary key keeps both unique, also against each other.
-- The application folds case before it writes, so the answer does not depend on the locale of the server.
CREATE TABLE login_names (
  name text COLLATE "C" PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users
);

CREATE INDEX login_names_user_idx ON login_names (user_id);

CREATE TABLE oauth_clients (
  id text PRIMARY KEY,
  secret_hash bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sign_ins (
  id uuid PRIMARY KEY,
  user_id uuid NOT NULL REFERENCES users,
  kind text NOT NULL CHECK (kind IN ('token', 'jwt', 'session', 'oauth')),
  client_id text REFERENCES oauth_clients,
  created_at timestamptz NOT NULL DEFAULT now(),
  -- When the last credential issued by it ends; null when one never does.
  expires_at timestamptz,
  revoked_at timestamptz
);

CREATE INDEX sign_ins_user_idx ON sign_ins (user_id);
CREATE INDEX sign_ins_expiry_idx ON sign_ins (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX sign_ins_revoked_idx ON sign_ins (revoked_at) WHERE revoked_at IS NOT NULL;

-- Everything that is looked up by its value, kept as SHA-256. JWT access tokens have no row: they name their sign-in.
CREATE TABLE credentials (
  digest bytea PRIMARY KEY,
  kind text NOT NULL CHECK (kind IN ('token', 'session', 'jwt-refresh', 'oauth-access', 'oauth-refresh')),
  sign_in_id uuid NOT NULL REFERENCES sign_ins ON DELETE CASCADE,
  scopes text[] NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz,
  -- Refused from then on, but kept until it expires: a refresh token shown again tells of a theft.
  spent_at timestamptz
);

CREATE INDEX credentials_sign_in_idx ON credentials (sign_in_id);
CREATE INDEX credentials_expiry_idx ON credentials (expires_at) WHERE expires_at IS NOT NULL;

-- The newest failed sign-ins per user and address, never more than the limit and one.
CREATE TABLE sign_in_failures (
  subject text COLLATE "C" NOT NULL,
  address text NOT NULL,
  times timestamptz[] NOT NULL,
  last_at timestamptz NOT NULL,
  PRIMARY KEY (subject, address)
) WITH (fillfactor = 70);

CREATE INDEX sign_in_failures_last_idx ON sign_in_failures (last_at);
