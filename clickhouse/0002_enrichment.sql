-- What is added to an event when it arrives (src/domains/events/enrich/columns.ts). Empty text: not known. Plain text and not
-- LowCardinality, which is dearer to insert and no faster to group by; ARCHITECTURE.md has the figures. occurred_at is the time that
-- reads use: timestamp is the sender's own and part of the sort key, so the correction of a wrong clock cannot be in it. It is computed
-- when it is read and costs an insert nothing.
ALTER TABLE events
    ADD COLUMN ip              String,
    ADD COLUMN country         String,
    ADD COLUMN region          String,
    ADD COLUMN city            String,
    ADD COLUMN browser         String,
    ADD COLUMN browser_version String,
    ADD COLUMN os              String,
    ADD COLUMN os_version      String,
    ADD COLUMN device_type     String,
    ADD COLUMN is_bot          UInt8,
    ADD COLUMN bot_signals     String,
    ADD COLUMN channel         String,
    ADD COLUMN referrer_domain String,
    ADD COLUMN utm_source      String,
    ADD COLUMN utm_medium      String,
    ADD COLUMN utm_campaign    String,
    ADD COLUMN utm_term        String,
    ADD COLUMN utm_content     String,
    ADD COLUMN clock_skew_ms   Int64,
    ADD COLUMN occurred_at     DateTime64(3, 'UTC') ALIAS fromUnixTimestamp64Milli(toUnixTimestamp64Milli(timestamp) - clock_skew_ms, 'UTC')
