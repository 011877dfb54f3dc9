-- Finds one event by its id alone, for receipts: the sort key has the name and the day before the id, which a receipt does not know.
-- A message id is nearly unique, so nearly every granule of the project can be left out. Only parts written from now on have it.
ALTER TABLE events ADD INDEX message_id_bloom message_id TYPE bloom_filter(0.01) GRANULARITY 1
