-- Up to 64 MB a part is one file and not one per column. Parts as large as one insert are merged away within minutes, and with some
-- 35 columns most of their cost was in the files: 13.6 µs of CPU per row became 10.5, merges included (20,000 rows per insert).
ALTER TABLE events MODIFY SETTING min_bytes_for_wide_part = 67108864
