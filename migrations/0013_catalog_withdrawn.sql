-- What everybody saw of a product last, while it is withdrawn: whoever has it in a bag is not to read the draft that its owner makes of it.
ALTER TABLE products ADD COLUMN withdrawn_title text, ADD COLUMN withdrawn_price bigint;
