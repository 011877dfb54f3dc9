-- One item per event that is kept outside of the event store: its schema refuses it, or ClickHouse did. The payload is the event's own
-- JSON text, so that it can be repaired and sent through the door again under the same identity.
-- A change of status is a new row with a higher revision; FINAL shows the last. A revision is a generation times 2^43, plus 2^43 minus
-- the milliseconds of receipt: the first copy wins in its generation, and src/domains/events/quarantine-row.ts says what raises it.
CREATE TABLE quarantined_events
(
    organization_id LowCardinality(String),
    project_id      LowCardinality(String),
    message_id      String,
    event           LowCardinality(String),
    received_at     DateTime64(3, 'UTC'),
    sent_at         Nullable(DateTime64(3, 'UTC')),
    payload         String CODEC(ZSTD(1)),
    payload_bytes   UInt32 MATERIALIZED toUInt32(length(payload)),
    reason          LowCardinality(String),
    violations      String CODEC(ZSTD(1)),
    plan_version    UInt32,
    status          LowCardinality(String) DEFAULT 'open',
    revision        UInt64,
    changed_at      DateTime64(3, 'UTC'),
    changed_by      LowCardinality(String)
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (organization_id, project_id, message_id)
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
