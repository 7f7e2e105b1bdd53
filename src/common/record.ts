/** Whether a value, of JSON as a rule, is an object and no array: all of its entries are unknown. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
