/**
 * How many events of one organization were received in a span, each once and by its first copy. The time is hidden from the engine,
 * or it would leave out the part that holds a first copy and count a later one.
 */
export const RECEIVED_BETWEEN = `
  SELECT count() AS events FROM events FINAL
  WHERE organization_id = {organizationId:String}
    AND identity(toUnixTimestamp64Milli(received_at)) >= {fromMs:Int64}
    AND identity(toUnixTimestamp64Milli(received_at)) < {toMs:Int64}`
