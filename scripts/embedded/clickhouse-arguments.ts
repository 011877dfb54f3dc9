import { totalmem } from 'node:os'

const MIB = 1024 * 1024

/**
 * Server settings for a laptop or a small container beside the application. They can only be given when the engine
 * starts. Caches default to gigabytes there; with these bounds they cost at most about 200 MB.
 */
export function engineArguments(): string[] {
  const memoryBytes = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY)
  const settings = {
    max_server_memory_usage: Math.min(Math.max(Math.round(memoryBytes * 0.35), 1024 * MIB), 4096 * MIB),
    mark_cache_size: 64 * MIB,
    primary_index_cache_size: 32 * MIB,
    index_mark_cache_size: 16 * MIB,
    index_uncompressed_cache_size: 0,
    uncompressed_cache_size: 0,
    vector_similarity_index_cache_size: 0,
    text_index_tokens_cache_size: 8 * MIB,
    text_index_header_cache_size: 8 * MIB,
    text_index_postings_cache_size: 8 * MIB,
    query_condition_cache_size: 16 * MIB,
    mmap_cache_size: 100,
    compiled_expression_cache_size: 16 * MIB,
    background_pool_size: 2,
    background_schedule_pool_size: 2,
    max_thread_pool_size: 256,
    max_thread_pool_free_size: 8,
    max_io_thread_pool_size: 8,
    max_io_thread_pool_free_size: 0,
  }
  return Object.entries(settings).map(([name, value]) => `--${name}=${value}`)
}

/** Parameters are given in a statement of the front's own, which must hold more than a client's statement may. */
export const CONNECTION_ARGUMENTS = [`--max_query_size=${128 * MIB}`]

/** What every connection starts from; a request's own settings come after these and win. */
export const CONNECTION_SETTINGS: [name: string, value: string][] = [
  // The engine's command line accepts a bare expression as a statement, and more; ClickHouse's server does not.
  ['implicit_select', '0'],
  ['max_query_size', '262144'],
  ['allow_introspection_functions', '0'],
  // An insert is acknowledged when its part is on disk, not when it waits in a queue.
  ['async_insert', '0'],
  // Formatting in parallel buffers some 200 MB of a large result and is no faster on two cores.
  ['output_format_parallel_formatting', '0'],
]

/** An INSERT is one block, so that it is stored whole or not at all and is one entry for de-duplication. */
export const INSERT_SETTINGS: [name: string, value: string][] = [
  ['max_insert_block_size', '100000000'],
  ['min_insert_block_size_rows', '100000000'],
  ['min_insert_block_size_bytes', '2000000000'],
]
