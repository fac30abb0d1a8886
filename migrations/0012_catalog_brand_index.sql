-- The list of one brand reads this index alone, as the lists by title and price read theirs. Without the rest of the conditions in it the
-- planner took the index by title, which holds them: where titles begin with the brand, that passes over every other brand's products.
DROP INDEX products_feed_brand;
CREATE INDEX products_feed_brand ON products (brand, title, feed_id) INCLUDE (condition, gender, owner_id)
  WHERE feed_id IS NOT NULL AND state = 'AVAILABLE';
