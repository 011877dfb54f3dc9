-- One row per event. The sort key is the event's identity within its day, so FINAL shows each event once however often it was
-- written, and the highest version is the copy that arrived first: first write wins. The month is a function of the key's day,
-- so copies of one event always meet in one partition (do_not_merge_across_partitions_select_final is safe).
-- properties, traits and context hold the JSON text as it was sent; ARCHITECTURE.md says why they are not of the JSON type.
CREATE TABLE events
(
    organization_id LowCardinality(String),
    project_id      LowCardinality(String),
    event           LowCardinality(String),
    timestamp       DateTime64(3, 'UTC'),
    message_id      String,
    type            LowCardinality(String),
    user_id         String,
    anonymous_id    String,
    distinct_id     String MATERIALIZED if(user_id != '', user_id, anonymous_id),
    group_id        String,
    properties      String CODEC(ZSTD(1)),
    traits          String CODEC(ZSTD(1)),
    context         String CODEC(ZSTD(1)),
    sent_at         Nullable(DateTime64(3, 'UTC')),
    received_at     DateTime64(3, 'UTC'),
    version         UInt64 MATERIALIZED bitNot(toUInt64(toUnixTimestamp64Milli(received_at))),
    INDEX received_at_range received_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree(version)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (organization_id, project_id, event, toDate(timestamp), message_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
