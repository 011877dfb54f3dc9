interface GroupOptions<Item> {
  /** Most weight and most bytes of one group; an item that exceeds them by itself goes alone. */
  weightMax: number
  bytesMax: number
  weigh: (item: Item) => { weight: number; bytes: number }
}

type Commit<Item, Result> = (items: Item[]) => Promise<Result[]>

interface Waiting<Item, Result> {
  item: Item
  resolve: (result: Result) => void
  reject: (error: unknown) => void
}

interface Queue<Item, Result> {
  waiting: Waiting<Item, Result>[]
  running: number
  scheduled: boolean
}

/** While this many commits of a key are on their way, what comes gathers for the next: more load makes larger groups, not more of them. */
const RUNNING_MAX = 2

/**
 * Group commit: items of one key that come in the same turn of the event loop, or while earlier ones are on their way, are committed
 * together, in the order in which they came. An item's promise settles as its own commit does.
 */
export function createGroups<Item, Result>({ weightMax, bytesMax, weigh }: GroupOptions<Item>) {
  const queues = new Map<string, Queue<Item, Result>>()

  function take(queue: Queue<Item, Result>): Waiting<Item, Result>[] {
    let [weightLeft, bytesLeft, count] = [weightMax, bytesMax, 0]
    for (const { item } of queue.waiting) {
      const { weight, bytes } = weigh(item)
      if (count > 0 && (weight > weightLeft || bytes > bytesLeft)) break
      weightLeft -= weight
      bytesLeft -= bytes
      count += 1
    }
    return queue.waiting.splice(0, count)
  }

  async function run(key: string, queue: Queue<Item, Result>, commit: Commit<Item, Result>): Promise<void> {
    queue.scheduled = false
    const group = take(queue)
    queue.running += 1
    if (queue.waiting.length > 0) schedule(key, queue, commit)
    try {
      const results = await commit(group.map(({ item }) => item))
      for (const [index, { resolve }] of group.entries()) resolve(results[index] as Result)
    } catch (error) {
      for (const { reject } of group) reject(error)
    } finally {
      queue.running -= 1
      if (queue.waiting.length > 0) schedule(key, queue, commit)
      else if (queue.running === 0) queues.delete(key)
    }
  }

  function schedule(key: string, queue: Queue<Item, Result>, commit: Commit<Item, Result>): void {
    if (queue.scheduled || queue.running >= RUNNING_MAX) return
    queue.scheduled = true
    setImmediate(() => run(key, queue, commit))
  }

  return {
    /** `commit` must be the same act for every item of a key. */
    add(key: string, item: Item, commit: Commit<Item, Result>): Promise<Result> {
      const queue = queues.get(key) ?? { waiting: [], running: 0, scheduled: false }
      queues.set(key, queue)
      return new Promise((resolve, reject) => {
        queue.waiting.push({ item, resolve, reject })
        schedule(key, queue, commit)
      })
    },
  }
}
