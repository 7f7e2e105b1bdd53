export function lossPlot(_: unknown): string {
  return '';
}
