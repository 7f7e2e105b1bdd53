/** Numbers of at most `count` of `windows` windows, evenly spread. */
export function evenlySpread(count: number, windows: number): number[] {
  const most = Math.min(count, windows);
  return Array.from({ length: most }, (_, i) => Math.floor((i * windows) / most));
}
