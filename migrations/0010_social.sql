-- Who follows whom. Rows go when they end, unlike the things of the shop.
CREATE TABLE follows (
  id uuid PRIMARY KEY,
  follower_id uuid NOT NULL REFERENCES users (id),
  followed_id uuid NOT NULL REFERENCES users (id),
  followed_at timestamptz NOT NULL,
  CONSTRAINT follows_key UNIQUE (follower_id, followed_id),
  CONSTRAINT follows_oneself_check CHECK (follower_id <> followed_id)
);
CREATE INDEX follows_following ON follows (follower_id, followed_at);
CREATE INDEX follows_followers ON follows (followed_id, followed_at);

-- How many follow a user, and how many the user follows: the sums over the rows of the user. Writers only append, so that a thousand new
-- followers of one user do not wait for each other; a sweep folds the rows of a user into one.
CREATE TABLE follow_counts (
  user_id uuid NOT NULL,
  followers bigint NOT NULL,
  following bigint NOT NULL,
  is_folded boolean NOT NULL
);
CREATE INDEX follow_counts_user ON follow_counts (user_id) INCLUDE (followers, following);
CREATE INDEX follow_counts_unfolded ON follow_counts (user_id) WHERE NOT is_folded;

-- Deleted users whose follows are not all removed yet; nothing shows them meanwhile.
CREATE TABLE departed_users (
  user_id uuid PRIMARY KEY REFERENCES users (id)
);
