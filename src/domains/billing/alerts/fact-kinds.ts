/**
 * A period has crossed a threshold; the payload is `{ periodId, kind, meter, threshold, value, whole, mailed }`, with quantities and
 * amounts as texts. Once for each threshold and period.
 */
export const USAGE_ALERT = 'usage.alert'
