import { ClickHouseError } from '@clickhouse/client'

/** Who is to blame for an insert that failed. */
export type Blame = 'rows' | 'store' | 'unknown'

/**
 * The rows, so that sending them again cannot help: CANNOT_PARSE_TEXT, _QUOTED_STRING, _INPUT_ASSERTION_FAILED,
 * ATTEMPT_TO_READ_AFTER_EOF, CANNOT_READ_ALL_DATA, CANNOT_PARSE_DATE, _DATETIME, TYPE_MISMATCH, ARGUMENT_OUT_OF_BOUND,
 * CANNOT_PARSE_NUMBER, INCORRECT_DATA, TOO_LARGE_STRING_SIZE, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE,
 * VIOLATED_CONSTRAINT.
 */
const ROWS = new Set(['6', '26', '27', '32', '33', '38', '41', '53', '69', '72', '117', '131', '321', '469'])

/** The store is away, overloaded or full, and will take the same rows later. */
const OUTAGES = {
  CANNOT_READ_FROM_FILE_DESCRIPTOR: '74',
  CANNOT_WRITE_TO_FILE_DESCRIPTOR: '75',
  CANNOT_OPEN_FILE: '76',
  TIMEOUT_EXCEEDED: '159',
  TOO_SLOW: '160',
  CANNOT_ALLOCATE_MEMORY: '173',
  QUOTA_EXCEEDED: '201',
  TOO_MANY_SIMULTANEOUS_QUERIES: '202',
  NO_FREE_CONNECTION: '203',
  CANNOT_FSYNC: '204',
  SOCKET_TIMEOUT: '209',
  NETWORK_ERROR: '210',
  NO_ZOOKEEPER: '225',
  ABORTED: '236',
  MEMORY_LIMIT_EXCEEDED: '241',
  TABLE_IS_READ_ONLY: '242',
  NOT_ENOUGH_SPACE: '243',
  TOO_MANY_PARTS: '252',
  ALL_CONNECTION_TRIES_FAILED: '279',
  TOO_FEW_LIVE_REPLICAS: '285',
  UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE: '286',
  UNKNOWN_STATUS_OF_INSERT: '319',
  QUERY_WAS_CANCELLED: '394',
  SYSTEM_ERROR: '425',
  CANNOT_SCHEDULE_TASK: '439',
  S3_ERROR: '499',
  KEEPER_EXCEPTION: '999',
}

/** The store is set up wrongly: no row is at fault, and an operator has to act. */
const SETUP = {
  NO_SUCH_COLUMN_IN_TABLE: '16',
  UNKNOWN_TABLE: '60',
  SYNTAX_ERROR: '62',
  UNKNOWN_DATABASE: '81',
  UNKNOWN_SETTING: '115',
  READONLY: '164',
  UNKNOWN_USER: '192',
  WRONG_PASSWORD: '193',
  REQUIRED_PASSWORD: '194',
  TABLE_IS_DROPPED: '218',
  ACCESS_DENIED: '497',
  AUTHENTICATION_FAILED: '516',
}

const STORE = new Set([...Object.values(OUTAGES), ...Object.values(SETUP)])

/**
 * Whether rows may ever be set aside hangs on this: whatever is not an answer of ClickHouse, and every answer that names a state of
 * the store, is waited out for as long as it takes.
 */
export function blame(error: unknown): Blame {
  if (!(error instanceof ClickHouseError) || STORE.has(error.code)) return 'store'
  return ROWS.has(error.code) ? 'rows' : 'unknown'
}
